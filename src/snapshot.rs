//! What the broker looked like at one moment: plain facts, each with who said it and when. What nobody said is unknown, never zero.

mod account;
mod advisories;
mod ages;
mod asked;
mod config;
mod consumer;
mod contact;
mod entry;
mod failures;
mod finding;
mod forecast;
mod letters;
mod listing;
mod probes;
mod reading;
mod round;
mod sample;
mod series;
mod server;
mod stream;
#[cfg(feature = "dashboard")]
mod under_key;
mod verdict;
mod watched;

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
};

pub use account::{AccountUse, TierUse};
pub use advisories::Advisories;
pub use ages::{AgeBy, Ages, Oldest};
pub use asked::AskedProbe;
pub use config::{
    Acks, Configs, ConsumerConfig, Discard, Mode, Origin, Storage, StreamConfig, WORKER_METADATA, WorkerFact, limit,
};
pub use consumer::{Consumer, ConsumerState, ConsumerTrend, NewLeader};
pub use contact::{Contact, user_in_words};
pub use entry::{Bucket, Entry};
pub use failures::Failures;
pub use finding::{Finding, Severity};
pub use forecast::{FULL_PERCENT, Forecast, IMMINENT, Limit, Outlook, Pace, stretch};
pub use letters::{Letter, Letters};
pub use listing::{Listing, Missing};
pub use probes::{ProbePast, Probed};
pub use reading::{Fact, Reading, Why};
pub use round::RoundStats;
pub use sample::{Habits, Mark, Sample};
pub use series::{Point, Series, Span};
pub use server::{Cluster, Gateway, Health, JetStreamUse, LeafNode, MetaGroup, Replica, SILENCE, Server, ServerSetup};
pub use stream::{Held, OriginState, Retention, Stream, StreamState, StreamTrend};
#[cfg(feature = "dashboard")]
pub use under_key::UnderKey;
#[cfg(feature = "dashboard")]
pub(crate) use under_key::without_secrets;
pub use verdict::{Label, Verdict};
pub use watched::Watched;

/// What one round of looking found.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which round it was, counted from 1; 0 before the first has ended.
    pub round: u64,
    /// When the round ended.
    pub taken: Timestamp,
    /// How long after it the next one begins.
    pub interval: Duration,
    /// The account of `--nats`, which is watched always.
    pub app: Watched,
    /// The further accounts that the operator gave users for.
    pub others: Vec<Watched>,
    /// The servers; only a user of the system account may ask them.
    pub servers: Reading<Vec<Server>>,
    /// The streams of all accounts that are seen, by account and name.
    pub streams: Reading<Listing<Stream>>,
    /// What the probes of instances said in the last rounds.
    pub probes: Arc<ProbePast>,
    /// What probes answered that the operator named.
    pub asked_probes: Arc<[AskedProbe]>,
    /// What was found of everything but the state of consumers, the worst first.
    pub findings: Vec<Arc<Finding>>,
    /// What the round cost.
    pub stats: RoundStats,
}

impl Snapshot {
    /// What there is before the first round: nothing is known.
    pub fn before_the_first(app: Contact, interval: Duration, now: Timestamp) -> Self {
        Self {
            round: 0,
            taken: now,
            interval,
            app: Watched::before_the_first(app),
            others: Vec::new(),
            servers: Reading::not_yet(),
            streams: Reading::not_yet(),
            probes: Arc::default(),
            asked_probes: Arc::default(),
            findings: Vec::new(),
            stats: RoundStats::default(),
        }
    }

    /// The streams that are known, fresh or stale.
    pub fn known_streams(&self) -> &[Stream] {
        self.streams.value().map_or(&[], |streams| &streams.rows)
    }

    /// The stream of this name in an account, if it is known.
    pub fn stream(&self, account: &str, name: &StreamName) -> Option<&Stream> {
        self.streams.value()?.of(account, name.as_str())
    }

    /// The consumer of this name, fresh or stale.
    pub fn consumer(&self, account: &str, stream: &StreamName, name: &ConsumerName) -> Option<&Consumer> {
        self.stream(account, stream)?.consumers.value()?.rows.iter().find(|consumer| consumer.name == *name)
    }

    /// The accounts that the operator gave users for.
    pub fn watched(&self) -> impl Iterator<Item = &Watched> + Clone {
        std::iter::once(&self.app).chain(&self.others)
    }

    /// The same, to be changed.
    pub fn watched_mut(&mut self) -> impl Iterator<Item = &mut Watched> {
        std::iter::once(&mut self.app).chain(&mut self.others)
    }

    /// The account of this name, if the operator gave a user for it.
    pub fn account(&self, name: &str) -> Option<&Watched> {
        self.watched().find(|watched| watched.is(name))
    }

    /// Whether any of the connections stands.
    pub fn is_connected(&self) -> bool {
        self.watched().any(|watched| watched.contact.is_connected)
    }

    /// Why not all streams are told of that should be: none are, or those of an account are not.
    pub fn unlisted(&self) -> Option<&str> {
        self.streams.reason().or_else(|| self.watched().find_map(|watched| watched.unlisted.as_deref()))
    }

    /// What the workers say of themselves, as far as it is fresh, each with the account that it is in.
    pub fn workers(&self) -> impl Iterator<Item = (&str, WorkerFact)> {
        self.watched().flat_map(|watched| {
            let entries = watched.presence.fresh().into_iter().flat_map(|bucket| &bucket.entries);
            entries.flat_map(|entry| &entry.value.workers).map(|worker| (watched.name(), WorkerFact::from(worker)))
        })
    }

    /// The consumers that are known, fresh or stale, stream by stream.
    pub fn known_consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.known_streams().iter().filter_map(|stream| stream.consumers.value()).flat_map(|consumers| &consumers.rows)
    }
}
