//! A fact with its source and its age, or the reason why there is none.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::{
    clock::Timestamp,
    mask::{self, Masked},
    snapshot::{Cluster, Reading, Why},
};

/// A moment, as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub(super) struct Moment(pub(super) Timestamp);

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "A moment, in UTC." })
    }
}

/// So many nanoseconds in seconds.
pub(super) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

/// What somebody wrote, with secrets left out.
pub(super) fn said(text: &str) -> String {
    mask::text(text, &mut Masked::default())
}

/// Whether a fact may be relied on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Freshness {
    /// The last round read it.
    Fresh,
    /// An earlier round read it, the last one failed to.
    Stale,
    /// Nobody has asked yet.
    NotYet,
    /// What would tell of it does not exist.
    Absent,
    /// The observer's user may not see it.
    Hidden,
    /// It was asked for, and no answer came.
    Failed,
}

/// A fact: what was said, by whom and when; or why there is none.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Known_{T}")]
pub(super) struct Known<T> {
    /// Whether it may be relied on.
    freshness: Freshness,
    /// What was said; null where there is no word of it.
    value: Option<T>,
    /// Who said it.
    source: Option<String>,
    /// When it was heard.
    at: Option<Moment>,
    /// How long ago that was.
    age_seconds: Option<f64>,
    /// Why it is not fresh.
    reason: Option<String>,
}

impl<T> Known<T> {
    /// A reading, told in the words of the answer.
    pub(super) fn of<V>(reading: &Reading<V>, now: Timestamp, tell: impl FnOnce(&V) -> T) -> Self {
        let freshness = match reading {
            Reading::Known(_) => Freshness::Fresh,
            Reading::Stale { .. } => Freshness::Stale,
            Reading::Unknown { why: Why::NotYet, .. } => Freshness::NotYet,
            Reading::Unknown { why: Why::Absent, .. } => Freshness::Absent,
            Reading::Unknown { why: Why::Hidden, .. } => Freshness::Hidden,
            Reading::Unknown { why: Why::Failed, .. } => Freshness::Failed,
        };
        let fact = reading.fact();
        Self {
            freshness,
            value: fact.map(|fact| tell(&fact.value)),
            source: fact.map(|fact| fact.source.to_string()),
            at: fact.map(|fact| Moment(fact.at)),
            age_seconds: fact.map(|fact| fact.at.age(now).0.as_secs_f64()),
            reason: reading.reason().map(str::to_owned),
        }
    }
}

/// Who holds a stream or consumer that several servers share.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterAnswer {
    /// The server that leads; null while there is none.
    leader: Option<String>,
    /// The others.
    replicas: Vec<ReplicaAnswer>,
}

/// A server that follows the leader.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Replica")]
struct ReplicaAnswer {
    name: String,
    /// Whether it has all that the leader has.
    is_current: bool,
    /// Whether it is away, by the leader's word.
    is_offline: bool,
    /// Whether its server is away by what the observer hears itself: it says nothing, and the leader has heard nothing of it either.
    is_silent: bool,
    /// How long ago the leader heard of it; null where this leader never has.
    heard_ago_seconds: Option<f64>,
    /// Operations that it lacks.
    behind: u64,
}

impl ClusterAnswer {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let replicas = cluster.replicas.iter().map(|replica| ReplicaAnswer {
            name: replica.name.clone(),
            is_current: replica.is_current,
            is_offline: replica.is_offline,
            is_silent: replica.is_silent,
            heard_ago_seconds: replica.heard_ago.map(|ago| ago.as_secs_f64()),
            behind: replica.behind,
        });
        Self { leader: cluster.leader.clone(), replicas: replicas.collect() }
    }
}
