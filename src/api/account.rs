//! What a watched account has used of what it may.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Failure, Parameter, Route, json, known::Known};
use crate::snapshot::{AccountUse, TierUse};

/// What a watched account has used of what it may.
pub(super) const ROUTE: Route = Route {
    path: "/account",
    summary: "What a watched account has used of its limits.",
    query: &[Parameter::text("account", "The account: that of `--nats` unless it is said.")],
    schema: |generator| generator.subschema_for::<Known<AccountAnswer>>(),
    answer: |ask| {
        let account = ask.search.account.as_str();
        let watched = if account.is_empty() { Some(&ask.snapshot.app) } else { ask.snapshot.account(account) };
        let watched = watched.ok_or_else(|| Failure::not_found("no user was given for an account of this name"))?;
        json(&Known::of(&watched.used, ask.now, AccountAnswer::of))
    },
};

/// An account's use of JetStream.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
struct AccountAnswer {
    name: String,
    /// All of it together.
    total: UseAnswer,
    /// Where what it may is told for each number of replicas, each of these.
    tiers: Vec<TierAnswer>,
}

/// What has one number of replicas.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountTier")]
struct TierAnswer {
    /// Such as `R3`.
    name: String,
    #[serde(flatten)]
    used: UseAnswer,
}

/// What is used of what may be used; a limit that is null is none.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountUse")]
struct UseAnswer {
    /// Bytes that streams hold in memory.
    memory_bytes: u64,
    /// Bytes that streams in memory may take by their own limits.
    memory_reserved_bytes: u64,
    memory_limit_bytes: Option<u64>,
    /// Bytes that streams hold on disk.
    storage_bytes: u64,
    /// Bytes that streams on disk may take by their own limits.
    storage_reserved_bytes: u64,
    storage_limit_bytes: Option<u64>,
    streams: u64,
    streams_limit: Option<u64>,
    consumers: u64,
    consumers_limit: Option<u64>,
}

impl AccountAnswer {
    fn of(account: &AccountUse) -> Self {
        let tiers = account.tiers.iter();
        Self {
            name: account.name.to_string(),
            total: UseAnswer::of(&account.total),
            tiers: tiers.map(|(name, used)| TierAnswer { name: name.clone(), used: UseAnswer::of(used) }).collect(),
        }
    }
}

impl UseAnswer {
    fn of(used: &TierUse) -> Self {
        Self {
            memory_bytes: used.memory,
            memory_reserved_bytes: used.memory_reserved,
            memory_limit_bytes: used.memory_limit,
            storage_bytes: used.storage,
            storage_reserved_bytes: used.storage_reserved,
            storage_limit_bytes: used.storage_limit,
            streams: used.streams,
            streams_limit: used.streams_limit,
            consumers: used.consumers,
            consumers_limit: used.consumers_limit,
        }
    }
}
