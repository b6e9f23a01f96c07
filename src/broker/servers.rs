//! The servers: what each says of itself every 10 s unasked, and of how it is set up when it is asked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    AskError,
    gather::{Expected, Question},
    health::Told,
    streams::read_cluster,
    wire::{GatewayStats, LeafInfo, LeafzAnswer, MetaInfo, ServerInfo, ServerStats, Stats, Varz, VarzAnswer},
};
use crate::{
    clock::{Clock, Timestamp},
    snapshot::{Gateway, JetStreamUse, LeafNode, MetaGroup, Server, ServerSetup, limit},
};

/// Servers at the most; further ones are not taken up.
const SERVERS_MOST: usize = 1_000;

/// A server that has said nothing for so long, and that nobody else counts as one of theirs, is gone for good.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// How often servers are asked how they are set up: certificates and leaf nodes seldom change.
const SETUP_EVERY: Duration = Duration::from_secs(5 * 60);

/// What servers push.
const PUSHED: &str = "$SYS.SERVER.*.STATSZ";

/// How servers are set up, by their names.
pub(super) type Setups = BTreeMap<String, ServerSetup>;

/// The servers as far as they were heard.
pub(super) struct Servers {
    client: Client,
    clock: Clock,
    pushed: Option<Subscriber>,
    /// By name: an id lasts until the next start only.
    heard: BTreeMap<String, Server>,
    /// As many as the server that spoke last knows of; `None` before.
    active: Option<usize>,
    asked_for_setup: Option<Instant>,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").field("heard", &self.heard.len()).finish_non_exhaustive()
    }
}

impl Servers {
    pub(super) fn new(client: Client, clock: Clock) -> Self {
        let (heard, pushed) = (BTreeMap::new(), None);
        Self { client, clock, pushed, heard, active: None, asked_for_setup: None }
    }

    /// Takes what was pushed since the last time. The first time everybody is asked, because servers push every 10 s only.
    pub(super) async fn listen(&mut self) -> Result<(), AskError> {
        if self.pushed.is_none() {
            let lost = |source: async_nats::SubscribeError| AskError::Lost {
                subject: PUSHED.to_owned(),
                source: source.into(),
            };
            self.pushed = Some(self.client.subscribe(PUSHED).await.map_err(lost)?);
        }
        while let Some(Some(message)) = self.pushed.as_mut().and_then(|pushed| pushed.next().now_or_never()) {
            if let Ok(stats) = serde_json::from_slice(&message.payload) {
                self.hear(stats, self.clock.now());
            }
        }
        if self.heard.is_empty() {
            // What is so when it is answered was so when it was asked.
            let asked = self.clock.now();
            for stats in self.ping().await? {
                self.hear(stats, asked);
            }
        }
        self.forget();
        Ok(())
    }

    /// All that were heard, by name.
    pub(super) fn all(&self) -> Vec<Server> {
        self.heard.values().cloned().collect()
    }

    /// The ids of those that were heard lately, by which each can be asked for itself.
    pub(super) fn ids(&self) -> Vec<String> {
        let now = self.clock.now();
        let heard = self.heard.values().filter(|server| !server.is_silent(now));
        heard.map(|server| server.id.clone()).collect()
    }

    /// How many answers a question to all has; `usual` is how many came the last time.
    pub(super) fn expected(&self, usual: usize) -> Expected {
        Expected { all: self.count(), usual }
    }

    /// How many servers there are, by their own count.
    pub(super) fn count(&self) -> usize {
        self.active.unwrap_or(SERVERS_MOST).min(SERVERS_MOST)
    }

    /// The names of those that were heard and are not among `answered`.
    pub(super) fn silent(&self, answered: &[Arc<str>]) -> Vec<Arc<str>> {
        let is_silent = |name: &&String| !answered.iter().any(|answered| answered.as_ref() == name.as_str());
        self.heard.keys().filter(is_silent).map(|name| name.as_str().into()).collect()
    }

