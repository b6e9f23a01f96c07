//! Whose clock differs: the times of spans are held against when streams took their messages, by the server's clock.
//!
//! A message is stored while it is published, and handled after it was stored. What a service says that cannot be so
//! tells by how much its clock is off at the least.

use std::collections::BTreeMap;

use super::passage::Passages;
use crate::{
    clock::Timestamp,
    trace::{Attribute, Origin, Span},
};

/// Differences that are no news, in nanoseconds.
const NO_NEWS: i64 = 1_000_000;

/// A clock that differs from the servers'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skew {
    /// The service, with its instance where it tells of one.
    pub service: String,
    /// By how many nanoseconds it is ahead at the least; negative where it is behind.
    pub ahead_nanos: i64,
}

/// By how much clocks are off.
#[derive(Debug, Default)]
pub(super) struct Clocks(BTreeMap<String, Range>);

/// By how much a clock may be ahead, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: i64,
    most: i64,
}

impl Range {
    /// By how much it is ahead, if it is off by as little as it can be.
    fn ahead(self) -> i64 {
        // Where the two contradict each other, nothing is shown as handled before it was stored.
        let ahead = 0.max(self.least).min(self.most);
        if ahead.abs() < NO_NEWS { 0 } else { ahead }
    }
}

impl Clocks {
    pub(super) fn of(passages: &Passages<'_>) -> Self {
        let mut clocks = Self::default();
        for (index, passage) in passages.rows.iter().enumerate() {
            let Some(stored) = passage.stored().map(nanos) else { continue };
            if let Some(publishing) = &passages.publishings[index] {
                let (start, end) = times(publishing.span);
                clocks.learn(publishing.span, start.saturating_sub(stored), end.saturating_sub(stored));
            }
            for handled in &passages.handlings[index] {
                clocks.learn(handled.span, i64::MIN, times(handled.span).0.saturating_sub(stored));
            }
        }
        clocks
    }

    fn learn(&mut self, span: &Span, least: i64, most: i64) {
        let range = self.0.entry(whose(&span.origin)).or_insert(Range { least: i64::MIN, most: i64::MAX });
        range.least = range.least.max(least);
        range.most = range.most.min(most);
    }

    /// The clocks that differ, by service.
    pub(super) fn skews(&self) -> Vec<Skew> {
        let off = self.0.iter().map(|(service, range)| (service, range.ahead())).filter(|(_, ahead)| *ahead != 0);
        off.map(|(service, ahead_nanos)| Skew { service: service.clone(), ahead_nanos }).collect()
    }

    /// When a span began by the servers' clock.
    pub(super) fn began(&self, span: &Span) -> Timestamp {
        let ahead = self.ahead(span);
        let began = times(span).0.saturating_sub(ahead);
        Timestamp::of_nanos(began).expect("a calendar has every moment of so many nanoseconds as fit into 64 bits")
    }

    /// Whether the clock of whoever made a span differs.
    pub(super) fn is_off(&self, span: &Span) -> bool {
        self.ahead(span) != 0
    }

    fn ahead(&self, span: &Span) -> i64 {
        self.0.get(&whose(&span.origin)).map_or(0, |range| range.ahead())
    }
}

/// The service and its instance: each has a clock of its own.
fn whose(origin: &Origin) -> String {
    let instance = origin.attributes.iter().find(|Attribute { key, .. }| key == "service.instance.id");
    let service = if origin.service.is_empty() { "a service without a name" } else { &origin.service };
    match instance {
        Some(instance) => format!("{service} ({})", instance.value),
        None => service.to_owned(),
    }
}

fn times(span: &Span) -> (i64, i64) {
    let whole = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
    (whole(span.start), whole(span.end))
}

fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.0.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}
