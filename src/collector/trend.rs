//! What changed between two readings of the same thing. There is none before the second, and none across a restart of the count.

use std::time::Duration;

use crate::snapshot::{ConsumerState, ConsumerTrend, Fact, Reading, StreamState, StreamTrend};

/// What a stream stored since `last` was read.
pub(super) fn of_stream(now: &Reading<StreamState>, last: Option<&Reading<StreamState>>) -> Option<StreamTrend> {
    let (now, last, over) = pair(now, last)?;
    let stored = now.last_sequence.checked_sub(last.last_sequence)?;
    let removed = now.first_sequence.saturating_sub(last.first_sequence);
    let grown_bytes = now.bytes.cast_signed().saturating_sub(last.bytes.cast_signed());
    Some(StreamTrend { over, stored, removed, grown_bytes })
}

/// What a consumer delivered since `last` was read.
pub(super) fn of_consumer(
    now: &Reading<ConsumerState>,
    last: Option<&Reading<ConsumerState>>,
) -> Option<ConsumerTrend> {
    let (now, last, over) = pair(now, last)?;
    let delivered = now.delivered.checked_sub(last.delivered)?;
    let acked = now.ack_floor.saturating_sub(last.ack_floor);
    let passed = now.ack_floor_stream_sequence.saturating_sub(last.ack_floor_stream_sequence);
    Some(ConsumerTrend { over, delivered, acked, passed, pending_before: last.pending })
}

fn pair<'a, T>(now: &'a Reading<T>, last: Option<&'a Reading<T>>) -> Option<(&'a T, &'a T, Duration)> {
    let (Reading::Known(now), Some(last)) = (now, last.and_then(Reading::fact)) else {
        return None;
    };
    let over = between(last, now)?;
    Some((&now.value, &last.value, over))
}

fn between<T>(earlier: &Fact<T>, later: &Fact<T>) -> Option<Duration> {
    Some(earlier.at.age(later.at).0).filter(|over| !over.is_zero())
}
