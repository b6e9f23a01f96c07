//! A consumer: the server's view of who reads a stream and how far.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
    snapshot::{Cluster, Reading, stream::per_second},
};

/// A consumer: how it is set up and how far it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumer {
    /// The stream that it reads.
    pub stream: StreamName,
    /// Its name.
    pub name: ConsumerName,
    /// Whether it outlives its clients.
    pub is_durable: bool,
    /// How messages reach clients.
    pub mode: Mode,
    /// The subject patterns that it takes; none for all.
    pub filters: Vec<String>,
    /// What has to be acked.
    pub acks: Acks,
    /// How long the server waits for an ack before it delivers again.
    pub ack_wait: Duration,
    /// How often the server delivers one message; `None` for without end.
    pub max_deliver: Option<u64>,
    /// How many messages may be in flight; `None` for any number.
    pub max_ack_pending: Option<u64>,
    /// When it was made.
    pub created: Timestamp,
    /// How far it was.
    pub state: Reading<ConsumerState>,
    /// What changed since the round before; `None` until two rounds have read it.
    pub trend: Option<ConsumerTrend>,
}

/// How messages reach a consumer's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Clients ask.
    Pull,
    /// The server sends.
    Push,
}

/// What a consumer's clients have to ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Every message.
    Explicit,
    /// A message, and with it all before.
    All,
    /// Nothing.
    None,
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
    /// When the last was made.
    pub last_delivered: Option<Timestamp>,
    /// Deliveries up to which all is acked.
    pub ack_floor: u64,
    /// When the last ack came.
    pub last_acked: Option<Timestamp>,
    /// Whether it is paused now.
    pub is_paused: bool,
    /// Of a push consumer: whether anybody listens.
    pub has_listener: bool,
    /// Who holds it; `None` on a server without a cluster.
    pub cluster: Option<Cluster>,
}

/// What changed in a consumer between two rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConsumerTrend {
    /// The time between them.
    pub over: Duration,
    /// Deliveries made in it.
    pub delivered: u64,
    /// Messages not yet delivered, at its start.
    pub pending_before: u64,
}

impl ConsumerTrend {
    /// Deliveries a second.
    pub fn delivered_per_second(&self) -> f64 {
        per_second(self.delivered, self.over)
    }
}
