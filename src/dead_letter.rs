//! Dead letters: messages that nobody will try again, and how a copy of one says where it died and why. Plain data.

mod copy;
pub mod header;
mod place;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, message::Message, trace::TraceParent};

pub use copy::{copy, is_instruction, left_out};
pub use place::{Place, PlaceError};

/// The stream that keeps copies of dead letters, on subjects `dead.<stream>.<durable>`.
pub const STREAM: &str = "DEAD_LETTERS";

/// The stream in which messages wait for a later attempt, on subjects `retries.wait.<stream>.<durable>.<sequence>`.
pub const RETRIES: &str = "RETRIES";

/// The bucket in which whoever replays a dead letter claims it, and writes down that it was published.
pub const REPLAYS: &str = "replays";

/// A replay, as far as the bucket [`REPLAYS`] has to be understood to tell that a dead letter was seen to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Replayed {
    /// Where the dead letter died, such as `ORDERS.mailer.42`.
    pub letter: String,
    /// When its message was published anew; `None` while that is not certain.
    #[serde(default)]
    pub published: Option<Timestamp>,
}

/// Why a message was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Why, in words.
    pub reason: String,
    /// What kind of failure, one of few.
    pub class: String,
    /// How often a handler was started on it; `None` where nobody of ours counted.
    pub attempts: Option<u32>,
    /// When.
    pub time: Timestamp,
}

/// Who gave a message up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A worker of ours, which left a copy.
    Buried,
    /// The server, after as many deliveries as the consumer allows. It knows nothing of what became of the last one.
    Exhausted,
    /// A worker that left no copy: it told the server not to deliver the message again.
    Terminated,
}

/// Where the payload of a dead letter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// In the copy.
    Copied,
    /// In the object store: the copy had no room for it.
    InStore,
    /// In the message's own stream.
    InStream,
    /// Nowhere: the stream let go of the message.
    Gone,
    /// In the message's own stream, which could not be read, for this reason.
    Unreadable(String),
}

/// A message that was replayed and died again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// The dead letter that was replayed first.
    pub first: String,
    /// The how many-th replay it was.
    pub generation: u32,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Where it died.
    pub place: Place,
    /// Who gave it up.
    pub kind: Kind,
    /// Why.
    pub death: Death,
    /// How often the server delivered it, where that is known.
    pub deliveries: Option<u64>,
    /// When its stream took it, where that is known.
    pub published: Option<Timestamp>,
    /// The message as it was published; `None` where it is gone from its stream and no copy was left.
    pub message: Option<Message>,
    /// Bytes of its payload.
    pub size: usize,
    /// Where its payload is.
    pub body: Body,
    /// The span that buried it.
    pub trace: Option<TraceParent>,
    /// The sequence of the copy in [`STREAM`]; `None` where there is none.
    pub copy: Option<u64>,
}

impl DeadLetter {
    /// Whether it was replayed before and died again.
    pub fn repeat(&self) -> Option<Repeat> {
        let message = self.message.as_ref()?;
        let first = message.header(header::REPLAY_LETTER)?.to_owned();
        let generation = message.header(header::REPLAY_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1);
        Some(Repeat { first, generation })
    }

    /// Whether it may have been processed all the same: the server gives up on a message when its time is over, and a worker that
    /// settles it later leaves no trace of that.
    pub fn is_doubtful(&self) -> bool {
        self.kind == Kind::Exhausted
    }
}