    async fn ping(&self) -> Result<Vec<ServerStats>, AskError> {
        let mut active = None;
        let answers = question("$SYS.REQ.SERVER.PING")
            .gather(&self.client, |answer| {
                let said = serde_json::from_slice::<ServerStats>(&answer.payload).ok();
                active = said.and_then(|said| said.statsz.active_servers).or(active);
                Expected { all: active.unwrap_or(SERVERS_MOST), usual: 0 }
            })
            .await?;
        Ok(understood(&answers))
    }

    /// Asks how the servers are set up, when that is due. Whoever may not ask that has to do without.
    pub(super) async fn ask_for_setup(&self) -> Option<Setups> {
        if self.asked_for_setup.is_some_and(|asked| asked.elapsed() < SETUP_EVERY) {
            return None;
        }
        let mut setups = Setups::new();
        let expected = self.expected(0);
        let (varz, leafz) = tokio::join!(
            question("$SYS.REQ.SERVER.PING.VARZ").gather(&self.client, |_| expected),
            question("$SYS.REQ.SERVER.PING.LEAFZ").gather(&self.client, |_| expected)
        );
        for VarzAnswer { server, data } in understood(&varz.unwrap_or_default()) {
            if let Some(data) = data {
                setups.insert(server.name, read_setup(data, self.clock.now()));
            }
        }
        for LeafzAnswer { server, data } in understood(&leafz.unwrap_or_default()) {
            if let (Some(setup), Some(data)) = (setups.get_mut(&server.name), data) {
                setup.leaf_nodes = Some(data.leafs.into_iter().map(read_leaf).collect());
            }
        }
        Some(setups)
    }

    /// Takes what [`Servers::ask_for_setup`] brought.
    pub(super) fn set_up(&mut self, setups: Option<Setups>) {
        let Some(setups) = setups else { return };
        self.asked_for_setup = Some(Instant::now());
        for (name, setup) in setups {
            if let Some(server) = self.heard.get_mut(&name) {
                server.setup = Some(Arc::new(setup));
            }
        }
    }

    /// Takes what servers said of their health.
    pub(super) fn set_health(&mut self, told: Told) {
        for (name, health) in told {
            if let Some(server) = self.heard.get_mut(&name) {
                server.health = Some(health);
            }
        }
    }

    /// Takes a server's word, which holds since `so_since` where it is the first of its kind.
    fn hear(&mut self, ServerStats { server, statsz }: ServerStats, so_since: Timestamp) {
        self.active = statsz.active_servers.or(self.active);
        if self.heard.len() >= SERVERS_MOST && !self.heard.contains_key(&server.name) {
            return;
        }
        let before = self.heard.get(&server.name);
        let setup = before.and_then(|before| before.setup.clone());
        let health = before.and_then(|before| before.health.clone());
        let mut now = Server { setup, health, ..read(server, statsz, self.clock.now()) };
        remember(&mut now, before, so_since);
        self.heard.insert(now.name.clone(), now);
    }

    fn forget(&mut self) {
        let metas = self.heard.values().filter_map(|server| server.meta.as_ref());
        let peers = metas.flat_map(|meta| &meta.cluster.replicas).map(|peer| peer.name.clone());
        let peers: Vec<String> = peers.collect();
        let now = self.clock.now();
        self.heard.retain(|name, server| server.heard.age(now).0 < FORGOTTEN || peers.contains(name));
    }
}

/// What only two words of a server show: since when it names its leader, and that it ran JetStream before.
fn remember(now: &mut Server, before: Option<&Server>, so_since: Timestamp) {
    now.lost_jetstream = before.filter(|_| !now.has_jetstream).and_then(|before| {
        let lost_now = before.has_jetstream.then_some(so_since);
        before.lost_jetstream.or(lost_now)
    });
    let Some(meta) = &mut now.meta else { return };
    let named = before.and_then(|before| before.meta.as_ref());
    let as_before = named.filter(|named| named.cluster.leader == meta.cluster.leader);
    meta.named = as_before.map_or(so_since, |named| named.named);
}

