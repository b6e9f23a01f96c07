//! One message of a key at a time: in order through failures, and handed back by drains.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use streamgauge::{
    consumer::{self, Worker},
    handler::{Context, Outcome},
    tasks::Tasks,
};

use super::{
    LIMIT, Pinged, World,
    worker::{SOON, all_settled, start},
};
use crate::support::eventually;

/// What was done with the messages of each key, in order.
#[derive(Debug, Clone, Default)]
struct Done(Arc<Mutex<HashMap<String, Vec<u32>>>>);

impl Done {
    fn note(&self, ping: &Pinged) {
        self.0.lock().unwrap().entry(ping.key.clone()).or_default().push(ping.number);
    }

    /// The same in the order of their numbers: the server does not keep the order of what is handed back.
    fn sorted(&self, key: &str) -> Vec<u32> {
        let mut done = self.of(key);
        done.sort_unstable();
        done
    }

    fn of(&self, key: &str) -> Vec<u32> {
        self.0.lock().unwrap().get(key).cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn a_message_that_is_tried_again_blocks_its_key_and_only_its_key() {
    let world = World::new().await;
    let (tasks, done) = (Tasks::default(), Done::default());
    for number in 0..10 {
        world.publish_as("a", number..=number).await;
        world.publish_as("b", number..=number).await;
    }
    let noted = done.clone();
    let fails_now_and_then = move |context: Context, ping: Pinged| {
        let noted = noted.clone();
        async move {
            // Handlers that overlapped would be seen in the wrong order here.
            tokio::task::yield_now().await;
            if ping.key == "a" && ping.number.is_multiple_of(4) && context.attempt() < 3 {
                return Outcome::retry("not yet");
            }
            noted.note(&ping);
            Outcome::Done
        }
    };
    start(&world, &tasks, Worker::new("w").concurrency(8).serial_by_key().retry(SOON).on(fails_now_and_then));
    all_settled(&world, "w").await;
    assert_eq!(done.of("a"), (0..10).collect::<Vec<_>>());
    assert_eq!(done.of("b"), (0..10).collect::<Vec<_>>());
    assert_eq!(world.consumer_info("w").await.delivered.consumer_sequence, 20, "nothing went through the server again");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_message_that_another_process_is_at_blocks_its_key_and_burns_no_attempt() {
    let world = World::new().await;
    let (tasks, done, tries) = (Tasks::default(), Done::default(), Arc::new(Mutex::new(0)));
    world.publish_as("a", 0..5).await;
    let noted = done.clone();
    let is_claimed_at_first = move |context: Context, ping: Pinged| {
        assert_eq!(context.attempt(), 1);
        let is_claimed = ping.number == 1 && {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            *tries < 3
        };
        if !is_claimed {
            noted.note(&ping);
        }
        let after = Some(Duration::from_millis(50));
        let claimed = Outcome::Retry { reason: "another is at it".into(), class: "claimed", after };
        async move { if is_claimed { claimed } else { Outcome::Done } }
    };
    start(&world, &tasks, Worker::new("w").concurrency(5).serial_by_key().on(is_claimed_at_first));
    all_settled(&world, "w").await;
    assert_eq!(done.of("a"), (0..5).collect::<Vec<_>>());
    assert_eq!(world.consumer_info("w").await.delivered.consumer_sequence, 5, "nothing went through the server again");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_drain_hands_back_what_waits_behind_its_key_with_one_more_delivery_and_no_attempt() {
    let world = World::new().await;
    let (first, second, done) = (Tasks::default(), Tasks::default(), Done::default());
    world.publish_as("a", 0..6).await;
    let hangs = |_: Context, _: Pinged| std::future::pending::<Outcome>();
    let worker = Worker::new("w").concurrency(6).ack_wait(Duration::from_secs(60)).serial_by_key().on(hangs);
    let grace = Duration::from_millis(50);
    let status = consumer::start(worker, &world.bus, &world.connection, &first, grace).unwrap();
    eventually(LIMIT, "all are held and one of the key runs", async || {
        world.consumer_info_if_there("w").await.is_ok_and(|info| info.num_ack_pending == 6) && status.running() == 1
    })
    .await;
    assert!(first.stop(LIMIT).await);
    let noted = done.clone();
    let notes = move |context: Context, ping: Pinged| {
        let delivered = context.delivery().map(|delivery| delivery.delivered);
        assert_eq!((context.attempt(), delivered), (1, Some(2)));
        noted.note(&ping);
        async {}
    };
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).serial_by_key().on(notes));
    all_settled(&world, "w").await;
    assert_eq!(done.sorted("a"), (0..6).collect::<Vec<_>>());
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_message_that_waits_for_its_next_attempt_goes_back_at_a_drain() {
    let world = World::new().await;
    let (first, second, done) = (Tasks::default(), Tasks::default(), Done::default());
    world.publish_as("a", 0..3).await;
    let much_later = |_: Context, _: Pinged| async {
        Outcome::Retry { reason: "not yet".into(), class: "error", after: Some(Duration::from_secs(3_600)) }
    };
    let worker = Worker::new("w").ack_wait(Duration::from_secs(60)).serial_by(|message| message.subject.to_string());
    let status = start(&world, &first, worker.on(much_later));
    eventually(LIMIT, "one has failed", async || status.told().failed == 1).await;
    assert!(first.stop(LIMIT).await);
    let noted = done.clone();
    let notes = move |context: Context, ping: Pinged| {
        assert_eq!(context.attempt(), if ping.number == 0 { 2 } else { 1 });
        noted.note(&ping);
        async {}
    };
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).serial_by_key().on(notes));
    all_settled(&world, "w").await;
    assert_eq!(done.sorted("a"), [0, 1, 2]);
    assert!(second.stop(LIMIT).await);
}
