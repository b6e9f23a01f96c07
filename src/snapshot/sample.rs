//! What a consumer was like in one round, small enough that the last rounds can be kept.

use std::time::Duration;

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

    /// How far it was.
    pub fn mark(&self) -> Mark {
        let Self { at, pending, delivered, delivered_stream_sequence, .. } = *self;
        Mark { at, pending, delivered, delivered_stream_sequence }
    }
}

/// How far a consumer was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When that was read.
    pub at: Timestamp,
    /// Messages not yet delivered.
    pub pending: u64,
    /// Deliveries ever made.
    pub delivered: u64,
    /// The last message delivered, by its sequence in the stream.
    pub delivered_stream_sequence: u64,
}

impl Mark {
    /// Deliveries between this and a later one, and how many of them were of messages that had not been delivered before, as far as the
    /// stream's sequences tell. `None` where the count began anew.
    pub fn deliveries_until(&self, later: &Self) -> Option<(u64, u64)> {
        let deliveries = later.delivered.checked_sub(self.delivered)?;
        let passed = later.delivered_stream_sequence.checked_sub(self.delivered_stream_sequence)?;
        Some((deliveries, deliveries.min(passed)))
    }
}

/// What is remembered of a consumer beyond its last rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// How far it was one to two minutes ago.
    pub earlier: Option<Mark>,
    /// Whether whoever holds its messages has asked for more time since the last of them was delivered.
    pub is_extended: bool,
    /// When a message was last delivered, as far as the rounds saw: what the server notes as its last delivery is moved by whoever asks for
    /// more time, too.
    pub delivered: Option<Timestamp>,
    /// How long its worker stays away, where it did so three times alike and came back by itself.
    pub rhythm: Option<Duration>,
}
