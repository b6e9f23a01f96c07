//! Publishing many: a window of unconfirmed messages, retries under the same id, and what is told of it.

use std::pin::pin;

use futures_util::{future::try_join_all, poll};
use streamgauge::{
    bus::{Bus, Sending},
    clock::Clock,
    telemetry::Telemetry,
};

use super::{LIMIT, Pinged, World, ping};
use crate::support::{eventually, otlp::Sink};

async fn stored(world: &World) -> u64 {
    world.connection.jetstream.get_stream("PINGS").await.unwrap().get_info().await.unwrap().state.messages
}

async fn send(bus: &Bus, numbers: impl Iterator<Item = u32>) -> Vec<Sending> {
    let mut under_way = Vec::new();
    for number in numbers {
        under_way.push(bus.publish(&ping(number)).send().await.unwrap());
    }
    under_way
}

#[tokio::test]
async fn more_than_the_window_are_sent_before_the_first_is_awaited() {
    let world = World::new().await;
    let bus = world.bus.clone().with_window(16);
    let under_way = send(&bus, 0..500).await;
    let receipts = try_join_all(under_way).await.unwrap();
    let mut sequences: Vec<_> = receipts.iter().map(|receipt| receipt.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=500).map(Some).collect::<Vec<_>>());
    assert!(receipts.iter().all(|receipt| !receipt.is_duplicate));
}

#[tokio::test]
async fn a_publisher_waits_while_the_window_is_full() {
    let world = World::new().await;
    let bus = world.bus.clone().with_window(2);
    bus.publish(&ping(0)).await.unwrap();
    world.server.freeze();
    let two = send(&bus, 1..3).await;
    let (third, fourth) = (ping(3), ping(4));
    let mut third = pin!(bus.publish(&third).send());
    assert!(poll!(third.as_mut()).is_pending(), "two of two wait for their confirmation");
    world.server.thaw();
    try_join_all(two).await.unwrap();
    third.await.unwrap().await.unwrap();
    bus.publish(&fourth).await.unwrap();
    assert_eq!(stored(&world).await, 5);
}

#[tokio::test]
async fn what_was_under_way_when_the_server_died_is_stored_once() {
    let mut world = World::new().await;
    world.bus.publish(&ping(0)).await.unwrap();
    world.server.freeze();
    let under_way = send(&world.bus, 1..100).await;
    world.server.kill().await;
    world.server.start_again().await;
    try_join_all(under_way).await.unwrap();
    assert_eq!(stored(&world).await, 100);
}

#[tokio::test]
async fn a_message_that_nobody_waits_for_is_out_and_counts_as_abandoned() {
    let world = World::new().await;
    drop(send(&world.bus, 0..1).await);
    eventually(LIMIT, "it is stored", async || stored(&world).await == 1).await;
    let metrics = world.bus.telemetry().metrics().exposition();
    let abandoned = r#"sent_messages_total{error_type="abandoned",messaging_destination_template="pings.*"} 1"#;
    assert!(metrics.contains(abandoned), "{metrics}");
}

#[tokio::test]
async fn spans_are_counted_where_they_end_and_where_the_collector_took_them() {
    let world = World::new().await;
    let sink = Sink::start().await;
    let telemetry = Telemetry::exporting_to(&sink.endpoint(), 1.0).unwrap();
    let bus = Bus::new(world.connection.clone(), "test", telemetry.clone(), Clock::system());
    try_join_all(send(&bus, 0..20).await).await.unwrap();
    assert_eq!(telemetry.metrics().spans().0, 20);
    telemetry.shutdown().await;
    assert_eq!(telemetry.metrics().spans(), (20, 20));
}

#[tokio::test]
async fn messages_in_order_keep_it_even_where_the_first_is_sent_again() {
    let mut world = World::new().await;
    let numbered = |number| Pinged { key: "one".into(), number };
    world.bus.publish(&numbered(0)).await.unwrap();
    world.server.kill().await;
    let bus = world.bus.clone();
    let all = async {
        let payloads: Vec<_> = (1..20).map(numbered).collect();
        try_join_all(payloads.iter().map(|payload| async { bus.publish(payload).in_order().await })).await.unwrap()
    };
    let (receipts, ()) = tokio::join!(all, world.server.start_again());
    let sequences: Vec<_> = receipts.iter().map(|receipt| receipt.sequence).collect();
    assert_eq!(sequences, (2..=20).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_in_order_is_confirmed_when_it_is_sent() {
    let world = World::new().await;
    let sending = world.bus.publish(&ping(1)).in_order().send().await.unwrap();
    assert_eq!(stored(&world).await, 1);
    let next = world.bus.publish(&ping(1)).in_order().await.unwrap();
    assert_eq!((sending.await.unwrap().sequence, next.sequence), (Some(1), Some(2)));
}
