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
mod verdict;

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    fault::Fault,
    name::{ConsumerName, StreamName},
    presence::Presence,
    record::Record,
};

pub use account::{AccountUse, TierUse};
pub use advisories::Advisories;
pub use ages::{AgeBy, Ages, Oldest};
pub use asked::AskedProbe;
pub use config::{Acks, Configs, ConsumerConfig, Discard, Mode, Origin, Storage, StreamConfig, WorkerFact, limit};
pub use consumer::{Consumer, ConsumerState, ConsumerTrend, NewLeader};
pub use contact::Contact;
pub use entry::{Bucket, Entry};
pub use failures::Failures;
pub use finding::{Finding, Severity};
pub use forecast::{FULL_PERCENT, Forecast, IMMINENT, Limit, Outlook, Pace, stretch};
pub use letters::{Letter, Letters};
pub use listing::{Listing, Missing};
pub use probes::{ProbePast, Probed};
pub use reading::{Fact, Reading, Why};
pub use round::RoundStats;
pub use sample::Sample;
pub use series::{Point, Series, Span};
pub use server::{Cluster, Gateway, Health, JetStreamUse, LeafNode, MetaGroup, Replica, Server, ServerSetup};
pub use stream::{Held, Retention, Stream, StreamState, StreamTrend};
pub use verdict::{Label, Verdict};

/// What one round of looking found.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which round it was, counted from 1; 0 before the first has ended.
    pub round: u64,
    /// When the round ended.
    pub taken: Timestamp,
    /// How long after it the next one begins.
    pub interval: Duration,
    /// The connection to the account that is watched.
    pub app: Contact,
    /// What the watched account has used of what it may.
    pub account: Reading<AccountUse>,
    /// The servers; only a user of the system account may ask them.
    pub servers: Reading<Vec<Server>>,
    /// The streams of all accounts that are seen, by account and name.
    pub streams: Reading<Listing<Stream>>,
    /// What instances of services say of themselves.
    pub presence: Reading<Bucket<Presence>>,
    /// Instances that stopped telling of themselves without having said that they end, as last heard.
    pub gone: Vec<Entry<Presence>>,
    /// What the probes of instances said in the last rounds.
    pub probes: Arc<ProbePast>,
    /// What probes answered that the operator named.
    pub asked_probes: Arc<[AskedProbe]>,
    /// Things with a life that services tell of, the newest first.
    pub records: Reading<Bucket<Record>>,
    /// Messages that workers gave up, the newest first.
    pub dead_letters: Reading<Arc<Letters>>,
    /// What servers told unasked in the watched account.
    pub advisories: Reading<Arc<Advisories>>,
    /// Faults that somebody switched on in services, and such as have ended.
    pub faults: Reading<Bucket<Fault>>,
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
            app,
            account: Reading::not_yet(),
            servers: Reading::not_yet(),
            streams: Reading::not_yet(),
            presence: Reading::not_yet(),
            gone: Vec::new(),
            probes: Arc::default(),
            asked_probes: Arc::default(),
            records: Reading::not_yet(),
            dead_letters: Reading::not_yet(),
            advisories: Reading::not_yet(),
            faults: Reading::not_yet(),
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

    /// What the workers say of themselves, as far as it is fresh.
    pub fn workers(&self) -> impl Iterator<Item = WorkerFact> {
        let entries = self.presence.fresh().into_iter().flat_map(|bucket| &bucket.entries);
        entries.flat_map(|entry| &entry.value.workers).map(WorkerFact::from)
    }

    /// The consumers that are known, fresh or stale, stream by stream.
    pub fn known_consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.known_streams().iter().filter_map(|stream| stream.consumers.value()).flat_map(|consumers| &consumers.rows)
    }
}
