//! Dead letters: kept once, with all that is known of them, listed with what only the server knows, and replayed once.

mod listed;
mod replayed;
mod trace;

use std::time::Duration;

use async_nats::HeaderMap;
use streamgauge::{
    bus::{Bus, topology},
    clock::Clock,
    config::NatsConfig,
    consumer::{
        self, Worker,
        dead_letter::{DeadLetters, Filter},
    },
    dead_letter::{self, DeadLetter},
    handler::{Context, Outcome},
    nats,
    tasks::Tasks,
    telemetry::Telemetry,
};

use super::{LIMIT, Pinged, World};
use crate::support::{eventually, nats_server::NatsServer};

const GRACE: Duration = Duration::from_secs(5);

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn rejects(_: Context, ping: Pinged) -> Outcome {
    Outcome::reject(format!("no ping {} here", ping.number))
}

fn start(world: &World, tasks: &Tasks) {
    let worker = Worker::new("w").ack_wait(Duration::from_secs(1)).on(rejects);
    consumer::start(worker, &world.bus, &world.connection, tasks, GRACE).unwrap();
}

/// All dead letters, the newest first.
async fn letters(world: &World) -> Vec<DeadLetter> {
    let letters = DeadLetters::open(&world.connection).await.unwrap();
    letters.list(&Filter::default(), 1_000).await.unwrap().letters
}

/// Makes the library's streams, that of advisories among them.
async fn apply(world: &World) {
    topology::library().apply(&world.connection.jetstream).await.unwrap();
}

/// Publishes as a stranger does, with headers of its own.
async fn publish(world: &World, headers: &[(&str, &str)], payload: &str) -> u64 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let sent = world.connection.jetstream.publish_with_headers("pings.x", map, payload.to_owned().into()).await;
    sent.unwrap().await.unwrap().sequence
}

