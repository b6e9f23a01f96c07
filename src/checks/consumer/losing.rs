//! Messages went that it had not processed.

use super::{Facts, Found, Rule, messages};
use crate::{
    clock::Age,
    snapshot::{Failures, Label, Sample, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Losing,
    severity: "critical; warning where they were in flight",
    rule: "Messages went that it had not processed: its stream removed them, or the server gave up delivering them.",
    evidence: "the stream's first sequence against what was delivered, round by round; the broker's advisories",
    threshold: "one message in the last 3 rounds; one that was given up and not acked since",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    removed(facts).or_else(|| gave_up(facts)).or_else(|| removed_in_flight(facts))
}

/// The stream removed what was never delivered.
fn removed(facts: &Facts<'_>) -> Option<Found> {
    if keeps_the_newest(facts) || facts.is_left_behind() {
        return None;
    }
    let recent = facts.recent();
    let is_filtered = facts.is_filtered();
    let lost = recent.windows(2).map(|pair| removed_between(&pair[0], &pair[1], is_filtered));
    let lost = lost.fold(0, u64::saturating_add);
    let ([first, .., now], true) = (recent, lost > 0) else { return None };
    let about = if is_filtered { "about " } else { "" };
    Some(Found {
        label: Label::Losing,
        severity: Severity::Critical,
        sentence: format!("Its stream removed {about}{} before they were delivered.", messages(lost)).into(),
        evidence: vec![
            format!(
                "the stream begins at sequence {}, and the consumer is at {}",
                now.stream_first_sequence, now.delivered_stream_sequence
            ),
            format!("removed within the last {}, by {}", Age(first.at.age(now.at).0), limits(facts)),
        ],
        next_step:
            "raise the limits of the stream now, then make the consumer faster: what is gone has to be published anew"
                .into(),
    })
}

/// Messages that went from the front of the stream between two rounds and were not delivered by then. Of a consumer with filters
/// only those are counted that it must have lost.
fn removed_between(before: &Sample, after: &Sample, is_filtered: bool) -> u64 {
    let is_known = before.stream_first_sequence > 0 && after.stream_first_sequence > 0;
    if !is_known || before.created != after.created {
        return 0;
    }
    let from = after.delivered_stream_sequence.saturating_add(1).max(before.stream_first_sequence);
    let gone = after.stream_first_sequence.saturating_sub(from);
    if gone == 0 || !is_filtered {
        return gone;
    }
    let delivered = after.delivered.saturating_sub(before.delivered);
    let vanished = before.pending.saturating_sub(delivered).saturating_sub(after.pending);
    let is_still = delivered == 0 && before.pending > 0;
    vanished.max(if is_still { expected(gone, after) } else { 0 })
}

/// How many of the messages that went were for it, when as many of them were as of those that are left.
fn expected(gone: u64, after: &Sample) -> u64 {
    let passed = after.delivered_stream_sequence.max(after.stream_first_sequence.saturating_sub(1));
    let left = after.stream_last_sequence.saturating_sub(passed);
    let share = u128::from(gone) * u128::from(after.pending) / u128::from(left.max(1));
    u64::try_from(share).unwrap_or(u64::MAX).min(gone)
}

fn limits(facts: &Facts<'_>) -> String {
    let config = &facts.stream.config;
    let limits = [
        config.age_limit().map(|age| format!("max_age of {}", Age(age))),
        config.byte_limit().map(|bytes| format!("max_bytes of {bytes}")),
        config.message_limit().map(|count| format!("max_msgs of {count}")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "a purge: the stream has no limits".to_owned() } else { limits.join(", ") }
}

fn gave_up(facts: &Facts<'_>) -> Option<Found> {
    let failures = facts.failures.filter(|failures| failures.exhausted > 0)?;
    let given_up = messages(failures.exhausted);
    Some(Found {
        label: Label::Losing,
        severity: Severity::Critical,
        sentence: format!("The server gave up {given_up} that nobody acked; they count as processed.").into(),
        evidence: evidence(failures, facts),
        next_step: "look at them with `streamgauge dlq list` and replay them once the cause is mended".into(),
    })
}

/// The stream removed what had been delivered and was not acked yet: whoever works at it cannot try again.
fn removed_in_flight(facts: &Facts<'_>) -> Option<Found> {
    let failures = facts.failures.filter(|failures| failures.removed > 0)?;
    if keeps_the_newest(facts) {
        return None;
    }
    Some(Found {
        label: Label::Losing,
        severity: Severity::Warning,
        sentence: format!("Its stream removed {} while they were in flight.", messages(failures.removed)).into(),
        evidence: vec![format!("the server says so of each; removed by {}", limits(facts))],
        next_step: "raise the limits of the stream: a message that fails now does not come again".into(),
    })
}

/// Streams that keep some messages a subject remove the others on purpose.
fn keeps_the_newest(facts: &Facts<'_>) -> bool {
    let config = &facts.stream.config;
    config.is_bucket() || config.max_msgs_per_subject > 0
}

fn copies(count: u64) -> String {
    if count == 1 { "1 copy lies".to_owned() } else { format!("{count} copies lie") }
}

fn evidence(failures: &Failures, facts: &Facts<'_>) -> Vec<String> {
    let sequences: Vec<String> = failures.sequences.iter().take(5).map(u64::to_string).collect();
    let told = [
        (failures.exhausted > 0).then(|| match facts.consumer.config.deliver_limit() {
            Some(limit) => {
                format!("{} were delivered {limit} times, as often as max_deliver allows", failures.exhausted)
            }
            None => format!("{} were delivered as often as max_deliver allowed", failures.exhausted),
        }),
        (failures.terminated > 0).then(|| format!("{} were terminated by a worker", failures.terminated)),
        (failures.copies > 0).then(|| format!("{} of it in the stream of dead letters", copies(failures.copies))),
        (!failures.reason.is_empty()).then(|| format!("the last reason given: {}", failures.reason)),
        (!sequences.is_empty()).then(|| format!("the last ones by stream sequence: {}", sequences.join(", "))),
        failures.last.map(|last| format!("the last one was given up {} ago", last.age(facts.now))),
    ];
    told.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check, check_severity, now};
    use super::*;

    /// Nothing was delivered while the stream's first sequence went so.
    fn squeezed(first: [u64; 3]) -> World {
        let world = World::still(50).streamed(|config| config.max_msgs = 50);
        world.sampled(|round, sample| sample.stream_first_sequence = first[round])
    }

    #[test]
    fn a_stream_that_removes_what_was_not_delivered_loses_messages() {
        check(&squeezed([101, 105, 111]), Label::Losing);
        check(&squeezed([90, 95, 101]), Label::NoWorkers);
        check(&squeezed([111, 111, 111]), Label::NoWorkers);
    }

    #[test]
    fn a_purge_and_a_limit_are_told_apart() {
        let by = |world: &World| world.judge().evidence[1].clone();
        assert!(by(&squeezed([101, 105, 111])).ends_with("by max_msgs of 50"));
        assert!(by(&squeezed([101, 105, 111]).streamed(|config| config.max_msgs = -1)).contains("a purge"));
    }

    #[test]
    fn what_a_bucket_forgets_is_no_loss() {
        check(&squeezed([101, 105, 111]).streamed(|config| config.name = "KV_stock".to_owned()), Label::NoWorkers);
        check(&squeezed([101, 105, 111]).streamed(|config| config.max_msgs_per_subject = 1), Label::NoWorkers);
    }

    #[test]
    fn a_filtered_consumer_loses_its_share_only() {
        let filtered = |first, pending: [u64; 3]| {
            let world = squeezed(first).configured(|config| config.filter_subject = "orders.rare".to_owned());
            world.sampled(|round, sample| {
                sample.pending = pending[round];
                sample.stream_last_sequence = 1_000;
            })
        };
        check(&filtered([101, 105, 111], [1, 1, 1]), Label::NoWorkers);
        check(&filtered([101, 301, 501], [500, 400, 300]), Label::Losing);
        check(&filtered([101, 301, 501], [5, 5, 5]), Label::Losing);
    }

    #[test]
    fn what_the_server_gave_up_is_lost_until_it_is_acked() {
        let failed = |exhausted, terminated| {
            let failures = Failures { exhausted, terminated, last: Some(now()), ..Failures::default() };
            World::still(0).failed(failures)
        };
        check_severity(&failed(1, 0), Label::Losing, Severity::Critical);
        check_severity(&failed(1, 3), Label::Losing, Severity::Critical);
        check(&failed(0, 3), Label::Ok);
        check(&failed(0, 0), Label::Ok);
    }

    #[test]
    fn what_was_removed_in_flight_is_lost_unless_it_is_meant_so() {
        let world = || World::still(0).failed(Failures { removed: 2, ..Failures::default() });
        check_severity(&world(), Label::Losing, Severity::Warning);
        check(&world().streamed(|config| config.max_msgs_per_subject = 1), Label::Ok);
    }
}
