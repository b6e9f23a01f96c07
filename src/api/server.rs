//! Servers.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Route, json,
    known::{Known, Moment},
};
use crate::snapshot::Server;

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
}

impl ServerAnswer {
    fn of(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            id: server.id.clone(),
            version: server.version.clone(),
            cluster: server.cluster.clone(),
            has_jetstream: server.has_jetstream,
            started: Moment(server.started),
            cpu_percent: server.cpu_percent,
            cores: server.cores,
            memory_bytes: server.memory_bytes,
            connections: server.connections,
            slow_consumers: server.slow_consumers,
            storage_bytes: server.storage_bytes,
        }
    }
}
