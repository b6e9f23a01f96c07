//! What a consumer gave up, as the broker's advisories tell.

use crate::clock::Timestamp;

/// Messages that a consumer gave up, since the ledger knows of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// Messages that were delivered as often as the consumer allows and were not acked since.
    pub exhausted: u64,
    /// Messages that a worker terminated.
    pub terminated: u64,
    /// Messages that its stream removed in the last rounds while they were in flight.
    pub removed: u64,
    /// Dead letters of it: copies of messages that its workers gave up, which wait in a stream for somebody to look at them;
    /// `None` where nobody could count them.
    pub copies: Option<u64>,
    /// Naks that were told of.
    pub naks: u64,
    /// When the last message was given up.
    pub last: Option<Timestamp>,
    /// The last ones, by their sequence in the stream, the newest first.
    pub sequences: Vec<u64>,
    /// Why the last was terminated, if its worker said.
    pub reason: String,
    /// Since when advisories were heard: what was before is not counted.
    pub since: Option<Timestamp>,
}
