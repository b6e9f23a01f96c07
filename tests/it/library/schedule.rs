//! Retries after a long wait: scheduled messages, which hold no place while they wait and come back as what they were.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{HeaderMap, jetstream};
use streamgauge::{
    bus::topology::{RETRIES, ensure, library},
    consumer::{
        Worker,
        dead_letter::{DeadLetters, Filter},
    },
    handler::{Context, Outcome},
    message::Message,
    resilience::RetryPolicy,
    tasks::Tasks,
};

use super::{LIMIT, Pinged, World, worker::start};
use crate::support::{eventually, nats_server::NatsServer};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Long enough to look at what waits, and to end a server and start it again.
const WAIT: Duration = Duration::from_secs(1);

type Handled = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The messages that handlers saw, and at which attempt.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<(u32, Message)>>>);

impl Told {
    fn attempts(&self) -> Vec<u32> {
        self.0.lock().unwrap().iter().map(|(attempt, _)| *attempt).collect()
    }

    fn messages(&self) -> Vec<Message> {
        self.0.lock().unwrap().iter().map(|(_, message)| message.clone()).collect()
    }

    /// A handler that fails so many times and then does not.
    fn failing(&self, times: usize) -> impl Fn(Context, Pinged) -> Handled + use<> {
        let told = self.0.clone();
        move |context: Context, _: Pinged| {
            let mut told = told.lock().unwrap();
            told.push((context.attempt(), context.message().clone()));
            let outcome =
                if told.len() <= times { Outcome::retry("closed, día festivo\r\nx: y") } else { Outcome::Done };
            Box::pin(async move { outcome })
        }
    }
}

/// A worker whose waits are all long ones.
fn worker(policy: RetryPolicy) -> Worker {
    Worker::new("w").ack_wait(Duration::from_secs(2)).retry(policy).scheduling_from(Duration::ZERO)
}

fn policy() -> RetryPolicy {
    RetryPolicy::new().then(vec![WAIT])
}

async fn publish(world: &World) {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Nats-Msg-Id", "m-1"),
        ("Nats-Expected-Stream", "PINGS"),
        ("traceparent", TRACE),
        ("correlation-id", "c-1"),
        ("retry-subject", "of the publisher's own"),
        ("content-type", "application/json"),
    ] {
        headers.insert(name, value);
    }
    let payload = serde_json::to_vec(&super::ping(0)).unwrap();
    let sent = world.connection.jetstream.publish_with_headers("pings.k0", headers, payload.into()).await.unwrap();
    sent.await.unwrap();
}

async fn retries(world: &World) -> Result<jetstream::stream::State, String> {
    let stream = world.connection.jetstream.get_stream("RETRIES").await.map_err(|error| error.to_string())?;
    Ok(stream.cached_info().state.clone())
}

