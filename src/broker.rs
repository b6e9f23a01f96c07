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
mod look;
mod peek;
mod servers;
mod streams;
mod system;
mod trace_events;
mod wire;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    clock::Clock,
    dead_letter,
    fault::{self, Fault},
    nats::Connection,
    presence::{self, Presence},
    record::{self, Record},
    snapshot::{
        AccountUse, Bucket, Consumer, Contact, Entry, Letters, Listing, Reading, RoundStats, Server, Snapshot, Stream,
        Why,
    },
};

#[cfg(feature = "dashboard")]
use crate::snapshot::without_secrets;
use account::Account;
use ask::Deadline;

pub use advisories::{Heard, Stored};
pub use ages::{First, FirstFrom};
pub use ask::AskError;
pub use given_up::LetterCounts;
pub use look::look;
pub use peek::{Reader, Source};
pub use system::System;
pub use trace_events::hear;

/// Messages read of the presence bucket: one for each instance.
const PRESENCE_MOST: usize = 1_024;

/// Messages read of the records bucket, newest first, whatever their kind.
const RECORDS_READ: usize = 512;

/// Records kept of one kind.
const RECORDS_OF_A_KIND: usize = 50;

/// Messages read of the bucket of fault switches: one for each service.
const FAULTS_MOST: usize = 64;

/// The connection to one account, and what is remembered of the account between rounds.
#[derive(Debug)]
pub struct Broker {
    connection: Connection,
    account: Account,
    letters: letters::Kept,
    clock: Clock,
}

/// The answers of one round; a question without one is unknown, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The servers.
    pub servers: Reading<Vec<Server>>,
    /// The streams of all accounts that are seen, with their consumers.
    pub streams: Reading<Listing<Stream>>,
    /// Whether a user of the system account told of them, so that no account is left out.
    pub is_of_all: bool,
    /// What each account told that was asked, in the order in which they were.
    pub accounts: Vec<Told>,
    /// What it cost, as far as that is known when the last answer is there.
    pub stats: RoundStats,
}

/// The answers of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Why its streams were not listed; `None` where they were, or where a user of the system account told of them.
    pub unlisted: Option<String>,
    /// What it has used of what it may.
    pub used: Reading<AccountUse>,
    /// The presence bucket.
    pub presence: Reading<Bucket<Presence>>,
    /// The records bucket.
    pub records: Reading<Bucket<Record>>,
    /// The newest dead letters.
    pub dead_letters: Reading<Arc<Letters>>,
    /// The switches of faults.
    pub faults: Reading<Bucket<Fault>>,
}

/// Why the streams that lie in buckets are not known.
const NOT_LISTED: &str = "the streams could not be listed";

impl Told {
    /// What is told by an account that could not be asked.
    pub fn nothing(reason: &str) -> Self {
        Self {
            unlisted: Some(reason.to_owned()),
            used: Reading::unknown(Why::Failed, reason),
            presence: Reading::unknown(Why::Failed, reason),
            records: Reading::unknown(Why::Failed, reason),
            dead_letters: Reading::unknown(Why::Failed, reason),
            faults: Reading::unknown(Why::Failed, reason),
        }
    }
}

impl Broker {
    /// Asks over `connection`, the only one. Where the server does not tell its account, that has the name of the one that is there when
    /// nobody has set up any.
    pub fn new(connection: Connection, clock: Clock) -> Self {
        Self { connection, account: Account::alone(), letters: letters::Kept::default(), clock }
    }

    /// Asks over `connection`, one of several: nothing is asked of its account until the server has told its name.
    pub fn one_of_several(connection: Connection, clock: Clock) -> Self {
        Self { connection, account: Account::default(), letters: letters::Kept::default(), clock }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Who a reader of messages asks, once the account's name is known.
    pub fn source(&self) -> Option<Source> {
        let client = self.connection.client.clone();
        Some(Source { client, account: self.account()?.clone(), clock: self.clock.clone() })
    }

    /// The account, if its name is known.
    pub fn account(&self) -> Option<&Arc<str>> {
        self.account.name()
    }

    /// Asks which account it is, unless that is known or was asked a short while ago.
    pub async fn learn_account(&mut self) {
        self.account.learn(&self.connection.client).await;
    }

    /// What the connection is like now.
    pub fn contact(&self) -> Contact {
        let state = self.connection.link.state();
        let info = self.connection.client.server_info();
        Contact {
            is_connected: state.is_connected,
            since: state.since,
            reason: state.reason,
            url: self.connection.url.clone(),
            user: self.connection.user.clone(),
            server: (!info.server_name.is_empty()).then_some((info.server_name, info.version)),
        }
    }

    /// Reads where messages of the account begin, and since when they lie there. What would begin after `within` does not begin, and when
    /// the connection goes there are no answers.
    pub async fn first(&self, questions: &[FirstFrom], within: Duration) -> Vec<First> {
        let asked = self.while_connected(ages::first(&self.connection.client, questions, within)).await;
        asked.unwrap_or_else(|| vec![First::Unanswered; questions.len()])
    }

    /// Messages sent, and bytes both ways, since the connection was opened.
    pub fn traffic(&self) -> (u64, u64) {
        traffic(&self.connection)
    }

    /// What `asking` brings; `None` when the connection goes before.
    async fn while_connected<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        let mut link = self.connection.link.watch();
        tokio::select! {
            answer = asking => Some(answer),
            _ = link.wait_for(|state| !state.is_connected) => None,
        }
    }

