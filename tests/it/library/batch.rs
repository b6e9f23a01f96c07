//! Atomic batches: all or none, once, and told apart from another's.

use std::time::Duration;

use futures_util::{StreamExt, future::try_join_all};
use streamgauge::{
    bus::{BATCH_MOST, Batch, BatchError, Bus},
    message::{Cause, CorrelationId, MessageId},
};

use super::{Pinged, World, ping};
use crate::support::nats_server::NatsServer;

async fn world() -> World {
    let world = World::new().await;
    allow(&world, true).await;
    world
}

async fn allow(world: &World, is_allowed: bool) {
    let stream = world.connection.jetstream.get_stream("PINGS").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.allow_atomic_publish = is_allowed;
    world.connection.jetstream.update_stream(config).await.unwrap();
}

fn cause() -> Cause {
    Cause { message: Some(MessageId("m-0".into())), ..Cause::outside(CorrelationId("c".into()), None) }
}

fn of(bus: &Bus, numbers: impl Iterator<Item = u32>) -> Batch<'_> {
    numbers.fold(bus.batch().because(cause()), |batch, number| batch.with(&ping(number)))
}

async fn stored(world: &World) -> u64 {
    world.connection.jetstream.get_stream("PINGS").await.unwrap().get_info().await.unwrap().state.messages
}

#[tokio::test]
async fn a_batch_is_stored_in_one_piece_and_the_same_again_changes_nothing() {
    let world = world().await;
    world.bus.publish(&ping(99)).await.unwrap();
    let first = of(&world.bus, 0..5).commit().await.unwrap();
    assert_eq!((first.sequences.as_slice(), first.was_applied), ([2, 3, 4, 5, 6].as_slice(), false));
    world.bus.publish(&ping(98)).await.unwrap();
    let again = of(&world.bus, 0..5).commit().await.unwrap();
    assert_eq!((&again.ids, &again.sequences, again.was_applied), (&first.ids, &first.sequences, true));
    assert_eq!(stored(&world).await, 7);
    let last = world.bus.last::<Pinged>("k4").await.unwrap().unwrap();
    assert_eq!((last.id.as_ref(), last.causation), (first.ids.last(), cause().message));
    assert!(last.trace.is_some());
}

#[tokio::test]
async fn several_messages_of_one_subject_are_found_again_behind_later_ones() {
    let world = world().await;
    let same = |number| Pinged { key: "same".into(), number };
    let batch = || (0..3).fold(world.bus.batch().because(cause()), |batch, number| batch.with(&same(number)));
    let first = batch().commit().await.unwrap();
    world.bus.publish(&same(9)).await.unwrap();
    let again = batch().commit().await.unwrap();
    assert_eq!((again.sequences, again.was_applied), (first.sequences, true));
}

#[tokio::test]
async fn a_batch_that_is_not_the_same_is_a_conflict_and_leaves_nothing() {
    let world = world().await;
    of(&world.bus, 0..3).commit().await.unwrap();
    let larger = of(&world.bus, 0..4).commit().await;
    assert!(matches!(larger, Err(BatchError::Conflict { .. })), "{larger:?}");
    let changed = Pinged { number: 7, ..ping(2) };
    let changed = of(&world.bus, 0..2).with(&changed).commit().await;
    assert!(matches!(changed, Err(BatchError::Conflict { .. })), "{changed:?}");
    let theirs = world.bus.batch().with(&ping(8)).with_as(&ping(9), MessageId("theirs".into()));
    theirs.commit().await.unwrap();
    let ours = world.bus.batch().with(&ping(7)).with_as(&ping(6), MessageId("theirs".into())).commit().await;
    assert!(matches!(&ours, Err(BatchError::Conflict { .. })), "{ours:?}");
    assert_eq!(stored(&world).await, 5);
}

#[tokio::test]
async fn a_batch_may_have_a_thousand_messages_and_one() {
    let world = world().await;
    let most = of(&world.bus, 0..1_000).commit().await.unwrap();
    assert_eq!(most.sequences.len(), BATCH_MOST);
    let one = world.bus.batch().with(&ping(1)).commit().await.unwrap();
    assert_eq!(one.sequences, [1_001]);
    let more = of(&world.bus, 0..1_001).commit().await;
    assert!(matches!(more, Err(BatchError::Size { messages: 1_001 })), "{more:?}");
    let none = world.bus.batch().commit().await;
    assert!(matches!(none, Err(BatchError::Size { messages: 0 })), "{none:?}");
    assert_eq!(stored(&world).await, 1_001);
}

#[tokio::test]
async fn a_stream_that_allows_no_batches_is_named() {
    let world = World::new().await;
    for messages in [1, 3] {
        let refused = of(&world.bus, 0..messages).commit().await;
        assert!(matches!(refused, Err(BatchError::NotAllowed { stream: "PINGS" })), "{refused:?}");
    }
    assert_eq!(stored(&world).await, 0);
}

