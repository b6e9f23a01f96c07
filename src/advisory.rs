//! Advisories of the broker, parsed: about messages that it will not deliver again, and of any kind.
//!
//! Convention: NATS advisories `io.nats.jetstream.advisory.v1.max_deliver`, `….terminated` and others. They are plain messages; the
//! stream [`STREAM`] keeps them.

mod kind;
mod told;

use serde::Deserialize;

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
};

pub use kind::Kind;
pub use told::Advisory;

/// The stream that keeps advisories.
pub const STREAM: &str = "ADVISORIES";

/// The server will not deliver a message again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The stream that holds the message.
    pub stream: StreamName,
    /// The consumer.
    pub consumer: ConsumerName,
    /// The message's sequence in the stream.
    pub stream_sequence: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// When the server said so.
    pub time: Timestamp,
    /// Why.
    pub cause: GivenUpCause,
}

/// Why the server will not deliver a message again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenUpCause {
    /// It was delivered as often as the consumer allows.
    MaxDeliveries,
    /// A worker said so, for a reason that may be empty.
    Terminated(String),
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    stream: StreamName,
    consumer: ConsumerName,
    stream_seq: u64,
    #[serde(default)]
    deliveries: u64,
    #[serde(default)]
    reason: String,
}

impl GivenUp {
    /// Reads an advisory; `None` for one of another kind.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(payload).ok()?;
        let cause = match wire.kind.as_str() {
            "io.nats.jetstream.advisory.v1.max_deliver" => GivenUpCause::MaxDeliveries,
            "io.nats.jetstream.advisory.v1.terminated" => GivenUpCause::Terminated(wire.reason),
            _ => return None,
        };
        Some(Self {
            stream: wire.stream,
            consumer: wire.consumer,
            stream_sequence: wire.stream_seq,
            deliveries: wire.deliveries,
            time: wire.timestamp,
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, expected: Option<(GivenUpCause, u64, u64)>) {
        let found = GivenUp::parse(payload.as_bytes());
        assert_eq!(found.map(|up| (up.cause, up.stream_sequence, up.deliveries)), expected, "{payload}");
    }

    #[test]
    fn the_two_advisories_are_told_apart_and_others_left() {
        check(
            r#"{"type":"io.nats.jetstream.advisory.v1.max_deliver","id":"x","timestamp":"2030-01-31T12:00:00.123456789Z",
                "stream":"ORDERS","consumer":"mailer","stream_seq":42,"deliveries":3}"#,
            Some((GivenUpCause::MaxDeliveries, 42, 3)),
        );
        check(
            r#"{"type":"io.nats.jetstream.advisory.v1.terminated","id":"x","timestamp":"2030-01-31T12:00:00Z",
                "stream":"ORDERS","consumer":"mailer","consumer_seq":7,"stream_seq":42,"deliveries":1,"reason":"no"}"#,
            Some((GivenUpCause::Terminated("no".into()), 42, 1)),
        );
        check(
            r#"{"type":"io.nats.jetstream.advisory.v1.nak","timestamp":"2030-01-31T12:00:00Z","stream":"ORDERS",
                "consumer":"mailer","consumer_seq":7,"stream_seq":42,"deliveries":1}"#,
            None,
        );
        check("{}", None);
        check("not JSON", None);
    }
}
