//! What a journey is made of beside the snapshot: what was read for it, and where was looked.

use std::collections::BTreeMap;

use super::{
    records::KeptRecord,
    spans::{Spans, Told},
};
use crate::{
    clock::Timestamp,
    name::StreamName,
    peek::{End, Stored},
    trace::Trace,
};

/// What was found of an id, and where was looked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The id that was asked for.
    pub id: String,
    /// Messages that mention it, or that a trace of it names.
    pub messages: Vec<Kept>,
    /// Streams that were searched, or could not be.
    pub looked: Vec<Looked>,
    /// Streams that were not.
    pub unlooked: Option<Unlooked>,
    /// Traces that mention it.
    pub traces: Vec<Trace>,
    /// Traces that were looked at, and those that there are.
    pub traces_searched: (usize, usize),
    /// Whether there may be more traces of it than were taken.
    pub is_cut: bool,
    /// Records that were found by their keys.
    pub records: Vec<KeptRecord>,
    /// Why records could not be looked for, of each account where that is so.
    pub records_unread: Vec<String>,
}

impl Facts {
    /// The messages that spans name by stream and sequence, `most` of each stream: first those that mention the id.
    pub fn named(&self, most: usize) -> BTreeMap<StreamName, Vec<u64>> {
        let spans = Spans::of(&self.traces);
        let mut told: Vec<&Told<'_>> = spans.handlings.iter().map(|handled| &handled.told).collect();
        told.extend(spans.publishings.iter().map(|publishing| &publishing.told));
        told.sort_by_key(|told| !told.mentions(&self.id));
        let mut named = BTreeMap::<StreamName, Vec<u64>>::new();
        for told in told {
            let stream = told.stream.and_then(|stream| stream.parse().ok());
            let (Some(stream), Some(sequence)) = (stream, told.sequence) else { continue };
            let sequences = named.entry(stream).or_default();
            if sequences.len() < most && !sequences.contains(&sequence) {
                sequences.push(sequence);
            }
        }
        named
    }

    /// From when until when the traces go, by the clocks of those who told of them.
    pub fn traced(&self) -> Option<(Timestamp, Timestamp)> {
        let spans = || self.traces.iter().flat_map(|trace| &trace.spans);
        let (first, last) = (spans().map(|span| span.start).min()?, spans().map(|span| span.end).max()?);
        Some((Timestamp::of_nanos(first)?, Timestamp::of_nanos(last)?))
    }

    /// Keeps a message, unless it is there already.
    pub fn keep(&mut self, kept: Kept) {
        let is_same = |known: &Kept| {
            known.message.sequence == kept.message.sequence
                && known.stream == kept.stream
                && known.account == kept.account
        };
        if !self.messages.iter().any(is_same) {
            self.messages.push(kept);
        }
    }
}

/// A message as its stream holds it, without its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The account.
    pub account: String,
    /// The stream.
    pub stream: StreamName,
    /// The message; its payload is left out.
    pub message: Stored,
    /// Bytes of the payload.
    pub size: u64,
}

impl Kept {
    /// A message of a stream, whose payload is let go.
    pub fn of(account: &str, stream: &StreamName, mut message: Stored) -> Self {
        let size = std::mem::take(&mut message.payload).len() as u64;
        Self { account: account.to_owned(), stream: stream.clone(), message, size }
    }
}

/// A stream that was looked into.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The account.
    pub account: String,
    /// The stream.
    pub stream: StreamName,
    /// How, and what came of it.
    pub how: How,
}

/// How a stream was looked into.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// Messages were searched.
    Searched {
        /// From this time on; `None` where the newest came first.
        from: Option<Timestamp>,
        /// Until this time; `None` for no end.
        until: Option<Timestamp>,
        /// Sequences that were searched.
        searched: u64,
        /// Sequences that there are.
        of: u64,
        /// Messages that were found.
        found: usize,
        /// Why the search ended.
        end: End,
    },
    /// It could not be read, for this reason.
    Unread(String),
}

/// Streams that were not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unlooked {
    /// How many.
    pub streams: usize,
    /// Whether there was no time for them; else they are more than one page looks into.
    pub is_late: bool,
}
