//! A trace laid out: which span belongs below which, what the end waited for, and how a message spent its time.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::format;
use crate::trace::{Span, SpanId, SpanKind, SpanStatus, Trace};

/// Letters of a span's name that are shown.
pub(super) const NAME_MOST: usize = 200;

/// A span in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) span: &'a Span,
    pub(super) depth: usize,
    /// Its parent, where that came.
    pub(super) parent: Option<&'a Span>,
    /// It says that it has a parent, and that did not come.
    pub(super) is_orphan: bool,
    /// The trace ended when it did, or something below it.
    pub(super) is_critical: bool,
    /// It begins before its parent: the clocks of two machines differ.
    pub(super) is_early: bool,
}

impl<'a> Placed<'a> {
    /// The span that published the message which this one handles.
    pub(super) fn publisher(&self) -> Option<&'a Span> {
        let publisher = self.parent.filter(|parent| parent.kind == SpanKind::Producer && !is_request(parent));
        publisher.filter(|_| self.span.kind == SpanKind::Consumer)
    }
}

/// Whoever asks waits for the answer, and no stream holds the question.
fn is_request(span: &Span) -> bool {
    span.text("messaging.operation.name") == Some("request")
}

/// A trace in the order in which it is shown.
#[derive(Debug, Default)]
pub(super) struct Waterfall<'a> {
    pub(super) rows: Vec<Placed<'a>>,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Spans that came more than once.
    pub(super) repeated: usize,
}

impl<'a> Waterfall<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let mut spans: HashMap<SpanId, &Span> = HashMap::with_capacity(trace.spans.len());
        let mut order: Vec<&Span> = Vec::with_capacity(trace.spans.len());
        for span in &trace.spans {
            if spans.insert(span.id, span).is_none() {
                order.push(span);
            }
        }
        order.sort_by_key(|span| span.start);
        let critical = critical(&order, &spans);
        let mut below: HashMap<SpanId, Vec<&Span>> = HashMap::new();
        for span in &order {
            if let Some(parent) = span.parent.filter(|parent| spans.contains_key(parent)) {
                below.entry(parent).or_default().push(span);
            }
        }
        let place = |span: &'a Span, depth: usize| {
            let parent = span.parent.and_then(|parent| spans.get(&parent).copied());
            Placed {
                span,
                depth,
                parent,
                is_orphan: span.parent.is_some() && parent.is_none(),
                is_critical: critical.contains(&span.id),
                is_early: parent.is_some_and(|parent| span.start < parent.start),
            }
        };
        let is_root = |span: &&Span| span.parent.is_none_or(|parent| !spans.contains_key(&parent));
        let mut rows = Vec::with_capacity(order.len());
        let mut seen = HashSet::with_capacity(order.len());
        // Spans that are each other's parents are below no root: they come last.
        for root in order.iter().filter(|span| is_root(span)).chain(&order) {
            let mut todo = vec![(*root, 0)];
            while let Some((span, depth)) = todo.pop() {
                if seen.insert(span.id) {
                    rows.push(place(span, depth));
                    todo.extend(below.get(&span.id).into_iter().flatten().rev().map(|child| (*child, depth + 1)));
                }
            }
        }
        Self {
            repeated: trace.spans.len() - rows.len(),
            start: order.first().map_or(0, |span| span.start),
            end: order.iter().map(|span| span.end).max().unwrap_or_default(),
            rows,
        }
    }

    /// How long all of it took, in nanoseconds.
    pub(super) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The ways of messages in it: from each that was published to each handler of it.
    pub(super) fn hops(&self) -> Vec<Hop<'a>> {
        let is_settle = |span: &Span| span.text("messaging.operation.type") == Some("settle");
        let settles = self.rows.iter().map(|row| row.span).filter(|span| is_settle(span));
        let settles: HashMap<SpanId, &'a Span> = settles.filter_map(|span| Some((span.parent?, span))).collect();
        self.rows.iter().filter_map(|row| Self::hop(row, &settles)).collect()
    }

    fn hop(row: &Placed<'a>, settles: &HashMap<SpanId, &'a Span>) -> Option<Hop<'a>> {
        let process = row.span;
        let publish = row.publisher();
        if process.kind != SpanKind::Consumer || row.parent.is_some_and(is_request) {
            return None;
        }
        Some(Hop {
            process,
            publish,
            waiting: publish.map(|publish| process.start.saturating_sub(publish.end)),
            settle: settles.get(&process.id).copied(),
            deliveries: process.number("messaging.nats.delivery_count").unwrap_or(1),
        })
    }
}

/// The spans from the one that ended last up to where it came from.
fn critical(order: &[&Span], spans: &HashMap<SpanId, &Span>) -> HashSet<SpanId> {
    let mut critical = HashSet::new();
    let mut next = order.iter().max_by_key(|span| (span.end, span.start)).copied();
    while let Some(span) = next.filter(|span| critical.insert(span.id)) {
        next = span.parent.and_then(|parent| spans.get(&parent).copied());
    }
    critical
}

/// A message on its way to one handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop<'a> {
    /// The span that published it, until the stream had confirmed it.
    pub(super) publish: Option<&'a Span>,
    /// Nanoseconds between that and the handler's start.
    pub(super) waiting: Option<u64>,
    /// The handler.
    pub(super) process: &'a Span,
    /// The settlement.
    pub(super) settle: Option<&'a Span>,
    /// How often it had been delivered by then.
    pub(super) deliveries: u64,
}

pub(super) fn has_failed(span: &Span) -> bool {
    span.status == SpanStatus::Error
}

/// `340 µs`, `12.3 ms`, `1.24 s`, `2 min 5 s`.
pub(super) fn took(nanos: u64) -> String {
    let micros = nanos / 1_000;
    match micros {
        0..1_000 => format::tied(&format!("{micros} µs")),
        1_000..1_000_000 => format::tied(&format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)),
        1_000_000..60_000_000 => format::tied(&format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000)),
        _ => format::age(Duration::from_nanos(nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_the_unit_that_fits_and_stays_beside_it() {
        let check = |nanos, expected: &str| assert_eq!(took(nanos).replace('\u{a0}', "~"), expected);
        check(999, "0~µs");
        check(114_000, "114~µs");
        check(12_345_678, "12.3~ms");
        check(1_240_000_000, "1.24~s");
        check(125_000_000_000, "2~min 5~s");
    }
}
