//! What the browser looks at: a NATS with something on every page, some of it in trouble and some badly named, and the observer.

use std::time::Duration;

use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        kv, stream,
    },
};
use futures_util::StreamExt;
use opentelemetry_proto::tonic::trace::v1::Status;
use prost::Message;
use rustix::process::Signal;
use serde_json::{Value, json};
use streamgauge::{
    clock::{Clock, Timestamp},
    dead_letter::{self, header},
    presence, record,
};

use crate::support::{
    eventually,
    http::get,
    nats_server::NatsServer,
    port::ReservedPort,
    process::{Process, streamgauge},
    spans::{processing, request, text},
};

/// A start, and the first verdicts, take a second or two; this is for a machine that does much else.
const LIMIT: Duration = Duration::from_secs(60);

/// Seconds between two rounds.
const INTERVAL: &str = "0.5";

const CONFIG: &str = r#"
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      APP { jetstream: enabled, users: [{ user: app, password: word }] }
    }
    system_account: SYS
    jetstream {}
    server_name: n1
"#;

/// What the broker accepts as the name of a stream and of a consumer.
const HOSTILE_NAME: &str = "<img\"'&=\u{202e}x";

/// What it accepts where any text may stand.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}{{ 7 }}";

/// Every kind of page, and what is answered there.
pub const PAGES: [(&str, u16); 21] = [
    ("/", 200),
    ("/map", 200),
    ("/consumers", 200),
    (NOBODY, 200),
    ("/consumers/APP/%3Cimg%22'%26%3D%E2%80%AEx/%3Cimg%22'%26%3D%E2%80%AEx", 200),
    ("/streams", 200),
    ("/streams/APP/ORDERS", 200),
    ("/findings", 200),
    ("/dead-letters", 200),
    ("/dead-letters/ORDERS/mail/2", 200),
    ("/advisories", 200),
    ("/services", 200),
    ("/records", 200),
    ("/records/order", 200),
    ("/servers", 200),
    ("/traces?stream=ORDERS", 200),
    (TRACED, 200),
    (UNTRACED, 404),
    (FOLLOWED, 200),
    ("/journey?id=nothing", 200),
    ("/nowhere", 404),
];

/// The consumer that has messages and no workers.
pub const NOBODY: &str = "/consumers/APP/ORDERS/mail";

/// The trace that was sent, and a span of it.
pub const TRACED: &str = "/traces/00000000000000000000000000000002?span=0000000000000002";

/// The order whose messages its spans handle.
pub const FOLLOWED: &str = "/journey?id=019a6f3e-0001-7000-8000-000000000001";

/// One that was not.
pub const UNTRACED: &str = "/traces/4bf92f3577b34da6a3ce929d0e0e4736";

/// The messages that it has at first.
pub const UNREAD: u64 = 5;

/// NATS and the observer; both end with their test.
pub struct Stage {
    pub nats: NatsServer,
    port: ReservedPort,
    observer: Option<Process>,
    jetstream: jetstream::Context,
}

impl Stage {
    pub async fn set() -> Self {
        let nats = NatsServer::start_configured(CONFIG).await;
        let login = ConnectOptions::with_user_and_password("app".into(), "word".into());
        let jetstream = jetstream::new(login.connect(nats.url()).await.unwrap());
        let mut stage = Self { nats, port: ReservedPort::new(), observer: None, jetstream };
        stage.orders().await;
        stage.badly_named().await;
        stage.dead_letters().await;
        stage.services().await;
        stage.observe().await;
        let verdict = async || stage.consumer().await.filter(|mail| mail["verdict"]["label"] == "no_workers");
        eventually(LIMIT, "it is seen that nobody works", verdict).await;
        stage
    }

    /// A consumer that nobody reads, one that has processed everything, and one that is held up.
    async fn orders(&self) {
        let orders = self.stream("ORDERS", "orders.>", "").await;
        for name in ["mail", "idle", "held"] {
            orders.create_consumer(self.consumer_config(name, "orders.placed.*")).await.unwrap();
        }
        self.publish(UNREAD).await;
        for (name, is_acked) in [("idle", true), ("held", false)] {
            let consumer: pull::Config = self.consumer_config(name, "orders.placed.*");
            let consumer = orders.get_or_create_consumer(name, consumer).await.unwrap();
            let mut messages = consumer.fetch().max_messages(5).messages().await.unwrap();
            while let Some(message) = messages.next().await {
                if is_acked {
                    message.unwrap().ack().await.unwrap();
                }
            }
        }
    }

    /// Names and texts that would do harm where they are taken for more than text, and names that leave no room.
    async fn badly_named(&self) {
        let long = format!("LONG_{}", "0123456789".repeat(12));
        for (name, subject) in [(HOSTILE_NAME, "hostile.>"), (long.as_str(), "long.>")] {
            let stream = self.stream(name, subject, HOSTILE).await;
            let filter = subject.replace('>', &"token.".repeat(20)) + "*";
            let mut config = self.consumer_config(name, &filter);
            config.description = Some(HOSTILE.to_owned());
            config.metadata = [(HOSTILE.to_owned(), HOSTILE.to_owned())].into();
            stream.create_consumer(config).await.unwrap();
            self.send(&filter.replace('*', "1"), HeaderMap::new(), HOSTILE).await;
        }
    }

    async fn dead_letters(&self) {
        self.stream(dead_letter::STREAM, "dead.>", "").await;
        let now = Clock::system().now();
        for sequence in 1..=3 {
            let mut headers = HeaderMap::new();
            let sequence = sequence.to_string();
            let texts = [
                (header::STREAM, "ORDERS"),
                (header::CONSUMER, "mail"),
                (header::SEQUENCE, &sequence),
                (header::SUBJECT, "orders.placed.1"),
                (header::REASON, HOSTILE),
                (header::CLASS, "rejected"),
                (header::ATTEMPTS, "5"),
                (header::TIME, &json_text(now)),
                ("hostile", HOSTILE),
            ];
            texts.iter().for_each(|(name, text)| headers.insert(*name, *text));
            self.send("dead.ORDERS.mail", headers, HOSTILE).await;
        }
    }

