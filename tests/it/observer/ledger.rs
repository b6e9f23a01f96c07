//! The ledger: what a consumer gave up is told although its lag is 0, and no longer once it is settled.

use std::time::Duration;

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{PullConsumer, pull},
    stream,
};
use futures_util::StreamExt;
use streamgauge::{
    advisory::Kind,
    snapshot::{Failures, Snapshot},
};

use super::{Observer, jetstream, publish, state_of, user};
use crate::support::nats_server::NatsServer;

async fn orders(jetstream: &async_nats::jetstream::Context, retention: stream::RetentionPolicy) -> stream::Stream {
    let config =
        stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], retention, ..Default::default() };
    jetstream.create_stream(config).await.unwrap()
}

/// So many deliveries, and so short a time for the ack that it is over at once.
async fn hasty(stream: &stream::Stream, deliveries: i64) -> PullConsumer {
    let config = pull::Config {
        durable_name: Some("mailer".into()),
        max_deliver: deliveries,
        ack_wait: Duration::from_millis(50),
        ..Default::default()
    };
    stream.create_consumer(config).await.unwrap()
}

async fn fetch(consumer: &PullConsumer, count: usize) -> Vec<Message> {
    let batch = consumer.batch().max_messages(count).expires(super::LIMIT).messages().await.unwrap();
    batch.map(Result::unwrap).collect().await
}

fn failures(snapshot: &Snapshot) -> Option<&Failures> {
    snapshot.known_consumers().find(|consumer| consumer.name.as_str() == "mailer")?.failures.fresh()
}

/// Asks for messages until the consumer has none in flight: the server gives up a message only when somebody asks.
async fn give_up(consumer: &PullConsumer, observer: &Observer, count: u64) {
    let expires = Duration::from_millis(100);
    crate::support::eventually(super::LIMIT, "all given up", async || {
        let batch = consumer.batch().max_messages(1).expires(expires).messages().await.unwrap();
        assert_eq!(batch.count().await, 0, "nothing is delivered again");
        let snapshot = observer.snapshots.borrow().clone();
        if failures(&snapshot).is_some_and(|failures| failures.exhausted == count) { Ok(()) } else { Err(snapshot) }
    })
    .await;
}

/// Three messages are given up: one stays so, one is acked late, one is deleted.
async fn check_exhausted(retention: stream::RetentionPolicy) {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = orders(&jetstream, retention).await;
    let consumer = hasty(&orders, 2).await;
    let observer = Observer::at(&server);
    observer.sees("the consumer", |snapshot| failures(snapshot).is_some()).await;
    publish(&jetstream, "orders.placed.1", 3).await;
    // Of what was delivered once only, the server counts nothing, and no late ack is seen.
    fetch(&consumer, 3).await;
    let held = fetch(&consumer, 3).await;
    give_up(&consumer, &observer, 3).await;
    let snapshot = observer.looks_anew().await;
    let told = failures(&snapshot).unwrap();
    assert_eq!((told.exhausted, told.terminated), (3, 0));
    assert_eq!(told.sequences.iter().copied().collect::<std::collections::BTreeSet<_>>(), [1, 2, 3].into());
    assert_eq!(state_of(&snapshot, "mailer").lag(), 0, "it looks healthy");

    held[1].ack_with(AckKind::Ack).await.unwrap();
    let is = |count| move |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.exhausted == count);
    observer.sees("two failures, one was acked late", is(2)).await;
    orders.delete_message(3).await.unwrap();
    observer.sees("one failure, one is deleted", is(1)).await;
    let one = |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.exhausted == 1);
    let anew = observer.looks_anew().await;
    assert!(one(&anew), "{:?}", failures(&anew));
    held[0].ack_with(AckKind::Ack).await.unwrap();
    let well = observer.sees("no failure", is(0)).await;
    assert_eq!(failures(&well).unwrap().sequences, Vec::<u64>::new());
}

#[tokio::test]
async fn what_was_given_up_is_a_failure_until_it_is_acked_or_gone() {
    check_exhausted(stream::RetentionPolicy::Limits).await;
}

#[tokio::test]
async fn in_a_work_queue_what_was_given_up_is_a_failure_until_it_is_acked_or_gone() {
    check_exhausted(stream::RetentionPolicy::WorkQueue).await;
}

#[tokio::test]
async fn what_was_given_up_before_anybody_listened_is_counted_by_the_server() {
    let mut server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = orders(&jetstream, stream::RetentionPolicy::Limits).await;
    let consumer = hasty(&orders, 2).await;
    let first = Observer::at(&server);
    publish(&jetstream, "orders.placed.1", 2).await;
    fetch(&consumer, 2).await;
    fetch(&consumer, 2).await;
    give_up(&consumer, &first, 2).await;
    drop(first);
    server.stop().await;
    server.start_again().await;
    let second = Observer::at(&server);
    let counted = |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.exhausted == 2);
    let snapshot = second.sees("two failures", counted).await;
    assert!(failures(&snapshot).unwrap().sequences.is_empty(), "no advisory says which");
}

