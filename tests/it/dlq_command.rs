//! `streamgauge dlq` as an operator meets it.

use std::{process::Output, time::Duration};

use serde_json::Value;
use streamgauge::{
    bus::{
        Bus,
        topology::{self, StreamSpec, Topology},
    },
    clock::Clock,
    config::NatsConfig,
    consumer::{self, Worker},
    handler::{Context, Outcome},
    nats::{self, Connection},
    tasks::Tasks,
    telemetry::Telemetry,
};

use crate::support::{eventually, nats_server::NatsServer, process::streamgauge};

/// Longer than anything here takes on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(serde::Serialize, serde::Deserialize)]
struct Mailed {
    to: String,
}

impl streamgauge::bus::Payload for Mailed {
    const KIND: &'static str = "Mailed";
    const STREAM: &'static str = "MAIL";
    const SUBJECT: &'static str = "mail.*";

    fn key(&self) -> String {
        self.to.clone()
    }
}

async fn rejects(_: Context, mailed: Mailed) -> Outcome {
    Outcome::reject(format!("{} has moved", mailed.to))
}

fn dlq(server: &NatsServer, arguments: &[&str]) -> Output {
    let url = server.url();
    streamgauge(&[&["dlq"], arguments, &["--nats", &url]].concat()).output().unwrap()
}

