//! Servers.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Route, json,
    known::{ClusterAnswer, Known, Moment},
};
use crate::{
    clock::Timestamp,
    snapshot::{Gateway, Health, JetStreamUse, LeafNode, MetaGroup, Server, ServerSetup},
};

/// The servers, where a user of the system account sees them.
pub(super) const ROUTE: Route = Route {
    path: "/servers",
    summary: "The servers, where a user of the system account sees them.",
    query: &[],
    schema: |generator| generator.subschema_for::<Known<Vec<ServerAnswer>>>(),
    answer: |ask| {
        let tell = |servers: &Vec<Server>| servers.iter().map(ServerAnswer::of).collect::<Vec<_>>();
        json(&Known::of(&ask.snapshot.servers, ask.now, tell))
    },
};

/// A NATS server as it described itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Server")]
struct ServerAnswer {
    name: String,
    /// Its id, which a restart changes.
    id: String,
    version: String,
    cluster: Option<String>,
    has_jetstream: bool,
    /// Since when it runs without JetStream, where it was heard to run with it before.
    lost_jetstream: Option<Moment>,
    started: Moment,
    /// CPU in percent of one core.
    cpu_percent: f64,
    /// Cores that it may use.
    cores: u32,
    memory_bytes: u64,
    /// Clients connected.
    connections: u64,
    /// Clients that were cut off because they read too slowly, since it started.
    slow_consumers: u64,
    /// Bytes that its streams hold on disk; null without JetStream.
    storage_bytes: Option<u64>,
    /// When it last said anything of itself.
    heard: Moment,
    /// What it says when it is asked whether it is well; null until it was told.
    health: Option<HealthAnswer>,
    /// The domain of its JetStream, where it has one.
    domain: Option<String>,
    /// Servers of its cluster that it is connected to.
    routes: Vec<String>,
    /// Other clusters that it is connected to.
    gateways: Vec<GatewayAnswer>,
    /// What its JetStream has used of what it may; null without JetStream.
    jetstream: Option<JetStreamAnswer>,
    /// The group of servers that keeps the list of all streams and consumers, as this one sees it; null without a cluster.
    meta: Option<MetaAnswer>,
    /// How it is set up; null until it was told.
    setup: Option<SetupAnswer>,
}

/// A server's word on its own health.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerHealth")]
struct HealthAnswer {
    is_well: bool,
    /// Its words where it is not.
    reason: String,
    told: Moment,
}

/// Connections to another cluster.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Gateway")]
struct GatewayAnswer {
    cluster: String,
    /// Connections that come from there.
    inbound_connections: u64,
}

/// What a server's JetStream uses; a limit that is null is none.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JetStreamUse")]
struct JetStreamAnswer {
    memory_bytes: u64,
    /// Bytes that streams in memory may take by their limits.
    memory_reserved_bytes: u64,
    memory_limit_bytes: Option<u64>,
    storage_bytes: u64,
    /// Bytes that streams on disk may take by their limits.
    storage_reserved_bytes: u64,
    storage_limit_bytes: Option<u64>,
    /// Streams and consumers with several replicas of which it holds one.
    ha_assets: u64,
    /// Requests to its API since it started.
    api_total: u64,
    /// Of those, answered with an error.
    api_errors: u64,
}

/// The meta group. Only its leader tells of the others.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MetaGroup")]
struct MetaAnswer {
    cluster: ClusterAnswer,
    /// Servers that belong to it, connected or not.
    size: u64,
    /// Entries that it has not applied yet.
    pending: u64,
}

/// How a server is set up.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerSetup")]
struct SetupAnswer {
    told: Option<Moment>,
    requires_login: bool,
    /// Clients that it takes.
    max_connections: u64,
    certificates: Vec<CertificateAnswer>,
    /// The leaf nodes connected to it; null where it did not tell of them.
    leaf_nodes: Option<Vec<LeafAnswer>>,
}

/// A certificate.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Certificate")]
struct CertificateAnswer {
    /// Such as `clients` or `cluster`.
    part: String,
    until: Moment,
}

/// A server that is connected as a leaf.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LeafNode")]
struct LeafAnswer {
    name: String,
    account: String,
    /// Whether the one that tells of it is the leaf of the two.
    is_spoke: bool,
}

impl ServerAnswer {
    fn of(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            id: server.id.clone(),
            version: server.version.clone(),
            cluster: server.cluster.clone(),
            has_jetstream: server.has_jetstream,
            lost_jetstream: server.lost_jetstream.map(Moment),
            started: Moment(server.started),
            cpu_percent: server.cpu_percent,
            cores: server.cores,
            memory_bytes: server.memory_bytes,
            connections: server.connections,
            slow_consumers: server.slow_consumers,
            storage_bytes: server.storage_bytes,
            heard: Moment(server.heard),
            health: server.health.as_ref().map(HealthAnswer::of),
            domain: server.domain.clone(),
            routes: server.routes.clone(),
            gateways: server.gateways.iter().map(GatewayAnswer::of).collect(),
            jetstream: server.jetstream.map(JetStreamAnswer::of),
            meta: server.meta.as_ref().map(MetaAnswer::of),
            setup: server.setup.as_deref().map(SetupAnswer::of),
        }
    }
}

impl HealthAnswer {
    fn of(health: &Health) -> Self {
        Self { is_well: health.is_well, reason: health.reason.clone(), told: Moment(health.told) }
    }
}

impl GatewayAnswer {
    fn of(gateway: &Gateway) -> Self {
        Self { cluster: gateway.cluster.clone(), inbound_connections: gateway.inbound }
    }
}

impl JetStreamAnswer {
    fn of(used: JetStreamUse) -> Self {
        Self {
            memory_bytes: used.memory,
            memory_reserved_bytes: used.memory_reserved,
            memory_limit_bytes: used.memory_limit,
            storage_bytes: used.storage,
            storage_reserved_bytes: used.storage_reserved,
            storage_limit_bytes: used.storage_limit,
            ha_assets: used.ha_assets,
            api_total: used.api_total,
            api_errors: used.api_errors,
        }
    }
}

impl MetaAnswer {
    fn of(meta: &MetaGroup) -> Self {
        Self { cluster: ClusterAnswer::of(&meta.cluster), size: meta.size, pending: meta.pending }
    }
}

impl SetupAnswer {
    fn of(setup: &ServerSetup) -> Self {
        let certificate =
            |(part, until): &(String, Timestamp)| CertificateAnswer { part: part.clone(), until: Moment(*until) };
        let leaf = |leaf: &LeafNode| LeafAnswer {
            name: leaf.name.clone(),
            account: leaf.account.clone(),
            is_spoke: leaf.is_spoke,
        };
        Self {
            told: setup.told.map(Moment),
            requires_login: setup.requires_login,
            max_connections: setup.max_connections,
            certificates: setup.certificates.iter().map(certificate).collect(),
            leaf_nodes: setup.leaf_nodes.as_ref().map(|all| all.iter().map(leaf).collect()),
        }
    }
}
