//! What travels: a message, what it says of itself, and what caused it.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName, Subject},
    trace::TraceParent,
};

/// Names of the headers that make the message contract.
pub mod header {
    /// The message's id; JetStream drops a second message with the same one inside its duplicate window.
    pub const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// What the message belongs to: the same for all that one request set off.
    pub const CORRELATION_ID: &str = "correlation-id";
    /// The id of the message that this one follows from.
    pub const CAUSATION_ID: &str = "causation-id";
    /// W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C Trace Context, the vendors' part; passed on unread.
    pub const TRACESTATE: &str = "tracestate";
    /// How the payload is written.
    pub const CONTENT_TYPE: &str = "content-type";
    /// How the payload is packed after it was written: `lz4`, or nothing.
    pub const CONTENT_ENCODING: &str = "content-encoding";
    /// Where the payload lies if it is too large for a message: `<bucket>/<object>` of the object store.
    pub const CLAIM_CHECK: &str = "claim-check";
    /// CloudEvents: the version of the convention.
    pub const CE_SPECVERSION: &str = "ce-specversion";
    /// CloudEvents: the message's id again.
    pub const CE_ID: &str = "ce-id";
    /// CloudEvents: the kind of message, such as `OrderPlaced`.
    pub const CE_TYPE: &str = "ce-type";
    /// CloudEvents: the service that published it.
    pub const CE_SOURCE: &str = "ce-source";
    /// CloudEvents: when it was made.
    pub const CE_TIME: &str = "ce-time";
    /// CloudEvents: the payload's schema with its version, such as `OrderPlaced/1`.
    pub const CE_DATASCHEMA: &str = "ce-dataschema";
    /// Request and reply: the moment after which nobody waits for the answer.
    pub const DEADLINE: &str = "deadline";
    /// Request and reply: the id of the request that nobody waits for any more.
    pub const CANCEL: &str = "cancel";
    /// Request and reply: why a service refuses, as the JSON of the call's error type.
    pub const SERVICE_ERROR: &str = "service-error";
    /// Replay: the id of the message that this one repeats.
    pub const REPLAY_OF: &str = "replay-of";
    /// Replay: the durable consumer that is to process it; other workers of ours settle it unrun.
    pub const REPLAY_FOR: &str = "replay-for";
}

macro_rules! id {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(pub String);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Tells one message from every other.
    MessageId
}
id! {
    /// Names what a message belongs to, such as one order.
    CorrelationId
}

impl MessageId {
    /// A new id that sorts by time (UUID version 7).
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id of what follows from this message under `name`: the same each time it is asked for (UUID version 5, RFC 9562),
    /// so that a handler that runs twice publishes once.
    #[must_use]
    pub fn derived(&self, name: &str) -> Self {
        let space = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.0.as_bytes());
        Self(Uuid::new_v5(&space, name.as_bytes()).to_string())
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}

/// A kind of message and the version of its payload's schema; written `OrderPlaced/1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    /// The kind: an event in the past tense or a command in the imperative.
    pub kind: String,
    /// The version of the payload.
    pub version: u32,
}

impl Schema {
    /// Reads `OrderPlaced/1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, version) = text.rsplit_once('/')?;
        Some(Self { kind: kind.to_owned(), version: version.parse().ok()? })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.version)
    }
}

/// A message as the bus carries it. What a foreign publisher left out is `None`, never made up.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where it was published.
    pub subject: Subject,
    /// Its id, if it has one.
    pub id: Option<MessageId>,
    /// What it belongs to.
    pub correlation: Option<CorrelationId>,
    /// The message that it follows from.
    pub causation: Option<MessageId>,
    /// What it is.
    pub schema: Option<Schema>,
    /// The service that published it.
    pub source: Option<String>,
    /// When it was made.
    pub time: Option<Timestamp>,
    /// The span that published it.
    pub trace: Option<TraceParent>,
    /// What tracing vendors add to the trace; passed on unread.
    pub trace_state: Option<String>,
    /// Every header that is not one of the fields above.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub payload: Bytes,
}

impl Message {
    /// The value of a header that is not one of the contract's, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The id by which the message's effect is known: that of the message that it repeats where it is a replay, else its own. What is
    /// derived from it, or looked up by it, is the same for a message and its replays.
    pub fn original_id(&self) -> Option<MessageId> {
        self.header(header::REPLAY_OF).map(|id| MessageId(id.to_owned())).or_else(|| self.id.clone())
    }
}

/// Where a delivered message lies, and how often the server has delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The stream that holds it.
    pub stream: StreamName,
    /// The consumer that delivered it.
    pub consumer: ConsumerName,
    /// Its sequence in the stream.
    pub stream_sequence: u64,
    /// Its sequence among the consumer's deliveries.
    pub consumer_sequence: u64,
    /// How often the server has delivered it, this time included.
    pub delivered: u64,
    /// How many messages wait behind it.
    pub pending: u64,
    /// When the stream took it.
    pub published: Timestamp,
}

/// What a message that is about to be published follows from. A handler has one from its context, so that what it publishes
/// carries on the correlation and the trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// What the cause belongs to.
    pub correlation: CorrelationId,
    /// The message that is the cause; `None` where a request from outside is.
    pub message: Option<MessageId>,
    /// The span in which it is handled.
    pub trace: Option<TraceParent>,
    /// What tracing vendors add to the trace.
    pub trace_state: Option<String>,
    /// When whoever asked for it stops waiting; what is asked on its behalf takes no longer.
    pub deadline: Option<Timestamp>,
}

impl Cause {
    /// A cause from outside, such as an HTTP request: nothing was published before it.
    pub fn outside(correlation: CorrelationId, trace: Option<TraceParent>) -> Self {
        Self { correlation, message: None, trace, trace_state: None, deadline: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_depends_on_both_its_parts_and_nothing_else() {
        let cause = MessageId("a".into());
        assert_eq!(cause.derived("OrderPlaced"), MessageId("a".into()).derived("OrderPlaced"));
        assert_ne!(cause.derived("OrderPlaced"), cause.derived("OrderCancelled"));
        assert_ne!(cause.derived("OrderPlaced"), MessageId("b".into()).derived("OrderPlaced"));
    }

    fn check(text: &str, expected: Option<(&str, u32)>) {
        let found = Schema::parse(text);
        assert_eq!(found.as_ref().map(|schema| (schema.kind.as_str(), schema.version)), expected, "{text:?}");
    }

    #[test]
    fn a_schema_is_a_kind_and_a_version() {
        check("OrderPlaced/1", Some(("OrderPlaced", 1)));
        check("urn:shop/OrderPlaced/12", Some(("urn:shop/OrderPlaced", 12)));
        check("OrderPlaced", None);
        check("OrderPlaced/x", None);
    }
}
