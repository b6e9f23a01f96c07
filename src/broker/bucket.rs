//! The newest entries of a key-value bucket.

use std::collections::HashMap;

use async_nats::{Client, jetstream::message::StreamMessage};
use serde::de::DeserializeOwned;

use super::{
    AskError,
    get::{Batch, Messages},
};
use crate::{
    clock::Timestamp,
    snapshot::{Bucket, Entry, Stream},
};

/// A value larger than this is not read, but counted as one that cannot be understood.
const VALUE_MOST: usize = 64 << 10;

/// Entries below which a wider stretch of the bucket is read.
const WANTED: usize = 64;

/// How much wider the next stretch is, and how often one is read.
const WIDER: u64 = 4;
const STRETCHES: u32 = 3;

/// Requests for single messages, where the server or the stream knows no batches.
const SINGLE_MOST: usize = 100;

/// Reads a bucket whose stream has just been listed.
pub(super) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) bucket: &'a str,
    pub(super) stream: &'a Stream,
    /// Messages read at the most.
    pub(super) most: usize,
}

/// The messages of a stretch that should end at the newest, whether there are older ones, and whether it ended too early.
struct Stretch {
    messages: Vec<StreamMessage>,
    is_cut: bool,
    lacks_newest: bool,
}

impl Reader<'_> {
    /// Reads the newest entries, the newest first.
    pub(super) async fn read<T: DeserializeOwned>(self) -> Result<Bucket<T>, AskError> {
        let prefix = format!("$KV.{}.", self.bucket);
        let pattern = format!("{prefix}>");
        let messages = Messages { client: self.client, stream: self.stream.name.as_str(), pattern: &pattern };
        let stretch = self.newest(&messages).await?;
        Ok(understand(stretch, &prefix))
    }

    async fn newest(&self, messages: &Messages<'_>) -> Result<Stretch, AskError> {
        if !self.stream.config.allow_direct {
            return self.one_by_one(messages, false).await;
        }
        let mut found: Option<Stretch> = None;
        for stretch in 0..STRETCHES {
            let from = self.start(self.most as u64 * WIDER.pow(stretch), self.most as u64);
            match messages.batches(from, self.most).await? {
                Batch::NotKnown => return self.one_by_one(messages, true).await,
                // The wider stretch holds more than is read, and its oldest came: the one before is the newest we can have.
                Batch::Of(_, 1..) if found.is_some() => break,
                Batch::Of(read, pending) => {
                    let is_enough = read.len() >= WANTED || pending > 0;
                    let is_cut = from > self.first();
                    // What came in after the stream was listed is left to the next round.
                    let lacks_newest = pending > 0 && read.last().is_none_or(|last| last.sequence < self.last());
                    found = Some(Stretch { messages: read, is_cut, lacks_newest });
                    if is_enough || !is_cut {
                        break;
                    }
                }
            }
        }
        Ok(found.unwrap_or(Stretch { messages: Vec::new(), is_cut: false, lacks_newest: false }))
    }

    async fn one_by_one(&self, messages: &Messages<'_>, directly: bool) -> Result<Stretch, AskError> {
        let mut from = self.start(SINGLE_MOST as u64, SINGLE_MOST as u64);
        let is_cut = from > self.first();
        let mut read = Vec::new();
        for _ in 0..SINGLE_MOST {
            let next = if directly { messages.next_direct(from).await? } else { messages.next_stored(from).await? };
            let Some(message) = next else { break };
            from = message.sequence + 1;
            read.push(message);
        }
        Ok(Stretch { messages: read, is_cut, lacks_newest: false })
    }

    /// Where a stretch of `span` sequences begins that ends at the newest; at the oldest if all there is are `all` messages or fewer.
    fn start(&self, span: u64, all: u64) -> u64 {
        let Some(state) = self.stream.state.value() else { return 1 };
        if state.messages <= all {
            return state.first_sequence.max(1);
        }
        (state.last_sequence + 1).saturating_sub(span).max(state.first_sequence).max(1)
    }

    fn last(&self) -> u64 {
        self.stream.state.value().map_or(0, |state| state.last_sequence)
    }

    fn first(&self) -> u64 {
        self.stream.state.value().map_or(1, |state| state.first_sequence.max(1))
    }
}

