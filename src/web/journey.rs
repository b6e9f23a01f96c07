//! What a journey is made of: traces that mention an id, the messages that they name, and those that streams hold.
//!
//! All of it has limits, and what was not looked at is said.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::records;
use crate::{
    advisory,
    broker::Reader,
    clock::Timestamp,
    journey::{Facts, How, Kept, KeptRecord, Looked, Unlooked},
    message::header,
    name::StreamName,
    peek::{Begin, Mention, Question},
    record,
    snapshot::{Reading, Snapshot, Stream, StreamConfig, Why},
    tasks::aside,
    trace::TraceId,
    traces::{Query, Store},
    views::{Follow, records_of},
};

/// Traces at the most: what belongs together is rarely in more.
const TRACES_MOST: usize = 8;

/// Messages read at the most that spans name, of each stream: each takes a request.
const NAMED_MOST: usize = 64;

/// Streams that are searched at the most: each takes some requests, and a broker may have a thousand.
const STREAMS_MOST: usize = 24;

/// Messages that are kept at the most: more are not read on a page.
const MESSAGES_MOST: usize = 200;

/// Ids of which records are looked for at the most, beside the one that was asked for: messages of a trace belong to few things.
const CORRELATIONS_MOST: usize = 3;

/// How long reading may take in all: somebody waits for the page.
const LIMIT: Duration = Duration::from_secs(5);

/// How far clocks may differ: streams are searched from so much before the time that a trace or an id tells.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// The attribute by which spans of our library tell what a message follows from.
const CAUSATION: &str = "streamgauge.causation_id";

/// Gathers what is known of an id.
pub(super) async fn gather(reader: &Reader, store: &Store, snapshot: &Snapshot, follow: &Follow) -> Facts {
    let facts = Facts { id: follow.id.clone(), ..Facts::default() };
    if follow.id.is_empty() {
        return facts;
    }
    let (mention, until) = (Mention::of(&follow.id), Instant::now() + LIMIT);
    let mut gathering = Gathering { reader, store, snapshot, mention, until, named: BTreeMap::new(), facts };
    let from = aside(|| {
        gathering.find_traces();
        if follow.is_from_newest { Start::Newest } else { gathering.when() }
    });
    gathering.read_named().await;
    gathering.find_records(vec![follow.id.clone()]).await;
    gathering.search(from).await;
    let is_untimely = gathering.facts.messages.is_empty() && matches!(from, Start::Time(_, None));
    if is_untimely && Instant::now() < until {
        // Whoever made the id may have a clock that is far off.
        gathering.search(Start::Newest).await;
    }
    aside(|| gathering.find_traces_of_messages());
    gathering.find_records(gathering.correlations()).await;
    gathering.facts
}

/// Where streams are searched.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// From the newest message on, towards older ones.
    Newest,
    /// From a time on, until another where that is known.
    Time(Timestamp, Option<Timestamp>),
}

struct Gathering<'a> {
    reader: &'a Reader,
    store: &'a Store,
    snapshot: &'a Snapshot,
    mention: Mention,
    until: Instant,
    /// The messages that spans name.
    named: BTreeMap<StreamName, Vec<u64>>,
    facts: Facts,
}

