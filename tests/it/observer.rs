//! The observer against a real nats-server: what it says is what is there, it leaves nothing behind, and it outlives NATS.

mod accounts;
mod ages;
mod buckets;
mod hops;
mod ledger;
mod letters;
mod off;
mod permissions;
mod several;
mod truth;

use std::{sync::Arc, time::Duration};

use async_nats::{
    ConnectOptions,
    jetstream::{self, AckKind, consumer::pull, kv, stream},
};
use futures_util::StreamExt;
use streamgauge::{
    broker::Reader,
    clock::Clock,
    collector::{self, Settings, Snapshots},
    config::NatsConfig,
    nats::ConnectError,
    snapshot::{Consumer, ConsumerState, Reading, Snapshot, Stream, Why},
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{eventually, nats_server::NatsServer, observing};

const LIMIT: Duration = Duration::from_secs(20);

const INTERVAL: Duration = Duration::from_millis(200);

/// A collector at work; it ends with its test.
struct Observer {
    snapshots: Snapshots,
    reader: Reader,
    ended: JoinHandle<Result<(), ConnectError>>,
    _stop: DropGuard,
}

impl Observer {
    fn start(app: NatsConfig, system: Option<NatsConfig>) -> Self {
        Self::of_several(app, Vec::new(), system)
    }

    fn of_several(app: NatsConfig, others: Vec<NatsConfig>, system: Option<NatsConfig>) -> Self {
        let settings = Settings { others, system, ..observing::settings(app, INTERVAL) };
        let (collector, snapshots) = collector::new(settings, Clock::system()).unwrap();
        let (stop, reader) = (CancellationToken::new(), collector.reader());
        #[expect(clippy::disallowed_methods, reason = "the test waits for this task by itself")]
        let ended = tokio::spawn(collector.run(stop.clone()));
        Self { snapshots, reader, ended, _stop: stop.drop_guard() }
    }

    fn at(server: &NatsServer) -> Self {
        Self::start(NatsConfig { url: Some(server.url()), ..NatsConfig::default() }, None)
    }

    /// The first snapshot from now on of which `is_it` says yes.
    async fn sees(&self, what: &str, is_it: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        eventually(LIMIT, what, async || {
            let snapshot = self.snapshots.borrow().clone();
            if is_it(&snapshot) { Ok(snapshot) } else { Err(snapshot) }
        })
        .await
    }

    /// A snapshot of a round that began after now.
    async fn looks_anew(&self) -> Arc<Snapshot> {
        let round = self.snapshots.borrow().round;
        self.sees("two more rounds", |snapshot| snapshot.round > round + 1).await
    }
}

async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

fn stream_of<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Stream {
    let found = snapshot.known_streams().iter().find(|stream| stream.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no stream {name} in {snapshot:?}"))
}

fn consumer_of<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Consumer {
    let found = snapshot.known_consumers().find(|consumer| consumer.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no consumer {name} in {snapshot:?}"))
}

fn state_of<'a>(snapshot: &'a Snapshot, name: &str) -> &'a ConsumerState {
    consumer_of(snapshot, name).state.fresh().unwrap()
}

async fn orders(jetstream: &jetstream::Context) -> stream::Stream {
    let config = stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Default::default() };
    jetstream.create_stream(config).await.unwrap()
}

async fn publish(jetstream: &jetstream::Context, subject: &str, count: usize) {
    for _ in 0..count {
        jetstream.publish(subject.to_owned(), "{}".into()).await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn it_says_what_the_server_says() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = orders(&jetstream).await;
    let filter = "orders.placed.*".to_owned();
    let config = pull::Config {
        durable_name: Some("reserve".into()),
        filter_subject: filter.clone(),
        max_ack_pending: 7,
        ..Default::default()
    };
    let consumer = orders.create_consumer(config).await.unwrap();
    publish(&jetstream, "orders.placed.1", 10).await;
    publish(&jetstream, "orders.paid.1", 5).await;
    let batch = consumer.fetch().max_messages(4).messages().await.unwrap();
    let held: Vec<_> = batch.map(Result::unwrap).collect().await;
    held[0].ack_with(AckKind::Ack).await.unwrap();

    let observer = Observer::at(&server);
    let acked = |snapshot: &Snapshot| {
        let mut states = snapshot.known_consumers().filter_map(|consumer| consumer.state.fresh());
        states.any(|state| state.ack_pending == 3)
    };
    let snapshot = observer.sees("one of four acked", acked).await;
    let state = stream_of(&snapshot, "ORDERS").state.fresh().unwrap();
    assert_eq!((state.messages, state.last_sequence, state.subjects, state.consumers), (15, 15, 2, 1));
    let row = consumer_of(&snapshot, "reserve");
    let config = &row.config;
    assert_eq!(
        (config.is_durable(), config.filters(), config.ack_pending_limit()),
        (true, vec![filter.as_str()], Some(7))
    );
    let state = state_of(&snapshot, "reserve");
    assert_eq!((state.pending, state.delivered, state.ack_floor, state.waiting), (6, 4, 1, 0));
    let Reading::Known(fact) = &row.state else { panic!("{row:?}") };
    assert_eq!(Some(fact.source.as_ref()), snapshot.app.contact.server.as_ref().map(|(name, _)| name.as_str()));

    publish(&jetstream, "orders.paid.1", 5).await;
    observer.sees("a rate", |snapshot| stream_of(snapshot, "ORDERS").trend.is_some_and(|trend| trend.stored > 0)).await;
    let next = observer.looks_anew().await;
    assert_eq!(stream_of(&next, "ORDERS").trend.unwrap().stored, 0, "nothing was published since");
}

#[tokio::test]
async fn more_than_one_page_is_read() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = orders(&jetstream).await;
    for number in 0..300 {
        let config = pull::Config { durable_name: Some(format!("c{number:03}")), ..Default::default() };
        orders.create_consumer(config).await.unwrap();
    }
    let observer = Observer::at(&server);
    let snapshot = observer.sees("all consumers", |snapshot| snapshot.known_consumers().count() == 300).await;
    assert_eq!(stream_of(&snapshot, "ORDERS").consumers.fresh().unwrap().missing, []);
}

