//! Publishing with all that makes it safe and seen, against the client with a message id and nothing else.

use std::time::Instant;

use anyhow::Context;
use async_nats::jetstream::{self, message::PublishMessage, stream};
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{Bus, Payload},
    clock::Clock,
    config::NatsConfig,
    message::MessageId,
    nats::{Connection, connect},
    telemetry::Telemetry,
};
use tokio::runtime::Runtime;

use crate::{
    pairs::medians,
    report::{Figure, Report},
    support::nats_server::NatsServer,
};

/// Unconfirmed messages at once, and how many are published so in one run: about a second's worth.
const WINDOWS: [(usize, usize); 2] = [(1, 4_000), (64, 30_000)];

const STREAM: &str = "BENCH";

#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    text: String,
}

impl Payload for Measured {
    const KIND: &'static str = "Measured";
    const STREAM: &'static str = STREAM;
    const SUBJECT: &'static str = "bench.measured.*";

    fn key(&self) -> String {
        "1".to_owned()
    }
}

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(NatsServer::start());
    let connection = runtime.block_on(prepare(&server.url()))?;
    let bus = Bus::new(connection.clone(), "bench", Telemetry::unexported(), Clock::system());
    let payload = Measured { text: "x".repeat(240) };
    let bytes = bytes::Bytes::from(serde_json::to_vec(&payload)?);
    let context = &connection.jetstream;

    for (window, messages) in WINDOWS {
        let ours = || {
            runtime.block_on(rate(messages, window, async || {
                bus.publish(&payload).await.map(|_| ()).context("publishing with the library")
            }))
        };
        let theirs = || {
            runtime.block_on(rate(messages, window, async || {
                let message = PublishMessage::build().payload(bytes.clone()).message_id(MessageId::new().0);
                let sent =
                    context.send_publish("bench.measured.1", message).await.context("publishing with the client")?;
                sent.await.map(|_| ()).context("waiting for the stream")
            }))
        };
        let (ours, theirs) = medians(ours, theirs)?;
        let name = format!("confirmed, {window} in flight");
        report.take(Figure { name: &name, value: ours, unit: "/s", against: Some(theirs), bar: None })?;
    }
    Ok(())
}

async fn prepare(url: &str) -> anyhow::Result<Connection> {
    let config = NatsConfig { url: Some(url.to_owned()), nats_wait: 5, ..NatsConfig::default() };
    let connection = connect(&config, "bench", &Clock::system()).await?;
    make_stream(&connection.jetstream).await?;
    Ok(connection)
}

async fn make_stream(context: &jetstream::Context) -> anyhow::Result<()> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["bench.>".to_owned()],
        // Old messages go, so that later runs do not meet a fuller stream than earlier ones.
        max_messages: 10_000,
        ..stream::Config::default()
    };
    context.create_stream(config).await?;
    Ok(())
}

/// How many a second `publish` gets done, with `window` of them under way at once.
async fn rate(messages: usize, window: usize, publish: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    let all = futures_util::stream::iter(0..messages).map(|_| publish()).buffer_unordered(window);
    all.try_collect::<()>().await?;
    Ok(messages as f64 / began.elapsed().as_secs_f64())
}
