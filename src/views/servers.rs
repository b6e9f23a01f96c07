//! The servers, as far as somebody who may see them has looked, what each of them leads, and replicas that lag behind.

mod links;
mod meta;
mod room;

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    account::AccountPanel,
    connections::ConnectionsPanel,
    consumers,
    cost::CostPanel,
    format,
    page::Page,
    pieces::{Gap, Level, Moment, Number, Sign, Stamp, server_name},
    replicas::ReplicaRow,
};
use crate::snapshot::{Cluster, Reading, Server, Snapshot, Span, Stream};
use links::LinksPanel;
use meta::MetaPanel;
use room::RoomPanel;

/// Rows of the table; a note says how many more there are.
const ROWS_MOST: usize = 100;

/// A table of servers.
#[derive(Template)]
#[template(path = "parts/servers.html")]
pub(super) struct ServerTable {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    missing: Vec<String>,
    rows: Vec<ServerRow>,
    more: usize,
}

impl HtmlSafe for ServerTable {}

struct ServerRow {
    id: String,
    name: String,
    full_name: String,
    sign: Sign,
    heard: Moment,
    is_silent: bool,
    why: String,
    version: String,
    cluster: String,
    /// Since when it is up.
    started: Option<Moment>,
    /// How long it had been up when it was heard last, where it is silent.
    was_up: String,
    cpu: Number,
    memory: Number,
    storage: Number,
    connections: Number,
    slow: Number,
    leads: Leads,
}

/// Streams and consumers that a server leads.
#[derive(Debug, Clone, Copy, Default)]
struct Leads {
    streams: usize,
    consumers: usize,
}

/// A stream or consumer one of whose replicas is not current.
struct Lagging {
    what: String,
    href: String,
    replica: ReplicaRow,
}

/// The page of servers.
#[derive(Template)]
#[template(path = "pages/servers.html")]
pub(super) struct ServersPage {
    servers: ServerTable,
    /// Leaders as the streams name them, where the servers themselves are not visible.
    leaders: Vec<(String, Leads)>,
    /// Streams that have no leader at the moment.
    leaderless: Vec<(String, String)>,
    lagging: Vec<Lagging>,
    lagging_more: usize,
    is_clustered: bool,
    connections: Option<ConnectionsPanel>,
    accounts: Vec<AccountPanel>,
    /// What only a user of the system account sees.
    of_servers: Option<(MetaPanel, LinksPanel, RoomPanel)>,
    cost: CostPanel,
}

impl ServersPage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let mut lagging = lagging(look);
        let more = lagging.len().saturating_sub(ROWS_MOST);
        lagging.truncate(ROWS_MOST);
        let leaders = leads(look.snapshot).into_iter().map(|(name, leads)| (server_name(name), leads));
        let hides = look.snapshot.servers.value().is_none();
        let streams = look.snapshot.known_streams();
        let leaderless = streams.iter().filter(|row| cluster(row).is_some_and(|cluster| cluster.leader.is_none()));
        Self {
            servers: ServerTable::of(look),
            leaders: if hides { leaders.collect() } else { Vec::new() },
            leaderless: leaderless
                .take(ROWS_MOST)
                .map(|row| {
                    (
                        format!("{}{}", row.name, look.in_account(&row.account)),
                        look.link(&Page::Stream(row.account.to_string(), row.name.clone(), Span::default())),
                    )
                })
                .collect(),
            lagging,
            lagging_more: more,
            is_clustered: streams.iter().any(|row| cluster(row).is_some()),
            connections: ConnectionsPanel::of(look),
            accounts: AccountPanel::all(look),
            of_servers: (!hides).then(|| (MetaPanel::of(look), LinksPanel::of(look), RoomPanel::of(look))),
            cost: CostPanel::of(look),
        }
    }
}

fn cluster(stream: &Stream) -> Option<&Cluster> {
    stream.state.value()?.cluster.as_ref()
}

/// What each server leads, by its name.
fn leads(snapshot: &Snapshot) -> BTreeMap<&str, Leads> {
    let mut all = BTreeMap::<&str, Leads>::new();
    for stream in snapshot.known_streams() {
        if let Some(name) = leader(&stream.state, |state| state.cluster.as_ref()) {
            all.entry(name).or_default().streams += 1;
        }
    }
    for consumer in snapshot.known_consumers() {
        if let Some(name) = leader(&consumer.state, |state| state.cluster.as_ref()) {
            all.entry(name).or_default().consumers += 1;
        }
    }
    all
}

