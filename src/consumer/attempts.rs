//! How often a message's handler was started: counted by us, because the server counts deliveries, and a delivery that nobody began is
//! no attempt.
//!
//! A first delivery that succeeds writes nothing. The count of a failed one is written before its message goes back, and every later
//! start before it begins, so that a message that kills its process is counted too. Counts lie in a bucket, so that the next worker knows
//! them, and in memory, so that they go on while the bucket does not answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, kv};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    bus::topology::{self, ATTEMPTS},
    clock::Timestamp,
    errors::ErrorChain,
    message::Delivery,
    name::token_of,
    nats::Connection,
};

/// How long reading or writing a count may take. The handler waits for it, so a slow bucket is given up soon.
const LIMIT: Duration = Duration::from_secs(2);

/// How long a bucket that failed is not asked again, so that messages are not held up one by one.
const SPARED: Duration = Duration::from_secs(5);

/// Counts kept in memory; above it, those of messages that went elsewhere are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// What is known of a message's attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Handler starts so far.
    pub(super) attempts: u32,
    /// When the first of them was.
    pub(super) first_started: Timestamp,
    /// What kind of failure the last one ended with; empty while it runs, and for ever if it killed its process.
    #[serde(default)]
    pub(super) class: String,
    /// Why it failed, in words.
    #[serde(default)]
    pub(super) reason: String,
}

/// The counts of one worker; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Attempts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    bucket: OnceCell<kv::Store>,
    remembered: Mutex<HashMap<u64, Record>>,
    /// Since the bucket failed: when to ask it again.
    spared_until: Mutex<Option<Instant>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Attempts {
    pub(super) fn new(connection: Connection) -> Self {
        let (bucket, remembered) = (OnceCell::new(), Mutex::default());
        Self(Arc::new(Inner { connection, bucket, remembered, spared_until: Mutex::new(None) }))
    }

    /// What is known of a delivered message. Nothing is asked about a first delivery.
    pub(super) async fn of(&self, delivery: &Delivery) -> Option<Record> {
        if delivery.delivered <= 1 {
            return None;
        }
        Box::pin(self.known_of(delivery)).await
    }

    async fn known_of(&self, delivery: &Delivery) -> Option<Record> {
        let remembered = self.remembered().get(&delivery.stream_sequence).cloned();
        let key = key(delivery);
        let read = self.limited("reading", async { Ok(self.bucket().await?.get(key).await?) }).await;
        let read = read.flatten().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        [remembered, read].into_iter().flatten().max_by_key(|record| record.attempts)
    }

    /// Writes what is known of a message now.
    pub(super) async fn write(&self, delivery: &Delivery, record: &Record) {
        {
            let mut remembered = self.remembered();
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            remembered.insert(delivery.stream_sequence, record.clone());
        }
        let put = async {
            let bytes = serde_json::to_vec(record)?;
            self.bucket().await?.put(key(delivery), bytes.into()).await?;
            Ok(())
        };
        self.limited("writing", put).await;
    }

    /// Forgets a message that is settled for ever.
    pub(super) async fn forget(&self, delivery: &Delivery) {
        self.remembered().remove(&delivery.stream_sequence);
        let purge = async {
            self.bucket().await?.purge(key(delivery)).await?;
            Ok(())
        };
        self.limited("deleting", purge).await;
    }

    /// Does something to the bucket, unless it failed a moment ago. Work goes on without it, and it is said once that it does.
    async fn limited<T>(&self, doing: &str, work: impl Future<Output = Result<T, Failure>>) -> Option<T> {
        let spared_until = *self.spared_until();
        if spared_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let error = match tokio::time::timeout(LIMIT, work).await {
            Ok(Ok(done)) => {
                if spared_until.is_some() {
                    *self.spared_until() = None;
                }
                return Some(done);
            }
            Ok(Err(error)) => ErrorChain(error.as_ref()).to_string(),
            Err(_) => format!("no answer within {} s", LIMIT.as_secs()),
        };
        let was_spared = self.spared_until().replace(Instant::now() + SPARED).is_some();
        if !was_spared {
            tracing::warn!(
                bucket = ATTEMPTS,
                doing,
                error,
                "attempts are counted in memory alone, and a restart forgets them; may this user read and write the bucket?"
            );
        }
        None
    }

    async fn bucket(&self) -> Result<&kv::Store, Failure> {
        self.0.bucket.get_or_try_init(|| open(&self.0.connection.jetstream)).await
    }

    fn spared_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.spared_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<u64, Record>> {
        self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(delivery: &Delivery) -> String {
    let (stream, consumer) = (token_of(delivery.stream.as_str()), token_of(delivery.consumer.as_str()));
    format!("{stream}.{consumer}.{}", delivery.stream_sequence)
}

/// Opens the bucket, and makes it where it is missing. One that exists is left as its owner wants it.
async fn open(jetstream: &jetstream::Context) -> Result<kv::Store, Failure> {
    if let Ok(store) = jetstream.get_key_value(ATTEMPTS).await {
        return Ok(store);
    }
    topology::ensure(jetstream, &topology::library().only(&[ATTEMPTS])).await?;
    Ok(jetstream.get_key_value(ATTEMPTS).await?)
}
