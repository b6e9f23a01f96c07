//! A consumer is over a threshold that somebody set.

use std::time::Duration;

use super::{Audit, Scene, Seen, support::of_consumer};
use crate::{
    checks::monitor::{Kind, Notes},
    clock::{Age, Timestamp},
    config::Thresholds,
    snapshot::{Consumer, ConsumerState, Severity},
};

pub(super) const AUDIT: Audit = Audit {
    name: "consumer_threshold",
    severity: Severity::Critical,
    rule: "A consumer reached a threshold that its makers noted on it, or that was set for all.",
    evidence: "what its leader says, and where the threshold is set",
    threshold: "`io.nats.monitor.outstanding-ack-critical`, `waiting-critical`, `unprocessed-critical`, `redelivery-critical`, `last-delivery-critical`, `last-ack-critical`, `pinned` in its metadata; else the flags of those names; else none",
    next_step: "do what whoever set the threshold had in mind, or set another",
    look,
};

/// A count that may have a threshold.
struct Gauge {
    key: &'static str,
    words: &'static str,
    flag: fn(&Thresholds) -> Option<u64>,
    now: fn(&ConsumerState) -> u64,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        key: "unprocessed-critical",
        words: "pending",
        flag: |thresholds| thresholds.unprocessed_critical,
        now: |state| state.pending,
    },
    Gauge {
        key: "outstanding-ack-critical",
        words: "ack pending",
        flag: |thresholds| thresholds.outstanding_ack_critical,
        now: |state| state.ack_pending,
    },
    Gauge {
        key: "waiting-critical",
        words: "pull requests waiting",
        flag: |thresholds| thresholds.waiting_critical,
        now: |state| state.waiting,
    },
    Gauge {
        key: "redelivery-critical",
        words: "in redelivery",
        flag: |thresholds| thresholds.redelivery_critical,
        now: |state| state.redelivered,
    },
];

/// A time that may have a threshold.
struct Silence {
    key: &'static str,
    words: &'static str,
    flag: fn(&Thresholds) -> Option<Duration>,
    last: fn(&ConsumerState) -> Option<Timestamp>,
}

const SILENCES: &[Silence] = &[
    Silence {
        key: "last-delivery-critical",
        words: "delivered",
        flag: |thresholds| thresholds.last_delivery_critical,
        last: |state| state.last_delivered,
    },
    Silence {
        key: "last-ack-critical",
        words: "acked",
        flag: |thresholds| thresholds.last_ack_critical,
        last: |state| state.last_acked,
    },
];

const PINNED: &str = "pinned";

/// How the notes on a consumer are to be read.
pub(super) fn kind(key: &str) -> Option<Kind> {
    let is_count = GAUGES.iter().any(|gauge| gauge.key == key);
    let is_length = SILENCES.iter().any(|silence| silence.key == key);
    let is_flag = key == PINNED || key == "enabled";
    [(is_count, Kind::Count), (is_length, Kind::Length), (is_flag, Kind::Flag)]
        .into_iter()
        .find_map(|(is, kind)| is.then_some(kind))
}

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.consumers().filter_map(|(consumer, state)| Some((consumer, state?)));
    known.flat_map(|(consumer, state)| of(scene, consumer, state)).collect()
}

