//! What an id names: a message, what messages belong to, or a trace.

use super::{Facts, KeptRecord, spans::Spans};
use crate::{
    message::header,
    peek::Mention,
    record::Record,
    snapshot::{Letter, Snapshot},
    trace::TraceId,
};

/// What the id that was asked for names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The id.
    pub id: String,
    /// It is that of a message.
    pub is_message: bool,
    /// It is what messages belong to.
    pub is_correlation: bool,
    /// It is that of a trace.
    pub trace: Option<TraceId>,
}

impl Scope {
    pub(super) fn of(facts: &Facts, snapshot: &Snapshot, records: &[KeptRecord], spans: &Spans<'_>) -> Self {
        let id = facts.id.as_str();
        let header = |name: &str| facts.messages.iter().any(|kept| kept.message.header(name) == Some(id));
        let told = spans.publishings.iter().map(|one| one.told).chain(spans.handlings.iter().map(|one| one.told));
        let (mut is_message, mut is_correlation) = (header(header::MESSAGE_ID), header(header::CORRELATION_ID));
        for told in told {
            is_message |= told.id == Some(id);
            is_correlation |= told.correlation == Some(id);
        }
        is_message |= letters(snapshot).any(|(_, letter)| letter.message_id.as_deref() == Some(id));
        is_correlation |= records.iter().any(|one| one.entry.value.id == id);
        let mention = Mention::of(id);
        let is_traced = |trace: &TraceId| {
            facts.traces.iter().any(|known| known.id == *trace)
                || (!is_message && !is_correlation && !facts.messages.is_empty())
        };
        Self { id: id.to_owned(), is_message, is_correlation, trace: mention.trace().filter(is_traced) }
    }

    /// Whether a record tells of it.
    pub fn is_of(&self, record: &Record) -> bool {
        let is_traced = self.trace.is_some_and(|trace| record.trace_id.as_deref() == Some(&trace.to_string()));
        is_traced || record.id == self.id
    }

    /// Whether all of a trace belongs to it; else only what is about one message.
    pub(super) fn is_wide(&self) -> bool {
        self.is_correlation || self.trace.is_some()
    }
}

/// The dead letters that are known, with their accounts.
pub(super) fn letters(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Letter)> {
    let known = snapshot.watched().filter_map(|watched| Some((watched.name(), watched.dead_letters.value()?)));
    known.flat_map(|(account, letters)| letters.rows.iter().map(move |letter| (account, letter)))
}
