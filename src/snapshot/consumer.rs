//! A consumer: the server's view of who reads a stream and how far.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
    snapshot::{Ages, Cluster, ConsumerConfig, Failures, Reading, Verdict, stream::per_second},
};

/// A consumer: how it is set up and how far it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumer {
    /// The account that it is in.
    pub account: Arc<str>,
    /// The stream that it reads.
    pub stream: StreamName,
    /// Its name.
    pub name: ConsumerName,
    /// How it is set up.
    pub config: Arc<ConsumerConfig>,
    /// When it was made.
    pub created: Timestamp,
    /// How far it was.
    pub state: Reading<ConsumerState>,
    /// What changed since the round before; `None` until two rounds have read it.
    pub trend: Option<ConsumerTrend>,
    /// How old the oldest messages are that it has not processed.
    pub ages: Reading<Ages>,
    /// What it gave up, by the broker's advisories.
    pub failures: Reading<Failures>,
    /// What all that amounts to.
    pub verdict: Verdict,
}

/// How far a consumer was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerState {
    /// Messages not yet delivered.
    pub pending: u64,
    /// Messages delivered and not yet acked.
    pub ack_pending: u64,
    /// Messages that are being delivered again: how many now, not how many ever.
    pub redelivered: u64,
    /// Pull requests that wait for messages; nobody asks where this is 0 and messages are pending.
    pub waiting: u64,
    /// Deliveries ever made.
    pub delivered: u64,
    /// The last message delivered, by its sequence in the stream.
    pub delivered_stream_sequence: u64,
    /// When the last delivery was made.
    pub last_delivered: Option<Timestamp>,
    /// Deliveries up to which all is acked.
    pub ack_floor: u64,
    /// The message up to which all is acked, by its sequence in the stream.
    pub ack_floor_stream_sequence: u64,
    /// When the last ack came.
    pub last_acked: Option<Timestamp>,
    /// Whether it is paused now.
    pub is_paused: bool,
    /// How much of the pause is left.
    pub pause_left: Option<Duration>,
    /// Of a push consumer: whether anybody listens.
    pub has_listener: bool,
    /// The client that a group is pinned to, where one is.
    pub pinned: Option<String>,
    /// Who holds it; `None` on a server without a cluster.
    pub cluster: Option<Cluster>,
}

impl ConsumerState {
    /// Messages that it has not processed: those not delivered and those in flight.
    pub fn lag(&self) -> u64 {
        self.pending.saturating_add(self.ack_pending)
    }
}

/// What changed in a consumer between two rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConsumerTrend {
    /// The time between them.
    pub over: Duration,
    /// Deliveries made in it.
    pub delivered: u64,
    /// By how much the ack floor moved, in deliveries.
    pub acked: u64,
    /// Messages not yet delivered, at its start.
    pub pending_before: u64,
}

impl ConsumerTrend {
    /// Deliveries a second.
    pub fn delivered_per_second(&self) -> f64 {
        per_second(self.delivered, self.over)
    }

    /// Deliveries a second by which the ack floor moved.
    pub fn acked_per_second(&self) -> f64 {
        per_second(self.acked, self.over)
    }
}
