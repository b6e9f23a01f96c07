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
    process::{Process, run, streamgauge, without_settings},
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

/// Runs an example to its end and returns what it said.
async fn said_by(name: &str, nats: &NatsServer) -> Vec<String> {
    let mut process = example(name, nats);
    assert!(process.ended(LIMIT).await.success());
    process.stdout()
}

async fn settled(connection: &Connection, stream: &str, durable: &str, messages: u64) {
    eventually(LIMIT, "every message is settled", async || {
        let stream = connection.jetstream.get_stream(stream).await.map_err(|error| error.to_string())?;
        let info = stream.consumer_info(durable).await.map_err(|error| error.to_string())?;
        let floor = info.ack_floor.stream_sequence;
        if floor == messages { Ok(()) } else { Err(format!("{floor} of {messages}")) }
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_stored_once() {
    let nats = NatsServer::start().await;
    let said = said_by("batch", &nats).await;
    assert_eq!(said, ["stored: messages [1, 2, 3] of DELIVERIES", "had been stored: messages [1, 2, 3] of DELIVERIES"]);
    let mut stream = connect(&nats).await.jetstream.get_stream("DELIVERIES").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 3);
}

#[tokio::test]
async fn an_invoice_that_comes_twice_is_paid_once() {
    let nats = NatsServer::start().await;
    let inbox = example("inbox", &nats);
    inbox.line(LIMIT, "that it pays", |line| line.starts_with("paid")).await;
    settled(&connect(&nats).await, "INVOICES", "cashier", 2).await;
    assert_eq!(inbox.stdout(), ["paid 1290 cents for invoice 2030-7"]);
    ends_well(inbox).await;
}

#[tokio::test]
async fn each_gauge_is_charted_in_order() {
    let nats = NatsServer::start().await;
    let partitions = example("partitions", &nats);
    let lines = eventually(LIMIT, "every reading is charted", async || {
        let lines = partitions.stdout();
        if lines.len() == 15 { Ok(lines) } else { Err(lines) }
    });
    let lines = lines.await;
    for gauge in ["cologne", "dresden", "passau"] {
        let of_gauge: Vec<&String> = lines.iter().filter(|line| line.contains(gauge)).collect();
        assert_eq!(of_gauge.len(), 5, "{lines:?}");
        assert!(of_gauge.iter().zip(1..).all(|(line, level)| line.contains(&format!("at {level} mm"))), "{lines:?}");
    }
    ends_well(partitions).await;
}

#[tokio::test]
async fn a_request_is_answered_refused_or_given_up() {
    let nats = NatsServer::start().await;
    let request = example("request", &nats);
    request.line(LIMIT, "the last answer", |line| line.starts_with("no price of a pearl")).await;
    assert_eq!(request.stdout()[..2], ["tea costs 450 cents", "the moon is not for sale"]);
    ends_well(request).await;
}

#[tokio::test]
async fn a_topology_that_a_program_prints_is_applied() {
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topology.json");
    std::fs::write(&file, said_by("topology", &nats).await.join("\n")).unwrap();
    for verb in ["apply", "diff"] {
        run(streamgauge(&["topology", verb, "--file", file.to_str().unwrap()]).env("NATS_URL", nats.url()));
    }
    let connection = connect(&nats).await;
    let stream = connection.jetstream.get_stream("BOOKS").await.unwrap();
    stream.consumer_info("reminders").await.unwrap();
}

#[test]
fn every_example_is_short_and_run_here() {
    let tests = include_str!("examples.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 120, "{name} has {lines} lines");
        assert!(tests.contains(&format!("(\"{name}\", &nats)")), "{name} is run by no test");
    }
}
