//! An inbox: a message that is delivered twice has its effect once.
//!
//! Before the effect a message is claimed, after it the claim becomes done; a claim of which nothing is heard for its hold time may be
//! taken over. Each step is a write over the revision that was read, so that only the holder of the latest claim can say that it is done.
//! Between the effect and its note a process may die: the effect is then tried again, and a store that compares
//! [`Context::fence`](crate::handler::Context::fence) refuses what comes late from a process that was only asleep.

mod claim;
mod guard;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::documents::{Documents, Versioned};
use crate::{
    bus::Bus,
    clock::{Clock, Timestamp},
    handler::{Context, Handler},
    tasks::Tasks,
    telemetry::Telemetry,
};
use guard::Guarded;

/// How long a claim is held after its holder was last heard of. As long as a worker's `ack_wait`: a message that a dead process had
/// claimed comes back when its claim is over.
const HOLD: Duration = Duration::from_secs(30);

/// What an [`InboxStore`] answers.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where an inbox keeps its entries: anything that writes only over the revision that was read. Revisions of a key only grow, even when
/// it was forgotten in between. `Documents<Entry>` is one, over a bucket or in memory.
pub trait InboxStore: Send + Sync + 'static {
    /// What to call it in errors.
    fn name(&self) -> &str;

    /// Reads an entry and the revision to write over, 0 where there is none.
    fn read<'a>(&'a self, key: &'a str) -> Answer<'a, Versioned<Entry>>;

    /// Writes an entry over a revision and returns the new one; `None` if another was there first.
    fn write<'a>(&'a self, key: &'a str, entry: &'a Entry, over: u64) -> Answer<'a, Option<u64>>;
}

impl InboxStore for Documents<Entry> {
    fn name(&self) -> &str {
        self.bucket()
    }

    fn read<'a>(&'a self, key: &'a str) -> Answer<'a, Versioned<Entry>> {
        Box::pin(async move { Ok(self.read(key).await?) })
    }

    fn write<'a>(&'a self, key: &'a str, entry: &'a Entry, over: u64) -> Answer<'a, Option<u64>> {
        Box::pin(async move { Ok(self.replace(key, entry, over).await?) })
    }
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// How far it is.
    pub state: State,
    /// Names the claim, so that one whose confirmation was lost is known again.
    pub claim: String,
    /// The end of the claim, or when it became done or free, by the clock of whoever wrote it.
    pub at: Timestamp,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody handles it.
    Claimed,
    /// It had its effect.
    Done,
    /// Whoever handled it failed; the next may claim it at once.
    Free,
}

/// An entry cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {key} in inbox {inbox}")]
pub struct InboxError {
    doing: &'static str,
    key: String,
    inbox: String,
    #[source]
    source: BoxError,
}

/// Remembers which messages had their effect; clones are the same inbox.
#[derive(Clone)]
pub struct Inbox {
    store: Arc<dyn InboxStore>,
    clock: Clock,
    telemetry: Telemetry,
    hold: Duration,
    scope: Option<String>,
    releases: Tasks,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("store", &self.store.name()).field("hold", &self.hold).finish_non_exhaustive()
    }
}

impl Inbox {
    /// An inbox over a store, with the clock and the telemetry of a bus.
    pub fn over(store: impl InboxStore, bus: &Bus) -> Self {
        let (clock, telemetry) = (bus.clock().clone(), bus.telemetry().clone());
        Self { store: Arc::new(store), clock, telemetry, hold: HOLD, scope: None, releases: Tasks::default() }
    }

    /// An inbox in memory, for unit tests.
    pub fn in_memory() -> Self {
        Self::over(Documents::in_memory(), &Bus::in_memory())
    }

    /// How long a claim is held after its holder was last heard of; 30 s unless said otherwise. The holder extends it three times within,
    /// so a handler may run longer. Clocks that differ by more than this take over claims that are held.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Keeps this inbox's messages apart under a name, instead of under that of the durable consumer that delivers them.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Runs `handler` once for each message id; a replay counts as the message that it repeats. A message that another process is handling is tried again when that one's claim is over;
    /// a message that had its effect is done without running the handler.
    pub fn guard<T: Send + 'static, H: Handler<T>>(&self, handler: H) -> impl Handler<T> + use<T, H> {
        let id = |context: &Context, _: &T| context.message().original_id().map(|id| id.0);
        Guarded { inbox: self.clone(), key: id, handler }
    }

    /// Runs `handler` once for each key, where the same effect may be asked for by messages of different ids.
    pub fn guard_by<T, H, K>(&self, key: K, handler: H) -> impl Handler<T> + use<T, H, K>
    where
        T: Send + Sync + 'static,
        H: Handler<T>,
        K: Fn(&Context, &T) -> String + Send + Sync + 'static,
    {
        Guarded { inbox: self.clone(), key: move |context: &Context, payload: &T| Some(key(context, payload)), handler }
    }
}
