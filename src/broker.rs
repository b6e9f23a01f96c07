//! Asks NATS what it looks like. It only reads: it makes no consumer, no stream and no bucket, and every question has a deadline.

mod account;
mod advisories;
mod ages;
mod ask;
mod bucket;
mod consumers;
mod gather;
mod get;
mod given_up;
mod health;
mod holdings;
mod jsz;
mod letters;
mod servers;
mod streams;
mod system;
mod wire;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    clock::Clock,
    dead_letter,
    errors::ErrorChain,
    fault::{self, Fault},
    nats::Connection,
    presence::{self, Presence},
    record::{self, Record},
    snapshot::{
        AccountUse, Bucket, Consumer, Contact, Entry, Letters, Listing, Missing, Reading, RoundStats, Server, Snapshot,
        Stream, Why,
    },
};

use account::Account;
use ask::Deadline;
use system::System;

pub use advisories::{Heard, Stored};
pub use ages::{First, FirstFrom};
pub use ask::AskError;
pub use given_up::LetterCounts;

/// Messages read of the presence bucket: one for each instance.
const PRESENCE_MOST: usize = 1_024;

/// Messages read of the records bucket, newest first, whatever their kind.
const RECORDS_READ: usize = 512;

/// Records kept of one kind.
const RECORDS_OF_A_KIND: usize = 50;

/// Messages read of the bucket of fault switches: one for each service.
const FAULTS_MOST: usize = 64;

/// The connections that questions go over.
#[derive(Debug)]
pub struct Broker {
    app: Connection,
    /// The account of `app`.
    account: Account,
    system: Option<System>,
    letters: letters::Kept,
    clock: Clock,
}

/// The answers of one round; a question without one is unknown, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// What the watched account has used of what it may.
    pub account: Reading<AccountUse>,
    /// The servers.
    pub servers: Reading<Vec<Server>>,
    /// The streams with their consumers.
    pub streams: Reading<Listing<Stream>>,
    /// The presence bucket.
    pub presence: Reading<Bucket<Presence>>,
    /// The records bucket.
    pub records: Reading<Bucket<Record>>,
    /// The newest dead letters.
    pub dead_letters: Reading<Arc<Letters>>,
    /// The switches of faults.
    pub faults: Reading<Bucket<Fault>>,
    /// What it cost, as far as that is known when the last answer is there.
    pub stats: RoundStats,
}

impl Broker {
    /// Asks over `app`, whose account is the one that is watched.
    pub fn new(app: Connection, clock: Clock) -> Self {
        Self { app, account: Account::default(), system: None, letters: letters::Kept::default(), clock }
    }

    /// The connection to the watched account.
    pub fn app(&self) -> &Connection {
        &self.app
    }

    /// The account that is watched.
    pub fn account(&self) -> &Arc<str> {
        &self.account.name
    }

    /// Asks which account it is that is watched, unless that is known or was asked a short while ago.
    pub async fn learn_account(&mut self) {
        self.account.learn(&self.app.client).await;
    }

    /// Uses `system` for the questions about servers, and about what they hold, from now on.
    pub fn set_system(&mut self, system: Connection) {
        self.system = Some(System::new(system, self.clock.clone()));
    }

    /// Whether there is a connection for questions about servers.
    pub fn has_system(&self) -> bool {
        self.system.is_some()
    }

    /// A server told that a stream or consumer was changed: how everything is set up is asked for anew.
    pub fn configs_changed(&mut self) {
        if let Some(system) = &mut self.system {
            system.configs_changed();
        }
    }

    /// The user of the system account that asks, where its login names one.
    pub fn system_user(&self) -> Option<&str> {
        self.system.as_ref()?.connection().user.as_deref()
    }