#[track_caller]
fn said(server: &NatsServer, arguments: &[&str], code: i32) -> String {
    let output = dlq(server, arguments);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn mail() -> Topology {
    Topology { streams: vec![StreamSpec::new("MAIL", "test", &["mail.>"])], ..Topology::default() }
}

async fn connect(server: &NatsServer) -> Connection {
    let config = NatsConfig { url: Some(server.url()), nats_wait: 10, ..NatsConfig::default() };
    nats::connect(&config, "test", &Clock::system()).await.unwrap()
}

/// A server on which two messages of the worker `mailer` have died: the first, on `mail.ada`, and a second that is no JSON.
async fn two_dead() -> NatsServer {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    // The rest of the library's stores is made by those who need it.
    let stores = topology::library().only(&[topology::DEAD_LETTERS, topology::ADVISORIES]);
    mail().joined(stores).apply(&connection.jetstream).await.unwrap();
    let bus = Bus::new(connection.clone(), "post-office", Telemetry::unexported(), Clock::system());
    bus.publish(&Mailed { to: "ada".into() }).await.unwrap();
    let sent = connection.jetstream.publish("mail.bytes", vec![0u8, 255].into()).await.unwrap();
    sent.await.unwrap();
    let tasks = Tasks::default();
    consumer::start(Worker::new("mailer").on(rejects), &bus, &connection, &tasks, Duration::from_secs(5)).unwrap();
    eventually(LIMIT, "both are settled", async || {
        let stream = connection.jetstream.get_stream("MAIL").await.map_err(|error| error.to_string())?;
        let info = stream.consumer_info("mailer").await.map_err(|error| error.to_string())?;
        if info.ack_floor.stream_sequence == 2 { Ok(()) } else { Err(format!("{:?}", info.ack_floor)) }
    })
    .await;
    assert!(tasks.stop(LIMIT).await);
    server
}

#[tokio::test]
async fn without_dead_letters_it_says_so_and_what_to_do() {
    let server = NatsServer::start().await;
    let missing = said(&server, &["list"], 1);
    assert!(missing.contains("DEAD_LETTERS") && missing.contains("streamgauge topology apply"), "{missing}");
    let connection = connect(&server).await;
    topology::library().apply(&connection.jetstream).await.unwrap();
    assert!(said(&server, &["list"], 0).contains("No dead letters"));
    assert!(said(&server, &["list", "--stream", "X"], 0).contains("No dead letter fits"));
    let unknown = said(&server, &["show", "MAIL.mailer.7"], 1);
    assert!(unknown.contains("no dead letter MAIL.mailer.7"), "{unknown}");
    assert!(said(&server, &["show", "seven"], 2).contains("<stream>.<durable>.<sequence>"));
    assert!(said(&server, &["replay"], 1).contains("say which letters"));
    connection.jetstream.delete_stream(topology::ADVISORIES).await.unwrap();
    assert!(said(&server, &["list"], 0).contains("Not seen: messages that only the server gave up on"));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_asked() {
    let check = |arguments: &[&str], code: i32, words: &str| {
        let output = streamgauge(&[&["dlq"], arguments, &["--nats", "nats://127.0.0.1:1"]].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    };
    for rate in ["--rate=0", "--rate=-1", "--rate=nan", "--rate=inf", "--rate=1e9", "--rate=0.0001"] {
        check(&["replay", "A.b.1", "--yes", rate], 2, "give a number from 0.001 to 100000");
    }
    check(&["replay", "A.b.1", "--rate=fast"], 2, "--rate");
    for limit in ["--limit=0", "--limit=-1", "--limit=1000001", "--limit=many"] {
        check(&["list", limit], 2, "--limit");
        check(&["replay", "--stream", "A", limit], 2, "--limit");
    }
    for since in ["yesterday", "12", "-3d", "99999999999d", "2030-01-31"] {
        check(&["list", &format!("--since={since}")], 2, "neither an age (90m, 12h, 3d) nor a time");
    }
}

#[tokio::test]
async fn letters_are_listed_and_shown_in_words_and_as_json() {
    let server = two_dead().await;
    let list = said(&server, &["list"], 0);
    for words in ["MAIL.mailer.1", "mail.ada", "rejected: ada has moved", "MAIL.mailer.2", "2 dead letters"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let json: Value = serde_json::from_str(&said(&server, &["list", "--json", "--class", "rejected"], 0)).unwrap();
    assert_eq!(json["letters"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&json["letters"][0]["id"], &json["letters"][0]["source"]),
        (&"MAIL.mailer.1".into(), &"post-office".into())
    );
    assert_eq!((&json["is_cut"], &json["sees_advisories"]), (&false.into(), &true.into()));

    let shown = said(&server, &["show", "MAIL.mailer.1"], 0);
    for words in ["reason       ada has moved", "\"to\": \"ada\"", "post-office", "dlq replay MAIL.mailer.1", "trace  "]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(said(&server, &["show", "MAIL.mailer.2"], 0).contains("    00ff"));
    let json: Value = serde_json::from_str(&said(&server, &["show", "--json", "MAIL.mailer.1"], 0)).unwrap();
    assert_eq!(json["payload"]["to"], "ada");
}

#[tokio::test]
async fn a_replay_is_shown_before_it_is_done_and_done_once() {
    let server = two_dead().await;
    let connection = connect(&server).await;
    let stream = connection.jetstream.get_stream("MAIL").await.unwrap();
    let foreign =
        async_nats::jetstream::consumer::pull::Config { durable_name: Some("legacy".into()), ..Default::default() };
    stream.create_consumer(foreign).await.unwrap();

    let dry = said(&server, &["replay", "MAIL.mailer.1", "--dry-run"], 0);
    for words in ["would be published on mail.ada", "for mailer", "legacy", "Nothing was published"] {
        assert!(dry.contains(words), "{words}: {dry}");
    }
    assert!(said(&server, &["replay", "MAIL.mailer.1"], 1).contains("say --yes"));
    assert!(said(&server, &["show", "MAIL.mailer.1"], 0).contains("MAIL.mailer.1"));
    let made = connection.jetstream.get_stream("KV_replays").await;
    assert!(made.is_err(), "who only looks makes nothing");
    assert_eq!(stream.get_info().await.unwrap().state.messages, 2);

    let done = said(&server, &["replay", "--durable", "mailer", "--class", "rejected", "--yes"], 0);
    assert!(done.contains("at sequence 3") && done.contains("1 replayed, 0 had been before, 0 failed"), "{done}");
    let again = said(&server, &["replay", "MAIL.mailer.1", "--yes"], 0);
    assert!(again.contains("0 replayed, 1 had been before") && again.contains("--again"), "{again}");
    assert_eq!(stream.get_info().await.unwrap().state.messages, 3);
    assert!(said(&server, &["list"], 0).contains("at sequence 3"), "the list tells of the replay");
    let partly = said(&server, &["replay", "MAIL.mailer.1", "MAIL.mailer.77", "--yes", "--again", "--json"], 1);
    assert!(partly.contains(r#""result":"published""#) && partly.contains(r#""result":"failed""#), "{partly}");
    assert_eq!(stream.get_info().await.unwrap().state.messages, 4);
}
