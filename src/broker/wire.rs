//! The JSON of the JetStream API and of `$SYS`, as far as it is read. What an older server leaves out has a default or is an `Option`.
//!
//! Convention: the schemas at <https://github.com/nats-io/jsm.go/tree/main/schemas>; durations are whole nanoseconds, -1 is no limit.

use serde::Deserialize;

use crate::{
    clock::Timestamp,
    snapshot::{ConsumerConfig, StreamConfig},
};

#[derive(Deserialize)]
pub(super) struct StreamPage {
    #[serde(default)]
    pub(super) total: usize,
    #[serde(default)]
    pub(super) streams: Option<Vec<StreamInfo>>,
    #[serde(default)]
    pub(super) missing: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(super) struct StreamInfo {
    pub(super) config: StreamConfig,
    pub(super) created: Timestamp,
    pub(super) state: StreamState,
    #[serde(default)]
    pub(super) cluster: Option<ClusterInfo>,
}

#[derive(Deserialize)]
pub(super) struct StreamState {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// The year 1 in a stream that never held a message.
    #[serde(default)]
    pub(super) last_ts: Option<Timestamp>,
    /// The year 1 in a stream that holds no message.
    #[serde(default)]
    pub(super) first_ts: Option<Timestamp>,
    #[serde(default)]
    pub(super) num_deleted: u64,
    #[serde(default)]
    pub(super) num_subjects: u64,
    #[serde(default)]
    pub(super) consumer_count: u64,
}

#[derive(Deserialize)]
pub(super) struct ClusterInfo {
    #[serde(default)]
    pub(super) leader: Option<String>,
    #[serde(default)]
    pub(super) replicas: Option<Vec<PeerInfo>>,
}

#[derive(Deserialize)]
pub(super) struct PeerInfo {
    pub(super) name: String,
    #[serde(default)]
    pub(super) current: bool,
    #[serde(default)]
    pub(super) offline: bool,
    #[serde(default)]
    pub(super) active: i64,
    #[serde(default)]
    pub(super) lag: u64,
}

#[derive(Deserialize)]
pub(super) struct ConsumerPage {
    #[serde(default)]
    pub(super) total: usize,
    #[serde(default)]
    pub(super) consumers: Option<Vec<ConsumerInfo>>,
    #[serde(default)]
    pub(super) missing: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(super) struct ConsumerInfo {
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) config: ConsumerConfig,
    pub(super) delivered: Sequence,
    pub(super) ack_floor: Sequence,
    pub(super) num_ack_pending: u64,
    pub(super) num_redelivered: u64,
    pub(super) num_waiting: u64,
    pub(super) num_pending: u64,
    #[serde(default)]
    pub(super) paused: bool,
    /// Nanoseconds.
    #[serde(default)]
    pub(super) pause_remaining: i64,
    #[serde(default)]
    pub(super) priority_groups: Option<Vec<PriorityGroup>>,
    #[serde(default)]
    pub(super) push_bound: bool,
    #[serde(default)]
    pub(super) cluster: Option<ClusterInfo>,
}

#[derive(Deserialize)]
pub(super) struct Sequence {
    pub(super) consumer_seq: u64,
    #[serde(default)]
    pub(super) stream_seq: u64,
    #[serde(default)]
    pub(super) last_active: Option<Timestamp>,
}

/// What a server says of itself, pushed or asked for.
#[derive(Deserialize)]
pub(super) struct ServerStats {
    pub(super) server: ServerInfo,
    pub(super) statsz: Stats,
}

#[derive(Deserialize)]
pub(super) struct ServerInfo {
    pub(super) name: String,
    pub(super) id: String,
    #[serde(default)]
    pub(super) ver: String,
    #[serde(default)]
    pub(super) cluster: Option<String>,
    #[serde(default)]
    pub(super) jetstream: bool,
}

#[derive(Deserialize)]
pub(super) struct Stats {
    pub(super) start: Timestamp,
    pub(super) mem: u64,
    #[serde(default)]
    pub(super) cores: u32,
    #[serde(default)]
    pub(super) cpu: f64,
    #[serde(default)]
    pub(super) connections: u64,
    #[serde(default)]
    pub(super) slow_consumers: u64,
    /// How many servers know of each other; older servers do not say.
    #[serde(default)]
    pub(super) active_servers: Option<usize>,
    #[serde(default)]
    pub(super) jetstream: Option<JetStreamStats>,
}

#[derive(Deserialize)]
pub(super) struct JetStreamStats {
    #[serde(default)]
    pub(super) stats: Option<JetStreamUse>,
}

#[derive(Deserialize)]
pub(super) struct JetStreamUse {
    #[serde(default)]
    pub(super) storage: u64,
}

#[derive(Deserialize)]
pub(super) struct PriorityGroup {
    #[serde(default)]
    pub(super) pinned_client_id: Option<String>,
}