fn question(subject: &str) -> Question<'_> {
    Question { subject, headers: HeaderMap::new(), payload: Bytes::new() }
}

/// What makes no sense is left out: one odd server must not hide the others.
pub(super) fn understood<T: DeserializeOwned>(answers: &[Message]) -> Vec<T> {
    answers.iter().filter_map(|answer| serde_json::from_slice(&answer.payload).ok()).collect()
}

fn read(server: ServerInfo, stats: Stats, heard: Timestamp) -> Server {
    let mut routes: Vec<String> = stats.routes.into_iter().map(|route| route.name).collect();
    // One connection for each of a pool.
    routes.sort();
    routes.dedup();
    let gateway = |stats: GatewayStats| Gateway { cluster: stats.name, inbound: stats.inbound_connections };
    let jetstream = stats.jetstream;
    let config = jetstream.as_ref().and_then(|jetstream| jetstream.config.as_ref());
    let domain = server.domain.or_else(|| config.and_then(|config| config.domain.clone()));
    let limits = config.map(|config| (limit(config.max_memory), limit(config.max_storage))).unwrap_or_default();
    let (used, meta) = jetstream.map_or((None, None), |jetstream| (jetstream.stats, jetstream.meta));
    let used = used.map(|used| JetStreamUse {
        memory: used.memory,
        memory_reserved: used.reserved_memory,
        memory_limit: limits.0,
        storage: used.storage,
        storage_reserved: used.reserved_storage,
        storage_limit: limits.1,
        accounts: used.accounts,
        ha_assets: used.ha_assets,
        api_total: used.api.total,
        api_errors: used.api.errors,
    });
    Server {
        name: server.name,
        id: server.id,
        version: server.ver,
        cluster: server.cluster,
        has_jetstream: server.jetstream,
        lost_jetstream: None,
        started: stats.start,
        cpu_percent: stats.cpu,
        cores: stats.cores,
        memory_bytes: stats.mem,
        connections: stats.connections,
        slow_consumers: stats.slow_consumers,
        storage_bytes: used.map(|used| used.storage),
        heard,
        domain: domain.filter(|domain| !domain.is_empty()),
        subscriptions: stats.subscriptions,
        accounts: stats.active_accounts,
        routes: routes.into_iter().filter(|name| !name.is_empty()).collect(),
        gateways: stats.gateways.into_iter().map(gateway).collect(),
        jetstream: used,
        meta: meta.map(|meta| read_meta(meta, heard)),
        setup: None,
        health: None,
    }
}

fn read_meta(MetaInfo { cluster, cluster_size, pending }: MetaInfo, named: Timestamp) -> MetaGroup {
    MetaGroup { cluster: read_cluster(cluster), size: cluster_size, pending, named }
}

fn read_leaf(leaf: LeafInfo) -> LeafNode {
    LeafNode { name: leaf.name, account: leaf.account, is_spoke: leaf.is_spoke }
}

fn read_setup(varz: Varz, told: Timestamp) -> ServerSetup {
    let of_part = |(part, value): (&String, &serde_json::Value)| {
        let until = value.get("tls_cert_not_after")?.as_str().and_then(Timestamp::parse)?;
        Some((part.clone(), until))
    };
    let own = varz.tls_cert_not_after.map(|until| ("clients".to_owned(), until));
    let mut certificates: Vec<(String, Timestamp)> =
        own.into_iter().chain(varz.rest.iter().filter_map(of_part)).collect();
    certificates.sort();
    ServerSetup {
        requires_login: varz.auth_required,
        max_connections: varz.max_connections,
        certificates,
        leaf_nodes: None,
        told: Some(told),
    }
}
