//! The messages of a journey: each once, whether a stream holds it, a span tells of it, or both.

use std::collections::HashMap;

use super::{
    Facts, Kept, Scope,
    spans::{At, Handled, Publishing, Spans, Told},
};
use crate::{
    clock::Timestamp,
    dead_letter::{self, RETRIES, header as letter_header},
    message::header,
    peek::Mention,
    trace::{SpanId, TraceId, TraceParent},
};

/// A message of a journey.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passage {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// What it is, such as `OrderPlaced`, if it says so.
    pub kind: Option<String>,
    /// The subject that it was published on; empty where nobody says.
    pub subject: String,
    /// The service that published it, if anybody says.
    pub publisher: Option<String>,
    /// What it belongs to.
    pub correlation: Option<String>,
    /// The id of the message that it follows from.
    pub causation: Option<String>,
    /// The message of this journey that it follows from, by its place among them.
    pub cause: Option<usize>,
    /// Where it lies: the earliest first; several where streams copy from each other. Empty where nobody says.
    pub places: Vec<Place>,
    /// The trace that it was published in.
    pub trace: Option<TraceId>,
    /// What it repeats, where it is a replay of a dead letter.
    pub replay: Option<Replay>,
}

/// Where a message lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The account; `None` where a span alone tells, which names none.
    pub account: Option<String>,
    /// The stream.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// When the stream took it, by its server; `None` where a span alone tells.
    pub stored: Option<Timestamp>,
    /// Bytes of its payload, where the stream was read.
    pub size: Option<u64>,
}

/// A message that was published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The id of the message that it repeats.
    pub of: String,
    /// The durable that is to process it, if that is said.
    pub durable: Option<String>,
    /// The how many-th replay it is, if that is said.
    pub generation: Option<u32>,
}

impl Passage {
    /// When its first stream took it, by the server's clock.
    pub fn stored(&self) -> Option<Timestamp> {
        self.places.iter().find_map(|place| place.stored)
    }

    /// What it is called: its kind, or else its subject.
    pub fn name(&self) -> &str {
        match (&self.kind, self.subject.as_str(), &self.id) {
            (Some(kind), ..) => kind,
            (None, "", Some(id)) => id,
            (None, "", None) => "a message",
            (None, subject, _) => subject,
        }
    }

    fn of(kept: &Kept) -> Self {
        let message = &kept.message;
        let text = |name: &str| message.header(name).map(str::to_owned);
        let place = Place {
            account: Some(kept.account.clone()),
            stream: kept.stream.to_string(),
            sequence: message.sequence,
            stored: Some(message.stored),
            size: Some(kept.size),
        };
        let replay = text(header::REPLAY_OF).map(|of| Replay {
            of,
            durable: text(header::REPLAY_FOR),
            generation: message.header(letter_header::REPLAY_GENERATION).and_then(|text| text.parse().ok()),
        });
        Self {
            id: text(header::MESSAGE_ID),
            kind: text(header::CE_TYPE),
            subject: message.subject.clone(),
            publisher: text(header::CE_SOURCE),
            correlation: text(header::CORRELATION_ID),
            causation: text(header::CAUSATION_ID),
            cause: None,
            places: vec![place],
            trace: parent_of(kept).map(|parent| TraceId(parent.trace_id)),
            replay,
        }
    }

    /// What a span alone tells of.
    fn told(told: &Told<'_>, trace: TraceId) -> Self {
        Self {
            id: told.id.map(str::to_owned),
            subject: told.subject.or(told.template).unwrap_or_default().to_owned(),
            correlation: told.correlation.map(str::to_owned),
            causation: told.causation.map(str::to_owned),
            places: place_of(told).into_iter().collect(),
            trace: Some(trace),
            ..Self::default()
        }
    }
}

/// Where a message lies, as a span alone tells.
fn place_of(told: &Told<'_>) -> Option<Place> {
    let (stream, sequence) = (told.stream?.to_owned(), told.sequence?);
    Some(Place { account: None, stream, sequence, stored: None, size: None })
}

