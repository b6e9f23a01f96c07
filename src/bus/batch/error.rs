//! Why a batch was not applied.

use async_nats::RequestError;

use super::BATCH_MOST;
use crate::{
    bus::{PublishError, ReadError, publish::is_full},
    message::MessageId,
};

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// A message of it cannot be written or sent.
    #[error("a message of the batch")]
    Message(#[source] PublishError),
    /// A stream applies its own messages alone.
    #[error("a batch has messages of streams {one} and {other}: make one for each")]
    Streams {
        /// A stream.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// It is empty, or too large.
    #[error("a batch of {messages} messages: the server takes 1 to {BATCH_MOST}")]
    Size {
        /// How many it has.
        messages: usize,
    },
    /// The stream takes no batches.
    #[error("stream {stream} does not allow atomic batches: declare it with `allow_atomic` (nats-server 2.12)")]
    NotAllowed {
        /// The stream.
        stream: &'static str,
    },
    /// The server knows no batches, and has stored the messages one by one.
    #[error("stream {stream} took the messages one by one and not as a batch: that needs nats-server 2.12")]
    NotAtomic {
        /// The stream.
        stream: &'static str,
    },
    /// The stream has a message of it already, and not the batch as it is.
    #[error("stream {stream} has message {id} of the batch already, and not the whole batch as it is now")]
    Conflict {
        /// The stream.
        stream: &'static str,
        /// A message that stands in the way, or is not there though another is.
        id: MessageId,
    },
    /// The stream answered no.
    #[error("stream {stream} refuses the batch ({code}: {why})")]
    Refused {
        /// The stream.
        stream: &'static str,
        /// The server's error code.
        code: u64,
        /// The server's words.
        why: String,
    },
    /// No stream answered.
    #[error("no stream took the batch; is stream {stream} declared and NATS reachable?")]
    Unavailable {
        /// The stream.
        stream: &'static str,
        /// What the last attempt met.
        #[source]
        source: RequestError,
    },
    /// The answer makes no sense.
    #[error("the answer to a batch for stream {stream} is not that of a stream; does something else listen there?")]
    Answer {
        /// The stream.
        stream: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It could not be found out whether an earlier attempt had succeeded.
    #[error("looking whether the batch is applied")]
    Unclear(#[source] ReadError),
}

/// The server's codes for a passing state: no leader, no room, too many batches at once.
const TRANSIENT: [u64; 7] = [10008, 10023, 10047, 10074, 10077, 10210, 10211];

impl BatchError {
    /// Whether the same batch may be taken later with nothing changed on our side.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unclear(_) => true,
            Self::Message(error) => error.is_transient(),
            Self::Refused { code, .. } => TRANSIENT.contains(code),
            Self::Streams { .. }
            | Self::Size { .. }
            | Self::NotAllowed { .. }
            | Self::NotAtomic { .. }
            | Self::Conflict { .. }
            | Self::Answer { .. } => false,
        }
    }

    /// Whether it may pass while somebody waits. A stream that is full stays so until somebody or something makes room.
    pub(super) fn may_pass_soon(&self) -> bool {
        match self {
            Self::Message(error) => error.may_pass_soon(),
            Self::Refused { code, why, .. } => self.is_transient() && !is_full(*code, why),
            _ => self.is_transient(),
        }
    }

    /// One of few words, for spans and metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Message(error) => error.kind(),
            Self::Streams { .. } | Self::Size { .. } => "payload",
            Self::Conflict { .. } => "conflict",
            Self::NotAllowed { .. } | Self::NotAtomic { .. } | Self::Refused { .. } | Self::Answer { .. } => "refused",
            Self::Unavailable { .. } | Self::Unclear(_) => "unavailable",
        }
    }
}
