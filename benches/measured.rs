//! What the benches of publishing and working have in common: a payload of 128 bytes, its stream, and telemetry that samples a part.

use async_nats::jetstream::stream;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::Payload,
    clock::Clock,
    config::NatsConfig,
    nats::{Connection, connect},
};

/// The stream that is measured.
pub const STREAM: &str = "BENCH";

/// The subject of every message.
pub const SUBJECT: &str = "bench.measured.1";

/// Bytes of a payload on the wire.
const SIZE: usize = 128;

/// What is published and handled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
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

/// One of them.
pub fn one() -> Measured {
    Measured { text: "x".repeat(SIZE - r#"{"text":""}"#.len()) }
}

/// One of them on the wire.
///
/// # Errors
/// Never: a string is JSON.
pub fn bytes() -> anyhow::Result<Bytes> {
    Ok(serde_json::to_vec(&one())?.into())
}

/// Connects and makes the stream; it keeps so many messages, so that later runs do not meet a fuller one than earlier ones.
///
/// # Errors
/// When the server does not do it.
pub async fn prepare(url: &str, messages: usize) -> anyhow::Result<Connection> {
    let connection = connected(url).await?;
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["bench.>".to_owned()],
        max_messages: messages.try_into()?,
        ..stream::Config::default()
    };
    connection.jetstream.create_stream(config).await?;
    Ok(connection)
}

/// Connects.
///
/// # Errors
/// When the server refuses.
pub async fn connected(url: &str) -> anyhow::Result<Connection> {
    let config = NatsConfig { url: Some(url.to_owned()), nats_wait: 5, ..NatsConfig::default() };
    Ok(connect(&config, "bench", &Clock::system()).await?)
}
