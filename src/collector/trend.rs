//! What changed between two readings of the same thing. There is none before the second, and none across a restart of the count.

use std::time::Duration;

use crate::snapshot::{ConsumerState, ConsumerTrend, Fact, Reading, Stream, StreamState, StreamTrend};

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
    // A message that is delivered again moves nothing but the count of deliveries.
    let first = delivered.min(now.delivered_stream_sequence.saturating_sub(last.delivered_stream_sequence));
    let acked = first.saturating_add(last.ack_pending).saturating_sub(now.ack_pending);
    let passed = now.ack_floor_stream_sequence.saturating_sub(last.ack_floor_stream_sequence);
    let arrived = first.saturating_add(now.pending).saturating_sub(last.pending);
    Some(ConsumerTrend { over, delivered, arrived, acked, passed, pending_before: last.pending })
}

/// Of a consumer that takes every message, what came is what its stream stored: some of it may have been removed before it was delivered.
pub(super) fn all_of_it_came(stream: &mut Stream) {
    let (Some(stored), Reading::Known(list)) = (stream.trend.map(|trend| trend.stored), &mut stream.consumers) else {
        return;
    };
    for consumer in list.value.rows.iter_mut().filter(|consumer| consumer.config.takes_all()) {
        if let Some(trend) = &mut consumer.trend {
            trend.arrived = stored;
        }
    }
}

/// The times of what it delivered and acked last are gone from a server that was started anew, until something is: those that were seen
/// before are still true.
pub(super) fn keep_times(now: &mut Reading<ConsumerState>, last: Option<&ConsumerState>) {
    if let (Reading::Known(now), Some(last)) = (now, last) {
        now.value.last_delivered = now.value.last_delivered.or(last.last_delivered);
        now.value.last_acked = now.value.last_acked.or(last.last_acked);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, snapshot::ConsumerState};

    #[track_caller]
    fn check(before: (u64, u64, u64, u64), after: (u64, u64, u64, u64), expected: (u64, u64)) {
        let start = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let reading = |(delivered, delivered_stream_sequence, pending, ack_pending), at| {
            let state = ConsumerState {
                delivered,
                delivered_stream_sequence,
                pending,
                ack_pending,
                ..ConsumerState::default()
            };
            Reading::known(state, "n1", at)
        };
        let (before, after) = (reading(before, start), reading(after, start.after(Duration::from_secs(1))));
        let trend = of_consumer(&after, Some(&before)).unwrap();
        assert_eq!((trend.arrived, trend.acked), expected, "arrived and acked");
    }

    #[test]
    fn what_is_delivered_again_neither_came_nor_was_acked() {
        check((100, 100, 5, 0), (110, 110, 7, 0), (12, 10));
        check((100, 100, 5, 2), (110, 104, 5, 2), (4, 4));
        check((100, 100, 5, 0), (110, 110, 0, 4), (5, 6));
        check((100, 100, 0, 3), (100, 100, 0, 0), (0, 3));
    }
}
