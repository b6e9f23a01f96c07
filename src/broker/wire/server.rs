//! What a server says of itself.

use std::collections::HashMap;

use serde::Deserialize;

use super::{ClusterInfo, or_none};
use crate::clock::Timestamp;

/// Pushed by every server, or asked for.
#[derive(Deserialize)]
pub(in crate::broker) struct ServerStats {
    pub(in crate::broker) server: ServerInfo,
    pub(in crate::broker) statsz: Stats,
}

#[derive(Deserialize)]
pub(in crate::broker) struct ServerInfo {
    pub(in crate::broker) name: String,
    pub(in crate::broker) id: String,
    #[serde(default)]
    pub(in crate::broker) ver: String,
    #[serde(default)]
    pub(in crate::broker) cluster: Option<String>,
    #[serde(default)]
    pub(in crate::broker) domain: Option<String>,
    #[serde(default)]
    pub(in crate::broker) jetstream: bool,
}

#[derive(Deserialize)]
pub(in crate::broker) struct Stats {
    pub(in crate::broker) start: Timestamp,
    pub(in crate::broker) mem: u64,
    #[serde(default)]
    pub(in crate::broker) cores: u32,
    #[serde(default)]
    pub(in crate::broker) cpu: f64,
    #[serde(default)]
    pub(in crate::broker) connections: u64,
    #[serde(default)]
    pub(in crate::broker) subscriptions: u64,
    #[serde(default)]
    pub(in crate::broker) active_accounts: u64,
    #[serde(default)]
    pub(in crate::broker) slow_consumers: u64,
    /// How many servers know of each other; older servers do not say.
    #[serde(default)]
    pub(in crate::broker) active_servers: Option<usize>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::broker) routes: Vec<RouteStats>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::broker) gateways: Vec<GatewayStats>,
    #[serde(default)]
    pub(in crate::broker) jetstream: Option<JetStreamStats>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct RouteStats {
    #[serde(default)]
    pub(in crate::broker) name: String,
}

#[derive(Deserialize)]
pub(in crate::broker) struct GatewayStats {
    #[serde(default)]
    pub(in crate::broker) name: String,
    #[serde(default)]
    pub(in crate::broker) inbound_connections: u64,
}

#[derive(Deserialize)]
pub(in crate::broker) struct JetStreamStats {
    #[serde(default)]
    pub(in crate::broker) config: Option<JetStreamConfig>,
    #[serde(default)]
    pub(in crate::broker) stats: Option<JetStreamUse>,
    #[serde(default)]
    pub(in crate::broker) meta: Option<MetaInfo>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct JetStreamConfig {
    #[serde(default)]
    pub(in crate::broker) max_memory: i64,
    #[serde(default)]
    pub(in crate::broker) max_storage: i64,
    #[serde(default)]
    pub(in crate::broker) domain: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct JetStreamUse {
    #[serde(default)]
    pub(in crate::broker) memory: u64,
    #[serde(default)]
    pub(in crate::broker) storage: u64,
    #[serde(default)]
    pub(in crate::broker) reserved_memory: u64,
    #[serde(default)]
    pub(in crate::broker) reserved_storage: u64,
    #[serde(default)]
    pub(in crate::broker) accounts: u64,
    #[serde(default)]
    pub(in crate::broker) ha_assets: u64,
    #[serde(default)]
    pub(in crate::broker) api: ApiUse,
}

#[derive(Deserialize, Default)]
pub(in crate::broker) struct ApiUse {
    #[serde(default)]
    pub(in crate::broker) total: u64,
    #[serde(default)]
    pub(in crate::broker) errors: u64,
}

/// The group of servers that keeps the list of all streams and consumers. Its leader alone tells of the others.
#[derive(Deserialize)]
pub(in crate::broker) struct MetaInfo {
    #[serde(flatten)]
    pub(in crate::broker) cluster: ClusterInfo,
    #[serde(default)]
    pub(in crate::broker) cluster_size: u64,
    #[serde(default)]
    pub(in crate::broker) pending: u64,
}

/// What a server says of how it is set up.
#[derive(Deserialize)]
pub(in crate::broker) struct VarzAnswer {
    pub(in crate::broker) server: ServerInfo,
    #[serde(default)]
    pub(in crate::broker) data: Option<Varz>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct Varz {
    #[serde(default)]
    pub(in crate::broker) auth_required: bool,
    #[serde(default)]
    pub(in crate::broker) max_connections: u64,
    #[serde(default)]
    pub(in crate::broker) tls_cert_not_after: Option<Timestamp>,
    /// The parts of a server that have a certificate of their own, among much else.
    #[serde(flatten)]
    pub(in crate::broker) rest: HashMap<String, serde_json::Value>,
}

/// What a server says that was asked whether it is well.
#[derive(Deserialize)]
pub(in crate::broker) struct HealthAnswer {
    pub(in crate::broker) server: ServerInfo,
    #[serde(default)]
    pub(in crate::broker) data: Option<HealthStatus>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct HealthStatus {
    /// `ok`, or another word.
    #[serde(default)]
    pub(in crate::broker) status: String,
    /// What is wrong.
    #[serde(default)]
    pub(in crate::broker) error: String,
}

/// The leaf nodes that are connected to a server.
#[derive(Deserialize)]
pub(in crate::broker) struct LeafzAnswer {
    pub(in crate::broker) server: ServerInfo,
    #[serde(default)]
    pub(in crate::broker) data: Option<Leafz>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct Leafz {
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::broker) leafs: Vec<LeafInfo>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct LeafInfo {
    #[serde(default)]
    pub(in crate::broker) name: String,
    #[serde(default)]
    pub(in crate::broker) account: String,
    #[serde(default)]
    pub(in crate::broker) is_spoke: bool,
}
