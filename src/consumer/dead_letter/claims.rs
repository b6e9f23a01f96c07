//! Who replays a letter: a bucket in which it is claimed first, and written down when it was published.

use async_nats::jetstream::{context::KeyValueErrorKind, kv};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::replay::ReplayError;
use crate::{bus::topology, clock::Timestamp, dead_letter::Place, message::MessageId, nats::Connection};

/// Attempts to claim a letter that others claim too.
const CLAIMS: u32 = 8;

/// A replay of a dead letter, as it is known to all who replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The dead letter.
    pub letter: String,
    /// The how many-th replay of this letter it is, from 1 on.
    pub generation: u32,
    /// The id of the message that is published for it.
    pub message_id: MessageId,
    /// When somebody began it.
    pub claimed: Timestamp,
    /// When it was published; `None` while that is not certain.
    pub published: Option<Timestamp>,
    /// The sequence of the published message, where it is known.
    pub sequence: Option<u64>,
}

/// The bucket that knows what was replayed.
#[derive(Debug, Clone)]
pub(super) struct Replays(kv::Store);

/// Whose a letter is that is to be replayed.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nobody else works on it.
    Ours(Replay, u64),
    /// Somebody began it and did not say that it was published.
    Left(Replay, u64),
    /// It was published.
    Done(Replay),
}

impl Replays {
    /// Opens the bucket, which is made if it is missing.
    pub(super) async fn make(connection: &Connection) -> Result<Self, ReplayError> {
        topology::ensure(&connection.jetstream, &topology::library().only(&[topology::REPLAYS])).await?;
        let store = connection.jetstream.get_key_value(topology::REPLAYS).await;
        store.map(Self).map_err(|error| failed("opening", "any letter", error))
    }

    /// Opens the bucket; `None` where nobody has replayed anything yet.
    pub(super) async fn open(connection: &Connection) -> Result<Option<Self>, ReplayError> {
        match connection.jetstream.get_key_value(topology::REPLAYS).await {
            Ok(store) => Ok(Some(Self(store))),
            Err(error) if error.kind() == KeyValueErrorKind::GetBucket => Ok(None),
            Err(error) => Err(failed("opening", "any letter", error)),
        }
    }

    pub(super) async fn read(&self, place: &Place) -> Result<Option<(Replay, u64)>, ReplayError> {
        let letter = place.to_string();
        let entry = self.0.entry(place.message_id().0).await.map_err(|error| failed("reading", &letter, error))?;
        let Some(entry) = entry.filter(|entry| entry.operation == kv::Operation::Put) else { return Ok(None) };
        let mut replay: Replay =
            serde_json::from_slice(&entry.value).map_err(|error| failed("reading", &letter, error))?;
        if replay.published.is_none() {
            // The entry is the claim itself: the server knows its time better than the clock of who claimed.
            replay.claimed = Timestamp(entry.created);
        }
        Ok(Some((replay, entry.revision)))
    }

    /// Claims the letter for its first replay, or `again` for its next. What another was faster to claim is looked at anew.
    pub(super) async fn claim(&self, place: &Place, again: bool, now: Timestamp) -> Result<Claim, ReplayError> {
        let letter = place.to_string();
        let claim = |generation| Replay {
            letter: letter.clone(),
            generation,
            message_id: message_id(place, generation),
            claimed: now,
            published: None,
            sequence: None,
        };
        let mut refused = None;
        for _ in 0..CLAIMS {
            let (ours, over) = match self.read(place).await? {
                None => (claim(1), None),
                Some((found, revision)) if found.published.is_none() => return Ok(Claim::Left(found, revision)),
                Some((found, _)) if !again => return Ok(Claim::Done(found)),
                Some((found, revision)) => (claim(found.generation + 1), Some(revision)),
            };
            let (key, value) = (place.message_id().0, bytes_of(&ours));
            let written: Result<u64, Box<dyn std::error::Error + Send + Sync>> = match over {
                None => self.0.create(key, value).await.map_err(Into::into),
                Some(revision) => self.0.update(key, value, revision).await.map_err(Into::into),
            };
            match written {
                Ok(revision) => return Ok(Claim::Ours(ours, revision)),
                Err(error) => refused = Some(error),
            }
        }
        let never = || "others were faster each time".into();
        Err(failed("claiming", &letter, refused.unwrap_or_else(never)))
    }

    /// Writes down that a claim was published. Somebody else who finished the same claim may have done so: that is as good.
    pub(super) async fn write(&self, published: &Replay, revision: u64) -> Result<(), ReplayError> {
        let place: Option<Place> = published.letter.parse().ok();
        let Some(place) = place else { return Ok(()) };
        let Err(error) = self.0.update(place.message_id().0, bytes_of(published), revision).await else {
            return Ok(());
        };
        match self.read(&place).await? {
            Some((found, _)) if found.published.is_some() => Ok(()),
            _ => Err(failed("writing down", &published.letter, error)),
        }
    }
}

fn bytes_of(replay: &Replay) -> Bytes {
    serde_json::to_vec(replay).expect("texts and numbers write as JSON").into()
}

fn failed(
    doing: &'static str,
    letter: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ReplayError {
    ReplayError::Store { doing, letter: letter.to_owned(), source: source.into() }
}

/// The id under which a letter is replayed.
pub(super) fn message_id(place: &Place, generation: u32) -> MessageId {
    place.message_id().derived(&format!("replay {generation}"))
}