    /// What the connection to the watched account is like now.
    pub fn contact(&self) -> Contact {
        let state = self.app.link.state();
        let info = self.app.client.server_info();
        Contact {
            is_connected: state.is_connected,
            since: state.since,
            reason: state.reason,
            url: self.app.url.clone(),
            user: self.app.user.clone(),
            server: (!info.server_name.is_empty()).then_some((info.server_name, info.version)),
        }
    }

    /// Asks everything once. `within` bounds the whole round; `last` is what the one before found.
    pub async fn ask_all(&mut self, last: Option<&Arc<Snapshot>>, within: Duration) -> Answers {
        let deadline = Deadline::after(within);
        let mut stats = RoundStats::default();
        let servers = self.servers(deadline).await;
        let (mut streams, is_whole) = self.streams(last, &mut stats, deadline).await;
        let listed = streams.fresh();
        // Buckets wait for no consumer list, which may stay unanswered until the round ends.
        let (consumers, presence, records, faults, dead_letters) = tokio::join!(
            self.consumers(listed.filter(|_| !is_whole), deadline),
            self.presence(listed, deadline),
            self.records(listed, deadline),
            self.bucket(listed, fault::BUCKET, FAULTS_MOST, deadline),
            self.letters(listed, deadline)
        );
        if let Reading::Known(fact) = &mut streams {
            for (place, reading) in consumers {
                fact.value.rows[place].consumers = reading;
            }
        }
        let (server, client) = (self.server_name(), &self.app.client);
        let account = self.account.read_use(client, server, &self.clock, deadline).await;
        Answers { account, servers, streams, presence, records, dead_letters, faults, stats }
    }

    /// Reads where messages of the watched account begin, and since when they lie there. What would begin after `within` does not begin.
    pub async fn first(&self, questions: &[FirstFrom], within: Duration) -> Vec<First> {
        ages::first(&self.app.client, questions, within).await
    }

    /// Messages sent, and bytes both ways, on all connections since they were opened.
    pub fn traffic(&self) -> (u64, u64) {
        let system = self.system.as_ref().map(System::connection);
        [&self.app].into_iter().chain(system).fold((0, 0), |(messages, bytes), connection| {
            let counts = connection.client.statistics();
            let sent = counts.out_messages.load(Ordering::Relaxed);
            let moved = counts.in_bytes.load(Ordering::Relaxed) + counts.out_bytes.load(Ordering::Relaxed);
            (messages + sent, bytes + moved)
        })
    }

    async fn servers(&mut self, deadline: Deadline) -> Reading<Vec<Server>> {
        let Some(system) = &mut self.system else {
            return Reading::unknown(
                Why::Hidden,
                "only a user of the system account sees the servers: give --system-user or --system-creds",
            );
        };
        let read = deadline.wait("the servers", async { Ok(system.servers().await) });
        read.await.unwrap_or_else(AskError::into_reading)
    }

    /// The streams of all accounts with their consumers where a system user tells of them, else those of the account; whether consumers
    /// are with them.
    async fn streams(
        &mut self,
        last: Option<&Arc<Snapshot>>,
        stats: &mut RoundStats,
        deadline: Deadline,
    ) -> (Reading<Listing<Stream>>, bool) {
        let reason = match self.system.as_mut().filter(|system| system.may_know()) {
            None => "no system user tells of it now".to_owned(),
            Some(system) => match deadline.wait("the streams of all accounts", system.streams(last, stats)).await {
                Ok(streams) => return (streams, true),
                Err(error) => ErrorChain(&error).to_string(),
            },
        };
        let of_others = self.of_others(last, &reason);
        if !self.account.is_known && !of_others.is_empty() {
            // Whose streams a list would tell of is not known then: they might be there twice.
            return (Reading::unknown(Why::Failed, reason), false);
        }
        let mut streams = self.listed(deadline).await;
        if let Reading::Known(fact) = &mut streams {
            fact.value.missing.extend(of_others);
        }
        (streams, false)
    }

