//! How streams and consumers are set up: plain facts in the words of the JetStream API, whether somebody declares them or a server has them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::Retention;
use crate::presence::Worker;

/// Marks a consumer as one of the library's in its metadata, with the version of this crate, so that others can be told apart.
pub const WORKER_METADATA: &str = "streamgauge.worker";

/// Where a stream keeps its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// On disk.
    #[default]
    File,
    /// In memory: a restart of its servers forgets them.
    Memory,
}

/// What a full stream does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discard {
    /// It removes its oldest messages.
    #[default]
    Old,
    /// It refuses new ones.
    New,
}

/// How a stream is set up. A limit of 0 or less is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamConfig {
    /// Its name.
    pub name: String,
    /// What it is for, if its maker said so.
    pub description: String,
    /// The subject patterns that it takes; none for a mirror.
    #[serde(deserialize_with = "or_none")]
    pub subjects: Vec<String>,
    /// When messages go.
    pub retention: Retention,
    /// Where they are kept.
    pub storage: Storage,
    /// What it does when it is full.
    pub discard: Discard,
    /// Copies of it.
    pub num_replicas: u32,
    /// How long messages are kept.
    #[serde(with = "nanoseconds")]
    pub max_age: Duration,
    /// Bytes that it may hold.
    pub max_bytes: i64,
    /// Messages that it may hold.
    pub max_msgs: i64,
    /// Messages that it may hold on one subject.
    pub max_msgs_per_subject: i64,
    /// Consumers that it may have.
    pub max_consumers: i64,
    /// For how long it knows a message id again.
    #[serde(with = "nanoseconds")]
    pub duplicate_window: Duration,
    /// Whether any replica may be asked for single messages.
    pub allow_direct: bool,
    /// Whether it takes no more messages for good.
    pub sealed: bool,
    /// The stream that it copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Origin>,
    /// The streams that it gathers from.
    #[serde(deserialize_with = "or_none", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Origin>,
    /// What its makers noted on it.
    #[serde(deserialize_with = "or_none")]
    pub metadata: BTreeMap<String, String>,
}

/// A stream that another takes its messages from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// Its name.
    pub name: String,
}

/// How a consumer is set up. A limit of 0 or less is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerConfig {
    /// The stream that it reads.
    pub stream: String,
    /// Its durable name; empty for one that goes with its clients.
    pub durable_name: String,
    /// What it is for, if its maker said so.
    pub description: String,
    /// The one subject pattern that it takes.
    pub filter_subject: String,
    /// The subject patterns that it takes, where they are several.
    #[serde(deserialize_with = "or_none")]
    pub filter_subjects: Vec<String>,
    /// Where the server sends to; empty where clients ask.
    pub deliver_subject: String,
    /// The queue group that shares what the server sends.
    pub deliver_group: String,
    /// Where it began: `all`, `last`, `new`, `by_start_sequence`, `by_start_time`, `last_per_subject`.
    pub deliver_policy: String,
    /// What has to be acked: `explicit`, `all` or `none`.
    pub ack_policy: String,
    /// How long the server waits for an ack before it delivers again.
    #[serde(with = "nanoseconds")]
    pub ack_wait: Duration,
    /// How often the server delivers one message.
    pub max_deliver: i64,
    /// How many messages may be in flight.
    pub max_ack_pending: i64,
    /// How many pull requests may wait.
    pub max_waiting: i64,
    /// How long it outlives its last client.
    #[serde(with = "nanoseconds")]
    pub inactive_threshold: Duration,
    /// Copies of it; 0 for as many as its stream has.
    pub num_replicas: u32,
    /// The server's own waits between deliveries, in nanoseconds; they take the place of `ack_wait`.
    #[serde(deserialize_with = "or_none")]
    pub backoff: Vec<u64>,
    /// How groups of clients are preferred, such as `pinned_client`; empty for not at all.
    pub priority_policy: String,
    /// What its makers noted on it.
    #[serde(deserialize_with = "or_none")]
    pub metadata: BTreeMap<String, String>,
}

