//! The journey of a message, or of all that belongs together: what streams hold, spans tell, servers told and workers left, in one time line.
//!
//! Pure: facts in, time line out. The server's time of storing is what all other clocks are held against.

mod clocks;
mod entry;
mod facts;
mod line;
mod passage;
mod records;
mod scope;
mod spans;
mod standing;

use crate::{snapshot::Snapshot, trace::TraceId};

pub use clocks::Skew;
pub use entry::{Death, Entry, Handling, Outcome, Published, What};
pub use facts::{Facts, How, Kept, Looked, Unlooked};
pub use passage::{Passage, Place, Replay};
pub use records::KeptRecord;
pub use scope::Scope;
pub use standing::{Standing, Where};

/// Entries of a time line at the most: nobody reads more, and a page of more is slow.
const ENTRIES_MOST: usize = 400;

/// A journey.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journey {
    /// What the id that was asked for names; nothing where nothing is known of it.
    pub scope: Scope,
    /// The messages, in the order in which they were published.
    pub passages: Vec<Passage>,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// Entries that were left out, the last of all.
    pub left_out: usize,
    /// How far consumers are that have more to do with a message, or of which no span tells.
    pub standings: Vec<Standing>,
    /// Clocks that differ from the servers'.
    pub clocks: Vec<Skew>,
    /// The traces that it is part of.
    pub traces: Vec<TraceId>,
    /// Whether spans tell of it.
    pub has_spans: bool,
    /// The records that tell of it.
    pub records: Vec<KeptRecord>,
}

impl Journey {
    /// What is known, as a time line.
    pub fn of(facts: &Facts, snapshot: &Snapshot) -> Self {
        let spans = spans::Spans::of(&facts.traces);
        let records = records::known(facts, snapshot);
        let scope = Scope::of(facts, snapshot, &records, &spans);
        let records = records::of(records, &scope);
        let passages = passage::Passages::of(facts, &scope, &spans);
        let clocks = clocks::Clocks::of(&passages);
        let mut entries = line::entries(facts, snapshot, &scope, &passages, &clocks, &records);
        let left_out = entries.len().saturating_sub(ENTRIES_MOST);
        entries.truncate(ENTRIES_MOST);
        let standings = standing::of(snapshot, &passages);
        let has_spans =
            passages.handlings.iter().any(|of| !of.is_empty()) || passages.publishings.iter().any(Option::is_some);
        Self {
            entries,
            left_out,
            standings,
            has_spans,
            records,
            clocks: clocks.skews(),
            traces: passages.traces(facts),
            passages: passages.rows,
            scope,
        }
    }

    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests;
