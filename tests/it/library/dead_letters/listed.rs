//! What a list holds: every message that was given up, by whomever, once.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures_util::StreamExt;
use streamgauge::{
    bus::topology,
    consumer::dead_letter::{DeadLetters, Filter, LettersError},
    dead_letter::{Body, Kind},
    tasks::Tasks,
};

use super::{LIMIT, World, apply, letters, publish, settled, start};
use crate::support::eventually;

/// A consumer as others make them: the server gives up after one delivery.
async fn foreign(world: &World) -> async_nats::jetstream::consumer::Consumer<pull::Config> {
    let config = pull::Config {
        durable_name: Some("foreign".into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_millis(200),
        max_deliver: 1,
        ..pull::Config::default()
    };
    world.connection.jetstream.get_stream("PINGS").await.unwrap().create_consumer(config).await.unwrap()
}

/// Takes one message and settles it with these words, or not at all.
async fn take(consumer: &async_nats::jetstream::consumer::Consumer<pull::Config>, world: &World, settle: &[&str]) {
    let message = consumer.messages().await.unwrap().next().await.unwrap().unwrap();
    for words in settle {
        let reply = message.reply.clone().unwrap();
        world.connection.client.request(reply, (*words).to_owned().into()).await.unwrap();
    }
}

async fn advisories(world: &World, count: u64) {
    eventually(LIMIT, "the advisories are kept", async || {
        let stream = world.connection.jetstream.get_stream(topology::ADVISORIES).await.unwrap();
        stream.cached_info().state.messages == count
    })
    .await;
}

#[tokio::test]
async fn a_message_that_only_the_server_gave_up_on_is_listed_with_its_payload_and_a_doubt() {
    let world = World::new().await;
    apply(&world).await;
    publish(&world, &[("Nats-Msg-Id", "m-1"), ("x-tenant", "blue")], "lost?").await;
    take(&foreign(&world).await, &world, &[]).await;
    advisories(&world, 1).await;

    let letter = letters(&world).await.remove(0);
    assert_eq!((letter.place.to_string().as_str(), letter.kind), ("PINGS.foreign.1", Kind::Exhausted));
    assert!(letter.is_doubtful());
    assert_eq!((&letter.body, letter.size, letter.deliveries), (&Body::InStream, 5, Some(1)));
    let opened = DeadLetters::open(&world.connection).await.unwrap();
    let message = opened.find(&letter.place).await.unwrap().unwrap().message.unwrap();
    assert_eq!((message.header("x-tenant"), &message.payload[..]), (Some("blue"), &b"lost?"[..]));

    world.connection.jetstream.get_stream("PINGS").await.unwrap().purge().await.unwrap();
    let letter = letters(&world).await.remove(0);
    assert_eq!((&letter.body, letter.message), (&Body::Gone, None));
}

#[tokio::test]
async fn a_message_that_another_library_terminated_is_listed_with_its_reason() {
    let world = World::new().await;
    apply(&world).await;
    publish(&world, &[], "{}").await;
    take(&foreign(&world).await, &world, &["+TERM no such sku"]).await;
    advisories(&world, 1).await;
    let letter = letters(&world).await.remove(0);
    assert_eq!((letter.kind, letter.death.reason.as_str()), (Kind::Terminated, "no such sku"));
    assert!(!letter.is_doubtful());
}

#[tokio::test]
async fn a_message_of_which_a_copy_and_an_advisory_tell_is_one_letter() {
    let world = World::new().await;
    apply(&world).await;
    let tasks = Tasks::default();
    start(&world, &tasks);
    for number in 0..3 {
        publish(&world, &[], &format!("poison {number}")).await;
    }
    settled(&world).await;
    advisories(&world, 3).await;
    let letters = letters(&world).await;
    let found: Vec<_> = letters.iter().map(|letter| (letter.place.sequence, letter.kind)).collect();
    assert_eq!(found, [(3, Kind::Buried), (2, Kind::Buried), (1, Kind::Buried)], "the newest first");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_list_is_cut_where_it_was_asked_to_be_and_filters_reach_through_every_page() {
    const MANY: u64 = 600;
    let world = World::new().await;
    apply(&world).await;
    let tasks = Tasks::default();
    for number in 1..=MANY {
        publish(&world, &[], &format!("poison number {number}!")).await;
    }
    start(&world, &tasks);
    settled(&world).await;
    advisories(&world, MANY).await;
    let opened = DeadLetters::open(&world.connection).await.unwrap();
    let list = async |filter: Filter, most| opened.list(&filter, most).await.unwrap();

    let newest = list(Filter::default(), 5).await;
    assert_eq!((newest.letters.len(), newest.is_cut, newest.sees_advisories), (5, true, true));
    let all = list(Filter::default(), 1_000).await;
    let mut sequences: Vec<u64> = all.letters.iter().map(|letter| letter.place.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=MANY).collect::<Vec<_>>());
    assert!(!all.is_cut);

    let old = list(Filter { text: Some("NUMBER 7!".into()), ..Filter::default() }, 10).await;
    assert_eq!(old.letters.iter().map(|letter| letter.place.sequence).collect::<Vec<_>>(), [7]);
    let other = list(Filter { consumer: "other".parse().ok(), ..Filter::default() }, 10).await;
    assert!(other.letters.is_empty());
    let class = list(Filter { class: Some("rejected".into()), ..Filter::default() }, 10).await;
    assert!(class.letters.is_empty(), "all of them are unreadable");
    assert!(opened.find(&"PINGS.w.3".parse().unwrap()).await.unwrap().is_some());
    assert!(opened.find(&"PINGS.w.9999".parse().unwrap()).await.unwrap().is_none());
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn without_its_streams_a_list_says_what_it_cannot_see() {
    let world = World::new().await;
    let missing = DeadLetters::open(&world.connection).await.unwrap_err();
    assert!(matches!(missing, LettersError::Missing), "{missing}");
    let tasks = Tasks::default();
    publish(&world, &[], "poison").await;
    start(&world, &tasks);
    settled(&world).await;
    let opened = DeadLetters::open(&world.connection).await.unwrap();
    let listing = opened.list(&Filter::default(), 10).await.unwrap();
    assert_eq!((listing.letters.len(), listing.sees_advisories), (1, false));
    assert!(tasks.stop(LIMIT).await);
}
