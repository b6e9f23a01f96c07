//! The servers, as far as somebody who may see them has looked.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Gap, Moment, Number, Stamp, server_name},
};
use crate::snapshot::Server;

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
    version: String,
    cluster: String,
    started: Moment,
    cpu: Number,
    memory: Number,
    storage: Number,
    connections: Number,
    slow: Number,
}

/// The page of servers.
#[derive(Template)]
#[template(path = "pages/servers.html")]
pub(super) struct ServersPage {
    servers: ServerTable,
}

impl ServersPage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        Self { servers: ServerTable::of(look) }
    }
}

impl ServerTable {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let reading = &look.snapshot.servers;
        let servers = reading.value().map(Vec::as_slice).unwrap_or_default();
        Self {
            gap: Gap::of(reading, "servers"),
            stamp: Stamp::of(reading, look),
            missing: Vec::new(),
            rows: servers.iter().take(ROWS_MOST).map(|server| ServerRow::of(server, look)).collect(),
            more: servers.len().saturating_sub(ROWS_MOST),
        }
    }
}

impl ServerRow {
    fn of(server: &Server, look: &Look<'_>) -> Self {
        let storage = match server.storage_bytes {
            Some(bytes) => Number::known(format::bytes(bytes)),
            None => Number::unknown("it runs no JetStream"),
        };
        Self {
            id: server.id.clone(),
            name: server_name(&server.name),
            full_name: server.name.clone(),
            version: server.version.clone(),
            cluster: server.cluster.clone().unwrap_or_else(|| "none".to_owned()),
            started: Moment::length(server.started, look),
            cpu: Number::known(format!("{:.0} %", server.cpu_percent)).with_note(cores(server.cores)),
            memory: Number::known(format::bytes(server.memory_bytes)),
            storage,
            connections: Number::known(format::count(server.connections)),
            slow: Number::known(format::count(server.slow_consumers)),
        }
    }
}

fn cores(cores: u32) -> String {
    if cores == 0 { String::new() } else { format!("of {cores}00 %") }
}
