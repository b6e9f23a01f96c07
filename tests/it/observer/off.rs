//! JetStream that is switched off, and streams that take their messages from others: what is known grows old, and is never nothing.

use std::fs;

use async_nats::jetstream::{self, stream};
use streamgauge::snapshot::{Finding, Severity, Snapshot};

use super::{Observer, user};
use crate::support::nats_server::NatsServer;

const ACCOUNTS: &str = r#"
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      APP { jetstream: enabled, users: [{ user: app, password: word }] }
    }
    system_account: SYS
    server_name: n1
"#;

const JETSTREAM: &str = "jetstream {}\n";

async fn app(server: &NatsServer) -> jetstream::Context {
    let options = async_nats::ConnectOptions::with_user_and_password("app".to_owned(), "word".to_owned());
    jetstream::new(options.connect(server.url()).await.unwrap())
}

fn found<'a>(snapshot: &'a Snapshot, check: &str) -> Option<&'a Finding> {
    snapshot.findings.iter().map(|finding| &**finding).find(|finding| finding.check == check)
}

fn messages(snapshot: &Snapshot) -> Option<u64> {
    snapshot.known_streams().first()?.state.value().map(|state| state.messages)
}

#[tokio::test]
async fn jetstream_that_is_switched_off_makes_all_of_it_old_and_nothing_zero() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nats.conf");
    fs::write(&config, [ACCOUNTS, JETSTREAM].concat()).unwrap();
    let mut server = NatsServer::start_with(Some(&config), &[]).await;
    let app_context = app(&server).await;
    let orders = stream::Config { name: "ORDERS".to_owned(), ..stream::Config::default() };
    app_context.create_stream(orders).await.unwrap();
    app_context.publish("ORDERS", "one".into()).await.unwrap().await.unwrap();
    let observer = Observer::start(user(&server, "app", "word"), Some(user(&server, "sys", "word")));
    observer.sees("the stream", |snapshot| snapshot.streams.fresh().is_some() && messages(snapshot) == Some(1)).await;

    server.stop().await;
    fs::write(&config, ACCOUNTS).unwrap();
    server.start_again().await;
    let is_off = |snapshot: &Snapshot| snapshot.streams.reason().is_some_and(|said| said.contains("JetStream is off"));
    let snapshot = observer
        .sees("that JetStream is off", |snapshot| is_off(snapshot) && found(snapshot, "jetstream_off").is_some())
        .await;
    assert_eq!((messages(&snapshot), snapshot.streams.fresh()), (Some(1), None));
    let finding = found(&snapshot, "jetstream_off").unwrap();
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Critical, "server n1"));

    server.stop().await;
    fs::write(&config, [ACCOUNTS, JETSTREAM].concat()).unwrap();
    server.start_again().await;
    observer.sees("it again", |snapshot| snapshot.streams.fresh().is_some() && messages(snapshot) == Some(1)).await;
    observer.sees("nothing wrong", |snapshot| found(snapshot, "jetstream_off").is_none()).await;
}

#[tokio::test]
async fn a_stream_whose_source_is_not_there_says_so() {
    let server = NatsServer::start_configured(&[ACCOUNTS, JETSTREAM].concat()).await;
    let app_context = app(&server).await;
    let source = |name: &str| stream::Source { name: name.to_owned(), ..stream::Source::default() };
    let named = |name: &str| stream::Config { name: name.to_owned(), ..stream::Config::default() };
    app_context.create_stream(named("ORDERS")).await.unwrap();
    let gathered = stream::Config { sources: Some(vec![source("ORDERS"), source("NOWHERE")]), ..named("ALL") };
    app_context.create_stream(gathered).await.unwrap();
    for system in [None, Some(user(&server, "sys", "word"))] {
        let observer = Observer::start(user(&server, "app", "word"), system);
        let snapshot = observer.sees("the finding", |snapshot| found(snapshot, "origin_fails").is_some()).await;
        let finding = found(&snapshot, "origin_fails").unwrap();
        let said = "It gets nothing from NOWHERE: stream not found.";
        assert_eq!((finding.about.as_str(), finding.sentence.as_str()), ("stream ALL", said));
    }
}
