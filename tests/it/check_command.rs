//! `streamgauge check` as cron, CI and monitors meet it: what it writes, and the code that it ends with.

use std::{cell::Cell, time::Duration};

use async_nats::jetstream::{self, consumer::pull, stream};
use serde_json::Value;

use crate::support::{nats_server::NatsServer, process::streamgauge};

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Three short rounds, which is enough for a trend.
async fn check(server: &NatsServer, arguments: &[&str]) -> Ended {
    let url = server.url();
    let arguments = [&["check", "--interval", "0.2", "--nats", &url], arguments].concat();
    let mut command = streamgauge(&arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Ended {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// A stream that no lint minds, with a consumer.
async fn orders(jetstream: &jetstream::Context, max_messages: i64, metadata: &[(&str, &str)]) -> stream::Stream {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let config = stream::Config {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into(), "dead.>".into()],
        max_age: Duration::from_secs(86_400),
        max_messages,
        metadata,
        ..Default::default()
    };
    let orders = jetstream.create_stream(config).await.unwrap();
    let config = pull::Config { durable_name: Some("reserve".into()), ..Default::default() };
    orders.create_consumer(config).await.unwrap();
    orders
}

async fn publish(jetstream: &jetstream::Context, count: usize) {
    for _ in 0..count {
        jetstream.publish("orders.placed", "{}".into()).await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_where_all_is_well_passes() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, -1, &[]).await;
    let ended = check(&server, &[]).await.expect(0);
    assert_eq!(ended.out, "nothing found (1 stream, 1 consumer, servers not seen)\n");
}

/// What people have who never heard of this program: nothing of it is danger.
#[tokio::test]
async fn a_plain_nats_where_all_is_well_passes() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let config = stream::Config {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into()],
        max_age: Duration::from_secs(86_400),
        ..Default::default()
    };
    let orders = jetstream.create_stream(config).await.unwrap();
    let config = pull::Config { durable_name: Some("reserve".into()), ..Default::default() };
    orders.create_consumer(config).await.unwrap();
    let bucket = jetstream::kv::Config { bucket: "settings".into(), history: 1, ..Default::default() };
    let settings = jetstream.create_key_value(bucket).await.unwrap();
    settings.put("colour", "blue".into()).await.unwrap();
    let files = jetstream::object_store::Config { bucket: "files".into(), ..Default::default() };
    let files = jetstream.create_object_store(files).await.unwrap();
    files.put("readme", &mut "hello".as_bytes()).await.unwrap();
    let _watcher = settings.watch_all().await.unwrap();
    let ended = check(&server, &["--fail-on", "warning"]).await.expect(0);
    assert_eq!(ended.out, "nothing found (3 streams, 2 consumers, servers not seen)\n");
}

#[tokio::test]
async fn messages_that_nobody_reads_fail_it_in_each_format() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, -1, &[]).await;
    publish(&jetstream, 5).await;
    let text = check(&server, &[]).await.expect(1);
    let first = "critical  consumer reserve of stream ORDERS in account $G: no workers. 5 messages wait and no worker asks for them.";
    assert_eq!(text.out.lines().next(), Some(first));
    assert!(text.err.contains("1 found at warning or above"), "{}", text.err);
    let json: Value = serde_json::from_str(&check(&server, &["--format", "json"]).await.expect(1).out).unwrap();
    assert_eq!((&json["status"], &json["items"][0]["check"]), (&"critical".into(), &"no_workers".into()));
    let junit = check(&server, &["--format", "junit"]).await.expect(1).out;
    assert!(junit.contains("<testsuite name=\"consumers\" tests=\"1\" failures=\"1\">"), "{junit}");
    let prometheus = check(&server, &["--format", "prometheus"]).await.expect(1).out;
    assert!(prometheus.contains("streamgauge_check_consumers{verdict=\"no_workers\"} 1\n"), "{prometheus}");
    let nagios = check(&server, &["--format", "nagios"]).await.expect(2).out;
    assert!(nagios.starts_with("STREAMGAUGE CRITICAL - 1 critical: consumer reserve"), "{nagios}");
}

#[tokio::test]
async fn a_stream_that_removes_what_nobody_read_is_losing_it_and_is_cured() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let orders = orders(&jetstream, 5, &[]).await;
    let is_over = Cell::new(false);
    // Each message is confirmed: one that is still on its way would come after the purge.
    let publisher = async {
        while !is_over.get() {
            publish(&jetstream, 1).await;
        }
    };
    let losing = async {
        let ended = check(&server, &["--format", "json"]).await;
        is_over.set(true);
        ended.expect(1)
    };
    let (losing, ()) = tokio::join!(losing, publisher);
    let json: Value = serde_json::from_str(&losing.out).unwrap();
    assert_eq!(json["items"][0]["check"], "losing", "{}", losing.out);
    orders.purge().await.unwrap();
    check(&server, &[]).await.expect(0);
}