/// The span that published a stored message.
fn parent_of(kept: &Kept) -> Option<TraceParent> {
    kept.message.header(header::TRACEPARENT)?.parse().ok()
}

/// Whether a stored message is no message of its own, but a copy that a worker of ours keeps of one.
pub(super) fn is_copy(kept: &Kept) -> bool {
    matches!(kept.stream.as_str(), dead_letter::STREAM | RETRIES)
}

/// The account in which a message lies, and its place among those of the journey.
type Lying = (Option<String>, usize);

/// The messages of a journey, each with the spans that tell of it.
#[derive(Debug, Default)]
pub(super) struct Passages<'a> {
    pub(super) rows: Vec<Passage>,
    /// By the same place among them: the span that published each.
    pub(super) publishings: Vec<Option<Publishing<'a>>>,
    /// By the same place among them: the spans that handled each.
    pub(super) handlings: Vec<Vec<Handled<'a>>>,
    /// What began the traces.
    pub(super) roots: Vec<(TraceId, &'a crate::trace::Span)>,
    by_span: HashMap<At, usize>,
    /// By stream and sequence.
    by_place: HashMap<(String, u64), Vec<Lying>>,
    by_id: HashMap<String, usize>,
}

impl<'a> Passages<'a> {
    pub(super) fn of(facts: &Facts, scope: &Scope, spans: &Spans<'a>) -> Self {
        let mut all = Self::default();
        let mention = Mention::of(&scope.id);
        let is_wanted = |kept: &&Kept| !is_copy(kept) && (scope.is_wide() || mention.is_in(&kept.message));
        let mut kept: Vec<&Kept> = facts.messages.iter().filter(is_wanted).collect();
        kept.sort_by_key(|kept| (kept.message.stored, kept.message.sequence));
        for kept in kept {
            all.keep(kept);
        }
        let mut whose = HashMap::new();
        all.attach_handlings(scope, spans, &mut whose);
        all.attach_publishings(scope, spans, &whose);
        all.find_causes(spans, &whose);
        if scope.is_wide() {
            all.roots.clone_from(&spans.roots);
        }
        all
    }

    /// The traces that it is part of.
    pub(super) fn traces(&self, facts: &Facts) -> Vec<TraceId> {
        let known = facts.traces.iter().map(|trace| trace.id);
        let mut traces: Vec<TraceId> = self.rows.iter().filter_map(|passage| passage.trace).chain(known).collect();
        traces.sort_unstable();
        traces.dedup();
        traces
    }

    /// The message at a sequence of a stream of an account. A span names no account (`None`): where several could be meant, none is.
    pub(super) fn at_in(&self, account: Option<&str>, stream: &str, sequence: u64) -> Option<usize> {
        let there = self.by_place.get(&(stream.to_owned(), sequence))?;
        if let Some((_, index)) = there.iter().find(|(known, _)| known.as_deref() == account) {
            return Some(*index);
        }
        let mut may_be =
            there.iter().filter(|(known, _)| known.is_none() || account.is_none()).map(|(_, index)| *index);
        let index = may_be.next()?;
        may_be.all(|other| other == index).then_some(index)
    }

    fn keep(&mut self, kept: &Kept) {
        let passage = Passage::of(kept);
        let account = Some(kept.account.as_str());
        if self.at_in(account, kept.stream.as_str(), kept.message.sequence).is_some() {
            return;
        }
        let twin = passage.id.as_ref().and_then(|id| self.by_id.get(id)).copied();
        // A stream that copies from another keeps the message's id.
        let twin = twin.filter(|twin| self.rows[*twin].subject == passage.subject);
        let index = twin.unwrap_or(self.rows.len());
        if let Some(parent) = parent_of(kept) {
            self.by_span.insert((TraceId(parent.trace_id), SpanId(parent.span_id)), index);
        }
        match twin {
            Some(twin) => {
                self.lies(twin, &passage.places);
                self.rows[twin].places.extend(passage.places);
            }
            None => self.push(passage),
        }
    }

