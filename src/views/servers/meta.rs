//! The group of servers that keeps the list of all streams and consumers: who leads it, and how the others follow.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};

use crate::{
    snapshot::{MetaGroup, Server},
    views::{
        Look, format,
        pieces::{Gap, Moment, server_name},
        replicas::ReplicaRow,
    },
};

/// Followers of a group that are shown; a note says how many more there are.
const ROWS_MOST: usize = 100;

/// One group for each domain of JetStream.
#[derive(Template)]
#[template(path = "parts/meta.html")]
pub(super) struct MetaPanel {
    gap: Option<Gap>,
    groups: Vec<Group>,
}

impl HtmlSafe for MetaPanel {}

struct Group {
    domain: Option<String>,
    leader: Option<String>,
    /// What the leader says of itself; `None` where it was not heard.
    told: Option<Told>,
    /// Servers that take another one for the leader.
    others: Vec<String>,
}

struct Told {
    size: u64,
    pending: String,
    heard: Moment,
    rows: Vec<ReplicaRow>,
    more: usize,
}

impl MetaPanel {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let servers = look.snapshot.servers.value().map(Vec::as_slice).unwrap_or_default();
        let mut domains: BTreeMap<Option<&str>, Vec<(&Server, &MetaGroup)>> = BTreeMap::new();
        for server in servers {
            if let Some(meta) = &server.meta {
                domains.entry(server.domain.as_deref()).or_default().push((server, meta));
            }
        }
        let groups: Vec<Group> = domains.into_iter().map(|(domain, group)| Group::of(domain, &group, look)).collect();
        let empty = || Gap::empty("No server tells of one: without a JetStream cluster each keeps its own list.");
        let gap = Gap::of(&look.snapshot.servers, "servers").or_else(|| groups.is_empty().then(empty));
        Self { gap, groups }
    }
}

impl Group {
    fn of(domain: Option<&str>, group: &[(&Server, &MetaGroup)], look: &Look<'_>) -> Self {
        let leads = |(server, meta): &&(&Server, &MetaGroup)| meta.cluster.leader.as_deref() == Some(&server.name);
        let by_itself =
            group.iter().filter(leads).max_by_key(|(server, meta)| (!server.is_silent(look.now), meta.named));
        let leader = match by_itself {
            Some((server, _)) => Some(server.name.as_str()),
            None => group.iter().find_map(|(_, meta)| meta.cluster.leader.as_deref()),
        };
        // What a server said before the leader began, or before it fell silent, is no word on who leads now.
        let began = by_itself.map(|(_, meta)| meta.named);
        let counts = |server: &Server| !server.is_silent(look.now) && began.is_none_or(|began| server.heard > began);
        let heard = group.iter().filter(|(server, _)| counts(server));
        let differ = heard.filter(|(_, meta)| meta.cluster.leader.as_deref() != leader);
        let others = differ.map(|(server, meta)| {
            let taken = meta.cluster.leader.as_deref().map_or_else(|| "none".to_owned(), server_name);
            format!("{} takes {taken} for the leader", server_name(&server.name))
        });
        Self {
            domain: domain.map(format::cut),
            leader: leader.map(server_name),
            told: by_itself.map(|(server, meta)| Told::of(server, meta, look)),
            others: others.take(ROWS_MOST).collect(),
        }
    }
}

impl Told {
    fn of(server: &Server, meta: &MetaGroup, look: &Look<'_>) -> Self {
        let followers = &meta.cluster.replicas;
        Self {
            size: meta.size,
            pending: match meta.pending {
                0 => "it has applied every entry".to_owned(),
                some => format!("{} to be applied yet", format::counted_u64(some, "entry")),
            },
            heard: Moment::ago(server.heard, look),
            rows: followers.iter().take(ROWS_MOST).map(ReplicaRow::of).collect(),
            more: followers.len().saturating_sub(ROWS_MOST),
        }
    }
}