impl Gathering<'_> {
    /// The traces of which a span mentions the id, the one that it is the id of, and the messages that their spans name.
    fn find_traces(&mut self) {
        let stock = self.store.stock().traces;
        if let Some(trace) = self.mention.trace() {
            self.take_trace(trace);
        }
        let id = || self.facts.id.clone();
        let queries = [
            Query { message: id(), ..Query::default() },
            Query { correlation: id(), ..Query::default() },
            Query { attributes: vec![(CAUSATION.to_owned(), id())], ..Query::default() },
        ];
        let mut searched = stock;
        for query in queries {
            let found = self.store.search(&query, TRACES_MOST);
            // What ended with enough rows has not searched all, and none of what is left was needed.
            let is_whole = found.next.is_none() || found.rows.len() == TRACES_MOST;
            searched = searched.min(if is_whole { stock } else { found.searched });
            self.facts.is_cut |= found.rows.len() == TRACES_MOST;
            found.rows.iter().for_each(|row| self.take_trace(row.id));
        }
        self.facts.traces_searched = (searched, stock);
        self.named = self.facts.named(NAMED_MOST);
    }

    fn take_trace(&mut self, id: TraceId) {
        if self.facts.traces.iter().any(|known| known.id == id) {
            return;
        }
        if self.facts.traces.len() == TRACES_MOST {
            self.facts.is_cut = true;
            return;
        }
        self.facts.traces.extend(self.store.trace(id));
    }

    /// The traces in which messages that were found were published: their spans may not mention the id.
    fn find_traces_of_messages(&mut self) {
        let mentions = self.facts.messages.iter().filter(|kept| self.mention.is_in(&kept.message));
        let parents = mentions.filter_map(|kept| kept.message.header(header::TRACEPARENT));
        let traces: Vec<TraceId> = parents.filter_map(|parent| Mention::of(parent).trace()).collect();
        traces.into_iter().for_each(|trace| self.take_trace(trace));
    }

    /// Reads the messages that spans name, in the one account that can be meant.
    async fn read_named(&mut self) {
        for (stream, sequences) in &self.named {
            let Some(account) = self.account_of(stream) else { continue };
            let reading = timeout_at(self.until, self.reader.several(&account, stream, sequences)).await;
            let Ok(reading) = reading else { return };
            for message in reading.value().into_iter().flatten() {
                self.facts.keep(Kept::of(&account, stream, message.clone()));
            }
        }
    }

    /// What the messages of a trace belong to, as far as records of that were not looked for yet.
    fn correlations(&self) -> Vec<String> {
        let mut ids: Vec<&str> = Vec::new();
        let told = self.facts.messages.iter().filter_map(|kept| kept.message.header(header::CORRELATION_ID));
        for id in told.filter(|id| self.mention.trace().is_some() && **id != self.facts.id) {
            if !ids.contains(&id) && ids.len() < CORRELATIONS_MOST {
                ids.push(id);
            }
        }
        ids.into_iter().map(str::to_owned).collect()
    }

    /// The records of these ids, by their keys: a round reads the newest of each kind alone.
    async fn find_records(&mut self, ids: Vec<String>) {
        let has_bucket = |stream: &&Stream| stream.name.as_str() == record::STREAM;
        let accounts: Vec<String> =
            self.streams().filter(has_bucket).map(|stream| stream.account.to_string()).collect();
        for pattern in ids.iter().filter_map(|id| record::subjects_with(id)) {
            for account in &accounts {
                let question = records::with_id(pattern.clone());
                let found = match timeout_at(self.until, self.reader.find(account, &question)).await {
                    Ok(reading) => reading,
                    Err(_) => Reading::unknown(Why::Failed, "time was up before they were read"),
                };
                match found.value().map(records_of) {
                    Some((entries, _)) => {
                        let kept = |entry| KeptRecord { account: account.clone(), entry };
                        self.facts.records.extend(entries.into_iter().map(kept));
                    }
                    None => self.facts.records_unread.extend(found.reason().map(str::to_owned)),
                }
            }
        }
        self.facts.records_unread.dedup();
    }

    /// The account of a stream that a span names: a span names no account, so where several could be meant none is guessed.
    fn account_of(&self, name: &StreamName) -> Option<String> {
        let mut named = self.streams().filter(|stream| stream.name == *name);
        let found = named.next()?;
        named.next().is_none().then(|| found.account.to_string())
    }

    /// The streams of the accounts that messages can be read in.
    fn streams(&self) -> impl Iterator<Item = &Stream> {
        let accounts = self.reader.accounts();
        self.snapshot.known_streams().iter().filter(move |stream| accounts.contains(&stream.account))
    }

    /// When the messages were published, by traces or else by the id.
    fn when(&self) -> Start {
        let around = |(first, last): (Timestamp, Timestamp)| {
            Start::Time(first.before(CLOCKS_DIFFER), Some(last.after(CLOCKS_DIFFER)))
        };
        let made = made(&self.facts.id).map(|at| Start::Time(at.before(CLOCKS_DIFFER), None));
        self.facts.traced().map(around).or(made).unwrap_or(Start::Newest)
    }

    /// Searches streams one after the other, so that others who read messages have their turn: first those that spans name, then those
    /// that stored something last.
    async fn search(&mut self, from: Start) {
        let mut streams: Vec<&Stream> = self.streams().filter(|stream| holds_messages(&stream.config)).collect();
        let last = |stream: &Stream| stream.state.value().and_then(|state| state.last_stored);
        streams.sort_by_key(|stream| {
            (!self.named.contains_key(&stream.name), stream.config.mirror.is_some(), Reverse(last(stream)))
        });
        let streams: Vec<(String, StreamName)> =
            streams.iter().map(|stream| (stream.account.to_string(), stream.name.clone())).collect();
        self.facts.looked.clear();
        self.facts.unlooked = None;
        let count = streams.len();
        for (number, (account, stream)) in streams.into_iter().enumerate() {
            let is_late = Instant::now() >= self.until;
            if is_late || number == STREAMS_MOST {
                self.facts.unlooked = Some(Unlooked { streams: count - number, is_late });
                return;
            }
            let how = self.search_one(&account, &stream, from).await;
            self.facts.looked.push(Looked { account, stream, how });
        }
    }

    async fn search_one(&mut self, account: &str, stream: &StreamName, from: Start) -> How {
        let (begin, until) = match from {
            Start::Newest => (Begin::Newest, None),
            Start::Time(from, until) => (Begin::At(from), until),
        };
        let question = Question {
            begin,
            mention: Some(self.mention.clone()),
            until,
            ..Question::newest(stream.clone(), MESSAGES_MOST.saturating_sub(self.facts.messages.len()).max(1))
        };
        let reading = timeout_at(self.until, self.reader.find(account, &question)).await;
        let Ok(reading) = reading else {
            return How::Unread("time was up before it answered".to_owned());
        };
        let Some(found) = reading.value() else {
            return How::Unread(reading.reason().unwrap_or_default().to_owned());
        };
        for message in &found.rows {
            self.facts.keep(Kept::of(account, stream, message.clone()));
        }
        How::Searched {
            from: match begin {
                Begin::At(from) => Some(from),
                _ => None,
            },
            until,
            searched: found.searched,
            of: found.held.sequences(),
            found: found.rows.len(),
            end: found.end,
        }
    }
}

