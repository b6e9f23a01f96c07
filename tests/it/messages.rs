//! Stored messages, read by a real observer from a real nats-server: the pages, the API, and that looking changes nothing.

mod journey;
mod pages;
mod reading;
mod records;
mod untouched;

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{self, message::PublishMessage, stream},
};
use axum::Router;
use streamgauge::{
    broker::Reader,
    clock::Clock,
    collector::{self, History, Snapshots},
    config::NatsConfig,
    peek::{Found, Question},
    snapshot::Reading,
    traces::Traces,
    web::{self, Web},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{eventually, nats_server::NatsServer, observing};

const LIMIT: Duration = Duration::from_secs(20);

/// The account of a server that has none set up.
const ACCOUNT: &str = "$G";

/// What somebody may write where a name is expected.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}{{ 7 }}";

/// An observer at work, its reader and its pages; it ends with its test.
pub(crate) struct Observer {
    reader: Reader,
    pub(crate) router: Router,
    snapshots: Snapshots,
    _stop: DropGuard,
}

impl Observer {
    fn at(server: &NatsServer) -> Self {
        Self::start(NatsConfig { url: Some(server.url()), ..NatsConfig::default() })
    }

    fn start(app: NatsConfig) -> Self {
        Self::with(app, Traces::default())
    }

    /// One that was sent traces.
    pub(crate) fn with(app: NatsConfig, traces: Traces) -> Self {
        let looking = observing::settings(app, Duration::from_millis(200));
        let (collector, snapshots) = collector::new(looking, Clock::system()).unwrap();
        let stop = CancellationToken::new();
        let reader = collector.reader();
        let settings = web::Settings { reader: reader.clone(), traces, ..web::Settings::default() };
        let web = Web::new(snapshots.clone(), History::default(), settings, Clock::system(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "the test waits for what this task tells")]
        tokio::spawn(collector.run(stop.clone()));
        Self { reader, router: web::router(web, Router::new()), snapshots, _stop: stop.drop_guard() }
    }

    /// Waits until a stream is seen, and with it whose account it is.
    pub(crate) async fn sees(&self, name: &str) {
        eventually(LIMIT, "the stream is seen", async || {
            let snapshot = self.snapshots.borrow().clone();
            snapshot.stream(ACCOUNT, &name.parse().unwrap()).is_some()
        })
        .await;
    }

    async fn finds(&self, question: &Question) -> Found {
        match self.reader.find(ACCOUNT, question).await {
            Reading::Known(fact) => fact.value,
            other => panic!("{question:?}: {other:?}"),
        }
    }
}

async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// A stream `ORDERS` of all below `orders`.
async fn orders(jetstream: &jetstream::Context, config: stream::Config) -> stream::Stream {
    let config = stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..config };
    jetstream.create_stream(config).await.unwrap()
}

/// Publishes messages on the subjects that `subject` gives by their numbers, counted from 1.
async fn publish(jetstream: &jetstream::Context, count: u64, subject: impl Fn(u64) -> String) {
    publish_all(jetstream, usize::try_from(count).unwrap(), |number| {
        (subject(number as u64), format!("{{\"number\":{number}}}").into_bytes())
    })
    .await;
}

/// Publishes what is given by its number, counted from 1.
async fn publish_all(jetstream: &jetstream::Context, count: usize, message: impl Fn(usize) -> (String, Vec<u8>)) {
    let mut confirmed = Vec::new();
    for number in 1..=count {
        let (subject, payload) = message(number);
        confirmed.push(jetstream.publish(subject, payload.into()).await.unwrap());
        if confirmed.len() == 256 {
            for one in confirmed.drain(..) {
                one.await.unwrap();
            }
        }
    }
    for one in confirmed {
        one.await.unwrap();
    }
}

/// Publishes one message with headers.
async fn publish_with(
    jetstream: &jetstream::Context,
    subject: &str,
    headers: &[(&str, &str)],
    payload: Vec<u8>,
) -> u64 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    let message = PublishMessage::build().headers(map).payload(payload.into());
    jetstream.send_publish(subject.to_owned(), message).await.unwrap().await.unwrap().sequence
}

/// The newest messages of `ORDERS`.
fn newest(rows: usize) -> Question {
    Question::newest("ORDERS".parse().unwrap(), rows)
}

fn sequences(found: &Found) -> Vec<u64> {
    found.rows.iter().map(|row| row.sequence).collect()
}
