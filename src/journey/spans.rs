//! The spans of messages: who published one, who handled one and how that was settled.

use std::collections::{HashMap, HashSet};

use crate::trace::{Link, Span, SpanId, SpanKind, Trace, TraceId};

/// How far up a span is followed for what caused it: deeper ones are no code that people write.
const DEPTH_MOST: usize = 64;

/// Spans of a trace by where they are.
pub(super) type At = (TraceId, SpanId);

/// The spans of messages in some traces.
#[derive(Debug, Default)]
pub(super) struct Spans<'a> {
    pub(super) publishings: Vec<Publishing<'a>>,
    pub(super) handlings: Vec<Handled<'a>>,
    /// What began each trace, where that is no message.
    pub(super) roots: Vec<(TraceId, &'a Span)>,
    parents: HashMap<At, SpanId>,
    handled_at: HashMap<At, usize>,
}

/// A span that published a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publishing<'a> {
    pub(super) trace: TraceId,
    pub(super) span: &'a Span,
    pub(super) told: Told<'a>,
}

/// A span that handled a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handled<'a> {
    pub(super) trace: TraceId,
    pub(super) span: &'a Span,
    pub(super) told: Told<'a>,
    /// Its settlement.
    pub(super) settle: Option<&'a Span>,
}

/// What a span says of its message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) correlation: Option<&'a str>,
    pub(super) causation: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) template: Option<&'a str>,
    pub(super) stream: Option<&'a str>,
    pub(super) sequence: Option<u64>,
    pub(super) consumer: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(span: &'a Span) -> Self {
        let text = |key| span.text(key);
        Self {
            id: text("messaging.message.id"),
            correlation: text("messaging.message.conversation_id"),
            causation: text("streamgauge.causation_id"),
            subject: text("messaging.destination.name"),
            template: text("messaging.destination.template"),
            stream: text("messaging.nats.stream"),
            sequence: span.number("messaging.nats.stream_sequence"),
            consumer: text("messaging.nats.consumer").or_else(|| text("messaging.consumer.group.name")),
        }
    }

    /// Whether the message mentions `id`.
    pub(super) fn mentions(&self, id: &str) -> bool {
        [self.id, self.correlation, self.causation].contains(&Some(id))
    }
}

impl<'a> Handled<'a> {
    /// The spans that may have published the message: the parent, and those that are linked to.
    pub(super) fn publishers(&self) -> impl Iterator<Item = At> + 'a {
        let linked = self.span.links.iter().map(|Link { trace, span, .. }| (*trace, *span));
        self.span.parent.map(|parent| (self.trace, parent)).into_iter().chain(linked)
    }
}

impl<'a> Spans<'a> {
    pub(super) fn of(traces: &'a [Trace]) -> Self {
        let mut all = Self::default();
        for trace in traces {
            all.add(trace);
        }
        all.handled_at = all.handlings.iter().enumerate().map(|(index, of)| ((of.trace, of.span.id), index)).collect();
        all
    }

    fn add(&mut self, trace: &'a Trace) {
        let is_settle = |span: &&Span| span.text("messaging.operation.type") == Some("settle");
        let settles = trace.spans.iter().filter(is_settle);
        let settles: HashMap<SpanId, &'a Span> = settles.filter_map(|span| Some((span.parent?, span))).collect();
        let ids: HashSet<SpanId> = trace.spans.iter().map(|span| span.id).collect();
        let is_request = |span: &&Span| span.text("messaging.operation.name") == Some("request");
        let requests: HashSet<SpanId> = trace.spans.iter().filter(is_request).map(|span| span.id).collect();
        let mut seen = HashSet::with_capacity(ids.len());
        // A span may have come more than once.
        for span in trace.spans.iter().filter(|span| seen.insert(span.id)) {
            self.parents.extend(span.parent.map(|parent| ((trace.id, span.id), parent)));
            let told = Told::of(span);
            match span.kind {
                // No stream holds a question, whoever asks and whoever answers.
                _ if requests.contains(&span.id) || span.parent.is_some_and(|parent| requests.contains(&parent)) => {}
                SpanKind::Producer => self.publishings.push(Publishing { trace: trace.id, span, told }),
                SpanKind::Consumer => {
                    let settle = settles.get(&span.id).copied();
                    self.handlings.push(Handled { trace: trace.id, span, told, settle });
                }
                // What a broker tells has the span that published the message above it, and began nothing.
                _ if span.origin.is_broker() => {}
                _ if span.parent.is_none_or(|parent| !ids.contains(&parent)) => self.roots.push((trace.id, span)),
                _ => {}
            }
        }
    }

    /// The handling within which a span lies, itself left out.
    pub(super) fn handling_above(&self, at: At) -> Option<usize> {
        let mut here = at;
        for _ in 0..DEPTH_MOST {
            here = (here.0, *self.parents.get(&here)?);
            if let Some(index) = self.handled_at.get(&here) {
                return Some(*index);
            }
        }
        None
    }
}