#[tokio::test]
async fn thresholds_come_from_metadata_then_from_flags_and_can_be_silenced() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, -1, &[("io.nats.monitor.msgs-critical", "3")]).await;
    let few = check(&server, &[]).await.expect(1);
    assert!(
        few.out.contains("critical  stream ORDERS in account $G: stream threshold. It holds 0 messages"),
        "{}",
        few.out
    );
    let both = check(&server, &["--last-delivery-critical", "0.001"]).await.expect(1);
    assert!(both.out.contains("consumer reserve of stream ORDERS in account $G: consumer threshold."), "{}", both.out);
    jetstream.delete_stream("ORDERS").await.unwrap();
    orders(&jetstream, -1, &[("io.nats.monitor.msgs-critical", "3"), ("io.nats.monitor.enabled", "false")]).await;
    publish(&jetstream, 5).await;
    check(&server, &["--last-delivery-critical", "0.001"]).await.expect(0);
}

#[tokio::test]
async fn one_round_finds_nothing_in_a_consumer_at_work_and_says_that_it_did_not_judge_it() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, -1, &[]).await;
    publish(&jetstream, 5).await;
    let once = ["--rounds", "1", "--fail-on", "notice"];
    let text = check(&server, &once).await.expect(0).out;
    let said = "nothing found, 1 consumer not judged in fewer than 3 rounds (1 stream, 1 consumer, servers not seen)\n";
    assert_eq!(text, said);
    let json: Value =
        serde_json::from_str(&check(&server, &[&once[..], &["--format", "json"]].concat()).await.expect(0).out)
            .unwrap();
    assert_eq!((&json["unjudged"], &json["consumers"][0]["label"]), (&1.into(), &"unknown".into()), "{json}");
    check(&server, &["--fail-on", "notice"]).await.expect(1);
}

#[tokio::test]
async fn a_lint_is_found_and_counts_from_its_severity_on() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let config = stream::Config { name: "OPEN".into(), subjects: vec!["open.>".into()], ..Default::default() };
    jetstream.create_stream(config).await.unwrap();
    let open = check(&server, &["--fail-on", "notice"]).await.expect(1);
    assert!(open.out.starts_with("notice    stream OPEN in account $G: no limits."), "{}", open.out);
    check(&server, &["--fail-on", "warning"]).await.expect(0);
    check(&server, &["--fail-on", "warning", "--format", "nagios"]).await.expect(0);
}

#[tokio::test]
async fn a_server_that_is_away_is_no_good_news() {
    let mut server = NatsServer::start().await;
    server.stop().await;
    let away = check(&server, &["--nats-wait", "1"]).await.expect(2);
    assert!(away.err.contains("could not look") && away.err.contains(&server.url()), "{}", away.err);
    let nagios = check(&server, &["--nats-wait", "1", "--format", "nagios"]).await.expect(3);
    assert!(nagios.out.starts_with("STREAMGAUGE UNKNOWN - "), "{}", nagios.out);
}

#[tokio::test]
async fn an_account_that_cannot_be_read_fails_it_and_the_others_are_looked_at() {
    let accounts = "jetstream {}\naccounts {\n\
        ONE { jetstream: enabled, users: [{ user: one, password: word }] }\n\
        TWO { jetstream: enabled, users: [{ user: two, password: word }, { user: ada, password: word }] }\n}\n";
    let server = NatsServer::start_configured(accounts).await;
    for (user, max_messages) in [("one", -1), ("two", -1)] {
        let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), "word".to_owned());
        orders(&jetstream::new(options.connect(server.url()).await.unwrap()), max_messages, &[]).await;
    }
    let login = |user: &str| server.url().replace("nats://", &format!("nats://{user}@"));
    let one = ["--user", "one", "--password", "word"];
    let further = |users: &[&str]| -> Vec<String> {
        users.iter().flat_map(|user| ["--account".to_owned(), login(user)]).collect()
    };
    let of = async |users: &[&str]| {
        let further = further(users);
        check(&server, &one.into_iter().chain(further.iter().map(String::as_str)).collect::<Vec<_>>()).await
    };
    let both = of(&["two:word"]).await.expect(0);
    assert_eq!(both.out, "nothing found (2 streams, 2 consumers, servers not seen)\n");
    let refused = of(&["two:s3cret"]).await.expect(1);
    let found = refused.out.lines().next().unwrap_or_default();
    assert!(found.starts_with("warning   the account of user two: "), "{found}");
    assert!(refused.out.contains("refuses the login of two") && !refused.out.contains("s3cret"), "{}", refused.out);
    let twice = of(&["two:word", "ada:word"]).await.expect(2);
    assert!(twice.err.contains("two and ada are users of the same account, TWO"), "{}", twice.err);
}
