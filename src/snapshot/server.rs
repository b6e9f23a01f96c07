//! A server, and who among the servers holds a stream or consumer.

use std::time::Duration;

use crate::clock::Timestamp;

/// A NATS server as it described itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its id, which a restart changes.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The cluster that it belongs to.
    pub cluster: Option<String>,
    /// Whether it runs JetStream.
    pub has_jetstream: bool,
    /// When it started.
    pub started: Timestamp,
    /// CPU in percent of one core.
    pub cpu_percent: f64,
    /// Cores that it may use.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Clients connected.
    pub connections: u64,
    /// Clients that were cut off because they read too slowly, since it started.
    pub slow_consumers: u64,
    /// Bytes that its streams hold on disk; `None` without JetStream.
    pub storage_bytes: Option<u64>,
}

/// Who holds a stream or consumer that several servers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The server that leads; `None` while there is none.
    pub leader: Option<String>,
    /// The others.
    pub replicas: Vec<Replica>,
}

/// A server that follows the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// Whether it has all that the leader has.
    pub is_current: bool,
    /// Whether it is away.
    pub is_offline: bool,
    /// How long ago the leader heard of it.
    pub heard_ago: Duration,
    /// Operations that it lacks.
    pub behind: u64,
}
