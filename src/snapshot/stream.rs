//! A stream.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    name::StreamName,
    snapshot::{Cluster, Consumer, Limit, Listing, Reading, StreamConfig},
};

/// A stream: how it is set up and what it held.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// The account that it is in.
    pub account: Arc<str>,
    /// Its name.
    pub name: StreamName,
    /// How it is set up.
    pub config: Arc<StreamConfig>,
    /// When it was made.
    pub created: Timestamp,
    /// What it held.
    pub state: Reading<StreamState>,
    /// What changed since the round before; `None` until two rounds have read it.
    pub trend: Option<StreamTrend>,
    /// Its consumers, by name.
    pub consumers: Reading<Listing<Consumer>>,
}

impl Stream {
    /// What it is used as.
    ///
    /// Convention: buckets and object stores are streams whose names begin so (NATS ADR-8 and ADR-20).
    pub fn held(&self) -> Held {
        match self.name.as_str().split_once('_') {
            Some(("KV", _)) => Held::KeyValue,
            Some(("OBJ", _)) => Held::Objects,
            _ => Held::Messages,
        }
    }
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
    /// When the oldest was stored; `None` where it holds none.
    pub first_stored: Option<Timestamp>,
    /// When the newest was stored; `None` in a stream that never held one.
    pub last_stored: Option<Timestamp>,
    /// Messages that were deleted from between the oldest and the newest.
    pub deleted: u64,
    /// Different subjects among its messages.
    pub subjects: u64,
    /// Consumers on it, also those that the list leaves out.
    pub consumers: u64,
    /// Who holds it; `None` on a server without a cluster.
    pub cluster: Option<Cluster>,
    /// How it gets on with the streams that it takes its messages from, by its own word.
    pub origins: Vec<OriginState>,
}

/// How a stream gets on with one that it takes its messages from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OriginState {
    /// The name of that stream.
    pub name: String,
    /// Messages of it that are still to come, as far as it told.
    pub lag: u64,
    /// How long ago it was heard of; `None` where it never was.
    pub heard_ago: Option<Duration>,
    /// What is wrong, in the server's words.
    pub error: Option<String>,
}

/// What changed in a stream between two rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamTrend {
    /// The time between them.
    pub over: Duration,
    /// Messages stored in it.
    pub stored: u64,
    /// Sequences by which its oldest message moved on.
    pub removed: u64,
    /// By how many bytes it grew; negative where it shrank.
    pub grown_bytes: i64,
}

impl StreamState {
    /// Whether one more message of the usual size has no room under `config`: what is left of a limit in bytes is mostly too little for one.
    pub fn is_full(&self, config: &StreamConfig, limit: Limit) -> bool {
        match limit {
            Limit::MaxAge => false,
            Limit::MaxMsgs => config.message_limit().is_some_and(|most| self.messages >= most),
            Limit::MaxBytes => {
                let usual = self.bytes.checked_div(self.messages).unwrap_or_default();
                config.byte_limit().is_some_and(|most| self.messages > 0 && self.bytes.saturating_add(usual) > most)
            }
        }
    }
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
