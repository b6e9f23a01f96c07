//! A stream that will be full refuses messages then, or lets go of some that nobody has read.

use super::{
    Audit, Scene, Seen,
    support::{is_near, of_stream, percent},
};
use crate::{
    snapshot::{Discard, Limit, Retention, Severity, Stream, StreamConfig, StreamState, limit},
    words::count,
};

pub(super) const AUDIT: Audit = Audit {
    name: "limit_near",
    severity: Severity::Warning,
    rule: "A stream comes close to a limit at which publishers or consumers are refused, or unread messages go; one that is there is told of by `limit_full`. A stream that keeps its newest messages by limits is full by design and not told of.",
    evidence: "what it holds against `max_msgs`, `max_bytes` and `max_consumers`",
    threshold: "`--limit-percent`, 90 by default",
    next_step: "raise the limit, or find out why messages stay",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.streams().filter_map(|(stream, state)| Some((stream, state?)));
    known.flat_map(|(stream, state)| of(stream, state, scene.thresholds.limit_percent)).collect()
}

fn of(stream: &Stream, state: &StreamState, most: u64) -> Vec<Seen> {
    let config = &stream.config;
    let hurts = hurts(config);
    let has_room = |limit| hurts && !state.is_full(config, limit);
    let limits = [
        (has_room(Limit::MaxMsgs), "messages", state.messages, config.message_limit()),
        (has_room(Limit::MaxBytes), "bytes", state.bytes, config.byte_limit()),
        (true, "consumers", state.consumers, limit(config.max_consumers)),
    ];
    let near = limits.into_iter().filter_map(|(is_told_here, what, used, limit)| {
        let limit = limit.filter(|limit| is_told_here && is_near(used, *limit, most))?;
        let sentence = format!("It holds {} % of the {what} that it may.", percent(used, limit));
        Some(of_stream(stream, sentence, format!("{} of {} {what}", count(used), count(limit))))
    });
    near.collect()
}

/// Whether publishers are refused when it is full, or messages go that somebody was to read.
pub(super) fn hurts(config: &StreamConfig) -> bool {
    config.discard == Discard::New || config.retention != Retention::Limits
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checks::audits::world::{World, found, stream};

    fn check(discard: Discard, retention: Retention, messages: u64, consumers: u64, expected: usize) {
        let mut stream = stream("ORDERS");
        let config = Arc::make_mut(&mut stream.config);
        (config.discard, config.retention, config.max_msgs, config.max_consumers) = (discard, retention, 100, 10);
        stream.state = stream.state.map(|state| StreamState { messages, consumers, ..state });
        assert_eq!(found(&AUDIT, &World { streams: vec![stream], ..World::default() }).len(), expected);
    }

    #[test]
    fn a_limit_that_refuses_or_loses_is_told_of() {
        check(Discard::New, Retention::Limits, 90, 0, 1);
        check(Discard::New, Retention::Limits, 89, 0, 0);
        check(Discard::Old, Retention::Limits, 100, 0, 0);
        check(Discard::Old, Retention::WorkQueue, 99, 0, 1);
        check(Discard::Old, Retention::WorkQueue, 100, 0, 0);
        check(Discard::Old, Retention::Limits, 0, 9, 1);
    }
}
