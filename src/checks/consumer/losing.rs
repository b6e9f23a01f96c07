//! Messages went that it had not processed.

use std::time::Duration;

use super::{Facts, Found, Rule, messages};
use crate::{
    clock::Age,
    snapshot::{Failures, Label, Sample, Severity, StreamState},
    words::{agree, counted},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Losing,
    severity: "critical; warning where they were in flight, or where workers terminate many",
    rule: "Messages went that it had not processed: its stream removed them, the server gave up delivering them, or its workers terminated many of them and kept no copy.",
    evidence: "the stream's first sequence against what was delivered, round by round; the broker's advisories",
    threshold: "one message in the last 3 rounds; one that was given up and not acked since; a tenth of what was delivered and at least 3 terminated, the last one in the last hour",
    look,
};

/// Terminated messages that are worth a word, if they are a tenth of all that was delivered.
const REFUSED_LEAST: u64 = 3;

/// What was terminated longer ago was meant so, or somebody has looked by now.
const REFUSED_LATELY: Duration = Duration::from_secs(3_600);

fn look(facts: &Facts<'_>) -> Option<Found> {
    removed(facts).or_else(|| gave_up(facts)).or_else(|| removed_in_flight(facts)).or_else(|| refused(facts))
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
        sentence: format!(
            "Its stream removed {about}{} before {} delivered.",
            messages(lost),
            agree(lost, "it was", "they were")
        )
        .into(),
        evidence: vec![
            format!(
                "the consumer went from sequence {} to {} with {} deliveries, and the stream begins at {}",
                first.delivered_stream_sequence,
                now.delivered_stream_sequence,
                now.delivered.saturating_sub(first.delivered),
                now.stream_first_sequence
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
    // The oldest message that it could still have been given.
    let oldest = before.delivered_stream_sequence.saturating_add(1).max(before.stream_first_sequence);
    let delivered = after.delivered.saturating_sub(before.delivered);
    let gone =
        after.stream_first_sequence.saturating_sub(oldest.max(after.delivered_stream_sequence.saturating_add(1)));
    if !is_filtered {
        // It goes on behind what went: what it passed over without a delivery is lost as well.
        let passed = after.delivered_stream_sequence.saturating_add(1).saturating_sub(oldest);
        let lost = gone.saturating_add(passed.saturating_sub(delivered));
        return lost.min(after.stream_first_sequence.saturating_sub(oldest));
    }
    if gone == 0 {
        return 0;
    }
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

/// The limits that the stream has reached; all that it has, where none of them is known to be reached.
fn limits(facts: &Facts<'_>) -> String {
    let (config, held) = (&facts.stream.config, facts.held);
    let is_full = |now: Option<u64>, most: u64| now.is_some_and(|now| now >= most - most / 20);
    let age = |held: &StreamState| Some(held.first_stored?.age(facts.now).0.as_secs());
    let limits: Vec<(bool, String)> = [
        config
            .age_limit()
            .map(|most| (is_full(held.and_then(age), most.as_secs()), format!("max_age of {}", Age(most)))),
        config.byte_limit().map(|most| (is_full(held.map(|held| held.bytes), most), format!("max_bytes of {most}"))),
        config
            .message_limit()
            .map(|most| (is_full(held.map(|held| held.messages), most), format!("max_msgs of {most}"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let any_is_full = limits.iter().any(|(is_full, _)| *is_full);
    let told: Vec<String> =
        limits.into_iter().filter(|(is_full, _)| *is_full || !any_is_full).map(|(_, limit)| limit).collect();
    if told.is_empty() { "a purge: the stream has no limits".to_owned() } else { told.join(", ") }
}

fn gave_up(facts: &Facts<'_>) -> Option<Found> {
    let failures = facts.failures.filter(|failures| failures.exhausted > 0)?;
    let given_up = messages(failures.exhausted);
    Some(Found {
        label: Label::Losing,
        severity: Severity::Critical,
        sentence: format!(
            "The server gave up {given_up} that nobody acked; {} as processed.",
            agree(failures.exhausted, "it counts", "they count")
        )
        .into(),
        evidence: evidence(failures, facts),
        next_step: crate::checks::given_up(
            facts.stream.name.as_str(),
            failures.sequences.first().copied(),
            failures.copies > Some(0),
        )
        .into(),
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
        sentence: format!(
            "Its stream removed {} while {} in flight.",
            messages(failures.removed),
            agree(failures.removed, "it was", "they were")
        )
        .into(),
        evidence: vec![format!("the server says so of each; removed by {}", limits(facts))],
        next_step: "raise the limits of the stream: a message that fails now does not come again".into(),
    })
}

/// Workers that are not the library's refuse many messages: nobody keeps a copy, and the counters say that all is well. To refuse one that
/// cannot be taken is as it should be.
fn refused(facts: &Facts<'_>) -> Option<Found> {
    let failures =
        facts.failures.filter(|failures| failures.terminated >= REFUSED_LEAST && failures.copies == Some(0))?;
    if failures.terminated < facts.state.delivered / 10 {
        return None;
    }
    let last = failures.last.filter(|last| last.age(facts.now).0 < REFUSED_LATELY)?;
    let is_ours = !facts.workers.is_empty();
    let stream = &facts.stream.name;
    let look = failures
        .sequences
        .first()
        .map_or_else(String::new, |sequence| format!(", for one at `nats stream get {stream} {sequence}`"));
    (!is_ours).then(|| Found {
        label: Label::Losing,
        severity: Severity::Warning,
        sentence: format!(
            "Its workers terminated {}, the last {} ago: terminated counts as processed, and no copy was kept.",
            messages(failures.terminated),
            last.age(facts.now)
        )
        .into(),
        evidence: evidence(failures, facts),
        next_step: format!(
            "look at why they refuse what they get{look}; what has to be processed is to be published anew"
        )
        .into(),
    })
}

/// Streams that keep some messages a subject remove the others on purpose.
fn keeps_the_newest(facts: &Facts<'_>) -> bool {
    let config = &facts.stream.config;
    config.is_bucket() || config.max_msgs_per_subject > 0
}

fn copies(count: u64) -> String {
    format!("{} {}", counted(count, "copy"), agree(count, "lies", "lie"))
}

fn was(count: u64) -> &'static str {
    agree(count, "was", "were")
}

fn evidence(failures: &Failures, facts: &Facts<'_>) -> Vec<String> {
    let sequences: Vec<String> = failures.sequences.iter().take(5).map(u64::to_string).collect();
    let told = [
        (failures.exhausted > 0).then(|| match facts.consumer.config.deliver_limit() {
            Some(limit) => {
                format!(
                    "{} {} delivered {limit} times, as often as max_deliver allows",
                    failures.exhausted,
                    was(failures.exhausted)
                )
            }
            None => {
                format!("{} {} delivered as often as max_deliver allowed", failures.exhausted, was(failures.exhausted))
            }
        }),
        (failures.terminated > 0)
            .then(|| format!("{} {} terminated by a worker", failures.terminated, was(failures.terminated))),
        failures
            .copies
            .filter(|count| *count > 0)
            .map(|count| format!("{} of it in the stream of dead letters", copies(count))),
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
    fn what_a_consumer_that_goes_on_has_passed_over_is_lost_as_well() {
        let lost = |delivered: u64, at: u64, first: u64| {
            let sample = |delivered, at, first| Sample {
                delivered,
                delivered_stream_sequence: at,
                stream_first_sequence: first,
                ..World::still(0).samples[0]
            };
            removed_between(&sample(100, 100, 91), &sample(100 + delivered, at, first), false)
        };
        assert_eq!(lost(50, 1_050, 1_001), 900, "it went on behind what was removed");
        assert_eq!(lost(20, 120, 1_001), 880, "it has not got there yet");
        assert_eq!(lost(950, 1_050, 1_001), 0, "all was delivered before it was removed");
        assert_eq!(lost(10, 150, 101), 0, "a gap in the stream is no loss");
        assert_eq!(lost(0, 100, 101), 0);
    }

    #[test]
    fn of_several_limits_the_one_that_is_reached_is_named() {
        let world = squeezed([101, 105, 111]).streamed(|config| config.max_age = Duration::from_secs(3_600));
        let by = world.held(|held| held.messages = 50).judge().evidence[1].clone();
        assert!(by.ends_with("by max_msgs of 50"), "{by}");
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
        let told = |exhausted, terminated| Failures {
            exhausted,
            terminated,
            copies: Some(0),
            last: Some(now()),
            ..Failures::default()
        };
        let failed = |exhausted, terminated| World::still(0).failed(told(exhausted, terminated));
        let uncounted = |copies| World::still(0).failed(Failures { copies, ..told(0, 30) });
        check_severity(&failed(1, 0), Label::Losing, Severity::Critical);
        check_severity(&failed(1, 3), Label::Losing, Severity::Critical);
        check(&failed(0, 3), Label::Ok);
        check_severity(&failed(0, 30), Label::Losing, Severity::Warning);
        check(&failed(0, 30).handled_in(Duration::from_secs(1)), Label::Ok);
        check(&uncounted(None), Label::Ok);
        check(&uncounted(Some(30)), Label::Ok);
        check(&failed(0, 0), Label::Ok);
    }

    #[test]
    fn what_was_removed_in_flight_is_lost_unless_it_is_meant_so() {
        let world = || World::still(0).failed(Failures { removed: 2, ..Failures::default() });
        check_severity(&world(), Label::Losing, Severity::Warning);
        check(&world().streamed(|config| config.max_msgs_per_subject = 1), Label::Ok);
    }
}
