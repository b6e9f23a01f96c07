//! The examples, run as a reader would run them, against a real server.

use std::{env, path::PathBuf, process::Command, time::Duration};

use async_nats::jetstream::stream::Config;
use rustix::process::Signal;
use serde_json::json;
use streamgauge::{
    clock::Clock,
    config::NatsConfig,
    consumer::dead_letter::{DeadLetters, Filter},
    nats::{self, Connection},
};

use crate::support::{
    eventually,
    nats_server::NatsServer,
    process::{Process, without_settings},
};

/// Longer than anything here takes on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(30);

/// The built example; `cargo test` builds all of them, into the folder beside that of the tests.
fn built(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).expect("a test lies in <profile>/deps").join("examples");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: build it with `cargo build --examples`", path.display());
    path
}

fn example(name: &str, nats: &NatsServer) -> Process {
    let mut command = Command::new(built(name));
    without_settings(&mut command);
    Process::start(command.env("NATS_URL", nats.url()))
}

async fn connect(nats: &NatsServer) -> Connection {
    let config = NatsConfig { url: Some(nats.url()), nats_wait: 10, ..NatsConfig::default() };
    nats::connect(&config, "test", &Clock::system()).await.unwrap()
}

async fn ends_well(mut process: Process) {
    process.signal(Signal::TERM);
    assert!(process.ended(LIMIT).await.success());
}

#[tokio::test]
async fn a_complete_worker_handles_tries_again_and_buries_in_forty_lines() {
    let lines = include_str!("../../examples/worker.rs").lines().count();
    assert!(lines <= 40, "{lines} lines");
    let nats = NatsServer::start().await;
    let connection = connect(&nats).await;
    let stream = Config { name: "CUSTOMERS".into(), subjects: vec!["customers.>".into()], ..Config::default() };
    connection.jetstream.create_stream(stream).await.unwrap();
    let worker = example("worker", &nats);
    for (id, email) in [("1", "ada@example.org"), ("2", "nobody")] {
        let payload = json!({ "id": id, "email": email }).to_string();
        let sent = connection.jetstream.publish(format!("customers.joined.{id}"), payload.into()).await;
        sent.unwrap().await.unwrap();
    }
    worker.line(LIMIT, "that ada is greeted", |line| line.contains("greeted ada@example.org")).await;
    let letters = eventually(LIMIT, "the other one is a dead letter", async || {
        let letters = DeadLetters::open(&connection).await.map_err(|error| error.to_string())?;
        let listed = letters.list(&Filter::default(), 10).await.map_err(|error| error.to_string())?.letters;
        if listed.is_empty() { Err("no letter".to_owned()) } else { Ok(listed) }
    });
    let letters = letters.await;
    assert_eq!(letters.len(), 1);
    let death = &letters[0].death;
    assert_eq!(
        (death.attempts, death.reason.as_str()),
        (Some(3), "no mail gets to nobody; attempt 3 was the last one")
    );
    ends_well(worker).await;
}