/// Whether a stream holds messages as services publish them; the others hold buckets, or what servers tell.
fn holds_messages(config: &StreamConfig) -> bool {
    !config.is_bucket() && config.name != advisory::STREAM
}

/// When an id was made, if it says so: one of UUID version 7 begins with the milliseconds since 1970 (RFC 9562).
fn made(id: &str) -> Option<Timestamp> {
    let uuid = Uuid::parse_str(id).ok().filter(|uuid| uuid.get_version_num() == 7)?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    Timestamp::of_nanos(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_tells_when_it_was_made_is_believed() {
        let check = |id: &str, expected: Option<&str>| {
            assert_eq!(made(id).map(|at| at.to_string()).as_deref(), expected, "{id}");
        };
        check("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", Some("2022-02-22T19:22:22.000Z"));
        check("017F22E279B07CC398C4DC0C0C07398F", Some("2022-02-22T19:22:22.000Z"));
        check("919108f7-52d1-4320-9bac-f847db4148a8", None);
        check("order-7", None);
        check("", None);
    }

    #[test]
    fn buckets_are_not_searched() {
        let check = |name: &str, expected| {
            let config = StreamConfig { name: name.to_owned(), ..StreamConfig::default() };
            assert_eq!(holds_messages(&config), expected, "{name}");
        };
        check("ORDERS", true);
        check("DEAD_LETTERS", true);
        check("KV_records", false);
        check("OBJ_claims", false);
        check("ADVISORIES", false);
    }
}