    /// The streams of other accounts, of which the list of ours does not tell.
    fn of_others(&self, last: Option<&Arc<Snapshot>>, reason: &str) -> Vec<Missing> {
        let known = last.map_or(&[][..], |last| last.known_streams());
        let of_others = known.iter().filter(|stream| stream.account != *self.account());
        let missing = of_others.map(|stream| Missing {
            account: stream.account.clone(),
            name: stream.name.to_string(),
            reason: reason.into(),
        });
        missing.collect()
    }

    /// The streams of the account, by their list.
    async fn listed(&self, deadline: Deadline) -> Reading<Listing<Stream>> {
        let server = self.server_name();
        let list = streams::list(&self.app.client, self.account(), &server, &self.clock);
        match deadline.wait("the streams", list).await {
            Ok(listing) => Reading::known(listing, server, self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    async fn consumers(
        &self,
        streams: Option<&Listing<Stream>>,
        deadline: Deadline,
    ) -> Vec<(usize, Reading<Listing<Consumer>>)> {
        let rows = streams.map_or(&[][..], |streams| &streams.rows);
        streams::consumers(&self.app.client, rows, &self.server_name(), &self.clock, deadline).await
    }

    async fn presence(&self, streams: Option<&Listing<Stream>>, deadline: Deadline) -> Reading<Bucket<Presence>> {
        self.bucket(streams, presence::BUCKET, PRESENCE_MOST, deadline).await
    }

    async fn records(&self, streams: Option<&Listing<Stream>>, deadline: Deadline) -> Reading<Bucket<Record>> {
        let reading = self.bucket(streams, record::BUCKET, RECORDS_READ, deadline).await;
        reading.map(|bucket| Bucket { entries: newest_of_each_kind(bucket.entries), ..bucket })
    }

    async fn letters(&self, streams: Option<&Listing<Stream>>, deadline: Deadline) -> Reading<Arc<Letters>> {
        let Some(streams) = streams else {
            return Reading::unknown(Why::Failed, "the streams could not be listed");
        };
        let Some(stream) = streams.of(self.account(), dead_letter::STREAM) else {
            let reason = format!(
                "there is no stream `{}`, which workers of this library make when they start",
                dead_letter::STREAM
            );
            return Reading::unknown(Why::Absent, reason);
        };
        match deadline.wait("the dead letters", self.letters.newest(&self.app.client, stream)).await {
            Ok(letters) => Reading::known(letters, format!("stream {}", dead_letter::STREAM), self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    async fn bucket<T: serde::de::DeserializeOwned>(
        &self,
        streams: Option<&Listing<Stream>>,
        name: &'static str,
        most: usize,
        deadline: Deadline,
    ) -> Reading<Bucket<T>> {
        let stream_name = format!("KV_{name}");
        let Some(streams) = streams else {
            return Reading::unknown(Why::Failed, "the streams could not be listed, and buckets are streams");
        };
        let Some(stream) = streams.of(self.account(), &stream_name) else {
            let reason = format!("there is no key-value bucket `{name}`, which services would write to");
            return Reading::unknown(Why::Absent, reason);
        };
        let read = bucket::Reader { client: &self.app.client, bucket: name, stream, most }.read();
        match deadline.wait(&format!("the bucket `{name}`"), read).await {
            Ok(bucket) => Reading::known(bucket, format!("bucket {name}"), self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    fn server_name(&self) -> Arc<str> {
        self.app.client.server_info().server_name.into()
    }
}

/// Keeps the newest of each kind; `entries` come newest first and stay so.
fn newest_of_each_kind(entries: Vec<Entry<Record>>) -> Vec<Entry<Record>> {
    let mut kept = std::collections::HashMap::<String, usize>::new();
    let mut keep = |entry: &Entry<Record>| {
        let count = kept.entry(entry.value.kind.clone()).or_default();
        *count += 1;
        *count <= RECORDS_OF_A_KIND
    };
    entries.into_iter().filter(|entry| keep(entry)).collect()
}