fn of(scene: &Scene<'_>, consumer: &Consumer, state: &ConsumerState) -> Vec<Seen> {
    let notes = Notes(&consumer.config.metadata);
    let counts = GAUGES.iter().filter_map(|gauge| {
        let (threshold, set) = noted_or(notes.count(gauge.key), (gauge.flag)(scene.thresholds), gauge.key)?;
        let now = (gauge.now)(state);
        (now >= threshold).then(|| {
            let sentence = format!("It has {now} {}; {threshold} or more are critical.", gauge.words);
            of_consumer(consumer, sentence, format!("{} is {now}, {set}", gauge.words))
        })
    });
    let lengths = SILENCES.iter().filter_map(|silence| {
        let (threshold, set) = noted_or(notes.length(silence.key), (silence.flag)(scene.thresholds), silence.key)?;
        let last = (silence.last)(state);
        let quiet = last.unwrap_or(consumer.created).age(scene.now());
        (quiet.0 >= threshold).then(|| {
            let sentence = format!("Nothing was {} for {quiet}; {} is critical.", silence.words, Age(threshold));
            let ever = if last.is_some() { "last" } else { "never" };
            of_consumer(consumer, sentence, format!("{ever} {}, {quiet} since, {set}", silence.words))
        })
    });
    let lacks_pin = notes.is_set(PINNED) && state.pinned.is_none();
    let pinned = lacks_pin.then(|| {
        let evidence = "the metadata says `io.nats.monitor.pinned`, and the server names no pinned client".to_owned();
        of_consumer(consumer, "It has no pinned client and should have one.".to_owned(), evidence)
    });
    counts.chain(lengths).chain(pinned).collect()
}

/// What is noted on the consumer wins over what was set for all.
fn noted_or<T>(noted: Option<T>, flag: Option<T>, key: &str) -> Option<(T, String)> {
    let noted = noted.map(|value| (value, format!("by `io.nats.monitor.{key}` in its metadata")));
    noted.or_else(|| flag.map(|value| (value, format!("by --{key}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, consumer, found, now, stream_with};

    fn check(key: &str, value: &str, change: impl FnOnce(&mut ConsumerState), expected: usize) {
        let found = found(&AUDIT, &World { streams: vec![noted(key, value, change)], ..World::default() });
        assert_eq!(found.len(), expected, "{key}={value}: {found:?}");
    }

    fn noted(key: &str, value: &str, change: impl FnOnce(&mut ConsumerState)) -> crate::snapshot::Stream {
        let mut state = ConsumerState::default();
        change(&mut state);
        stream_with("ORDERS", vec![consumer("reserve", &[(key, value)], state)])
    }

    #[test]
    fn counts_are_critical_from_the_threshold_on() {
        check("unprocessed-critical", "10", |state| state.pending = 10, 1);
        check("unprocessed-critical", "10", |state| state.pending = 9, 0);
        check("unprocessed-critical", "0", |state| state.pending = 9, 0);
        check("unprocessed-critical", "many", |state| state.pending = 9, 0);
        check("outstanding-ack-critical", "10", |state| state.ack_pending = 10, 1);
        check("waiting-critical", "10", |state| state.waiting = 10, 1);
        check("redelivery-critical", "10", |state| state.redelivered = 10, 1);
    }

    #[test]
    fn silence_is_critical_from_the_threshold_on_and_never_counts_as_long_ago() {
        let quiet = |seconds| now().before(Duration::from_secs(seconds));
        check("last-delivery-critical", "1m", |state| state.last_delivered = Some(quiet(60)), 1);
        check("last-delivery-critical", "1m", |state| state.last_delivered = Some(quiet(59)), 0);
        check("last-delivery-critical", "1m", |_| (), 1);
        check("last-ack-critical", "1m", |state| state.last_acked = Some(quiet(60)), 1);
    }

    #[test]
    fn a_pin_is_missed_where_one_was_asked_for() {
        check("pinned", "true", |_| (), 1);
        check("pinned", "false", |_| (), 0);
        check("pinned", "true", |state| state.pinned = Some("client".to_owned()), 0);
    }

    #[test]
    fn what_is_noted_wins_over_flags_and_silence_over_both() {
        let thresholds = Thresholds { unprocessed_critical: Some(5), ..Thresholds::default() };
        let check = |key: &str, value: &str, expected: usize| {
            let streams = vec![noted(key, value, |state| state.pending = 7)];
            let world = World { streams, thresholds: thresholds.clone(), ..World::default() };
            assert_eq!(found(&AUDIT, &world).len(), expected, "{key}={value}");
        };
        check("other", "1", 1);
        check("unprocessed-critical", "8", 0);
        check("enabled", "false", 0);
        check("enabled", "true", 1);
    }
}
