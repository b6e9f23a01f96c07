//! The JSON of the JetStream API and of `$SYS`, as far as it is read. What an older server leaves out has a default or is an `Option`.
//!
//! Convention: the schemas at <https://github.com/nats-io/jsm.go/tree/main/schemas>; durations are whole nanoseconds, -1 is no limit.

mod account;
mod server;

use serde::{Deserialize, Deserializer};

use crate::{
    clock::Timestamp,
    snapshot::{ConsumerConfig, StreamConfig},
};

pub(super) use account::AccountInfo;
pub(super) use server::{
    GatewayStats, HealthAnswer, LeafInfo, LeafzAnswer, MetaInfo, ServerInfo, ServerStats, Stats, Varz, VarzAnswer,
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
    #[serde(default)]
    pub(super) mirror: Option<OriginInfo>,
    #[serde(default, deserialize_with = "or_none")]
    pub(super) sources: Vec<OriginInfo>,
}

/// How a stream gets on with one that it takes its messages from.
#[derive(Deserialize)]
pub(super) struct OriginInfo {
    pub(super) name: String,
    #[serde(default)]
    pub(super) lag: u64,
    /// Nanoseconds; -1 where it was never heard of.
    #[serde(default = "never")]
    pub(super) active: i64,
    #[serde(default)]
    pub(super) error: Option<OriginError>,
}

#[derive(Deserialize)]
pub(super) struct OriginError {
    #[serde(default)]
    pub(super) description: String,
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
    pub(super) name: Option<String>,
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
    /// Nanoseconds; 0 of one that this leader has never heard of.
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
    /// Servers asked for the states alone leave it out.
    #[serde(default)]
    pub(super) config: Option<Box<ConsumerConfig>>,
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

#[derive(Deserialize)]
pub(super) struct PriorityGroup {
    #[serde(default)]
    pub(super) pinned_client_id: Option<String>,
}

/// Who we are, as the server sees it.
#[derive(Deserialize)]
pub(super) struct UserAnswer {
    pub(super) data: UserInfo,
}

#[derive(Deserialize)]
pub(super) struct UserInfo {
    /// The account's name, or its key where accounts are keys.
    pub(super) account: String,
    /// What its makers call it, where accounts are keys; older servers do not say.
    #[serde(default)]
    pub(super) account_name: Option<String>,
}

/// What a server says it holds.
#[derive(Deserialize)]
pub(super) struct JszAnswer {
    pub(super) server: ServerInfo,
    #[serde(default)]
    pub(super) data: Option<Jsz>,
}

#[derive(Deserialize)]
pub(super) struct Jsz {
    /// Accounts that it has, also those behind this page.
    #[serde(default)]
    pub(super) total: usize,
    /// Whether it runs without JetStream.
    #[serde(default)]
    pub(super) disabled: bool,
    #[serde(default, deserialize_with = "or_none")]
    pub(super) account_details: Vec<AccountDetail>,
}

#[derive(Deserialize)]
pub(super) struct AccountDetail {
    /// As its makers call it.
    #[serde(default)]
    pub(super) name: String,
    /// Where accounts are keys, the key; elsewhere the name again.
    #[serde(default)]
    pub(super) id: String,
    #[serde(default, deserialize_with = "or_none")]
    pub(super) stream_detail: Vec<StreamDetail>,
}

#[derive(Deserialize)]
pub(super) struct StreamDetail {
    pub(super) name: String,
    pub(super) created: Timestamp,
    #[serde(default)]
    pub(super) config: Option<Box<StreamConfig>>,
    pub(super) state: StreamState,
    #[serde(default)]
    pub(super) cluster: Option<ClusterInfo>,
    #[serde(default)]
    pub(super) mirror: Option<OriginInfo>,
    #[serde(default, deserialize_with = "or_none")]
    pub(super) sources: Vec<OriginInfo>,
    #[serde(default, deserialize_with = "or_none")]
    pub(super) consumer_detail: Vec<ConsumerInfo>,
}

impl JszAnswer {
    /// Whether it is an account of what the server holds: one that runs without JetStream answers too, and holds nothing that it could
    /// tell of.
    pub(super) fn tells(&self) -> bool {
        self.data.as_ref().is_some_and(|data| !data.disabled)
    }
}

/// What stands for a time that never was.
fn never() -> i64 {
    -1
}

/// Servers may write nothing as `null`.
fn or_none<'a, D: Deserializer<'a>, T: Default + Deserialize<'a>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
