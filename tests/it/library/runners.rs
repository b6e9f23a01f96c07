//! Runners: how many handlers are in work at once, and how a message ends that nobody waits for.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use streamgauge::{
    consumer::Worker,
    handler::{Context, Outcome},
    tasks::Tasks,
};
use tokio::sync::{Barrier, Semaphore};

use super::{
    LIMIT, Pinged, World,
    worker::{Seen, all_settled, start},
};
use crate::support::eventually;

#[tokio::test]
async fn as_many_handlers_wait_at_once_as_there_are_credits() {
    let world = World::new().await;
    let (tasks, meeting) = (Tasks::default(), Arc::new(Barrier::new(32)));
    world.publish(0..64).await;
    let meets = move |_: Context, _: Pinged| {
        let meeting = meeting.clone();
        async move {
            meeting.wait().await;
        }
    };
    start(&world, &tasks, Worker::new("w").concurrency(32).on(meets));
    all_settled(&world, "w").await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_handler_that_panics_takes_no_other_with_it() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    world.publish(0..50).await;
    let noted = seen.clone();
    let panics = move |_: Context, ping: Pinged| {
        let times = noted.note(ping.number);
        assert!(times > 1 || ping.number.is_multiple_of(2), "as it was told to");
        std::future::ready(())
    };
    let worker = Worker::new("w").retry(super::worker::SOON).concurrency(50).on(panics);
    let status = start(&world, &tasks, worker);
    all_settled(&world, "w").await;
    assert_eq!((seen.count(), seen.repeated().len()), (50, 25));
    assert_eq!(status.running(), 0);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn an_ack_that_nobody_confirms_is_counted_and_its_message_comes_again() {
    let world = World::new().await;
    let (tasks, seen, jetstream) = (Tasks::default(), Seen::default(), world.connection.jetstream.clone());
    let (noted, is_gone) = (seen.clone(), Arc::new(AtomicBool::new(false)));
    // Without the consumer there is nobody who takes the ack.
    let deletes = move |_: Context, ping: Pinged| {
        noted.note(ping.number);
        let (jetstream, is_first) = (jetstream.clone(), !is_gone.swap(true, SeqCst));
        async move {
            if is_first {
                jetstream.delete_consumer_from_stream("w", "PINGS").await.unwrap();
            }
            Outcome::Done
        }
    };
    start(&world, &tasks, Worker::new("w").concurrency(1).on(deletes));
    world.publish(0..3).await;
    eventually(LIMIT, "all are handled, the first again", async || seen.count() == 3 && seen.times(0) == 2).await;
    all_settled(&world, "w").await;
    let told = world.bus.telemetry().metrics().exposition();
    assert!(told.contains(r#"streamgauge_settle_unconfirmed_total{consumer="w"} 1"#), "{told}");
    assert!(tasks.stop(LIMIT).await);
}

/// Handlers that are done only when the worker is about to end: their acks leave, and nobody is there any more but who waits for the
/// server's word.
#[tokio::test]
async fn a_worker_that_ends_waits_for_what_is_acked() {
    const MESSAGES: u32 = 500;
    let world = World::new().await;
    world.publish(0..MESSAGES).await;
    let (tasks, started, gate) = (Tasks::default(), Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, opened) = (started.clone(), gate.clone());
    let waits = move |_: Context, _: Pinged| {
        counted.fetch_add(1, SeqCst);
        let opened = opened.clone();
        async move { drop(opened.acquire().await) }
    };
    start(&world, &tasks, Worker::new("w").concurrency(MESSAGES + 1).on(waits));
    eventually(LIMIT, "all are begun, and one more is asked for", async || {
        started.load(SeqCst) == MESSAGES && world.consumer_info("w").await.num_waiting == 1
    })
    .await;
    tasks.cancel();
    // The answer comes over the worker's connection, after the server has ended its subscription.
    eventually(LIMIT, "it asks for nothing any more", async || world.consumer_info("w").await.num_waiting == 0).await;
    gate.close();
    assert!(tasks.ended(LIMIT).await);
    let told = world.bus.telemetry().metrics().exposition();
    assert!(!told.contains("streamgauge_settle_unconfirmed_total{"), "{told}");
    let info = world.consumer_info("w").await;
    assert_eq!((info.num_ack_pending, info.ack_floor.consumer_sequence), (0, u64::from(MESSAGES)));
}
