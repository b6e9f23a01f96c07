//! How streams and consumers are set up: plain facts in the words of the JetStream API, whether somebody declares them or a server has them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::Retention;

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamConfig {
    /// Its name.
    pub name: String,
    /// The subject patterns that it takes.
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
    /// For how long it knows a message id again.
    #[serde(with = "nanoseconds")]
    pub duplicate_window: Duration,
    /// What its makers noted on it.
    pub metadata: BTreeMap<String, String>,
}

/// How a consumer is set up. A limit of 0 or less is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerConfig {
    /// The stream that it reads.
    pub stream: String,
    /// Its durable name; empty for one that goes with its clients.
    pub durable_name: String,
    /// The one subject pattern that it takes.
    pub filter_subject: String,
    /// The subject patterns that it takes, where they are several.
    pub filter_subjects: Vec<String>,
    /// Where the server sends to; empty where clients ask.
    pub deliver_subject: String,
    /// What has to be acked: `explicit`, `all` or `none`.
    pub ack_policy: String,
    /// How long the server waits for an ack before it delivers again.
    #[serde(with = "nanoseconds")]
    pub ack_wait: Duration,
    /// How often the server delivers one message.
    pub max_deliver: i64,
    /// How many messages may be in flight.
    pub max_ack_pending: i64,
    /// The server's own waits between deliveries, in nanoseconds; they take the place of `ack_wait`.
    pub backoff: Vec<u64>,
    /// What its makers noted on it.
    pub metadata: BTreeMap<String, String>,
}

impl StreamConfig {
    /// Whether it is behind a bucket of keys or of objects.
    pub fn is_bucket(&self) -> bool {
        self.name.starts_with("KV_") || self.name.starts_with("OBJ_")
    }
}

impl ConsumerConfig {
    /// The subject patterns that it takes, however they are written; none for all.
    pub fn filters(&self) -> Vec<&str> {
        let one = Some(self.filter_subject.as_str()).filter(|filter| !filter.is_empty());
        one.into_iter().chain(self.filter_subjects.iter().map(String::as_str)).collect()
    }
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
    /// 99 of 100 handlers took no longer than this; `None` before the first.
    pub p99: Option<Duration>,
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
