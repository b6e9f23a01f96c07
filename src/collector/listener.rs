//! Hears what servers tell unasked in one account, reads what a stream has kept of it, and keeps the ledger of both.

use std::{sync::Arc, time::Duration};

use super::ledger::{self, Ledger, Since};
use crate::{
    advisory::{self, Advisory, Kind},
    broker::{Broker, Heard, LetterCounts},
    clock::{Clock, Timestamp},
    dead_letter,
    errors::ErrorChain,
    snapshot::{Advisories, Contact, Reading, Snapshot, Stream, Why},
};

/// What reading stored advisories, and looking messages up, may each add to a round.
const LIMIT: Duration = Duration::from_secs(2);

/// Stored advisories, counted from the newest, that are read when the stream is first seen.
const STORED_MOST: u64 = 20_000;

/// Advisories that are taken in at once: as many as the connection holds back for us.
const AT_ONCE: usize = 65_536;

/// Hears, reads, and keeps the ledger.
#[derive(Debug, Default)]
pub(super) struct Listener {
    heard: Option<Heard>,
    since: Option<Timestamp>,
    stored: Option<Mark>,
    letters: Option<Held>,
    replays: Option<Held>,
    ledger: Ledger,
    /// Whether it was told that a stream or consumer was changed.
    has_changed: bool,
}

/// What a stream held when it was last looked into: when it was made, its last sequence, and how many messages.
type Held = (Timestamp, u64, u64);

/// How far the stream of advisories was read.
#[derive(Debug, Clone, Copy)]
struct Mark {
    made: Timestamp,
    read_to: u64,
    since: Timestamp,
}

impl Listener {
    /// Begins to listen, once there is a connection.
    pub(super) async fn listen(&mut self, broker: &Broker, clock: &Clock) {
        let Some(account) = broker.account() else { return };
        if let Some(heard) = &mut self.heard {
            heard.is_of(account);
            return;
        }
        match broker.listen().await {
            Ok(heard) => (self.heard, self.since) = (Some(heard), Some(clock.now())),
            Err(error) => tracing::debug!(error = %ErrorChain(&error), "cannot listen to advisories yet"),
        }
    }

    /// The next that is told; for ever none before it listens.
    pub(super) async fn next(&mut self) -> Advisory {
        match &mut self.heard {
            Some(heard) => heard.next().await,
            None => std::future::pending().await,
        }
    }

    /// Notes what was told while `round` was underway or about to be.
    pub(super) fn note(&mut self, advisory: Advisory, round: u64) {
        self.has_changed |= advisory.kind == Kind::Updated;
        self.ledger.note(advisory, round);
    }

    /// Whether it was told since it was last asked that a stream or consumer was changed.
    pub(super) fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Writes into `next` what is known by now of the account that `broker` asks, and answers what was told in it.
    pub(super) async fn write(
        &mut self,
        next: &mut Snapshot,
        contact: &Contact,
        broker: &Broker,
    ) -> Reading<Arc<Advisories>> {
        let (Some(account), Some(heard), Some(since)) = (broker.account(), &mut self.heard, self.since) else {
            return Reading::not_yet();
        };
        for advisory in std::iter::from_fn(|| heard.next_now()).take(AT_ONCE) {
            self.has_changed |= advisory.kind == Kind::Updated;
            self.ledger.note(advisory, next.round);
        }
        if !contact.is_connected {
            ledger::go_stale(next, account, &contact.reason);
            return Reading::unknown(Why::Failed, contact.reason.as_str());
        }
        // What was told while the connection was away went by unheard.
        let heard_since = since.max(contact.since);
        self.since = Some(heard_since);
        self.read_stored(account, broker, next).await;
        self.follow_up(account, broker, next).await;
        let doubts = self.ledger.doubts(next, account);
        if !doubts.is_empty() {
            let answers = broker.first(&doubts, LIMIT).await;
            self.ledger.look_up(&doubts, &answers);
        }
        let since = Since { heard: heard_since, stored: self.stored.map(|mark| mark.since) };
        let source: Arc<str> = match self.stored {
            Some(_) => format!("stream {}", advisory::STREAM).into(),
            None => "advisories heard".into(),
        };
        let told = self.ledger.write(next, account, since, &source);
        Reading::known(told, source, next.taken)
    }

    /// Reads what became of messages that were given up, where that may have changed.
    async fn follow_up(&mut self, account: &str, broker: &Broker, next: &Snapshot) {
        let Some(streams) = next.streams.fresh() else { return };
        let find = |name: &str| {
            let stream = streams.of(account, name)?;
            stream.state.fresh().map(|held| (stream.created, held.last_sequence, held.messages))
        };
        match find(dead_letter::STREAM) {
            None => {
                let has_none = !streams.has(account, dead_letter::STREAM);
                self.ledger.count_letters(has_none.then(LetterCounts::new));
                self.letters = None;
            }
            held if held == self.letters => {}
            held => {
                let counted = broker.letter_counts(LIMIT).await;
                if let Err(error) = &counted {
                    tracing::debug!(error = %ErrorChain(error), "dead letters could not be counted");
                }
                self.letters = held.filter(|_| counted.is_ok());
                self.ledger.count_letters(counted.ok());
            }
        }
        let replays = find(&format!("KV_{}", dead_letter::REPLAYS));
        if replays != self.replays
            && replays.is_some()
            && let Some(bucket) = broker.replays(Some(streams), LIMIT).await.fresh()
        {
            self.replays = replays;
            self.ledger.replayed(&bucket.entries);
        }
    }

    /// Reads what the stream of advisories took since it was last read.
    async fn read_stored(&mut self, account: &str, broker: &Broker, next: &Snapshot) {
        let Some(streams) = next.streams.fresh() else { return };
        let Some(stream) = streams.of(account, advisory::STREAM) else {
            self.stored = None;
            return;
        };
        let Some(held) = stream.state.fresh() else { return };
        let mark = self.stored.filter(|mark| mark.made == stream.created).unwrap_or_else(|| beginning(stream));
        self.stored = Some(mark);
        if held.last_sequence <= mark.read_to {
            return;
        }
        let from = mark.read_to.saturating_add(1).max(held.first_sequence);
        match broker.stored_advisories(stream, from, LIMIT).await {
            Ok(stored) => {
                // What was stored may be of long ago: this round saw its consumers after it.
                let before = next.round.saturating_sub(1);
                let is_old = |advisory: &Advisory| advisory.time < next.taken.before(LIMIT);
                for advisory in stored.advisories {
                    let round = if is_old(&advisory) { before } else { next.round };
                    self.ledger.note(advisory, round);
                }
                self.stored = Some(Mark { read_to: stored.read_to.max(mark.read_to), ..mark });
            }
            Err(error) => tracing::warn!(error = %ErrorChain(&error), "the advisories are as they were a round ago"),
        }
    }
}

/// Where reading begins: with the oldest, or so many from the newest.
fn beginning(stream: &Stream) -> Mark {
    let made = stream.created;
    let Some(held) = stream.state.value() else { return Mark { made, read_to: 0, since: made } };
    let read_to = held.last_sequence.saturating_sub(STORED_MOST).max(held.first_sequence.saturating_sub(1));
    let is_whole = read_to == 0;
    Mark { made, read_to, since: if is_whole { made } else { held.first_stored.unwrap_or(made) } }
}