/// Who leads; without a cluster the server that answered.
fn leader<T>(state: &Reading<T>, cluster: fn(&T) -> Option<&Cluster>) -> Option<&str> {
    let fact = state.fact()?;
    match cluster(&fact.value) {
        None => Some(&fact.source),
        Some(cluster) => cluster.leader.as_deref(),
    }
}

fn lagging(look: &Look<'_>) -> Vec<Lagging> {
    let streams = look.snapshot.known_streams().iter().flat_map(|row| {
        let href = || look.link(&Page::Stream(row.account.to_string(), row.name.clone(), Span::default()));
        let cluster = row.state.value().and_then(|state| state.cluster.as_ref());
        behind(cluster, || (format!("stream {}{}", row.name, look.in_account(&row.account)), href()))
    });
    let consumers = look.snapshot.known_consumers().flat_map(|row| {
        let cluster = row.state.value().and_then(|state| state.cluster.as_ref());
        let name = || format!("{} on {}{}", row.name, row.stream, look.in_account(&row.account));
        behind(cluster, || (name(), look.link(&consumers::page_of(row))))
    });
    streams.chain(consumers).collect()
}

/// The replicas that are behind. `named` says what they are of, and where that is shown.
fn behind(cluster: Option<&Cluster>, named: impl Fn() -> (String, String)) -> Vec<Lagging> {
    let followers = cluster.into_iter().flat_map(|cluster| &cluster.replicas);
    let late = followers.filter(|replica| replica.is_late());
    late.map(|replica| {
        let (what, href) = named();
        Lagging { what, href, replica: ReplicaRow::of(replica) }
    })
    .collect()
}

impl ServerTable {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let reading = &look.snapshot.servers;
        let servers = reading.value().map(Vec::as_slice).unwrap_or_default();
        let leads = leads(look.snapshot);
        let row = |server: &Server| {
            let leads = leads.get(server.name.as_str()).copied().unwrap_or_default();
            ServerRow::of(server, leads, look)
        };
        Self {
            gap: Gap::of(reading, "servers"),
            stamp: Stamp::of(reading, look),
            missing: Vec::new(),
            rows: servers.iter().take(ROWS_MOST).map(row).collect(),
            more: servers.len().saturating_sub(ROWS_MOST),
        }
    }
}

impl ServerRow {
    fn of(server: &Server, leads: Leads, look: &Look<'_>) -> Self {
        let storage = match server.storage_bytes {
            Some(bytes) => Number::known(format::bytes(bytes)),
            None => Number::unknown("it runs no JetStream"),
        };
        let is_silent = server.is_silent(look.now);
        Self {
            id: server.id.clone(),
            name: server_name(&server.name),
            sign: sign(server, look),
            heard: Moment::ago(server.heard, look),
            is_silent,
            why: why(server, is_silent),
            full_name: server.name.clone(),
            version: server.version.clone(),
            cluster: server.cluster.clone().unwrap_or_else(|| "none".to_owned()),
            started: (!is_silent).then(|| Moment::length(server.started, look)),
            was_up: format::length(server.started, server.heard),
            cpu: Number::known(format!("{:.0} %", server.cpu_percent)).with_note(cores(server.cores)),
            memory: Number::known(format::bytes(server.memory_bytes)),
            storage,
            connections: Number::known(format::count(server.connections)),
            slow: Number::known(format::count(server.slow_consumers)),
            leads,
        }
    }
}

/// How a server is: by its own word, as long as it says something.
fn sign(server: &Server, look: &Look<'_>) -> Sign {
    match &server.health {
        _ if server.is_silent(look.now) => Sign::new(Level::Critical, "silent"),
        _ if server.lost_jetstream.is_some() => Sign::new(Level::Critical, "no JetStream"),
        Some(health) if !health.is_well => Sign::new(Level::Warning, "not well"),
        Some(_) => Sign::new(Level::Ok, "well"),
        None => Sign::new(Level::Idle, "up"),
    }
}

/// What is to be known of it beside its state.
fn why(server: &Server, is_silent: bool) -> String {
    let sick = server.health.as_ref().filter(|health| !health.is_well);
    match sick {
        _ if is_silent => "what stands here is what it said last".to_owned(),
        _ if server.lost_jetstream.is_some() => "it ran with JetStream before".to_owned(),
        Some(health) => format::cut(&health.reason),
        None => String::new(),
    }
}

fn cores(cores: u32) -> String {
    if cores == 0 { String::new() } else { format!("of {cores}00 %") }
}
