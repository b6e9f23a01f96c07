//! The permission lists of `docs/operations/permissions.md`: with exactly these the observer sees everything, and each is needed.

use std::{collections::BTreeSet, fs, path::Path};

use async_nats::jetstream::{consumer::pull, stream};
use streamgauge::{
    config::NatsConfig,
    peek::Question,
    snapshot::{Consumer, Server, Snapshot, Watched},
};

use super::{ConnectOptions, NatsServer, Observer, jetstream, kv, publish};

const PASSWORD: &str = "d3m0";

/// One of the two lists, as a server's configuration takes it.
fn listed(user: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations/permissions.md");
    let text = fs::read_to_string(page).unwrap();
    let (_, rest) = text.split_once(&format!("```nats {user}\n")).unwrap_or_else(|| panic!("the page lists no {user}"));
    rest.split_once("```").unwrap().0.to_owned()
}

async fn server_with(app: &str, system: &str) -> NatsServer {
    let config = format!(
        "jetstream {{ max_file_store: 1GB }}\nsystem_account: SYS\naccounts {{\n\
         SYS {{ users: [{{ user: system, password: {PASSWORD}, permissions: {{ {system} }} }}] }}\n\
         APP {{ jetstream: enabled, users: [\n\
         {{ user: maker, password: {PASSWORD} }},\n\
         {{ user: observer, password: {PASSWORD}, permissions: {{ {app} }} }}] }}\n\
         FURTHER {{ jetstream: enabled, users: [\n\
         {{ user: further-maker, password: {PASSWORD} }},\n\
         {{ user: further, password: {PASSWORD}, permissions: {{ {app} }} }}] }}\n}}\n"
    );
    NatsServer::start_configured(&config).await
}

fn login(server: &NatsServer, user: &str) -> NatsConfig {
    NatsConfig {
        url: Some(server.url()),
        user: Some(user.to_owned()),
        password: Some(PASSWORD.to_owned()),
        inbox_prefix: Some(format!("_INBOX_{user}")),
        ..NatsConfig::default()
    }
}

/// Streams, consumers and buckets of each kind, in the account of this user: with direct get and without.
async fn world(server: &NatsServer, maker: &str) {
    let options = ConnectOptions::with_user_and_password(maker.to_owned(), PASSWORD.to_owned());
    let maker = jetstream::new(options.connect(server.url()).await.unwrap());
    for (name, allow_direct) in [("DIRECT", true), ("PLAIN", false)] {
        let subjects = vec![format!("{}.>", name.to_lowercase())];
        let config = stream::Config { name: name.into(), subjects, allow_direct, ..Default::default() };
        let made = maker.create_stream(config).await.unwrap();
        let config = pull::Config { durable_name: Some(format!("worker-{allow_direct}")), ..Default::default() };
        made.create_consumer(config).await.unwrap();
        publish(&maker, &format!("{}.1", name.to_lowercase()), 3).await;
    }
    for (name, value) in [("presence", super::PRESENCE), ("records", RECORD)] {
        let store = maker.create_key_value(kv::Config { bucket: name.into(), ..Default::default() }).await.unwrap();
        store.put("mail.1", value.into()).await.unwrap();
    }
}

const RECORD: &str = r#"{"kind":"mail","id":"1","state":"sent","phase":"succeeded","started":"2030-01-31T12:00:00Z","since":"2030-01-31T12:00:00Z"}"#;

/// What of the world is not seen.
fn unseen(snapshot: &Snapshot) -> Vec<&'static str> {
    let streams = snapshot.streams.fresh().map_or(0, |list| list.rows.len());
    let consumers: Vec<_> = snapshot.known_consumers().filter_map(|consumer| consumer.state.fresh()).collect();
    let parts = [
        ("streams", streams == 4),
        ("consumers", consumers.len() == 2 && consumers.iter().all(|state| state.pending == 3)),
        ("account", snapshot.known_streams().iter().all(|stream| *stream.account == *"APP")),
        ("ages", snapshot.known_consumers().all(is_old_exactly)),
        ("advisories", snapshot.app.advisories.fresh().is_some()),
        ("presence", snapshot.app.presence.fresh().is_some_and(|bucket| bucket.entries.len() == 1)),
        ("records", snapshot.app.records.fresh().is_some_and(|bucket| bucket.entries.len() == 1)),
        ("use of the account", snapshot.app.used.fresh().is_some_and(|used| used.total.streams == 4)),
        ("health", snapshot.servers.fresh().is_some_and(|servers| servers.iter().all(is_well))),
        ("servers", snapshot.servers.fresh().is_some_and(|servers| servers.len() == 1)),
    ];
    parts.into_iter().filter(|(_, is_seen)| !is_seen).map(|(part, _)| part).collect()
}