/// The API may write nothing as `null`.
fn or_none<'a, D: Deserializer<'a>, T: Default + Deserialize<'a>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A limit, where there is one: the API says 0 or less for none.
pub fn limit(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

impl StreamConfig {
    /// Whether it is behind a bucket of keys or of objects.
    pub fn is_bucket(&self) -> bool {
        self.name.starts_with("KV_") || self.name.starts_with("OBJ_")
    }

    /// How long messages are kept; `None` for as long as there is room.
    pub fn age_limit(&self) -> Option<Duration> {
        Some(self.max_age).filter(|age| !age.is_zero())
    }

    /// Bytes that it may hold; `None` for no limit of its own.
    pub fn byte_limit(&self) -> Option<u64> {
        limit(self.max_bytes)
    }

    /// Messages that it may hold; `None` for no limit of its own.
    pub fn message_limit(&self) -> Option<u64> {
        limit(self.max_msgs)
    }
}

impl ConsumerConfig {
    /// The subject patterns that it takes, however they are written; none for all.
    pub fn filters(&self) -> Vec<&str> {
        let one = Some(self.filter_subject.as_str()).filter(|filter| !filter.is_empty());
        one.into_iter().chain(self.filter_subjects.iter().map(String::as_str)).collect()
    }

    /// Whether every message of its stream is for it.
    pub fn takes_all(&self) -> bool {
        self.filters().is_empty() && self.deliver_policy != "last_per_subject"
    }

    /// Whether it outlives its clients.
    pub fn is_durable(&self) -> bool {
        !self.durable_name.is_empty()
    }

    /// How messages reach its clients.
    pub fn mode(&self) -> Mode {
        if self.deliver_subject.is_empty() { Mode::Pull } else { Mode::Push }
    }

    /// What its clients have to ack.
    pub fn acks(&self) -> Acks {
        match self.ack_policy.as_str() {
            "none" => Acks::None,
            "all" => Acks::All,
            _ => Acks::Explicit,
        }
    }

    /// How many messages may be in flight; `None` for any number, and where nothing is acked.
    pub fn ack_pending_limit(&self) -> Option<u64> {
        limit(self.max_ack_pending).filter(|_| self.acks() != Acks::None)
    }

    /// How often the server delivers one message; `None` for without end.
    pub fn deliver_limit(&self) -> Option<u64> {
        limit(self.max_deliver)
    }
}

/// How messages reach a consumer's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Clients ask.
    Pull,
    /// The server sends.
    Push,
}

/// What a consumer's clients have to ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Acks {
    /// Every message.
    Explicit,
    /// A message, and with it all before.
    All,
    /// Nothing.
    None,
}
/// How everything in an account is set up, and what is known of those who work there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configs {
    /// The streams, those of buckets included.
    pub streams: Vec<StreamConfig>,
    /// The durable consumers.
    pub consumers: Vec<ConsumerConfig>,
    /// Whether the servers form a cluster.
    pub is_clustered: bool,
    /// The workers that say of themselves how they work; none where nobody was asked.
    pub workers: Vec<WorkerFact>,
}

/// What one instance's worker says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerFact {
    /// The stream that it reads.
    pub stream: String,
    /// The consumer that it pulls from.
    pub consumer: String,
    /// How many handlers may run at once.
    pub concurrency: u32,
    /// How many ran when it said so.
    pub running: u32,
    /// 99 of 100 handlers took no longer than this; `None` before the first.
    pub p99: Option<Duration>,
}

impl From<&Worker> for WorkerFact {
    fn from(worker: &Worker) -> Self {
        Self {
            stream: worker.stream.to_string(),
            consumer: worker.consumer.to_string(),
            concurrency: worker.concurrency,
            running: worker.running,
            p99: worker.p99_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        }
    }
}

/// The API writes durations as whole nanoseconds.
mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_nanos(u64::try_from(i64::deserialize(from)?).unwrap_or(0)))
    }
}
