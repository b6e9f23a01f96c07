//! A stream.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    name::StreamName,
    snapshot::{Cluster, Consumer, Listing, Reading},
};

/// A stream: how it is set up and what it held.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// What it is for, if its maker said so.
    pub description: Option<String>,
    /// The subject patterns that it takes; none for a mirror.
    pub subjects: Vec<String>,
    /// What it is used as.
    pub held: Held,
    /// When messages go.
    pub retention: Retention,
    /// Whether it lives in memory only.
    pub is_in_memory: bool,
    /// Copies of it.
    pub replicas: u32,
    /// How long messages are kept; `None` for as long as there is room.
    pub max_age: Option<Duration>,
    /// Bytes that it may hold; `None` for no limit of its own.
    pub max_bytes: Option<u64>,
    /// Messages that it may hold; `None` for no limit of its own.
    pub max_messages: Option<u64>,
    /// Whether any replica may be asked for single messages.
    pub allows_direct: bool,
    /// When it was made.
    pub created: Timestamp,
    /// What it held.
    pub state: Reading<StreamState>,
    /// What changed since the round before; `None` until two rounds have read it.
    pub trend: Option<StreamTrend>,
    /// Its consumers, by name.
    pub consumers: Reading<Listing<Consumer>>,
}

/// What a stream is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Messages.
    Messages,
    /// The entries of a key-value bucket.
    KeyValue,
    /// The chunks of an object store.
    Objects,
}

/// When a stream lets messages go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// When a limit is reached.
    #[default]
    Limits,
    /// When every interested consumer has acked.
    Interest,
    /// When one consumer has acked.
    WorkQueue,
}

/// What a stream held at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamState {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
    /// Sequence of the oldest message.
    pub first_sequence: u64,
    /// Sequence of the newest message ever stored.
    pub last_sequence: u64,
    /// When the newest was stored; `None` in a stream that never held one.
    pub last_stored: Option<Timestamp>,
    /// Different subjects among its messages.
    pub subjects: u64,
    /// Consumers on it, also those that the list leaves out.
    pub consumers: u64,
    /// Who holds it; `None` on a server without a cluster.
    pub cluster: Option<Cluster>,
}

/// What changed in a stream between two rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamTrend {
    /// The time between them.
    pub over: Duration,
    /// Messages stored in it.
    pub stored: u64,
}

impl StreamTrend {
    /// Messages stored a second.
    pub fn stored_per_second(&self) -> f64 {
        per_second(self.stored, self.over)
    }
}

/// A count over a time as a rate; a time of zero length has none to tell and gives 0.
pub(super) fn per_second(count: u64, over: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate that is shown needs no more than 52 bits")]
    let count = count as f64;
    if over.is_zero() { 0.0 } else { count / over.as_secs_f64() }
}