const PRESENCE: &str =
    r#"{"service":"mail","instance":"1","started":"2030-01-31T12:00:00Z","written":"2030-01-31T12:00:05Z"}"#;

/// Makes a bucket, whose stream allows direct get or does not.
async fn bucket(jetstream: &jetstream::Context, name: &str, is_direct: bool) -> kv::Store {
    let store = jetstream.create_key_value(kv::Config { bucket: name.into(), ..Default::default() }).await.unwrap();
    let mut stream = jetstream.get_stream(format!("KV_{name}")).await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.allow_direct = is_direct;
    jetstream.update_stream(config).await.unwrap();
    store
}

#[tokio::test]
async fn a_broker_with_nothing_on_it_is_read_as_that() {
    let server = NatsServer::start().await;
    let observer = Observer::at(&server);
    let snapshot = observer.sees("a round", |snapshot| snapshot.round > 0).await;
    assert!(snapshot.app.contact.is_connected);
    assert!(snapshot.streams.fresh().unwrap().rows.is_empty());
    let why = |reading: &Reading<_>| matches!(reading, Reading::Unknown { why: Why::Absent, .. });
    assert!(why(&snapshot.app.presence), "{:?}", snapshot.app.presence);
    assert!(matches!(snapshot.app.records, Reading::Unknown { why: Why::Absent, .. }));
    assert!(matches!(snapshot.servers, Reading::Unknown { why: Why::Hidden, .. }));
}

#[tokio::test]
async fn it_outlives_nats_and_never_takes_silence_for_zero() {
    let mut server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream).await;
    publish(&jetstream, "orders.placed.1", 3).await;
    let observer = Observer::at(&server);
    observer.sees("the stream", |snapshot| !snapshot.known_streams().is_empty()).await;
    server.kill().await;
    let away = observer.sees("NATS away", |snapshot| !snapshot.app.contact.is_connected).await;
    assert_eq!(away.streams.reason(), Some("the connection to NATS is lost"));
    let state = &stream_of(&away, "ORDERS").state;
    assert_eq!((state.fresh(), state.value().unwrap().messages), (None, 3));
    assert_eq!(stream_of(&away, "ORDERS").trend, None);
    server.start_again().await;
    let back = observer.sees("NATS back", |snapshot| snapshot.streams.fresh().is_some()).await;
    assert_eq!(stream_of(&back, "ORDERS").state.fresh().unwrap().messages, 3);
}

#[tokio::test]
async fn a_frozen_nats_makes_old_what_it_does_not_answer() {
    let server = NatsServer::start().await;
    orders(&jetstream(&server).await).await;
    let observer = Observer::at(&server);
    observer.sees("the stream", |snapshot| !snapshot.known_streams().is_empty()).await;
    server.freeze();
    let frozen = observer.sees("a stale round", |snapshot| snapshot.streams.fresh().is_none()).await;
    server.thaw();
    assert_eq!(frozen.known_streams().len(), 1);
    observer.sees("a fresh round", |snapshot| snapshot.streams.fresh().is_some()).await;
}

#[tokio::test]
async fn it_waits_for_a_nats_that_is_not_there_yet() {
    let mut server = NatsServer::start().await;
    server.stop().await;
    let observer = Observer::at(&server);
    let away = observer.sees("a round", |snapshot| snapshot.round > 1).await;
    assert!(!away.app.contact.is_connected && away.app.contact.server.is_none());
    assert!(away.app.contact.reason.contains("no NATS server answers at"), "{}", away.app.contact.reason);
    assert!(!observer.ended.is_finished());
    server.start_again().await;
    observer.sees("NATS", |snapshot| snapshot.streams.fresh().is_some()).await;
}

