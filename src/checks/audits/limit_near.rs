//! A stream that is full refuses messages, or lets go of some that nobody has read.

use super::{
    Audit, Scene, Seen,
    support::{is_near, of_stream, percent},
};
use crate::snapshot::{Discard, Limit, Retention, Severity, Stream, StreamState, limit};

pub(super) const AUDIT: Audit = Audit {
    name: "limit_near",
    severity: Severity::Warning,
    rule: "A stream comes close to a limit at which publishers or consumers are refused, or unread messages go. A stream that keeps its newest messages by limits is full by design and not told of.",
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
    let hurts = config.discard == Discard::New || config.retention != Retention::Limits;
    let limits = [
        (hurts, "messages", state.messages, config.message_limit(), state.is_full(config, Limit::MaxMsgs)),
        (hurts, "bytes", state.bytes, config.byte_limit(), state.is_full(config, Limit::MaxBytes)),
        (true, "consumers", state.consumers, limit(config.max_consumers), false),
    ];
    let near = limits.into_iter().filter_map(|(hurts, what, used, limit, is_full)| {
        let limit = limit.filter(|limit| hurts && (is_full || is_near(used, *limit, most)))?;
        let sentence = match (is_full, config.discard) {
            (false, _) => format!("It holds {} % of the {what} that it may.", percent(used, limit)),
            (true, Discard::New) => format!("It is full, by {what}: it refuses new messages."),
            (true, Discard::Old) => format!("It is full, by {what}: its oldest messages go, read or not."),
        };
        Some(of_stream(stream, sentence, format!("{used} of {limit} {what}")))
    });
    near.collect()
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

    fn check_bytes(discard: Discard, bytes: u64, expected: &[&str]) {
        let mut stream = stream("ORDERS");
        let config = Arc::make_mut(&mut stream.config);
        (config.discard, config.retention, config.max_bytes) = (discard, Retention::WorkQueue, 1_000);
        stream.state = stream.state.map(|state| StreamState { messages: 10, bytes, ..state });
        let found = found(&AUDIT, &World { streams: vec![stream], ..World::default() });
        assert_eq!(found.iter().map(|seen| seen.sentence.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_leaves_no_room_for_one_more_is_full() {
        check_bytes(Discard::New, 899, &[]);
        check_bytes(Discard::New, 905, &["It holds 90 % of the bytes that it may."]);
        check_bytes(Discard::New, 950, &["It is full, by bytes: it refuses new messages."]);
        check_bytes(Discard::Old, 950, &["It is full, by bytes: its oldest messages go, read or not."]);
    }

    #[test]
    fn a_limit_that_refuses_or_loses_is_told_of() {
        check(Discard::New, Retention::Limits, 90, 0, 1);
        check(Discard::New, Retention::Limits, 89, 0, 0);
        check(Discard::Old, Retention::Limits, 100, 0, 0);
        check(Discard::Old, Retention::WorkQueue, 100, 0, 1);
        check(Discard::Old, Retention::Limits, 0, 9, 1);
    }
}
