//! Ages: the oldest message that a consumer has not processed is read where it lies, and reading it changes nothing.

use async_nats::jetstream::{
    AckKind,
    consumer::{PullConsumer, pull},
    stream,
};
use futures_util::StreamExt;
use streamgauge::{
    clock::Timestamp,
    snapshot::{AgeBy, Ages, Oldest, Snapshot},
};

use super::{Observer, consumer_of, jetstream, publish, state_of, stream_of, user};
use crate::support::nats_server::NatsServer;

async fn stream_with(jetstream: &jetstream::Context, config: stream::Config) -> stream::Stream {
    let config = stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..config };
    jetstream.create_stream(config).await.unwrap()
}

async fn consumer_with(stream: &stream::Stream, filters: &[&str]) -> PullConsumer {
    let config = pull::Config {
        durable_name: Some("reserve".into()),
        filter_subjects: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        ..Default::default()
    };
    stream.create_consumer(config).await.unwrap()
}

async fn fetch(consumer: &PullConsumer, count: usize) -> Vec<jetstream::Message> {
    let batch = consumer.fetch().max_messages(count).messages().await.unwrap();
    batch.map(Result::unwrap).collect().await
}

/// What the stream itself says of a message.
async fn stored(stream: &stream::Stream, sequence: u64) -> Option<Oldest> {
    let stored = Timestamp(stream.get_raw_message(sequence).await.unwrap().time);
    Some(Oldest { sequence: Some(sequence), stored, by: AgeBy::Message })
}

fn ages_of(snapshot: &Snapshot) -> Option<Ages> {
    snapshot.known_consumers().find(|consumer| consumer.name.as_str() == "reserve")?.ages.fresh().copied()
}

impl Observer {
    async fn sees_ages(&self, expected: Ages) {
        self.sees(&format!("{expected:?}"), |snapshot| ages_of(snapshot) == Some(expected)).await;
    }
}

/// One of four messages on the filter is gone, two are in flight, and the later of those is acked.
async fn check_oldest(config: stream::Config) {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = stream_with(&jetstream, config).await;
    let consumer = consumer_with(&orders, &["orders.placed.*"]).await;
    for subject in ["placed.1", "paid.1", "placed.2", "placed.3", "placed.4", "paid.2", "placed.5"] {
        publish(&jetstream, &format!("orders.{subject}"), 1).await;
    }
    let held = fetch(&consumer, 3).await;
    held[0].ack_with(AckKind::Ack).await.unwrap();
    held[2].ack_with(AckKind::Ack).await.unwrap();
    orders.delete_message(5).await.unwrap();
    let observer = Observer::at(&server);
    observer.sees_ages(Ages { unprocessed: stored(&orders, 3).await, undelivered: stored(&orders, 7).await }).await;
    held[1].ack_with(AckKind::Ack).await.unwrap();
    observer.sees_ages(Ages { unprocessed: stored(&orders, 7).await, undelivered: stored(&orders, 7).await }).await;
    for last in fetch(&consumer, 1).await {
        observer.sees_ages(Ages { unprocessed: stored(&orders, 7).await, undelivered: None }).await;
        last.ack_with(AckKind::Ack).await.unwrap();
    }
    observer.sees_ages(Ages::default()).await;
}

#[tokio::test]
async fn the_oldest_messages_are_read_by_direct_get() {
    check_oldest(stream::Config { allow_direct: true, ..Default::default() }).await;
}

#[tokio::test]
async fn the_oldest_messages_are_read_where_direct_get_is_not_allowed() {
    check_oldest(stream::Config { allow_direct: false, ..Default::default() }).await;
}

#[tokio::test]
async fn of_a_work_queue_messages_are_read_and_none_is_taken() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let config =
        stream::Config { retention: stream::RetentionPolicy::WorkQueue, allow_direct: true, ..Default::default() };
    let orders = stream_with(&jetstream, config).await;
    consumer_with(&orders, &[]).await;
    publish(&jetstream, "orders.placed.1", 3).await;
    let observer = Observer::at(&server);
    let oldest = stored(&orders, 1).await;
    observer.sees_ages(Ages { unprocessed: oldest, undelivered: oldest }).await;
    let snapshot = observer.looks_anew().await;
    let state = state_of(&snapshot, "reserve");
    assert_eq!((state.pending, state.delivered, state.ack_pending, state.waiting), (3, 0, 0, 0));
    let held = stream_of(&snapshot, "ORDERS").state.fresh().unwrap();
    assert_eq!((held.messages, held.consumers), (3, 1));
}

