//! All at a glance.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Route,
    consumer::ConsumerAnswer,
    fault::FaultAnswer,
    json,
    known::{Known, Moment},
    round::RoundAnswer,
};
use crate::{
    clock::Timestamp,
    snapshot::{Contact, Label, Severity, Snapshot, Watched},
    views::{self, Search},
};

/// Consumers that are told of here; the list of consumers has them all.
const TROUBLE_MOST: usize = 20;

/// All at a glance.
pub(super) const ROUTE: Route = Route {
    path: "/overview",
    summary: "What is wrong, and how fresh that is.",
    query: &[],
    schema: |generator| generator.subschema_for::<Overview>(),
    answer: |ask| json(&Overview::of(ask.snapshot, ask.now)),
};

/// All at a glance.
#[derive(Serialize, JsonSchema)]
struct Overview {
    /// Which round of looking this is, counted from 1; 0 before the first has ended.
    round: u64,
    /// When it ended.
    taken: Moment,
    age_seconds: f64,
    /// From the end of a round to the start of the next.
    interval_seconds: f64,
    connection: Connection,
    /// The accounts that are watched, that of `--nats` first.
    accounts: Vec<WatchedAnswer>,
    /// What the last round cost; null before the first has ended.
    cost: Option<RoundAnswer>,
    /// Faults that somebody switched on in the account of `--nats`.
    faults: Known<Vec<FaultAnswer>>,
    /// Why what there is is not freshly known; null where it is.
    reason: Option<String>,
    /// Streams that are known.
    streams: usize,
    /// Consumers that are known, by the label of their verdict.
    consumers: BTreeMap<&'static str, usize>,
    /// Findings by severity.
    findings: BTreeMap<&'static str, usize>,
    /// The consumers that need somebody, the worst first, 20 at the most.
    trouble: Vec<ConsumerAnswer>,
}

/// An account that is watched.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WatchedAccount")]
struct WatchedAnswer {
    /// Its name; null where that is not known.
    account: Option<String>,
    connection: Connection,
    /// Why its streams were not listed in the last round; null where they were.
    unlisted: Option<String>,
    /// Faults that somebody switched on there.
    faults: Known<Vec<FaultAnswer>>,
}

/// The connection to an account that is watched.
#[derive(Serialize, JsonSchema)]
struct Connection {
    is_connected: bool,
    since: Moment,
    /// Why, in words.
    reason: String,
    /// The servers asked for, without secrets.
    url: String,
    user: Option<String>,
    /// The server at the other end.
    server: Option<String>,
    version: Option<String>,
}

impl Overview {
    fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let mut consumers: BTreeMap<_, usize> = Label::ALL.into_iter().map(|label| (label.token(), 0)).collect();
        for consumer in snapshot.known_consumers() {
            *consumers.entry(consumer.verdict.label.token()).or_default() += 1;
        }
        let severities = [Severity::Notice, Severity::Warning, Severity::Critical];
        let found = |severity| snapshot.findings.iter().filter(|finding| finding.severity == severity).count();
        let worst = views::consumers_of(snapshot, &Search::default());
        let trouble = worst.into_iter().filter(|consumer| consumer.verdict.is_trouble()).take(TROUBLE_MOST);
        Self {
            round: snapshot.round,
            taken: Moment(snapshot.taken),
            age_seconds: snapshot.taken.age(now).0.as_secs_f64(),
            interval_seconds: snapshot.interval.as_secs_f64(),
            connection: Connection::of(&snapshot.app.contact),
            cost: (snapshot.round > 0).then(|| RoundAnswer::of(&snapshot.stats)),
            accounts: snapshot.watched().map(|watched| WatchedAnswer::of(watched, now)).collect(),
            faults: FaultAnswer::all(&snapshot.app, now),
            reason: snapshot.unlisted().map(str::to_owned),
            streams: snapshot.known_streams().len(),
            consumers,
            findings: severities.into_iter().map(|severity| (severity.word(), found(severity))).collect(),
            trouble: trouble.map(|consumer| ConsumerAnswer::of(consumer, now)).collect(),
        }
    }
}

impl WatchedAnswer {
    fn of(watched: &Watched, now: Timestamp) -> Self {
        Self {
            account: watched.name.as_deref().map(str::to_owned),
            connection: Connection::of(&watched.contact),
            unlisted: watched.unlisted.clone(),
            faults: FaultAnswer::all(watched, now),
        }
    }
}

impl Connection {
    fn of(contact: &Contact) -> Self {
        let server = contact.server.as_ref();
        Self {
            is_connected: contact.is_connected,
            since: Moment(contact.since),
            reason: contact.reason.clone(),
            url: contact.url.clone(),
            user: contact.user.clone(),
            server: server.map(|(name, _)| name.clone()),
            version: server.map(|(_, version)| version.clone()),
        }
    }
}
