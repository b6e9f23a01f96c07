//! `streamgauge topology` as its user meets it: what it prints, and the code that it ends with.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{nats_server::NatsServer, process::streamgauge};

/// A stream with a consumer that gives messages up, and a bucket.
const FILE: &str = r#"{
    "streams": [{ "name": "BILLS", "owner": "billing", "subjects": ["bills.>"], "max_age_seconds": 86400 }],
    "consumers": [{ "stream": "BILLS", "durable": "printer", "owner": "printing", "max_deliver": 5 }],
    "buckets": [{ "name": "paid", "owner": "billing", "max_bytes": 1048576 }]
}"#;

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

async fn ended(mut command: Command) -> Ended {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn topology(server: &NatsServer, arguments: &[&str]) -> Ended {
    let mut command = streamgauge(&[&["topology"], arguments].concat());
    command.env("NATS_URL", server.url());
    ended(command).await
}

/// A folder with a file that declares.
fn declared(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topology.json");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

#[tokio::test]
async fn the_mesh_is_planned_applied_and_then_the_same() {
    let server = NatsServer::start().await;
    let planned = topology(&server, &["plan"]).await.expect(0);
    let words = ["create", "stream", "ORDERS", "takes", "orders.>;", "keeps", "1", "d,", "256", "MiB"];
    assert!(planned.out.lines().any(|line| line.split_whitespace().eq(words)), "{}", planned.out);
    let differs = topology(&server, &["diff"]).await.expect(2);
    assert!(differs.err.contains("differs from what is declared"), "{}", differs.err);
    let applied = topology(&server, &["apply"]).await.expect(0);
    assert!(applied.out.ends_with("created, 0 updated\n"), "{}", applied.out);
    topology(&server, &["diff"]).await.expect(0);
    let same = topology(&server, &["diff", "--json"]).await.expect(0);
    assert_eq!(same.json()["is_same"], true);
    assert_eq!(topology(&server, &["lint"]).await.expect(0).out, "the lints find nothing\n");
}

#[tokio::test]
async fn a_file_of_ones_own_is_planned_with_what_the_lints_say() {
    let server = NatsServer::start().await;
    let (_folder, file) = declared(FILE);
    let planned = topology(&server, &["plan", "--file", &file]).await.expect(0);
    assert!(planned.out.contains("critical  consumer printer of stream BILLS: "), "{}", planned.out);
    assert!(
        planned
            .out
            .contains("to do: apply the library's stream ADVISORIES (`streamgauge topology apply --only ADVISORIES`)"),
        "{}",
        planned.out
    );
    let planned = topology(&server, &["plan", "--file", &file, "--json"]).await.expect(0);
    assert_eq!(planned.json()["findings"][0]["check"], "gives_up_unseen");
    let findings = planned.json()["findings"].as_array().unwrap().clone();
    let is_told = findings.iter().any(|found| found["check"] == "no_dead_letters");
    assert!(is_told, "what is declared is for workers of the library: {findings:?}");
    topology(&server, &["apply", "--file", &file]).await.expect(0);
    topology(&server, &["diff", "--file", &file]).await.expect(0);
    topology(&server, &["lint"]).await.expect(2);

    let other = FILE.replace("86400", "3600").replace(r#""max_deliver": 5"#, r#""ack_wait_seconds": 5"#);
    fs::write(&file, other).unwrap();
    let planned = topology(&server, &["plan", "--file", &file]).await.expect(0);
    for line in [
        "update    stream    BILLS",
        "            max_age  1 d -> 1 h",
        "update    consumer  printer on BILLS",
        "            ack_wait     30 s -> 5 s",
        "            max_deliver  5 -> no limit",
        "2 to update, 1 as declared",
    ] {
        assert!(planned.out.lines().any(|found| found == line), "{line}\n{}", planned.out);
    }
    let applied = topology(&server, &["apply", "--file", &file]).await.expect(0);
    assert!(applied.out.ends_with("done: 0 created, 2 updated\n"), "{}", applied.out);
}

#[tokio::test]
async fn one_store_is_made_and_nothing_else() {
    let server = NatsServer::start().await;
    let planned = topology(&server, &["plan", "--only", "ADVISORIES"]).await.expect(0);
    assert!(planned.out.ends_with("1 to create\n"), "{}", planned.out);
    let applied = topology(&server, &["apply", "--only", "ADVISORIES", "presence"]).await.expect(0);
    assert!(applied.out.ends_with("done: 2 created, 0 updated\n"), "{}", applied.out);
    topology(&server, &["diff", "--only", "ADVISORIES", "--only", "presence"]).await.expect(0);
    topology(&server, &["diff"]).await.expect(2);
    let unknown = topology(&server, &["apply", "--only", "ADVISORY"]).await.expect(1);
    for words in ["no stream or bucket ADVISORY is declared", "DEAD_LETTERS, ADVISORIES"] {
        assert!(unknown.err.contains(words), "{words}\n{}", unknown.err);
    }
    let help = topology(&server, &["apply", "--help"]).await.expect(0);
    assert!(help.out.contains("Example: `streamgauge topology apply --only ADVISORIES`"), "{}", help.out);
}

#[tokio::test]
async fn what_is_printed_is_read_again() {
    let server = NatsServer::start().await;
    let printed = topology(&server, &["print", "--library"]).await.expect(0);
    let (_folder, library) = declared(&printed.out);
    let (_other, own) = declared(FILE);
    topology(&server, &["apply", "--file", &own, "--file", &library]).await.expect(0);
    topology(&server, &["diff", "--file", &library]).await.expect(0);
    let catalogue = topology(&server, &["catalogue", "--file", &own]).await.expect(0);
    assert!(catalogue.out.contains("| `printer` | `BILLS` | printing |  | 30 s |"), "{}", catalogue.out);
}

#[tokio::test]
async fn what_cannot_come_about_changes_nothing_and_is_said() {
    let server = NatsServer::start().await;
    let (_folder, file) = declared(FILE);
    topology(&server, &["apply", "--file", &file]).await.expect(0);
    let other = FILE.replace(r#""subjects""#, r#""storage": "memory", "subjects""#).replace("86400", "3600");
    fs::write(&file, other).unwrap();
    let planned = topology(&server, &["plan", "--file", &file]).await.expect(0);
    assert!(planned.out.contains("because storage cannot be changed from file to memory: "), "{}", planned.out);
    let refused = topology(&server, &["apply", "--file", &file]).await.expect(1);
    assert!(refused.err.contains("nothing was changed"), "{}", refused.err);
    let differs = topology(&server, &["diff", "--file", &file]).await.expect(2);
    assert!(differs.out.contains("CANNOT    stream    BILLS"), "{}", differs.out);
    assert!(differs.err.contains("`streamgauge topology apply` cannot make all of it so"), "{}", differs.err);
    let same = FILE.replace(r#""max_age_seconds": 86400"#, r#""max_age_seconds": 86400.0"#);
    fs::write(&file, same).unwrap();
    topology(&server, &["diff", "--file", &file]).await.expect(0);
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_to_do() {
    let (_folder, file) = declared(r#"{"streams":[{"name":"A","owner":"a","subjects":["a"],"max_agee_seconds":1}]}"#);
    let without_jetstream = NatsServer::start_configured("max_connections: 10").await;
    for (arguments, code, words) in [
        (&["plan", "--nats", "nats://127.0.0.1:1", "--nats-wait", "0"][..], 69, "no NATS server answers at"),
        (&["plan"], 69, "has no JetStream"),
        (&["plan", "--file", "absent.json"], 1, "cannot read absent.json: check the path"),
        (&["plan", "--file", &file], 1, "unknown field `max_agee_seconds`"),
    ] {
        let ended = topology(&without_jetstream, arguments).await.expect(code);
        assert!(ended.err.contains(words), "{words}\n{}", ended.err);
        assert_eq!(ended.out, "");
    }
}
