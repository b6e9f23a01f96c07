//! What the servers may use and have used, and how long their certificates hold.

use askama::{Template, filters::HtmlSafe};

use crate::{
    snapshot::{Server, ServerSetup},
    views::{
        Look, format,
        pieces::{Gap, Moment, Number, server_name},
        used::Used,
    },
};

/// Rows of the table; a note says how many more there are.
const ROWS_MOST: usize = 100;

/// The limits of each server.
#[derive(Template)]
#[template(path = "parts/room.html")]
pub(super) struct RoomPanel {
    gap: Option<Gap>,
    rows: Vec<Row>,
    more: usize,
}

impl HtmlSafe for RoomPanel {}

struct Row {
    name: String,
    storage: Used,
    memory: Used,
    connections: Used,
    certificates: Result<String, Number>,
    told: Option<Moment>,
}

const UNTOLD: &str = "the server did not say how it is set up: not asked yet, or our user may not ask";

impl RoomPanel {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let servers = look.snapshot.servers.value().map(Vec::as_slice).unwrap_or_default();
        Self {
            gap: Gap::of(&look.snapshot.servers, "servers"),
            rows: servers.iter().take(ROWS_MOST).map(|server| Row::of(server, look)).collect(),
            more: servers.len().saturating_sub(ROWS_MOST),
        }
    }
}

impl Row {
    fn of(server: &Server, look: &Look<'_>) -> Self {
        let without = || Used::unknown("it runs no JetStream");
        let bytes = format::bytes as fn(u64) -> String;
        let used = server.jetstream;
        let setup = server.setup.as_deref();
        let storage = used.map(|used| Used::of(used.storage, used.storage_limit, used.storage_reserved, bytes));
        let memory = used.map(|used| Used::of(used.memory, used.memory_limit, used.memory_reserved, bytes));
        let most = setup.map(|setup| Some(setup.max_connections).filter(|most| *most > 0));
        let connections = most.map(|most| Used::of(server.connections, most, 0, format::count));
        Self {
            name: server_name(&server.name),
            storage: storage.unwrap_or_else(without),
            memory: memory.unwrap_or_else(without),
            connections: connections.unwrap_or_else(|| Used::unknown(UNTOLD)),
            certificates: setup.map(|setup| certificates(setup, look)).ok_or_else(|| Number::unknown(UNTOLD)),
            told: setup.and_then(|setup| setup.told).map(|told| Moment::ago(told, look)),
        }
    }
}

/// What each certificate is for, and how long it holds.
fn certificates(setup: &ServerSetup, look: &Look<'_>) -> String {
    let all = setup.certificates.iter().map(|(part, until)| {
        let left = look.now.age(*until).0;
        if left.is_zero() { format!("{part}: ended") } else { format!("{part}: {} more", format::age(left)) }
    });
    let all: Vec<String> = all.collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