/// Keeps the last value of each key, leaves out keys whose last message says that they are gone, and counts what makes no sense.
fn understand<T: DeserializeOwned>(stretch: Stretch, prefix: &str) -> Bucket<T> {
    let mut last = HashMap::<String, StreamMessage>::new();
    for message in stretch.messages {
        let key = message.subject.as_str().strip_prefix(prefix).unwrap_or(message.subject.as_str()).to_owned();
        last.insert(key, message);
    }
    let (mut malformed, mut deleted) = (0, Vec::new());
    let mut entries = Vec::with_capacity(last.len());
    for (key, message) in last {
        match marker(&message) {
            Some(Marker::Deleted) => deleted.push(key),
            Some(Marker::RanOut) => {}
            None => match value(&message) {
                Some(value) => {
                    let written = Timestamp(message.time);
                    entries.push(Entry { key, revision: message.sequence, written, value });
                }
                None => malformed += 1,
            },
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.revision));
    Bucket { entries, deleted, malformed, is_cut: stretch.is_cut, lacks_newest: stretch.lacks_newest }
}

fn value<T: DeserializeOwned>(message: &StreamMessage) -> Option<T> {
    (message.payload.len() <= VALUE_MOST).then(|| serde_json::from_slice(&message.payload).ok())?
}

/// A message that says that its key is no more.
enum Marker {
    /// Somebody took it away.
    Deleted,
    /// Its time ran out.
    RanOut,
}

fn marker(message: &StreamMessage) -> Option<Marker> {
    let operation = message.headers.get("KV-Operation").map(|value| value.as_str());
    match operation {
        Some("DEL" | "PURGE") => Some(Marker::Deleted),
        _ => message.headers.get("Nats-Marker-Reason").map(|_| Marker::RanOut),
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::*;

    fn message(sequence: u64, key: &str, payload: &str, header: Option<(&str, &str)>) -> StreamMessage {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        StreamMessage {
            subject: format!("$KV.b.{key}").into(),
            sequence,
            headers,
            payload: payload.to_owned().into(),
            time: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn check(messages: Vec<StreamMessage>, expected: &[(&str, u64)], malformed: usize) {
        let bucket: Bucket<u64> = understand(Stretch { messages, is_cut: false, lacks_newest: false }, "$KV.b.");
        let entries: Vec<(&str, u64)> = bucket.entries.iter().map(|entry| (entry.key.as_str(), entry.value)).collect();
        assert_eq!((entries.as_slice(), bucket.malformed), (expected, malformed));
    }

    #[test]
    fn the_last_value_of_each_key_counts_and_the_newest_comes_first() {
        check(
            vec![message(1, "a", "1", None), message(2, "b", "2", None), message(3, "a", "3", None)],
            &[("a", 3), ("b", 2)],
            0,
        );
    }

    #[test]
    fn a_marker_takes_its_key_away() {
        check(vec![message(1, "a", "1", None), message(2, "a", "", Some(("KV-Operation", "DEL")))], &[], 0);
        check(vec![message(1, "a", "1", None), message(2, "a", "", Some(("Nats-Marker-Reason", "MaxAge")))], &[], 0);
        check(vec![message(1, "a", "", Some(("KV-Operation", "PURGE"))), message(2, "a", "2", None)], &[("a", 2)], 0);
    }

    #[test]
    fn what_makes_no_sense_is_counted_and_does_no_harm() {
        let large = "1".repeat(VALUE_MOST + 1);
        check(
            vec![message(1, "a", "{", None), message(2, "b", "2", None), message(3, "c", &large, None)],
            &[("b", 2)],
            2,
        );
    }
}