    /// What services say of themselves and of what they do.
    async fn services(&self) {
        let now = Clock::system().now();
        let (presence, records) = (self.bucket(presence::BUCKET).await, self.bucket(record::BUCKET).await);
        let long_ago = now.before(Duration::from_secs(60));
        let instances = [("mailer", "1", true, now), ("mailer", "2", false, now), (HOSTILE, "3", true, long_ago)];
        for (service, instance, is_ready, written) in instances {
            let part = json!({ "name": "nats", "passes": is_ready, "reason": HOSTILE, "age_seconds": 7.0 });
            let probe = json!({ "passes": is_ready, "parts": [part] });
            let worker = json!({
                "stream": "ORDERS", "consumer": "held", "concurrency": 4, "running": 1, "handled": 70, "failed": 3,
                "p50_seconds": 0.01, "p99_seconds": 2.5, "breaker": "open",
            });
            let entry = json!({
                "service": service, "instance": instance, "version": "1.2.3", "started": long_ago, "written": written,
                "address": "127.0.0.1:7080", "probes": { "live": probe, "ready": probe, "startup": probe }, "workers": [worker],
            });
            put(&presence, &format!("service.{instance}"), &entry).await;
        }
        for (id, phase) in [("1", "open"), ("2", "succeeded"), ("3", "failed")] {
            let step = json!({ "name": "OrderPlaced", "at": now, "by": "storefront" });
            let record = json!({
                "kind": "order", "id": id, "state": "placed", "phase": phase, "started": now, "since": now,
                "summary": HOSTILE, "reason": HOSTILE, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "steps": [step, step],
            });
            put(&records, &format!("order.{id}"), &record).await;
        }
    }

    /// A stream; the one with the bad name has no limits, so that there is something to find.
    async fn stream(&self, name: &str, subject: &str, description: &str) -> stream::Stream {
        let (max_messages, max_bytes) = if name == HOSTILE_NAME { (-1, -1) } else { (1_000, 1_000_000) };
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            description: Some(description.to_owned()).filter(|text| !text.is_empty()),
            max_messages,
            max_bytes,
            ..Default::default()
        };
        self.jetstream.create_stream(config).await.unwrap()
    }

    fn consumer_config(&self, name: &str, filter: &str) -> pull::Config {
        pull::Config {
            durable_name: Some(name.to_owned()),
            filter_subject: filter.to_owned(),
            ack_policy: AckPolicy::Explicit,
            ..Default::default()
        }
    }

    async fn bucket(&self, name: &str) -> kv::Store {
        let config = kv::Config { bucket: name.to_owned(), ..Default::default() };
        self.jetstream.create_key_value(config).await.unwrap()
    }

    async fn send(&self, subject: &str, headers: HeaderMap, text: &str) {
        let sent = self.jetstream.publish_with_headers(subject.to_owned(), headers, text.to_owned().into()).await;
        sent.unwrap().await.unwrap();
    }

    /// Gives the consumers of `ORDERS` so many messages more.
    pub async fn publish(&self, count: u64) {
        for _ in 0..count {
            self.send("orders.placed.1", HeaderMap::new(), "{}").await;
        }
    }

    /// Starts the observer, at the same address each time.
    pub async fn observe(&mut self) {
        let (url, address) = (self.nats.url(), self.port.address().to_string());
        let logins = ["--user", "app", "--password", "word", "--system-user", "sys", "--system-password", "word"];
        let looks =
            ["--interval", INTERVAL, "--trace-url", "http://127.0.0.1:16686/trace/{trace_id}", "--otlp", "127.0.0.1:0"];
        let arguments = [&["serve", "--nats", &url, "--listen", &address], &looks[..], &logins].concat();
        self.observer = Some(Process::start(&mut streamgauge(&arguments)));
        eventually(LIMIT, "the observer has read", async || self.consumer().await).await;
        self.traced().await;
    }

    /// Sends the observer a trace.
    async fn traced(&self) {
        let observer = self.observer.as_ref().unwrap();
        let address = observer.takes_traces_at(LIMIT).await;
        let mut spans: Vec<_> = (0..4).map(|number| processing(1, number)).collect();
        spans[2].name = HOSTILE.to_owned();
        spans[2].status = Some(Status { message: HOSTILE.to_owned(), code: 2 });
        spans[1].attributes.push(text(HOSTILE, HOSTILE));
        let body = request(HOSTILE, spans).encode_to_vec();
        let post = reqwest::Client::new().post(format!("{address}/v1/traces")).body(body);
        let answer = post.header("content-type", "application/x-protobuf").send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Ends the observer as a crash would.
    pub async fn lose_observer(&mut self) {
        let mut observer = self.observer.take().unwrap();
        observer.signal(Signal::KILL);
        observer.ended(LIMIT).await;
    }

    /// Where the pages are, with no `/` at the end.
    pub fn home(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// What the observer knows of the consumer that nobody reads.
    pub async fn consumer(&self) -> Option<Value> {
        let answer = get(&format!("{}/api/v1{NOBODY}", self.home())).await.ok()?;
        (answer.status == 200).then(|| answer.json())
    }
}

fn json_text(at: Timestamp) -> String {
    json!(at).as_str().unwrap().to_owned()
}

async fn put(bucket: &kv::Store, key: &str, value: &Value) {
    bucket.put(key, value.to_string().into()).await.unwrap();
}