/// A server before 2.12 stores each message of a batch as one like any other, and says so of each that asks.
#[tokio::test]
async fn a_server_that_knows_no_batches_is_told_by_its_answer() {
    let world = World::new().await;
    world.connection.jetstream.delete_stream("PINGS").await.unwrap();
    let server = super::connect(&world.server).await.client;
    let mut heard = server.subscribe("pings.*").await.unwrap();
    server.flush().await.unwrap();
    let answers = async {
        for sequence in 1..=3 {
            let message = heard.next().await.unwrap();
            if let Some(reply) = message.reply {
                let ack = format!(r#"{{"stream":"PINGS","seq":{sequence}}}"#);
                server.publish(reply, ack.into()).await.unwrap();
            }
        }
    };
    let batch = of(&world.bus, 0..3).commit();
    let (refused, ()) = tokio::join!(batch, answers);
    let refused = refused.unwrap_err();
    assert!(matches!(refused, BatchError::NotAtomic { stream: "PINGS" }) && !refused.is_transient(), "{refused:?}");
    assert!(refused.to_string().contains("nats-server 2.12"), "{refused}");
    let again = tokio::time::timeout(Duration::from_millis(1), heard.next()).await;
    assert!(again.is_err(), "it was not sent once more: {again:?}");
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_applied_once() {
    let mut world = world().await;
    world.bus.publish(&ping(99)).await.unwrap();
    world.server.freeze();
    let bus = world.bus.clone();
    let crash = async {
        world.server.kill().await;
        world.server.start_again().await;
    };
    // The batch is on its way before the server dies: `join!` begins with it.
    let (receipt, ()) = tokio::join!(of(&bus, 0..20).commit(), crash);
    let receipt = receipt.unwrap();
    assert_eq!(receipt.sequences.len(), 20);
    assert_eq!(stored(&world).await, 21);
}

#[tokio::test]
async fn no_stream_is_told_as_such() {
    let server = NatsServer::start().await;
    let connection = super::connect(&server).await;
    let telemetry = streamgauge::telemetry::Telemetry::unexported();
    let bus = Bus::new(connection, "test", telemetry, streamgauge::clock::Clock::system());
    let error = of(&bus, 0..2).commit().await.unwrap_err();
    assert!(matches!(error, BatchError::Unavailable { stream: "PINGS", .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_bus_in_memory_takes_all_or_none() {
    let bus = Bus::in_memory();
    let first = of(&bus, 0..3).commit().await.unwrap();
    let again = of(&bus, 0..3).commit().await.unwrap();
    assert_eq!((again.sequences, again.was_applied), (first.sequences, true));
    assert!(matches!(of(&bus, 2..5).commit().await, Err(BatchError::Conflict { .. })));
    assert_eq!(bus.published().len(), 3);
}

#[tokio::test]
async fn what_is_published_within_a_moment_leaves_together_and_each_has_its_receipt() {
    let world = world().await;
    let bus = world.bus.clone().lingering(Duration::from_millis(20), 8);
    let pings: Vec<_> = (0..20).map(ping).collect();
    let all = try_join_all(pings.iter().map(async |ping| bus.publish(ping).await)).await.unwrap();
    assert_eq!(all.iter().map(|receipt| receipt.sequence).collect::<Vec<_>>(), (1..=20).map(Some).collect::<Vec<_>>());
    let stream = world.connection.jetstream.get_stream("PINGS").await.unwrap();
    let batch_of = async |sequence| {
        let stored = stream.get_raw_message(sequence).await.unwrap();
        stored.headers.get("Nats-Batch-Id").map(ToString::to_string)
    };
    assert!(batch_of(1).await.is_some());
    assert_eq!(batch_of(1).await, batch_of(8).await);
    assert_ne!(batch_of(8).await, batch_of(9).await, "no more than eight at once");
    assert!(batch_of(20).await.is_some(), "the last four left when their time had come");
}

#[tokio::test]
async fn a_duplicate_among_those_that_linger_spoils_it_for_nobody() {
    let world = world().await;
    let bus = world.bus.clone().lingering(Duration::from_millis(20), 8);
    world.bus.publish(&ping(3)).with_id(MessageId("known".into())).await.unwrap();
    let (new, known) = (ping(4), ping(3));
    let (new, known) = tokio::join!(async { bus.publish(&new).await }, async {
        bus.publish(&known).with_id(MessageId("known".into())).await
    });
    assert_eq!((new.unwrap().is_duplicate, known.unwrap().is_duplicate), (false, true));
    assert_eq!(stored(&world).await, 2);
}

#[tokio::test]
async fn on_a_stream_without_batches_nobody_lingers_twice() {
    let world = World::new().await;
    let bus = world.bus.clone().lingering(Duration::from_millis(20), 8);
    for numbers in [0..4, 4..8] {
        let pings: Vec<_> = numbers.map(ping).collect();
        try_join_all(pings.iter().map(async |ping| bus.publish(ping).await)).await.unwrap();
    }
    assert_eq!(stored(&world).await, 8);
}