/// Waits until a message waits in the stream of retries and its original is let go.
async fn waits(world: &World) {
    eventually(LIMIT, "the message is scheduled and holds no place", async || {
        let info = world.consumer_info_if_there("w").await.map_err(|error| error.to_string())?;
        let found = (retries(world).await?.messages, info.num_pending, info.num_ack_pending);
        if found == (1, 0, 0) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

async fn nothing_waits(world: &World) {
    eventually(LIMIT, "nothing is left in the stream of retries", async || {
        let found = retries(world).await?.messages;
        if found == 0 { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
}

async fn stored(world: &World) -> bool {
    let bucket = world.connection.jetstream.get_key_value("attempts").await.unwrap();
    bucket.get("PINGS.w.1").await.unwrap().is_some()
}

#[tokio::test]
async fn a_message_comes_back_after_a_long_wait_as_it_was_and_holds_no_place_meanwhile() {
    let world = World::new().await;
    let (tasks, told) = (Tasks::default(), Told::default());
    start(&world, &tasks, worker(policy()).on(told.failing(1)));
    publish(&world).await;
    waits(&world).await;
    assert_eq!(told.attempts(), [1]);
    nothing_waits(&world).await;
    assert_eq!(told.attempts(), [1, 2]);
    let messages = told.messages();
    let sorted = |message: &Message| {
        let mut message = message.clone();
        message.headers.sort();
        message
    };
    assert_eq!(sorted(&messages[0]), sorted(&messages[1]));
    assert_eq!(messages[1].trace.unwrap().to_string(), TRACE);
    eventually(LIMIT, "the count is forgotten", async || !stored(&world).await).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn what_waits_outlives_a_crash_of_the_server_and_the_absence_of_its_worker() {
    let mut world = World::new().await;
    let (first, second, told) = (Tasks::default(), Tasks::default(), Told::default());
    start(&world, &first, worker(policy()).on(told.failing(1)));
    publish(&world).await;
    waits(&world).await;
    assert!(first.stop(LIMIT).await);
    world.server.kill().await;
    world.server.start_again().await;
    eventually(LIMIT, "it is due", async || {
        let mut stream = world.connection.jetstream.get_stream("RETRIES").await.map_err(|error| error.to_string())?;
        let info = stream.consumer_info("PINGS-w").await.map_err(|error| error.to_string())?;
        stream.info().await.map_err(|error| error.to_string())?;
        if info.num_pending == 1 { Ok(()) } else { Err(info.num_pending.to_string()) }
    })
    .await;
    assert_eq!(told.attempts(), [1]);
    start(&world, &second, worker(policy()).on(told.failing(1)));
    nothing_waits(&world).await;
    assert_eq!(told.attempts(), [1, 2]);
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_message_that_is_given_up_after_a_long_wait_is_a_dead_letter_of_its_own_place() {
    let world = World::new().await;
    streamgauge::bus::topology::library().apply(&world.connection.jetstream).await.unwrap();
    let (tasks, told) = (Tasks::default(), Told::default());
    let soon = RetryPolicy::new().then(vec![Duration::from_millis(200)]).attempts(3);
    start(&world, &tasks, worker(soon).on(told.failing(usize::MAX)));
    publish(&world).await;
    eventually(LIMIT, "it is given up", async || world.dead_letters().await.len() == 1).await;
    nothing_waits(&world).await;
    assert_eq!(told.attempts(), [1, 2, 3]);
    let opened = DeadLetters::open(&world.connection).await.unwrap();
    let letters = opened.list(&Filter::default(), 10).await.unwrap().letters;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].place.to_string(), "PINGS.w.1");
    assert_eq!(letters[0].death.attempts, Some(3));
    let message = letters[0].message.as_ref().unwrap();
    assert_eq!((message.subject.as_str(), message.id.as_ref().unwrap().0.as_str()), ("pings.k0", "m-1"));
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn what_one_worker_scheduled_comes_back_to_another_that_was_there_before() {
    let world = World::new().await;
    let (tasks, told) = ([Tasks::default(), Tasks::default()], Told::default());
    let statuses = tasks.each_ref().map(|tasks| start(&world, tasks, worker(policy()).on(told.failing(1))));
    // Both have looked by then whether anything is scheduled.
    eventually(LIMIT, "both pull", async || statuses.iter().all(|status| status.pull().is_pulling)).await;
    publish(&world).await;
    waits(&world).await;
    let [first, second] = tasks;
    let (scheduled, other) = if statuses[0].told().failed == 1 { (first, second) } else { (second, first) };
    assert!(scheduled.stop(LIMIT).await);
    nothing_waits(&world).await;
    assert_eq!(told.attempts(), [1, 2]);
    assert!(other.stop(LIMIT).await);
}

/// A server with a user who may do everything but settle what lies in one stream.
const CANNOT_SETTLE: &str = r#"
    jetstream {}
    authorization { users: [
        { user: half, password: word, permissions: { publish: { deny: ["$JS.ACK.PINGS.>"] } } }
    ] }
"#;

#[tokio::test]
async fn a_message_that_was_scheduled_and_not_let_go_still_comes_back_once_by_the_schedule() {
    let server = NatsServer::start_configured(CANNOT_SETTLE).await;
    let connection = super::connect_as(&server, "half", "word").await;
    super::topology().apply(&connection.jetstream).await.unwrap();
    let (telemetry, clock) = (streamgauge::telemetry::Telemetry::unexported(), streamgauge::clock::Clock::system());
    let bus = streamgauge::bus::Bus::new(connection.clone(), "test", telemetry, clock);
    let world = World { server, connection, bus };
    let (tasks, told) = (Tasks::default(), Told::default());
    let soon = RetryPolicy::new().then(vec![Duration::from_millis(200)]);
    start(&world, &tasks, worker(soon).on(told.failing(1)));
    publish(&world).await;
    eventually(LIMIT, "the scheduled one has run", async || told.attempts().len() >= 2).await;
    nothing_waits(&world).await;
    assert_eq!(told.attempts()[..2], [1, 2]);
    assert_eq!(world.consumer_info("w").await.num_ack_pending, 1, "the original was not let go");
    assert!(tasks.stop(LIMIT).await);
}

/// `PINGS-a` and `b` make the same name as `PINGS` and `a-b`.
#[tokio::test]
async fn a_consumer_of_retries_that_is_anothers_is_left_alone_and_the_wait_is_the_consumers() {
    let world = World::new().await;
    ensure(&world.connection.jetstream, &library().only(&[RETRIES])).await.unwrap();
    let stream = world.connection.jetstream.get_stream(RETRIES).await.unwrap();
    let theirs = jetstream::consumer::pull::Config {
        durable_name: Some("PINGS-w".into()),
        filter_subject: "retries.due.other.w".into(),
        ..Default::default()
    };
    stream.create_consumer(theirs).await.unwrap();
    publish(&world).await;
    let (tasks, told) = (Tasks::default(), Told::default());
    start(&world, &tasks, worker(policy()).on(told.failing(1)));
    eventually(LIMIT, "it is tried again", async || told.attempts() == [1, 2]).await;
    assert_eq!(retries(&world).await.unwrap().last_sequence, 0, "nothing was scheduled");
    let found = stream.consumer_info("PINGS-w").await.unwrap();
    assert_eq!(found.config.filter_subject, "retries.due.other.w");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_stream_that_takes_no_schedules_leaves_the_wait_to_the_consumer() {
    let world = World::new().await;
    let old = jetstream::stream::Config {
        name: "RETRIES".to_owned(),
        subjects: vec!["retries.>".to_owned()],
        ..Default::default()
    };
    world.connection.jetstream.create_stream(old).await.unwrap();
    let (tasks, told) = (Tasks::default(), Told::default());
    let soon = RetryPolicy::new().then(vec![Duration::from_millis(100)]);
    start(&world, &tasks, worker(soon).on(told.failing(2)));
    publish(&world).await;
    super::worker::all_settled(&world, "w").await;
    assert_eq!(told.attempts(), [1, 2, 3]);
    assert_eq!(retries(&world).await.unwrap().last_sequence, 0);
    assert_eq!(world.consumer_info("w").await.delivered.consumer_sequence, 3);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_wait_that_is_short_is_the_consumers() {
    let world = World::new().await;
    let (tasks, told) = (Tasks::default(), Told::default());
    let soon = RetryPolicy::new().then(vec![Duration::from_millis(100)]);
    start(&world, &tasks, Worker::new("w").retry(soon).on(told.failing(1)));
    publish(&world).await;
    super::worker::all_settled(&world, "w").await;
    assert_eq!(told.attempts(), [1, 2]);
    assert!(retries(&world).await.is_err(), "no stream of retries was needed");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_consumer_of_retries_that_is_deleted_is_made_again() {
    let world = World::new().await;
    let (tasks, told) = (Tasks::default(), Told::default());
    start(&world, &tasks, worker(policy()).on(told.failing(1)));
    publish(&world).await;
    waits(&world).await;
    let stream = world.connection.jetstream.get_stream("RETRIES").await.unwrap();
    stream.delete_consumer("PINGS-w").await.unwrap();
    nothing_waits(&world).await;
    assert_eq!(told.attempts(), [1, 2]);
    assert!(tasks.stop(LIMIT).await);
}
