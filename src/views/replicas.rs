//! Who holds a stream or a consumer in a cluster.

use askama::{Template, filters::HtmlSafe};

use super::{
    format,
    pieces::{Level, Sign, server_name},
};
use crate::snapshot::{Cluster, Reading, Replica};

/// The leader and its followers.
#[derive(Template)]
#[template(path = "parts/replicas.html")]
pub(super) struct ReplicaTable {
    leader: Option<String>,
    rows: Vec<ReplicaRow>,
}

impl HtmlSafe for ReplicaTable {}

/// One follower.
pub(super) struct ReplicaRow {
    pub(super) name: String,
    pub(super) sign: Sign,
    pub(super) behind: String,
    pub(super) heard: String,
}

impl ReplicaTable {
    /// `None` on a server without a cluster.
    pub(super) fn of<T>(state: &Reading<T>, cluster: fn(&T) -> Option<&Cluster>) -> Option<Self> {
        let cluster = cluster(state.value()?)?;
        Some(Self {
            leader: cluster.leader.as_deref().map(server_name),
            rows: cluster.replicas.iter().map(ReplicaRow::of).collect(),
        })
    }
}

impl ReplicaRow {
    pub(super) fn of(replica: &Replica) -> Self {
        Self {
            name: server_name(&replica.name),
            sign: sign(replica),
            behind: format::counted_u64(replica.behind, "operation"),
            heard: replica
                .heard_ago
                .map_or_else(|| "never by this leader".to_owned(), |ago| format!("{} ago", format::age(ago))),
        }
    }
}

/// How a follower is.
fn sign(replica: &Replica) -> Sign {
    match (replica.is_away(), replica.is_current) {
        (true, _) if !replica.is_offline => Sign::new(Level::Critical, "silent"),
        (true, _) => Sign::new(Level::Critical, "offline"),
        (false, false) => Sign::new(Level::Warning, "behind"),
        (false, true) => Sign::new(Level::Ok, "current"),
    }
}

/// The leader's name; without a cluster it is the server that answered.
pub(super) fn leader<T>(state: &Reading<T>, cluster: fn(&T) -> Option<&Cluster>) -> String {
    let Some(fact) = state.fact() else { return "unknown".to_owned() };
    match cluster(&fact.value) {
        None => server_name(&fact.source),
        Some(Cluster { leader: None, .. }) => "none".to_owned(),
        Some(Cluster { leader: Some(leader), replicas }) => {
            let behind = replicas.iter().filter(|replica| replica.is_late()).count();
            match (replicas.len(), behind) {
                (0, _) => server_name(leader),
                (all, 0) => format!("{} +{all}", server_name(leader)),
                (all, behind) => format!("{} +{all}, {behind} behind", server_name(leader)),
            }
        }
    }
}
