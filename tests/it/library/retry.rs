//! Attempts: counted by us over workers and crashes, limited by a policy, and at their end a dead letter.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use streamgauge::{
    consumer::{self, Worker},
    handler::{Context, Outcome},
    resilience::RetryPolicy,
    tasks::Tasks,
};

use super::{
    LIMIT, Pinged, World,
    worker::{GRACE, SOON, Seen, all_settled, noting, start},
};
use crate::support::eventually;

type Handled = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The attempts that handlers were told of, in order.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<u32>>>);

impl Told {
    fn all(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    /// A handler that notes its attempt and ends with `outcome`.
    fn ending(&self, outcome: Outcome) -> impl Fn(Context, Pinged) -> Handled + use<> {
        let told = self.clone();
        move |context: Context, _: Pinged| {
            told.0.lock().unwrap().push(context.attempt());
            let outcome = outcome.clone();
            Box::pin(async move { outcome })
        }
    }

    /// A handler that notes its attempt and never ends.
    fn hanging(&self) -> impl Fn(Context, Pinged) -> Handled + use<> {
        let told = self.clone();
        move |context: Context, _: Pinged| {
            told.0.lock().unwrap().push(context.attempt());
            Box::pin(std::future::pending())
        }
    }
}

/// What the bucket of attempts holds of the first message of consumer `w`.
async fn stored(world: &World) -> Option<serde_json::Value> {
    let bucket = world.connection.jetstream.get_key_value("attempts").await.ok()?;
    let bytes = bucket.get("PINGS.w.1").await.unwrap()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_message_that_fails_too_often_ends_once_among_the_dead_letters() {
    let world = World::new().await;
    let (tasks, told) = (Tasks::default(), Told::default());
    let fails = told.ending(Outcome::retry("no answer").classed("provider_down"));
    let policy = RetryPolicy::new().immediately(1).then(SOON).attempts(4);
    let status = start(&world, &tasks, Worker::new("w").retry(policy).on(fails));
    world.publish(0..1).await;
    all_settled(&world, "w").await;
    assert_eq!(told.all(), [1, 2, 3, 4]);
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let header = |name: &str| letters[0].headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
    assert_eq!(letters[0].subject.as_str(), "dead.PINGS.w");
    assert_eq!(header("dead-letter-attempts"), "4");
    assert_eq!(header("dead-letter-class"), "provider_down");
    assert_eq!(header("dead-letter-reason"), "no answer; attempt 4 was the last one");
    assert_eq!(header("dead-letter-subject"), "pings.k0");
    assert_eq!(letters[0].payload.as_ref(), serde_json::to_vec(&super::ping(0)).unwrap());
    eventually(LIMIT, "the count is forgotten", async || stored(&world).await.is_none()).await;
    assert_eq!(world.consumer_info("w").await.delivered.consumer_sequence, 3, "the first retry was at once, in place");
    assert_eq!(status.told().failed, 4);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn attempts_go_on_where_another_worker_left_off() {
    let world = World::new().await;
    let (first, second, told) = (Tasks::default(), Tasks::default(), Told::default());
    world.publish(0..1).await;
    start(&world, &first, Worker::new("w").retry(SOON).on(told.ending(Outcome::retry("no room"))));
    eventually(LIMIT, "three attempts", async || told.all().len() >= 3).await;
    assert!(first.stop(LIMIT).await);
    let failed = u32::try_from(told.all().len()).unwrap();
    start(&world, &second, Worker::new("w").on(told.ending(Outcome::Done)));
    all_settled(&world, "w").await;
    assert_eq!(told.all(), (1..=failed + 1).collect::<Vec<_>>());
    eventually(LIMIT, "the count is forgotten", async || stored(&world).await.is_none()).await;
    assert!(second.stop(LIMIT).await);
}

/// A process that starts a worker and is gone without a word once its handler runs.
async fn crashes_in_the_handler(world: &World, told: &Told, policy: &RetryPolicy) {
    let before = told.all().len();
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, handler) = (world.server.url(), told.hanging());
    let worker = Worker::new("w").ack_wait(Duration::from_millis(300)).retry(policy.clone()).on(handler);
    drop(process.spawn(async move {
        let connection = super::connect_to(server).await;
        let (telemetry, clock) = (streamgauge::telemetry::Telemetry::unexported(), streamgauge::clock::Clock::system());
        let bus = streamgauge::bus::Bus::new(connection.clone(), "test", telemetry, clock);
        consumer::start(worker, &bus, &connection, &Tasks::default(), GRACE).unwrap();
        std::future::pending::<()>().await;
    }));
    eventually(LIMIT, "the handler runs", async || told.all().len() > before).await;
    process.shutdown_background();
}

#[tokio::test]
async fn a_message_that_kills_its_process_is_counted_from_its_second_delivery_on() {
    let world = World::new().await;
    let (tasks, told) = (Tasks::default(), Told::default());
    let policy = RetryPolicy::new().attempts(2);
    world.publish(0..1).await;
    for _ in 0..3 {
        crashes_in_the_handler(&world, &told, &policy).await;
    }
    start(&world, &tasks, Worker::new("w").ack_wait(Duration::from_millis(300)).retry(policy).on(told.hanging()));
    all_settled(&world, "w").await;
    assert_eq!(told.all(), [1, 1, 2], "the last delivery was given up unrun");
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].headers.get("dead-letter-class").unwrap().as_str(), "lost");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_message_without_a_dead_letter_is_not_let_go() {
    let world = World::new().await;
    let refusing = async_nats::jetstream::stream::Config {
        name: "DEAD_LETTERS".to_owned(),
        subjects: vec!["dead.*.*".to_owned()],
        max_message_size: 10,
        ..Default::default()
    };
    world.connection.jetstream.create_stream(refusing).await.unwrap();
    let (tasks, told) = (Tasks::default(), Told::default());
    start(&world, &tasks, Worker::new("w").on(told.ending(Outcome::reject("no such thing"))));
    world.publish(0..1).await;
    let stored = eventually(LIMIT, "the count is kept", async || stored(&world).await).await;
    assert_eq!((stored["attempts"].as_u64(), stored["class"].as_str()), (Some(1), Some("rejected")));
    assert!(tasks.stop(LIMIT).await);
    assert_eq!(world.consumer_info("w").await.num_ack_pending, 1);
    assert!(world.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_handler_that_outlives_its_limit_is_ended_and_tried_again() {
    let world = World::new().await;
    let (tasks, seen) = (Tasks::default(), Seen::default());
    let noted = seen.clone();
    let hangs_once = move |_: Context, ping: Pinged| {
        let times = noted.note(ping.number);
        async move {
            if times == 1 {
                std::future::pending::<()>().await;
            }
        }
    };
    let worker = Worker::new("w").handler_limit(Duration::from_millis(50)).retry(SOON).on(hangs_once);
    let status = start(&world, &tasks, worker);
    world.publish(0..1).await;
    all_settled(&world, "w").await;
    assert_eq!((seen.times(0), status.told().failed), (2, 1));
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn an_attempt_that_the_end_of_a_service_cut_short_does_not_count() {
    let world = World::new().await;
    let (first, second, told) = (Tasks::default(), Tasks::default(), Told::default());
    world.publish(0..1).await;
    let worker = Worker::new("w").ack_wait(Duration::from_secs(60)).on(told.hanging());
    consumer::start(worker, &world.bus, &world.connection, &first, Duration::from_millis(50)).unwrap();
    eventually(LIMIT, "the handler runs", async || told.all().len() == 1).await;
    assert!(first.stop(LIMIT).await);
    let only_once = RetryPolicy::new().attempts(1);
    start(
        &world,
        &second,
        Worker::new("w").ack_wait(Duration::from_secs(60)).retry(only_once).on(told.ending(Outcome::Done)),
    );
    all_settled(&world, "w").await;
    assert_eq!(told.all(), [1, 1]);
    assert!(world.dead_letters().await.is_empty());
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_replay_for_another_durable_is_settled_unrun() {
    let world = World::new().await;
    let (tasks, mine, other) = (Tasks::default(), Seen::default(), Seen::default());
    start(&world, &tasks, Worker::new("w").on(noting(&mine, Duration::ZERO)));
    start(&world, &tasks, Worker::new("other").on(noting(&other, Duration::ZERO)));
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("replay-for", "other");
    let payload = serde_json::to_vec(&super::ping(7)).unwrap();
    let sent = world.connection.jetstream.publish_with_headers("pings.k7", headers, payload.into()).await.unwrap();
    sent.await.unwrap();
    eventually(LIMIT, "the durable that is named has run it", async || other.times(7) == 1).await;
    all_settled(&world, "w").await;
    assert_eq!(mine.times(7), 0);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn our_consumers_are_marked() {
    let world = World::new().await;
    let tasks = Tasks::default();
    start(&world, &tasks, Worker::new("w").on(noting(&Seen::default(), Duration::ZERO)));
    let info = eventually(LIMIT, "the consumer is there", async || world.consumer_info_if_there("w").await).await;
    assert_eq!(info.config.metadata.get("streamgauge.worker").map(String::as_str), Some(env!("CARGO_PKG_VERSION")));
    assert!(tasks.stop(LIMIT).await);
}