    /// Notes where a message lies.
    fn lies(&mut self, index: usize, places: &[Place]) {
        for Place { account, stream, sequence, .. } in places {
            self.by_place.entry((stream.clone(), *sequence)).or_default().push((account.clone(), index));
        }
    }

    fn push(&mut self, passage: Passage) {
        let index = self.rows.len();
        if let Some(id) = &passage.id {
            self.by_id.entry(id.clone()).or_insert(index);
        }
        self.lies(index, &passage.places);
        self.rows.push(passage);
        self.publishings.push(None);
        self.handlings.push(Vec::new());
    }

    fn attach_handlings(&mut self, scope: &Scope, spans: &Spans<'a>, whose: &mut HashMap<usize, usize>) {
        for (number, handled) in spans.handlings.iter().enumerate() {
            let told = &handled.told;
            let found = (told.stream.zip(told.sequence))
                .and_then(|(stream, sequence)| self.at_in(None, stream, sequence))
                .or_else(|| handled.publishers().find_map(|at| self.by_span.get(&at).copied()))
                .or_else(|| self.by_id.get(told.id?).copied());
            let found = found.or_else(|| {
                (scope.is_wide() || told.mentions(&scope.id)).then(|| {
                    self.push(Passage::told(told, handled.trace));
                    self.rows.len() - 1
                })
            });
            let Some(index) = found else { continue };
            for at in handled.publishers() {
                self.by_span.entry(at).or_insert(index);
            }
            whose.insert(number, index);
            self.handlings[index].push(*handled);
        }
    }

    fn attach_publishings(&mut self, scope: &Scope, spans: &Spans<'a>, whose: &HashMap<usize, usize>) {
        for publishing in &spans.publishings {
            let at = (publishing.trace, publishing.span.id);
            let told = &publishing.told;
            let found = self.by_span.get(&at).or_else(|| self.by_id.get(told.id?)).copied();
            let is_about = || {
                let above = spans.handling_above(at).and_then(|number| whose.get(&number));
                scope.is_wide()
                    || told.mentions(&scope.id)
                    || above.is_some_and(|above| self.rows[*above].id.as_deref() == Some(&scope.id))
            };
            let is_copy = told.template.or(told.subject).is_some_and(is_subject_of_copies);
            let index = match found {
                Some(index) => index,
                None if !is_copy && is_about() => {
                    self.push(Passage::told(told, publishing.trace));
                    self.rows.len() - 1
                }
                None => continue,
            };
            let passage = &mut self.rows[index];
            let service = &publishing.span.origin.service;
            passage.publisher.get_or_insert_with(|| service.clone());
            if passage.subject.is_empty() {
                passage.subject = told.subject.or(told.template).unwrap_or_default().to_owned();
            }
            if let Some(place) = place_of(told).filter(|_| passage.places.is_empty()) {
                passage.places.push(place.clone());
                self.lies(index, &[place]);
            }
            self.publishings[index].get_or_insert(*publishing);
        }
    }

    fn find_causes(&mut self, spans: &Spans<'_>, whose: &HashMap<usize, usize>) {
        for index in 0..self.rows.len() {
            let named = self.rows[index].causation.as_ref().and_then(|id| self.by_id.get(id)).copied();
            let spanned = || {
                let publishing = self.publishings[index].as_ref()?;
                let above = spans.handling_above((publishing.trace, publishing.span.id))?;
                whose.get(&above).copied()
            };
            self.rows[index].cause = named.or_else(spanned).filter(|cause| *cause != index);
        }
    }
}

/// Whether copies of messages that our workers keep are published on a subject: they are told of as what they are.
fn is_subject_of_copies(subject: &str) -> bool {
    ["dead.", "retries."].iter().any(|begin| subject.starts_with(begin))
}