async fn settled(world: &World) {
    eventually(LIMIT, "the worker has settled everything", async || {
        let info = world.consumer_info_if_there("w").await.map_err(|error| error.to_string())?;
        let left = (info.num_pending, info.num_ack_pending);
        if left == (0, 0) && info.delivered.stream_sequence > 0 { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

async fn copies(world: &World) -> u64 {
    let stream = world.connection.jetstream.get_stream(dead_letter::STREAM).await.unwrap();
    stream.cached_info().state.messages
}

#[tokio::test]
async fn poison_lands_once_in_dead_letters_with_its_headers() {
    let world = World::new().await;
    let tasks = Tasks::default();
    let headers = [
        ("Nats-Msg-Id", "m-1"),
        ("Nats-Expected-Stream", "PINGS"),
        ("traceparent", TRACE),
        ("correlation-id", "c-1"),
        ("x-tenant", "blue"),
    ];
    publish(&world, &headers, "not a ping").await;
    start(&world, &tasks);
    settled(&world).await;
    assert_eq!(copies(&world).await, 1);
    let stream = world.connection.jetstream.get_stream(dead_letter::STREAM).await.unwrap();
    let copy = stream.get_raw_message(1).await.unwrap();
    assert_eq!((copy.subject.as_str(), &copy.payload[..]), ("dead.PINGS.w", &b"not a ping"[..]));
    let said = |name: &str| copy.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
    use dead_letter::header;
    let found = [header::STREAM, header::CONSUMER, header::SEQUENCE, header::SUBJECT, header::CLASS].map(said);
    assert_eq!(found, ["PINGS", "w", "1", "pings.x", "unreadable"]);
    let found = [header::MESSAGE_ID, header::DELIVERIES, "x-tenant", "correlation-id"].map(said);
    assert_eq!(found, ["m-1", "1", "blue", "c-1"]);
    assert_eq!(said("dead-letter-header-Nats-Expected-Stream"), "PINGS");
    assert!(said(header::REASON).contains("Pinged/1"), "{}", said(header::REASON));
    assert_eq!(said(header::TRACEPARENT), TRACE);
    assert_eq!(said("traceparent")[..35], TRACE[..35], "the burial is part of the trace");
    assert_ne!(said("traceparent"), TRACE);
    let info = world.consumer_info("w").await;
    assert_eq!((info.delivered.consumer_sequence, info.num_redelivered), (1, 0), "nothing was tried again");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn poison_whose_error_quotes_a_large_payload_is_buried_and_delivered_once() {
    let world = World::new().await;
    let tasks = Tasks::default();
    // The error says what it found instead of a number, whole: with it, the settlement would exceed the largest message.
    let payload = format!(r#"{{"key":"k","number":"{}"}}"#, "y".repeat(900_000));
    publish(&world, &[], &payload).await;
    start(&world, &tasks);
    settled(&world).await;
    assert_eq!(copies(&world).await, 1);
    let letters = letters(&world).await;
    assert!(letters[0].death.reason.ends_with('…'), "{}", letters[0].death.reason);
    let info = world.consumer_info("w").await;
    assert_eq!((info.delivered.consumer_sequence, info.num_redelivered), (1, 0), "it was terminated");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_stream_of_dead_letters_that_is_missing_is_made_before_the_first_burial_grows_old() {
    let world = World::new().await;
    let tasks = Tasks::default();
    let began = std::time::Instant::now();
    publish(&world, &[], "not a ping").await;
    start(&world, &tasks);
    settled(&world).await;
    let took = began.elapsed();
    assert_eq!(copies(&world).await, 1);
    assert!(took < Duration::from_secs(5), "a publisher alone would have been patient for 10 s: {took:?}");
    assert_eq!(world.consumer_info("w").await.num_redelivered, 0);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn what_has_no_room_among_the_dead_letters_stays_and_the_log_says_why() {
    let heard = Heard::default();
    let _listening = tracing::subscriber::set_default(heard.clone());
    // While there is one listener alone, a line that a test on another thread reaches first is switched off for all of them.
    let _another = tracing::Dispatch::new(Heard::default());
    let world = World::new().await;
    let mut library = topology::library().only(&[topology::DEAD_LETTERS]);
    library.streams[0].max_messages = Some(1);
    library.apply(&world.connection.jetstream).await.unwrap();
    let tasks = Tasks::default();
    for payload in ["no ping", "none either"] {
        publish(&world, &[], payload).await;
    }
    let began = std::time::Instant::now();
    start(&world, &tasks);
    let words = "stream DEAD_LETTERS is full: replay its letters";
    eventually(LIMIT, "the log says that there is no room", async || {
        let said = heard.0.lock().unwrap();
        if said.iter().any(|line| line.contains(words)) { Ok(()) } else { Err(said.join("\n")) }
    })
    .await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "what may pass is tried for 10 s, and this does not: {took:?}");
    assert!(tasks.stop(LIMIT).await);
    let left = world.consumer_info("w").await.num_ack_pending;
    assert_eq!((copies(&world).await, left), (1, 1), "one lies there, the other is not let go");
}

/// The log lines of the thread, which is all of a test's runtime.
#[derive(Clone, Default)]
struct Heard(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Heard {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("streamgauge")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

/// A server with a user who may do everything but settle: a worker of this user ends, seen from the server, between the copy and the
/// settlement.
const CANNOT_SETTLE: &str = r#"
    jetstream {}
    authorization { users: [
        { user: whole, password: word }
        { user: half, password: word, permissions: { publish: { deny: ["$JS.ACK.>"] } } }
    ] }
"#;

async fn connect_as(server: &NatsServer, user: &str) -> nats::Connection {
    let config = NatsConfig {
        url: Some(server.url()),
        user: Some(user.into()),
        password: Some("word".into()),
        nats_wait: 10,
        ..NatsConfig::default()
    };
    nats::connect(&config, "test", &Clock::system()).await.unwrap()
}

async fn world_as(server: NatsServer, user: &str) -> World {
    let connection = connect_as(&server, user).await;
    let bus = Bus::new(connection.clone(), "test", Telemetry::unexported(), Clock::system());
    World { server, connection, bus }
}

#[tokio::test]
async fn a_worker_that_ends_between_the_copy_and_the_settlement_leaves_one_letter() {
    check_end_between_copy_and_settlement(Duration::from_secs(3_600), 1).await;
}

#[tokio::test]
async fn so_does_one_whose_message_comes_back_after_the_duplicate_window() {
    check_end_between_copy_and_settlement(Duration::from_millis(100), 2).await;
}

async fn check_end_between_copy_and_settlement(duplicate_window: Duration, expected_copies: u64) {
    let world = world_as(NatsServer::start_configured(CANNOT_SETTLE).await, "whole").await;
    let mut library = topology::library();
    library.streams.iter_mut().for_each(|stream| stream.duplicate_window = duplicate_window);
    super::topology().joined(library).apply(&world.connection.jetstream).await.unwrap();
    publish(&world, &[("Nats-Msg-Id", "m-1")], "not a ping").await;

    let half = connect_as(&world.server, "half").await;
    let half_bus = Bus::new(half.clone(), "test", Telemetry::unexported(), Clock::system());
    let dies = Tasks::default();
    let worker = Worker::new("w").ack_wait(Duration::from_secs(1)).on(rejects);
    consumer::start(worker, &half_bus, &half, &dies, Duration::ZERO).unwrap();
    eventually(LIMIT, "the copy is kept", async || copies(&world).await == 1).await;
    dies.cancel();
    assert_eq!(world.consumer_info("w").await.num_ack_pending, 1, "the message is not settled");

    let tasks = Tasks::default();
    start(&world, &tasks);
    settled(&world).await;
    eventually(LIMIT, "the advisory is kept", async || {
        let stream = world.connection.jetstream.get_stream(topology::ADVISORIES).await.unwrap();
        stream.cached_info().state.messages == 1
    })
    .await;
    assert_eq!(copies(&world).await, expected_copies);
    let letters = letters(&world).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].place.to_string(), "PINGS.w.1");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_payload_that_leaves_no_room_for_headers_outlives_its_stream() {
    let world = World::new().await;
    let tasks = Tasks::default();
    let payload = "x".repeat((1 << 20) - 200);
    publish(&world, &[], &payload).await;
    start(&world, &tasks);
    settled(&world).await;
    let opened = DeadLetters::open(&world.connection).await.unwrap();
    let listed = letters(&world).await.remove(0);
    assert_eq!((listed.size, &listed.body), (payload.len(), &dead_letter::Body::InStore));
    let stream = world.connection.jetstream.get_stream("PINGS").await.unwrap();
    stream.purge().await.unwrap();
    let whole = opened.whole(listed).await.unwrap();
    assert_eq!(whole.message.unwrap().payload, payload);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn what_lies_where_another_message_died_has_a_letter_of_its_own() {
    let world = World::new().await;
    let tasks = Tasks::default();
    start(&world, &tasks);
    publish(&world, &[], r#"{"key":"x","number":1}"#).await;
    eventually(LIMIT, "the first is buried", async || world.dead_letters().await.len() == 1).await;
    world.connection.jetstream.delete_stream("PINGS").await.unwrap();
    super::topology().apply(&world.connection.jetstream).await.unwrap();
    let sequence = publish(&world, &[], r#"{"key":"x","number":2}"#).await;
    assert_eq!(sequence, 1, "a stream that is made anew begins at its beginning");
    eventually(LIMIT, "the second is buried beside it", async || world.dead_letters().await.len() == 2).await;
    let listed: Vec<_> = letters(&world).await.into_iter().map(|letter| letter.death.reason).collect();
    assert_eq!(listed, ["no ping 2 here"], "of one place the newest");
    assert!(tasks.stop(LIMIT).await);
}