#[tokio::test]
async fn the_oldest_of_several_filters_counts_and_many_filters_get_an_estimate() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = stream_with(&jetstream, stream::Config::default()).await;
    consumer_with(&orders, &["orders.late", "orders.early"]).await;
    let filters: Vec<String> = (0..5).map(|number| format!("orders.many.{number}")).collect();
    let config = pull::Config { durable_name: Some("many".into()), filter_subjects: filters, ..Default::default() };
    orders.create_consumer(config).await.unwrap();
    for subject in ["orders.other", "orders.early", "orders.late", "orders.many.3"] {
        publish(&jetstream, subject, 1).await;
    }
    let observer = Observer::at(&server);
    let oldest = stored(&orders, 2).await;
    observer.sees_ages(Ages { unprocessed: oldest, undelivered: oldest }).await;
    let snapshot = observer.looks_anew().await;
    let oldest = consumer_of(&snapshot, "many").ages.fresh().unwrap().unprocessed.unwrap();
    assert_eq!((oldest.by, oldest.sequence), (AgeBy::Estimate, None));
}

#[tokio::test]
async fn of_a_mirror_its_own_messages_are_read() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = stream_with(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
    publish(&jetstream, "orders.placed.1", 2).await;
    let mirror = stream::Source { name: "ORDERS".into(), start_sequence: Some(2), ..Default::default() };
    let config =
        stream::Config { name: "COPY".into(), mirror: Some(mirror), mirror_direct: true, ..Default::default() };
    let copy = jetstream.create_stream(config).await.unwrap();
    consumer_with(&copy, &["orders.placed.*"]).await;
    let observer = Observer::at(&server);
    let oldest = stored(&orders, 2).await;
    observer.sees_ages(Ages { unprocessed: oldest, undelivered: oldest }).await;
}

#[tokio::test]
async fn a_user_who_may_read_no_message_gets_estimates_and_waits_for_none() {
    const DENIED: &str = r#"
        authorization { users: [
          { user: root, password: word },
          { user: app, password: word,
            permissions: { publish: { deny: ["$JS.API.DIRECT.GET.>", "$JS.API.STREAM.MSG.GET.>"] } } }
        ] }
        jetstream {}
    "#;
    let server = NatsServer::start_configured(DENIED).await;
    let root = async_nats::ConnectOptions::with_user_and_password("root".into(), "word".into());
    let jetstream = jetstream::new(root.connect(server.url()).await.unwrap());
    let orders = stream_with(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
    consumer_with(&orders, &["orders.placed.*"]).await;
    publish(&jetstream, "orders.placed.1", 3).await;
    let observer = Observer::start(user(&server, "app", "word"), None);
    let estimated = |snapshot: &Snapshot| {
        let oldest = ages_of(snapshot).and_then(|ages| ages.unprocessed);
        snapshot.round > 4 && oldest.is_some_and(|oldest| oldest.by == AgeBy::Estimate)
    };
    let fifth = observer.sees("five rounds with an estimate", estimated).await;
    let later = observer.sees("ten rounds more", |snapshot| snapshot.round > fifth.round + 10).await;
    let took = fifth.taken.age(later.taken).0;
    assert!(took < super::LIMIT / 2, "ten rounds took {took:?}: the silent stream was asked in each");
}

#[tokio::test]
async fn what_reading_ages_asks_is_part_of_what_a_round_costs() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = stream_with(&jetstream, stream::Config::default()).await;
    consumer_with(&orders, &[]).await;
    let observer = Observer::at(&server);
    observer.sees("that nothing waits", |snapshot| ages_of(snapshot).is_some()).await;
    let without = observer.looks_anew().await.stats;
    publish(&jetstream, "orders.placed.1", 1).await;
    let oldest = Ages { unprocessed: stored(&orders, 1).await, undelivered: stored(&orders, 1).await };
    let with = observer.sees("the age", |snapshot| ages_of(snapshot) == Some(oldest)).await.stats;
    assert!(with.requests > without.requests && with.bytes > without.bytes, "{without:?} {with:?}");
}
