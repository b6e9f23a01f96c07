//! What a consumer was like in one round, small enough that the last rounds can be kept.

use crate::clock::Timestamp;

/// A consumer and its stream in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was read.
    pub at: Timestamp,
    /// Which making of the consumer it was: one that is made anew counts from the start.
    pub created: Timestamp,
    /// Messages not yet delivered.
    pub pending: u64,
    /// Messages delivered and not yet acked.
    pub ack_pending: u64,
    /// Messages that are being delivered again.
    pub redelivered: u64,
    /// Pull requests that wait.
    pub waiting: u64,
    /// Deliveries ever made.
    pub delivered: u64,
    /// The last message delivered, by its sequence in the stream.
    pub delivered_stream_sequence: u64,
    /// Deliveries up to which all is acked.
    pub ack_floor: u64,
    /// The message up to which all is acked, by its sequence in the stream.
    pub ack_floor_stream_sequence: u64,
    /// The stream's oldest message; 0 where it is unknown.
    pub stream_first_sequence: u64,
    /// The stream's newest message; 0 where it is unknown.
    pub stream_last_sequence: u64,
}

impl Sample {
    /// Messages not processed.
    pub fn lag(&self) -> u64 {
        self.pending.saturating_add(self.ack_pending)
    }
}
