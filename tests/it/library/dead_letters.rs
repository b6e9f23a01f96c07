//! Dead letters: kept once, with all that is known of them.

use std::time::Duration;

use async_nats::HeaderMap;
use streamgauge::{
    consumer::{self, Worker},
    dead_letter,
    handler::{Context, Outcome},
    tasks::Tasks,
};

use super::{LIMIT, Pinged, World};
use crate::support::eventually;

const GRACE: Duration = Duration::from_secs(5);

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn rejects(_: Context, ping: Pinged) -> Outcome {
    Outcome::reject(format!("no ping {} here", ping.number))
}

fn start(world: &World, tasks: &Tasks) {
    let worker = Worker::new("w").ack_wait(Duration::from_secs(1)).on(rejects);
    consumer::start(worker, &world.bus, &world.connection, tasks, GRACE).unwrap();
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