const ACCOUNTS: &str = r#"
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      APP { jetstream: enabled, users: [{ user: app, password: word }] }
      BARE { users: [{ user: bare, password: word }] }
    }
    system_account: SYS
    jetstream {}
    server_name: n1
"#;

fn user(server: &NatsServer, name: &str, password: &str) -> NatsConfig {
    NatsConfig {
        url: Some(server.url()),
        user: Some(name.to_owned()),
        password: Some(password.to_owned()),
        ..NatsConfig::default()
    }
}

#[tokio::test]
async fn a_system_user_shows_the_servers() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    let observer = Observer::start(user(&server, "app", "word"), Some(user(&server, "sys", "word")));
    let snapshot = observer.sees("the servers", |snapshot| snapshot.servers.fresh().is_some()).await;
    let [n1] = snapshot.servers.fresh().unwrap().as_slice() else { panic!("{snapshot:?}") };
    assert_eq!((n1.name.as_str(), n1.has_jetstream), ("n1", true));
    assert!(n1.memory_bytes > 0 && n1.connections >= 2, "{n1:?}");
}

#[tokio::test]
async fn a_refused_login_ends_it_with_a_sentence() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    for (app, system) in [("wrong", "word"), ("word", "wrong")] {
        let observer = Observer::start(user(&server, "app", app), Some(user(&server, "sys", system)));
        let ended = tokio::time::timeout(LIMIT, observer.ended).await.unwrap().unwrap();
        let sentence = ended.unwrap_err().to_string();
        assert!(sentence.contains("refuses the login of"), "{sentence}");
    }
}

#[tokio::test]
async fn consumer_lists_that_stay_silent_take_no_stream_and_no_bucket_with_them() {
    // The user may list streams, but not consumers: the server drops the question, and nobody answers.
    const DENIED: &str = r#"
        authorization { users: [
          { user: root, password: word },
          { user: app, password: word, permissions: { publish: { deny: ["$JS.API.CONSUMER.LIST.>"] } } }
        ] }
        jetstream {}
    "#;
    let server = NatsServer::start_configured(DENIED).await;
    let root = ConnectOptions::with_user_and_password("root".into(), "word".into());
    let jetstream = jetstream::new(root.connect(server.url()).await.unwrap());
    // More than two turns of 5 s can ask for before a round ends.
    for number in 0..70 {
        let name = format!("S{number:02}");
        let config = stream::Config { subjects: vec![name.clone()], name, ..Default::default() };
        let made = jetstream.create_stream(config).await.unwrap();
        made.create_consumer(pull::Config { durable_name: Some("c".into()), ..Default::default() }).await.unwrap();
    }
    bucket(&jetstream, "presence", true).await.put("mail.1", PRESENCE.into()).await.unwrap();
    let observer = Observer::start(user(&server, "app", "word"), None);
    let snapshot = observer.sees("a round", |snapshot| snapshot.round > 0).await;
    assert_eq!(snapshot.streams.fresh().unwrap().rows.len(), 71);
    let reasons: Vec<&str> = snapshot.known_streams().iter().filter_map(|stream| stream.consumers.reason()).collect();
    let late = reasons.iter().filter(|reason| reason.ends_with("took longer than 10 s")).count();
    let silent = reasons.iter().filter(|reason| reason.contains("was not answered within 5 s")).count();
    assert!(reasons.len() == 70 && late >= 6 && late + silent == 70, "{reasons:?}");
    assert_eq!(snapshot.app.presence.fresh().unwrap().entries.len(), 1);
}

#[tokio::test]
async fn an_account_without_jetstream_is_said() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    let observer = Observer::start(user(&server, "bare", "word"), None);
    let snapshot = observer.sees("a round", |snapshot| snapshot.round > 0).await;
    let reason = snapshot.streams.reason().unwrap();
    assert!(reason.contains("JetStream"), "{reason}");
    assert!(snapshot.streams.value().is_none() && snapshot.app.presence.value().is_none());
}

#[tokio::test]
async fn it_opens_one_connection_for_each_account_and_no_more() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    let observer = Observer::start(user(&server, "app", "word"), Some(user(&server, "sys", "word")));
    observer.sees("five rounds", |snapshot| snapshot.round >= 5 && snapshot.servers.fresh().is_some()).await;
    let system = ConnectOptions::with_user_and_password("sys".into(), "word".into());
    let system = system.connect(server.url()).await.unwrap();
    let answer = system.request("$SYS.REQ.SERVER.PING.CONNZ", "".into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    let names = answer["data"]["connections"].as_array().unwrap().iter().map(|row| row["name"].as_str());
    let ours = names.filter(|name| *name == Some("streamgauge observer")).count();
    assert_eq!(ours, 2, "{answer}");
}
