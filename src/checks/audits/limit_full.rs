//! A stream that has no room for one more message, and refuses it or lets go of one that may be unread.

use super::{Audit, Scene, Seen, limit_near::hurts, support::of_stream};
use crate::{
    snapshot::{Discard, Limit, Severity, Stream, StreamState},
    words::count,
};

pub(super) const AUDIT: Audit = Audit {
    name: "limit_full",
    severity: Severity::Critical,
    rule: "A stream is full: publishers are refused, or messages go that nobody has read. A stream that keeps its newest messages by limits is full by design and not told of.",
    evidence: "what it holds against `max_msgs` and `max_bytes`",
    threshold: "no room for one more message of the usual size",
    next_step: "raise the limit, or find out why messages stay",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.streams().filter_map(|(stream, state)| Some((stream, state?)));
    known.filter(|(stream, _)| hurts(&stream.config)).flat_map(|(stream, state)| of(stream, state)).collect()
}

fn of(stream: &Stream, state: &StreamState) -> Vec<Seen> {
    let config = &stream.config;
    let limits = [
        ("messages", state.messages, config.message_limit(), Limit::MaxMsgs),
        ("bytes", state.bytes, config.byte_limit(), Limit::MaxBytes),
    ];
    let full = limits.into_iter().filter(|(_, _, _, limit)| state.is_full(config, *limit));
    let seen = full.filter_map(|(what, used, limit, _)| {
        let sentence = match config.discard {
            Discard::New => format!("It is full, by {what}: it refuses new messages."),
            Discard::Old => format!("It is full, by {what}: its oldest messages go, read or not."),
        };
        Some(of_stream(stream, sentence, format!("{} of {} {what}", count(used), count(limit?))))
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        checks::audits::world::{World, found, stream},
        snapshot::Retention,
    };

    fn check(discard: Discard, retention: Retention, messages: u64, bytes: u64, expected: &[&str]) {
        let mut stream = stream("ORDERS");
        let config = Arc::make_mut(&mut stream.config);
        (config.discard, config.retention, config.max_msgs, config.max_bytes) = (discard, retention, 100, 1_000);
        stream.state = stream.state.map(|state| StreamState { messages, bytes, ..state });
        let found = found(&AUDIT, &World { streams: vec![stream], ..World::default() });
        assert_eq!(found.iter().map(|seen| seen.sentence.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_leaves_no_room_for_one_more_is_full() {
        use {Discard::*, Retention::*};
        check(New, WorkQueue, 10, 899, &[]);
        check(New, WorkQueue, 10, 905, &[]);
        check(New, WorkQueue, 10, 950, &["It is full, by bytes: it refuses new messages."]);
        check(Old, WorkQueue, 10, 950, &["It is full, by bytes: its oldest messages go, read or not."]);
        check(New, Limits, 100, 9, &["It is full, by messages: it refuses new messages."]);
        check(Old, Limits, 100, 9, &[]);
    }
}