#[tokio::test]
async fn the_stream_of_advisories_tells_what_was_before() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let config = stream::Config {
        name: "ADVISORIES".into(),
        subjects: vec![
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>".into(),
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>".into(),
        ],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    let orders = orders(&jetstream, stream::RetentionPolicy::Limits).await;
    let consumer = hasty(&orders, 1).await;
    publish(&jetstream, "orders.placed.1", 2).await;
    let held = fetch(&consumer, 2).await;
    // The server takes a reason behind the word.
    let client = async_nats::connect(server.url()).await.unwrap();
    client.request(held[1].reply.clone().unwrap(), "+TERM no such customer".into()).await.unwrap();
    let first = Observer::at(&server);
    give_up(&consumer, &first, 1).await;
    drop(first);

    let observer = Observer::at(&server);
    let known = |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.sequences.len() == 2);
    let snapshot = observer.sees("both messages", known).await;
    let told = failures(&snapshot).unwrap();
    assert_eq!((told.exhausted, told.terminated, told.reason.as_str()), (1, 1, "no such customer"));
    let kept = snapshot.app.advisories.fresh().unwrap();
    assert!(kept.stored_since.is_some_and(|since| since < kept.since), "{kept:?}");
    let rows: Vec<Kind> = kept.rows.iter().map(|row| row.kind).collect();
    assert!(rows.contains(&Kind::Exhausted) && rows.contains(&Kind::Terminated), "{rows:?}");
}

#[tokio::test]
async fn what_servers_tell_is_in_the_ledger_and_naks_are_counted() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let observer = Observer::at(&server);
    observer.sees("a round", |snapshot| snapshot.app.advisories.fresh().is_some()).await;
    let orders = orders(&jetstream, stream::RetentionPolicy::Limits).await;
    let config = pull::Config { durable_name: Some("mailer".into()), ..Default::default() };
    let consumer = orders.create_consumer(config).await.unwrap();
    publish(&jetstream, "orders.placed.1", 1).await;
    for _ in 0..3 {
        fetch(&consumer, 1).await[0].ack_with(AckKind::Nak(None)).await.unwrap();
    }
    let counted = |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.naks == 3);
    let snapshot = observer.sees("three naks", counted).await;
    let rows = &snapshot.app.advisories.fresh().unwrap().rows;
    let told = |kind, name: Option<&str>| {
        rows.iter().find(|row| row.kind == kind && row.consumer.as_ref().map(|name| name.as_str()) == name)
    };
    assert_eq!(told(Kind::Created, None).unwrap().sentence, "The stream was made.");
    assert_eq!(told(Kind::Created, Some("mailer")).unwrap().sentence, "The consumer was made.");
    assert_eq!(told(Kind::Nak, Some("mailer")).unwrap().count, 3);
    orders.delete_consumer("mailer").await.unwrap();
    let gone =
        |snapshot: &Snapshot| snapshot.app.advisories.fresh().is_some_and(|told| told.rows[0].kind == Kind::Deleted);
    observer.sees("the consumer deleted", gone).await;
}

#[tokio::test]
async fn dead_letters_that_nobody_may_count_are_unknown_and_none_are_where_there_is_no_stream_of_them() {
    const DENIED: &str = r#"
        authorization { users: [
          { user: root, password: word },
          { user: app, password: word, permissions: { publish: { deny: ["$JS.API.STREAM.INFO.DEAD_LETTERS"] } } }
        ] }
        jetstream {}
    "#;
    let server = NatsServer::start_configured(DENIED).await;
    let root = async_nats::ConnectOptions::with_user_and_password("root".into(), "word".into());
    let jetstream = async_nats::jetstream::new(root.connect(server.url()).await.unwrap());
    hasty(&orders(&jetstream, stream::RetentionPolicy::Limits).await, 1).await;
    let observer = Observer::start(user(&server, "app", "word"), None);
    let copies = |snapshot: &Snapshot| failures(snapshot).map(|told| told.copies);
    observer.sees("no dead letter", |snapshot| copies(snapshot) == Some(Some(0))).await;
    let config = stream::Config { name: "DEAD_LETTERS".into(), subjects: vec!["dead.>".into()], ..Default::default() };
    jetstream.create_stream(config).await.unwrap();
    publish(&jetstream, "dead.ORDERS.mailer", 1).await;
    observer.sees("that nobody counts them", |snapshot| copies(snapshot) == Some(None)).await;
}

#[tokio::test]
async fn copies_are_counted_and_what_was_replayed_is_settled() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = orders(&jetstream, stream::RetentionPolicy::Limits).await;
    let consumer = hasty(&orders, 1).await;
    let observer = Observer::at(&server);
    observer.sees("the consumer", |snapshot| failures(snapshot).is_some()).await;
    publish(&jetstream, "orders.placed.1", 1).await;
    fetch(&consumer, 1).await;
    give_up(&consumer, &observer, 1).await;
    let config = stream::Config { name: "DEAD_LETTERS".into(), subjects: vec!["dead.>".into()], ..Default::default() };
    jetstream.create_stream(config).await.unwrap();
    publish(&jetstream, "dead.ORDERS.mailer", 2).await;
    publish(&jetstream, "dead.ORDERS.other", 1).await;
    let counted = |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.copies == Some(2));
    let snapshot = observer.sees("two copies", counted).await;
    assert_eq!(failures(&snapshot).unwrap().exhausted, 1);
    let now = streamgauge::clock::Clock::system().now();
    let replay = serde_json::json!({ "letter": "ORDERS.mailer.1", "generation": 1, "published": now });
    let replays = super::bucket(&jetstream, "replays", true).await;
    replays.put("1", replay.to_string().into()).await.unwrap();
    let settled = |snapshot: &Snapshot| failures(snapshot).is_some_and(|told| told.exhausted == 0);
    observer.sees("no failure any more", settled).await;
}
