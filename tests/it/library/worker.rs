//! Workers: each message is processed, settled and, where that failed, processed again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::message::StreamMessage;
use serde_json::{Value, json};
use streamgauge::{
    consumer::{self, Status, Worker},
    handler::{Context, Outcome},
    resilience::Backoff,
    tasks::Tasks,
};

use super::{LIMIT, Pinged, World, connect};
use crate::support::eventually;

pub(super) const GRACE: Duration = Duration::from_secs(5);

pub(super) const SOON: Backoff = Backoff { first: Duration::from_millis(20), most: Duration::from_millis(20) };

/// How often each number was handled, over all workers that share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<HashMap<u32, u32>>>);

impl Seen {
    pub(super) fn note(&self, number: u32) -> u32 {
        let mut seen = self.0.lock().unwrap();
        let times = seen.entry(number).or_default();
        *times += 1;
        *times
    }

    pub(super) fn times(&self, number: u32) -> u32 {
        self.0.lock().unwrap().get(&number).copied().unwrap_or_default()
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Numbers that were handled more than once.
    pub(super) fn repeated(&self) -> Vec<u32> {
        self.0.lock().unwrap().iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect()
    }
}

pub(super) fn start(world: &World, tasks: &Tasks, worker: Worker) -> Arc<Status> {
    consumer::start(worker, &world.bus, &world.connection, tasks, GRACE).unwrap()
}

/// A handler that does `work` and says what it saw.
pub(super) fn noting(
    seen: &Seen,
    work: Duration,
) -> impl Fn(Context, Pinged) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> + use<> {
    let seen = seen.clone();
    move |_, ping| {
        let seen = seen.clone();
        Box::pin(async move {
            seen.note(ping.number);
            tokio::time::sleep(work).await;
            Outcome::Done
        })
    }
}

/// Waits until the consumer has settled everything that the stream holds. What is pending alone does not tell: the server counts it a
/// moment after it has confirmed the message.
pub(super) async fn all_settled(world: &World, consumer: &str) {
    eventually(LIMIT, "nothing pending, nothing unsettled", async || {
        let mut stream = world.connection.jetstream.get_stream("PINGS").await.map_err(|error| error.to_string())?;
        let last = stream.info().await.map_err(|error| error.to_string())?.state.last_sequence;
        let info = world.consumer_info_if_there(consumer).await.map_err(|error| error.to_string())?;
        let left = (last - info.delivered.stream_sequence, info.num_pending, info.num_ack_pending);
        if left == (0, 0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn every_message_is_handled_once_and_settled() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    world.publish(0..200).await;
    let status = start(&world, &tasks, Worker::new("w").on(noting(&seen, Duration::ZERO)));
    all_settled(&world, "w").await;
    assert_eq!((seen.count(), seen.repeated()), (200, vec![]));
    assert!(status.pull().is_pulling);
    assert_eq!(status.told().handled, 200);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_ack_wait_runs_once() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let slow = noting(&seen, Duration::from_millis(1_250));
    start(&world, &tasks, Worker::new("w").ack_wait(Duration::from_millis(500)).concurrency(4).on(slow));
    world.publish(0..8).await;
    all_settled(&world, "w").await;
    assert_eq!((seen.count(), seen.repeated()), (8, vec![]));
    assert_eq!(world.consumer_info("w").await.delivered.consumer_sequence, 8, "no message was delivered twice");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_worker_holds_no_more_than_its_credits() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    world.publish(0..100).await;
    let hangs = noting(&seen, Duration::from_secs(3_600));
    let status = start(&world, &tasks, Worker::new("w").concurrency(3).on(hangs));
    eventually(LIMIT, "three handlers run", async || status.running() == 3).await;
    let info = world.consumer_info("w").await;
    assert_eq!((info.num_ack_pending, info.num_pending), (3, 97));
    drop(tasks);
}

#[tokio::test]
async fn a_failed_message_is_tried_again_after_a_while_and_a_panic_is_a_failure() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let noted = seen.clone();
    let fails_twice = move |_: Context, ping: Pinged| {
        let times = noted.note(ping.number);
        async move {
            match (ping.number, times) {
                (0, 1 | 2) => Err(std::io::Error::other("no room yet")),
                (1, 1) => panic!("a handler may be wrong"),
                _ => Ok(()),
            }
        }
    };
    let status = start(&world, &tasks, Worker::new("w").retry(SOON).on(fails_twice));
    world.publish(0..3).await;
    all_settled(&world, "w").await;
    assert_eq!([0, 1, 2].map(|number| seen.times(number)), [3, 2, 1]);
    assert_eq!(status.told().failed, 3);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_rejected_message_is_never_tried_again_and_ends_among_the_dead_letters() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let noted = seen.clone();
    let rejects = move |_: Context, ping: Pinged| {
        noted.note(ping.number);
        async move { Outcome::reject("no such thing") }
    };
    start(&world, &tasks, Worker::new("w").concurrency(1).ack_wait(Duration::from_millis(200)).on(rejects));
    world.publish(0..1).await;
    // What is no `Pinged` is rejected before the handler sees it.
    let garbage = world.connection.jetstream.publish("pings.garbage", "{".into()).await.unwrap();
    garbage.await.unwrap();
    all_settled(&world, "w").await;
    assert_eq!((seen.times(0), seen.count()), (1, 1));
    let letters = world.dead_letters().await;
    let class = |letter: &StreamMessage| letter.headers.get("dead-letter-class").unwrap().as_str().to_owned();
    assert_eq!(letters.iter().map(class).collect::<Vec<_>>(), ["rejected", "unreadable"]);
    assert_eq!(letters[1].payload.as_ref(), b"{");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_drained_worker_finishes_what_runs_and_hands_back_nothing_it_began() {
    let world = World::new().await;
    let (first, second, seen) = (Tasks::default(), Tasks::default(), Seen::default());
    world.publish(0..40).await;
    let slow = noting(&seen, Duration::from_millis(300));
    let status = start(&world, &first, Worker::new("w").concurrency(4).ack_wait(Duration::from_secs(60)).on(slow));
    eventually(LIMIT, "handlers run", async || status.running() == 4).await;
    assert!(first.stop(LIMIT).await);
    assert_eq!(status.running(), 0);
    assert_eq!(world.consumer_info("w").await.num_ack_pending, 0, "nothing waits for ack_wait to pass");

    let quick = noting(&seen, Duration::ZERO);
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).on(quick));
    all_settled(&world, "w").await;
    assert_eq!((seen.count(), seen.repeated()), (40, vec![]));
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_handler_that_outlives_the_grace_is_given_up_and_its_message_goes_to_the_next() {
    let world = World::new().await;
    let (first, second, seen) = (Tasks::default(), Tasks::default(), Seen::default());
    let hangs = Worker::new("w").ack_wait(Duration::from_secs(60)).on(noting(&seen, Duration::from_secs(3_600)));
    let grace = Duration::from_millis(100);
    let status = consumer::start(hangs, &world.bus, &world.connection, &first, grace).unwrap();
    world.publish(0..1).await;
    eventually(LIMIT, "the handler runs", async || status.running() == 1).await;
    assert!(first.stop(LIMIT).await);
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).on(noting(&seen, Duration::ZERO)));
    all_settled(&world, "w").await;
    assert_eq!(seen.times(0), 2);
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_worker_outlives_a_restart_of_the_server_and_loses_nothing() {
    let mut world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let worker = Worker::new("w").ack_wait(Duration::from_secs(2)).on(noting(&seen, Duration::from_millis(5)));
    let status = start(&world, &tasks, worker);
    world.publish(0..50).await;
    world.server.kill().await;
    eventually(LIMIT, "the worker knows", async || !status.pull().is_pulling).await;
    world.server.start_again().await;
    world.publish(50..100).await;
    all_settled(&world, "w").await;
    assert_eq!(seen.count(), 100);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_consumer_that_is_deleted_is_made_again() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let status = start(&world, &tasks, Worker::new("w").on(noting(&seen, Duration::ZERO)));
    world.publish(0..5).await;
    all_settled(&world, "w").await;
    let stream = world.connection.jetstream.get_stream("PINGS").await.unwrap();
    stream.delete_consumer("w").await.unwrap();
    world.publish(5..10).await;
    eventually(LIMIT, "the new messages are handled", async || seen.count() == 10).await;
    assert!(status.pull().is_pulling);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_consumer_that_allows_less_than_is_asked_for_is_mended() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    start(&world, &tasks, Worker::new("w").ack_wait(Duration::from_secs(2)).on(noting(&seen, Duration::ZERO)));
    world.publish(0..5).await;
    all_settled(&world, "w").await;
    let mut config = serde_json::to_value(world.consumer_info("w").await.config).unwrap();
    config["max_batch"] = 2.into();
    let update = json!({ "stream_name": "PINGS", "config": config, "action": "update" });
    let updated: Value = world.connection.jetstream.request("CONSUMER.DURABLE.CREATE.PINGS.w", &update).await.unwrap();
    assert_eq!(updated["config"]["max_batch"], 2);
    world.publish(5..60).await;
    all_settled(&world, "w").await;
    assert_eq!(seen.count(), 60);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_worker_without_its_stream_says_so_and_begins_when_it_comes() {
    let server = crate::support::nats_server::NatsServer::start().await;
    let connection = connect(&server).await;
    let bus = streamgauge::bus::Bus::new(
        connection.clone(),
        "test",
        streamgauge::telemetry::Telemetry::unexported(),
        streamgauge::clock::Clock::system(),
    );
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let worker = Worker::new("w").on(noting(&seen, Duration::ZERO));
    let status = consumer::start(worker, &bus, &connection, &tasks, GRACE).unwrap();
    eventually(LIMIT, "the reason names the stream", async || {
        let pull = status.pull();
        if !pull.is_pulling && pull.reason.contains("PINGS") { Ok(()) } else { Err(pull) }
    })
    .await;
    super::topology().apply(&connection.jetstream).await.unwrap();
    bus.publish(&super::ping(1)).await.unwrap();
    eventually(LIMIT, "the message is handled", async || seen.times(1) == 1).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_stuck_server_is_noticed_by_its_silence() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let status = start(&world, &tasks, Worker::new("w").on(noting(&seen, Duration::ZERO)));
    eventually(LIMIT, "the worker pulls", async || status.pull().is_pulling).await;
    world.server.freeze();
    eventually(LIMIT, "the worker notices", async || !status.pull().is_pulling).await;
    world.server.thaw();
    world.publish(0..1).await;
    eventually(LIMIT, "the message is handled", async || seen.times(0) == 1).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_worker_that_cannot_be_is_refused_at_its_start() {
    let world = World::new().await;
    let refused = consumer::start(Worker::new("w"), &world.bus, &world.connection, &Tasks::default(), GRACE);
    assert!(refused.unwrap_err().to_string().contains("has no handler"));
    let seen = Seen::default();
    let worker = Worker::new("a.b").on(noting(&seen, Duration::ZERO));
    assert!(consumer::start(worker, &world.bus, &world.connection, &Tasks::default(), GRACE).is_err());
}
