//! Asks NATS what it looks like. It only reads: it makes no consumer, no stream and no bucket, and every question has a deadline.

mod ask;
mod bucket;
mod consumers;
mod get;
mod servers;
mod streams;
mod wire;

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    nats::Connection,
    presence::{self, Presence},
    record::{self, Record},
    snapshot::{Bucket, Contact, Entry, Listing, Reading, Server, Stream, Why},
};

pub use ask::AskError;

/// Messages read of the presence bucket: one for each instance.
const PRESENCE_MOST: usize = 1_024;

/// Messages read of the records bucket, newest first, whatever their kind.
const RECORDS_READ: usize = 512;

/// Records kept of one kind.
const RECORDS_OF_A_KIND: usize = 50;

/// The connections that questions go over.
#[derive(Debug, Clone)]
pub struct Broker {
    app: Connection,
    system: Option<Connection>,
    clock: Clock,
}

/// The answers of one round; a question without one is unknown, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The servers.
    pub servers: Reading<Vec<Server>>,
    /// The streams with their consumers.
    pub streams: Reading<Listing<Stream>>,
    /// The presence bucket.
    pub presence: Reading<Bucket<Presence>>,
    /// The records bucket.
    pub records: Reading<Bucket<Record>>,
}

impl Broker {
    /// Asks over `app`, whose account is the one that is watched.
    pub fn new(app: Connection, clock: Clock) -> Self {
        Self { app, system: None, clock }
    }

    /// The connection to the watched account.
    pub fn app(&self) -> &Connection {
        &self.app
    }

    /// Uses `system` for the questions about servers from now on.
    pub fn set_system(&mut self, system: Connection) {
        self.system = Some(system);
    }

    /// Whether there is a connection for questions about servers.
    pub fn has_system(&self) -> bool {
        self.system.is_some()
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

    /// Asks everything once. `within` bounds the whole round.
    pub async fn ask_all(&self, within: Duration) -> Answers {
        let account = async {
            let streams = self.streams(within).await;
            let (presence, records) =
                tokio::join!(self.presence(streams.fresh(), within), self.records(streams.fresh(), within));
            (streams, presence, records)
        };
        let ((streams, presence, records), servers) = tokio::join!(account, self.servers());
        Answers { servers, streams, presence, records }
    }

    async fn streams(&self, within: Duration) -> Reading<Listing<Stream>> {
        let server = self.server_name();
        let listed = tokio::time::timeout(within, streams::list(&self.app.client, &server, &self.clock));
        match listed.await {
            Ok(Ok(listing)) => Reading::known(listing, server, self.clock.now()),
            Ok(Err(error)) => error.into_reading(),
            Err(_) => late("the streams", within),
        }
    }

    async fn servers(&self) -> Reading<Vec<Server>> {
        let Some(system) = &self.system else {
            return Reading::unknown(
                Why::Hidden,
                "only a user of the system account sees the servers: give --system-user or --system-creds",
            );
        };
        match servers::ping(&system.client).await {
            Ok(servers) => Reading::known(servers, "each server", self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    async fn presence(&self, streams: Option<&Listing<Stream>>, within: Duration) -> Reading<Bucket<Presence>> {
        self.bucket(streams, presence::BUCKET, PRESENCE_MOST, within).await
    }

    async fn records(&self, streams: Option<&Listing<Stream>>, within: Duration) -> Reading<Bucket<Record>> {
        let reading = self.bucket(streams, record::BUCKET, RECORDS_READ, within).await;
        reading.map(|bucket| Bucket { entries: newest_of_each_kind(bucket.entries), ..bucket })
    }

    async fn bucket<T: serde::de::DeserializeOwned>(
        &self,
        streams: Option<&Listing<Stream>>,
        name: &'static str,
        most: usize,
        within: Duration,
    ) -> Reading<Bucket<T>> {
        let stream_name = format!("KV_{name}");
        let Some(streams) = streams else {
            return Reading::unknown(Why::Failed, "the streams could not be listed, and buckets are streams");
        };
        let Some(stream) = streams.rows.iter().find(|stream| stream.name.as_str() == stream_name) else {
            let reason = format!("there is no key-value bucket `{name}`, which services would write to");
            return Reading::unknown(Why::Absent, reason);
        };
        let read = bucket::Reader { client: &self.app.client, bucket: name, stream, most }.read();
        match tokio::time::timeout(within, read).await {
            Ok(Ok(bucket)) => Reading::known(bucket, format!("bucket {name}"), self.clock.now()),
            Ok(Err(error)) => error.into_reading(),
            Err(_) => late(&format!("the bucket `{name}`"), within),
        }
    }

    fn server_name(&self) -> Arc<str> {
        self.app.client.server_info().server_name.into()
    }
}

fn late<T>(what: &str, within: Duration) -> Reading<T> {
    Reading::unknown(Why::Failed, format!("reading {what} took longer than {}", crate::clock::Age(within)))
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