    /// The streams of the account, by their list, with their consumers, and what else is told of it.
    async fn list_and_read(&self, last: Option<&Snapshot>, deadline: Deadline) -> (Reading<Listing<Stream>>, Told) {
        let asked = self.while_connected(self.list_and_read_all(last, deadline)).await;
        asked.unwrap_or_else(|| (Reading::unknown(Why::Failed, LOST), Told::nothing(LOST)))
    }

    async fn list_and_read_all(&self, last: Option<&Snapshot>, deadline: Deadline) -> (Reading<Listing<Stream>>, Told) {
        let account = match self.account.for_its_list(last) {
            Ok(account) => account,
            Err(reason) => return (Reading::unknown(Why::Failed, reason), Told::nothing(reason)),
        };
        let mut streams = self.listed(account, deadline).await;
        // Buckets wait for no consumer list, which may stay unanswered until the round ends.
        let (consumers, told) =
            tokio::join!(self.consumers(streams.fresh(), deadline), self.read_all(account, streams.fresh(), deadline));
        if let Reading::Known(fact) = &mut streams {
            for (place, reading) in consumers {
                fact.value.rows[place].consumers = reading;
            }
        }
        let unlisted = streams.reason().map(str::to_owned);
        (streams, Told { unlisted, ..told })
    }

    /// What is told of the account beside its streams, which are among `streams`.
    async fn read(&self, streams: Option<&Listing<Stream>>, deadline: Deadline) -> Told {
        let Some(account) = self.account() else { return Told::nothing(account::UNTOLD) };
        let asked = self.while_connected(self.read_all(account, streams, deadline)).await;
        asked.unwrap_or_else(|| Told::nothing(LOST))
    }

    async fn read_all(&self, account: &Arc<str>, streams: Option<&Listing<Stream>>, deadline: Deadline) -> Told {
        let (presence, records, faults, dead_letters) = tokio::join!(
            self.bucket(account, streams, presence::BUCKET, PRESENCE_MOST, deadline),
            self.records(account, streams, deadline),
            self.bucket(account, streams, fault::BUCKET, FAULTS_MOST, deadline),
            self.letters(account, streams, deadline)
        );
        let server = self.server_name();
        let used = self.account.read_use(&self.connection.client, server, &self.clock, deadline).await;
        Told { unlisted: None, used, presence, records, dead_letters, faults }
    }

    /// The streams of the account, by their list.
    async fn listed(&self, account: &Arc<str>, deadline: Deadline) -> Reading<Listing<Stream>> {
        let server = self.server_name();
        let list = streams::list(&self.connection.client, account, &server, &self.clock);
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
        streams::consumers(&self.connection.client, rows, &self.server_name(), &self.clock, deadline).await
    }

    async fn records(
        &self,
        account: &Arc<str>,
        streams: Option<&Listing<Stream>>,
        deadline: Deadline,
    ) -> Reading<Bucket<Record>> {
        let reading = self.bucket(account, streams, record::BUCKET, RECORDS_READ, deadline).await;
        reading.map(|bucket| Bucket { entries: shown(newest_of_each_kind(bucket.entries)), ..bucket })
    }

    async fn letters(
        &self,
        account: &Arc<str>,
        streams: Option<&Listing<Stream>>,
        deadline: Deadline,
    ) -> Reading<Arc<Letters>> {
        let Some(streams) = streams else { return Reading::unknown(Why::Failed, NOT_LISTED) };
        let Some(stream) = streams.of(account, dead_letter::STREAM) else {
            let reason = format!(
                "there is no stream `{}`, which workers of this library make when they start",
                dead_letter::STREAM
            );
            return Reading::unknown(Why::Absent, reason);
        };
        match deadline.wait("the dead letters", self.letters.newest(&self.connection.client, stream)).await {
            Ok(letters) => Reading::known(letters, format!("stream {}", dead_letter::STREAM), self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    async fn bucket<T: serde::de::DeserializeOwned>(
        &self,
        account: &str,
        streams: Option<&Listing<Stream>>,
        name: &'static str,
        most: usize,
        deadline: Deadline,
    ) -> Reading<Bucket<T>> {
        let stream_name = format!("KV_{name}");
        let Some(streams) = streams else {
            return Reading::unknown(Why::Failed, format!("{NOT_LISTED}, and buckets are streams"));
        };
        let Some(stream) = streams.of(account, &stream_name) else {
            let reason = format!("there is no key-value bucket `{name}`, which services would write to");
            return Reading::unknown(Why::Absent, reason);
        };
        let read = bucket::Reader { client: &self.connection.client, bucket: name, stream, most }.read();
        match deadline.wait(&format!("the bucket `{name}`"), read).await {
            Ok(bucket) => Reading::known(bucket, format!("bucket {name}"), self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    fn server_name(&self) -> Arc<str> {
        self.connection.client.server_info().server_name.into()
    }
}

const LOST: &str = "the connection to NATS is lost";

/// Messages sent over a connection, and bytes both ways, since it was opened.
fn traffic(connection: &Connection) -> (u64, u64) {
    let counts = connection.client.statistics();
    let moved = counts.in_bytes.load(Ordering::Relaxed) + counts.out_bytes.load(Ordering::Relaxed);
    (counts.out_messages.load(Ordering::Relaxed), moved)
}

/// Without secrets, where there are pages to show them.
fn shown(entries: Vec<Entry<Record>>) -> Vec<Entry<Record>> {
    #[cfg(feature = "dashboard")]
    let entries =
        entries.into_iter().map(|entry| Entry { value: without_secrets(entry.value), ..entry }).collect::<Vec<_>>();
    entries
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
