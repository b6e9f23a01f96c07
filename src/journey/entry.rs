//! One thing that happened on a journey.

use crate::{
    clock::Timestamp,
    dead_letter::Place as LetterPlace,
    trace::{SpanId, TraceId},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When, by the server's clock as far as that is known.
    pub at: Timestamp,
    /// Whether somebody's own clock, which differs, said so: `at` is corrected by as little as must be.
    pub is_corrected: bool,
    /// The message that it is about, by its place among those of the journey.
    pub passage: Option<usize>,
    /// The span that tells of it.
    pub span: Option<(TraceId, SpanId)>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A trace began with something that is no message, such as an HTTP request.
    Began {
        /// What its span is called.
        name: String,
        /// The service.
        service: String,
        /// How long it took, in nanoseconds.
        took: u64,
        /// Why it failed; `None` where it did not.
        failed: Option<String>,
    },
    /// A message was published, and stored if a stream says so.
    Published(Published),
    /// A consumer's handler was started on a message.
    Handled(Handling),
    /// A worker has a message wait for another attempt.
    Waits {
        /// The durable consumer.
        consumer: String,
    },
    /// A worker gave a message up and left a copy.
    Died(Death),
    /// A server told of a message.
    Advised {
        /// The durable consumer; empty where it names none.
        consumer: String,
        /// In a sentence.
        sentence: String,
        /// Whether the message was given up.
        is_loss: bool,
    },
    /// A service wrote a step into a record.
    Told {
        /// Kind of record.
        kind: String,
        /// The step.
        name: String,
        /// The service that did it.
        by: String,
    },
}

/// A message was published.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// How long until its stream had confirmed it, in nanoseconds, where a span tells.
    pub took: Option<u64>,
    /// Why it was not confirmed; `None` where it was, or nobody says.
    pub failed: Option<String>,
}

/// A handler was started on a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Handling {
    /// The durable consumer or queue group; empty where nobody says.
    pub consumer: String,
    /// The service.
    pub service: String,
    /// The how many-th start of the handler on this message, where its worker counts.
    pub attempt: Option<u64>,
    /// How often the server had delivered it by then.
    pub deliveries: Option<u64>,
    /// How long the message had lain in its stream, in nanoseconds.
    pub waited: Option<u64>,
    /// How long the handler took, in nanoseconds.
    pub took: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not end well; empty where it did, or nobody says.
    pub why: String,
    /// How the message was settled: `ack`, `nak`, `term`; `None` where no span tells.
    pub settled: Option<String>,
}

impl Handling {
    /// Whether it did not end well.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed | Outcome::Rejected)
    }
}

/// How a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// It failed, and the message may be tried again.
    Failed,
    /// It refused the message for good.
    Rejected,
    /// It was not started: the message was for another.
    Skipped,
}

/// A message was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct Death {
    /// Which dead letter it is.
    pub letter: LetterPlace,
    /// The account.
    pub account: String,
    /// Why, in words.
    pub reason: String,
    /// What kind of failure.
    pub class: String,
    /// How often a handler was started on it, if its worker counted.
    pub attempts: Option<u32>,
    /// Whether it was replayed on this journey.
    pub is_replayed: bool,
}
