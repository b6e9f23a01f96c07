//! How the servers are connected: routes within a cluster, gateways between clusters, leaf nodes.

use askama::{Template, filters::HtmlSafe};

use crate::{
    snapshot::{Gateway, LeafNode, Server},
    views::{
        Look, format,
        pieces::{Gap, Number, server_name},
    },
};

/// Rows of the table; a note says how many more there are.
const ROWS_MOST: usize = 100;

/// Names in one field of the table; it is said how many more there are.
const NAMES_MOST: usize = 12;

/// What each server is connected to.
#[derive(Template)]
#[template(path = "parts/links.html")]
pub(super) struct LinksPanel {
    gap: Option<Gap>,
    rows: Vec<Row>,
    more: usize,
}

impl HtmlSafe for LinksPanel {}

struct Row {
    name: String,
    routes: Names,
    gateways: Names,
    /// `None` until the server told.
    leaf_nodes: Option<Names>,
    untold: Number,
}

/// Names, and how many there are.
struct Names {
    count: String,
    names: String,
}

impl LinksPanel {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let servers = look.snapshot.servers.value().map(Vec::as_slice).unwrap_or_default();
        Self {
            gap: Gap::of(&look.snapshot.servers, "servers"),
            rows: servers.iter().take(ROWS_MOST).map(Row::of).collect(),
            more: servers.len().saturating_sub(ROWS_MOST),
        }
    }
}

impl Row {
    fn of(server: &Server) -> Self {
        let leaf_nodes = server.setup.as_ref().and_then(|setup| setup.leaf_nodes.as_deref());
        Self {
            name: server_name(&server.name),
            routes: Names::of(&server.routes, |name| server_name(name)),
            gateways: Names::of(&server.gateways, gateway),
            leaf_nodes: leaf_nodes.map(|all| Names::of(all, leaf_node)),
            untold: Number::unknown("the server did not tell of them: not asked yet, or our user may not ask"),
        }
    }
}

impl Names {
    fn of<T>(all: &[T], name: fn(&T) -> String) -> Self {
        let mut names: Vec<String> = all.iter().take(NAMES_MOST).map(name).collect();
        let more = all.len() - names.len();
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        Self { count: format::count(all.len() as u64), names: names.join(", ") }
    }
}

fn gateway(gateway: &Gateway) -> String {
    format!("{} ({} from there)", format::cut(&gateway.cluster), format::counted_u64(gateway.inbound, "connection"))
}

fn leaf_node(leaf: &LeafNode) -> String {
    let of = if leaf.is_spoke { "hub " } else { "" };
    let name = if leaf.name.is_empty() { "without a name".to_owned() } else { server_name(&leaf.name) };
    format!("{of}{name} in account {}", format::cut(&leaf.account))
}
