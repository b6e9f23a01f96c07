//! A server, and who among the servers holds a stream or consumer.

use std::{sync::Arc, time::Duration};

use crate::clock::Timestamp;

/// Servers tell of themselves every 10 s unasked: one that has not for three times as long is in trouble or away.
pub const SILENCE: Duration = Duration::from_secs(30);

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
    /// Since when it runs without JetStream, where it was heard to run with it before.
    pub lost_jetstream: Option<Timestamp>,
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
    /// When it last said anything of itself. Servers do so every 10 s unasked; one that has not for longer is in trouble or away.
    pub heard: Timestamp,
    /// The domain of its JetStream, where it has one.
    pub domain: Option<String>,
    /// Subscriptions that it knows.
    pub subscriptions: u64,
    /// Accounts in use.
    pub accounts: u64,
    /// Servers of its cluster that it is connected to.
    pub routes: Vec<String>,
    /// Other clusters that it is connected to.
    pub gateways: Vec<Gateway>,
    /// What its JetStream has used of what it may use; `None` without JetStream.
    pub jetstream: Option<JetStreamUse>,
    /// The group of servers that keeps the list of all streams and consumers, as this one sees it; `None` without a cluster.
    pub meta: Option<MetaGroup>,
    /// How it is set up, which is asked for every few minutes; `None` until it was told.
    pub setup: Option<Arc<ServerSetup>>,
    /// What it says when it is asked whether it is well, which is every minute; `None` until it was told.
    pub health: Option<Health>,
}

/// A server's word on its own health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it is well: it can serve, and what it holds is as far as it should be.
    pub is_well: bool,
    /// The server's words where it is not.
    pub reason: String,
    /// When it was told.
    pub told: Timestamp,
}

/// Connections to another cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The name of that cluster.
    pub cluster: String,
    /// Connections that come from there.
    pub inbound: u64,
}

/// What a server's JetStream uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JetStreamUse {
    /// Bytes held in memory.
    pub memory: u64,
    /// Bytes that streams in memory may take by their limits.
    pub memory_reserved: u64,
    /// Bytes that all streams in memory may take together; `None` for no limit.
    pub memory_limit: Option<u64>,
    /// Bytes held on disk.
    pub storage: u64,
    /// Bytes that streams on disk may take by their limits.
    pub storage_reserved: u64,
    /// Bytes that all streams on disk may take together; `None` for no limit.
    pub storage_limit: Option<u64>,
    /// Accounts that use it.
    pub accounts: u64,
    /// Streams and consumers with several replicas of which it holds one.
    pub ha_assets: u64,
    /// Requests to its API since it started.
    pub api_total: u64,
    /// Of those, answered with an error.
    pub api_errors: u64,
}

/// The group of servers that keeps the list of all streams and consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaGroup {
    /// Who leads it, and how the others do; servers that do not lead tell nothing of others.
    pub cluster: Cluster,
    /// Servers that belong to it, connected or not.
    pub size: u64,
    /// Entries that it has not applied yet.
    pub pending: u64,
    /// Since when the server has named this leader, or none, as far as it was heard.
    pub named: Timestamp,
}

/// How a server is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSetup {
    /// Whether clients have to say who they are.
    pub requires_login: bool,
    /// Clients that it takes.
    pub max_connections: u64,
    /// Its certificates: what each is for, such as `clients` or `cluster`, and until when it holds.
    pub certificates: Vec<(String, Timestamp)>,
    /// The leaf nodes connected to it; `None` where it did not tell of them.
    pub leaf_nodes: Option<Vec<LeafNode>>,
    /// When it told all this.
    pub told: Option<Timestamp>,
}

/// A server that is connected as a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafNode {
    /// Its name.
    pub name: String,
    /// The account that it is bound to.
    pub account: String,
    /// Whether the one that tells of it is the leaf of the two.
    pub is_spoke: bool,
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
    /// Whether it is away, by the leader's word, who may take minutes to say so.
    pub is_offline: bool,
    /// Whether its server is away by what we hear ourselves: it says nothing of itself, and the leader has heard nothing of it either.
    pub is_silent: bool,
    /// How long ago the leader heard of it; `None` where this leader never has.
    pub heard_ago: Option<Duration>,
    /// Operations that it lacks, by the leader's word.
    pub behind: u64,
    /// Of a stream: the newest message that it holds, by its own word; `None` where it was not asked or did not answer.
    pub last_sequence: Option<u64>,
}

impl Server {
    /// Whether it has said nothing of itself for so long that what it said last counts no more.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        self.heard.age(now).0 > SILENCE
    }
}

impl Replica {
    /// Whether it is away, whoever says so.
    pub fn is_away(&self) -> bool {
        self.is_offline || self.is_silent
    }

    /// Whether it is away, or lacks something that the leader has.
    pub fn is_late(&self) -> bool {
        self.is_away() || !self.is_current
    }

    /// Its name, and who says that it is away where its leader does not.
    pub fn away_in_words(&self) -> String {
        match self.is_offline {
            true => self.name.clone(),
            false => format!("{} (it says nothing of itself)", self.name),
        }
    }
}
