//! How old the oldest messages are that a consumer has not processed.

use crate::clock::Timestamp;

/// The oldest messages that a consumer has yet to process; `None` where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ages {
    /// The oldest that is not acked, delivered or not.
    pub unprocessed: Option<Oldest>,
    /// The oldest that is not delivered.
    pub undelivered: Option<Oldest>,
}

/// The oldest of some messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oldest {
    /// Its sequence in the stream; `None` where the time is an estimate.
    pub sequence: Option<u64>,
    /// When the stream stored it.
    pub stored: Timestamp,
    /// How that is known.
    pub by: AgeBy,
}

/// How an age is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeBy {
    /// The message itself was read.
    Message,
    /// It was reckoned from the stream's first and last message, and may be off.
    Estimate,
}
