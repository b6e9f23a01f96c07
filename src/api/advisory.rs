//! What servers told unasked.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Parameter, Route, json,
    known::Moment,
    list::{ACCOUNT, CONSUMER, LIMIT, List, PAGE, Q, STREAM},
};
use crate::{
    advisory::{Advisory, Kind},
    clock::Timestamp,
    views,
};

/// What servers told unasked.
pub(super) const ROUTE: Route = Route {
    path: "/advisories",
    summary: "What servers told unasked in the accounts that are watched, the newest first, as far as it is remembered.",
    query: &[
        Q,
        Parameter::word("kind", "What is told, such as `exhausted`, `terminated` or `leader_elected`.", || {
            Kind::ALL.map(Kind::token).to_vec()
        }),
        ACCOUNT,
        STREAM,
        CONSUMER,
        PAGE,
        LIMIT,
    ],
    schema: |generator| generator.subschema_for::<AdvisoriesAnswer>(),
    answer: |ask| {
        let told = ask.accounts().map(|watched| watched.advisories.value());
        // Nothing is known of all of them that is not known of each.
        let told: Option<Vec<_>> = told.collect();
        let told = told.filter(|told| !told.is_empty());
        let rows = views::advisories_of(ask.snapshot, &ask.search);
        let reason = ask.reason(|watched| watched.advisories.reason());
        let latest = |times: Vec<Timestamp>| times.into_iter().max().map(Moment);
        json(&AdvisoriesAnswer {
            heard_since: told.iter().flatten().map(|told| told.since).max().map(Moment),
            stored_since: told.iter().flatten().map(|told| told.stored_since).collect::<Option<_>>().and_then(latest),
            told: told.map(|told| told.iter().map(|told| told.total).sum()),
            list: List::of(ask, rows, AdvisoryAnswer::of)?.lacking(reason, Vec::new()),
        })
    },
};

/// Advisories, and since when they are known.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Advisories")]
struct AdvisoriesAnswer {
    /// Since when all kinds are heard; null where nobody listens yet.
    heard_since: Option<Moment>,
    /// Since when messages that were given up are known; null where no stream keeps that.
    stored_since: Option<Moment>,
    /// How many came in all, also those that are not remembered.
    told: Option<u64>,
    #[serde(flatten)]
    list: List<AdvisoryAnswer>,
}

/// What a server told unasked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Advisory")]
struct AdvisoryAnswer {
    id: String,
    /// When the server said so.
    time: Moment,
    /// What is told.
    #[schemars(with = "String", extend("enum" = Kind::ALL.map(Kind::token)))]
    kind: &'static str,
    account: String,
    /// The stream that it is about.
    stream: Option<String>,
    /// The consumer that it is about.
    consumer: Option<String>,
    /// The message that it is about, by its sequence in the stream.
    sequence: Option<u64>,
    /// The reason that somebody gave; empty where nobody did.
    reason: String,
    /// All that in a sentence, which names neither stream nor consumer.
    sentence: String,
    /// How many alike it stands for: 1, and more only of naks and of messages removed in flight.
    count: u64,
}

impl AdvisoryAnswer {
    fn of(advisory: &Advisory) -> Self {
        Self {
            id: advisory.id.clone(),
            time: Moment(advisory.time),
            kind: advisory.kind.token(),
            account: advisory.account.to_string(),
            stream: advisory.stream.as_ref().map(ToString::to_string),
            consumer: advisory.consumer.as_ref().map(ToString::to_string),
            sequence: advisory.sequence,
            reason: advisory.reason.clone(),
            sentence: advisory.sentence.clone(),
            count: advisory.count,
        }
    }
}