fn is_well(server: &Server) -> bool {
    server.health.as_ref().is_some_and(|health| health.is_well)
}

fn is_old_exactly(consumer: &Consumer) -> bool {
    let ages = consumer.ages.fresh();
    ages.and_then(|ages| ages.unprocessed.as_ref()).is_some_and(|oldest| oldest.sequence == Some(1))
}

/// What the server refused, as it logged it.
fn refused(server: &NatsServer) -> BTreeSet<String> {
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("Violation"));
    lines.filter_map(|line| Some(line.split_once("Violation")?.1.to_owned())).collect()
}

#[tokio::test]
async fn with_exactly_the_listed_permissions_everything_is_seen() {
    let server = server_with(&listed("app"), &listed("system")).await;
    world(&server, "maker").await;
    let observer = Observer::start(login(&server, "observer"), Some(login(&server, "system")));
    observer.sees("all of it", |snapshot| unseen(snapshot).is_empty()).await;
    observer.looks_anew().await;
    for name in ["DIRECT", "PLAIN"] {
        let question = Question::newest(name.parse().unwrap(), 50);
        let found = observer.reader.find("APP", &question).await;
        assert_eq!(found.fresh().map(|found| found.rows.len()), Some(3), "{name}: {found:?}");
        let one = observer.reader.one("APP", &question.stream, 2).await;
        assert!(one.fresh().is_some_and(|one| one.message.is_some()), "{name}: {one:?}");
    }
    assert_eq!(refused(&server), BTreeSet::new());
}

/// What of the two worlds is not seen.
fn unseen_of_both(snapshot: &Snapshot) -> Vec<&'static str> {
    let streams = snapshot.streams.fresh().map_or(0, |list| list.rows.len());
    let consumers: Vec<_> = snapshot.known_consumers().filter_map(|consumer| consumer.state.fresh()).collect();
    let each = |is_it: fn(&Watched) -> bool| snapshot.watched().all(is_it);
    let parts = [
        ("streams", streams == 8),
        ("consumers", consumers.len() == 4 && consumers.iter().all(|state| state.pending == 3)),
        ("accounts", snapshot.watched().map(Watched::name).eq(["APP", "FURTHER"])),
        ("ages", snapshot.known_consumers().all(is_old_exactly)),
        ("advisories", each(|watched| watched.advisories.fresh().is_some())),
        ("presence", each(|watched| watched.presence.fresh().is_some_and(|bucket| bucket.entries.len() == 1))),
        ("records", each(|watched| watched.records.fresh().is_some_and(|bucket| bucket.entries.len() == 1))),
        ("use of the accounts", each(|watched| watched.used.fresh().is_some_and(|used| used.total.streams == 4))),
    ];
    parts.into_iter().filter(|(_, is_seen)| !is_seen).map(|(part, _)| part).collect()
}

#[tokio::test]
async fn a_user_of_a_further_account_needs_the_same() {
    let server = server_with(&listed("app"), &listed("system")).await;
    for maker in ["maker", "further-maker"] {
        world(&server, maker).await;
    }
    for system in [None, Some(login(&server, "system"))] {
        // The prefix of the inboxes is that of the first user.
        let further = NatsConfig { inbox_prefix: Some("_INBOX_observer".to_owned()), ..login(&server, "further") };
        let observer = Observer::of_several(login(&server, "observer"), vec![further], system);
        observer.sees("all of both", |snapshot| unseen_of_both(snapshot).is_empty()).await;
        observer.looks_anew().await;
    }
    assert_eq!(refused(&server), BTreeSet::new());
}

#[tokio::test]
async fn without_a_listed_permission_the_page_says_so() {
    let app = listed("app").replace("\"$JS.API.CONSUMER.LIST.*\",", "").replace("\"$JS.API.STREAM.LIST\",", "");
    let server = server_with(&app, &listed("system")).await;
    world(&server, "maker").await;
    let observer = Observer::start(login(&server, "observer"), None);
    let snapshot = observer.sees("a round", |snapshot| snapshot.round > 0).await;
    assert_eq!(snapshot.streams.value().map(|list| list.rows.len()), None, "{:?}", snapshot.streams);
    assert!(!refused(&server).is_empty(), "a refusal is found in the log");
}
