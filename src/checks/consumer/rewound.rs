//! It was set back, or made anew.

use std::cmp::Ordering;

use super::{Facts, Found, Rule, messages};
use crate::{
    clock::Age,
    snapshot::{Label, Sample, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Rewound,
    severity: "warning; notice where it goes on where it was",
    rule: "It was set back, or deleted and made anew: it processes messages again, or has skipped some.",
    evidence: "its position in the stream, and when it was made, round by round",
    threshold: "in the last 3 rounds",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let pair = facts.recent().windows(2).rev().find(|pair| is_other(&pair[0], &pair[1]))?;
    let (before, after) = (&pair[0], &pair[1]);
    let is_anew = before.created != after.created;
    let what = if is_anew { "It was deleted and made anew" } else { "It was set back" };
    let (was, is) = positions(before, after);
    let (severity, sentence) = match effect(facts, is_anew, (was, is), (before, after)) {
        Effect::Back(count) => {
            (Severity::Warning, format!("{what}, {} before where it was: they are processed again.", messages(count)))
        }
        Effect::Repeated(count) => {
            (Severity::Warning, format!("{what}, and has processed about {} again since.", messages(count)))
        }
        Effect::Skipped(count) => (Severity::Warning, format!("{what}, and may have skipped {}.", messages(count))),
        Effect::None => (Severity::Notice, format!("{what}, and goes on where it was.")),
    };
    Some(Found {
        label: Label::Rewound,
        severity,
        sentence: sentence.into(),
        evidence: vec![
            format!("its position in the stream was {was} and then {is}"),
            if is_anew {
                format!("it was made {} ago", facts.consumer.created.age(facts.now))
            } else {
                format!("between two rounds, {} ago", Age(after.at.age(facts.now).0))
            },
        ],
        next_step:
            "if nobody meant that, find out who deletes or resets it; handlers that are not idempotent act twice".into(),
    })
}

/// What it means for messages.
enum Effect {
    /// It stands so far before where it stood.
    Back(u64),
    /// It is as far again or farther, after more deliveries than there were messages between.
    Repeated(u64),
    /// It had lag, or began behind where it was.
    Skipped(u64),
    None,
}

fn effect(facts: &Facts<'_>, is_anew: bool, (was, is): (u64, u64), (before, after): (&Sample, &Sample)) -> Effect {
    if was > is {
        return Effect::Back(was - is);
    }
    let passed = is - was;
    // One that was made anew counts its deliveries from there.
    match after.delivered.cmp(&passed) {
        Ordering::Greater if is_anew => Effect::Repeated(after.delivered - passed),
        Ordering::Less if is_anew && !facts.is_filtered() => Effect::Skipped(passed - after.delivered),
        Ordering::Equal if is_anew => Effect::None,
        _ if before.lag() > 0 => Effect::Skipped(before.lag()),
        _ => Effect::None,
    }
}

/// Where it was and where it is: the delivered position, or the ack floor where only that went back.
fn positions(before: &Sample, after: &Sample) -> (u64, u64) {
    let (was, is) = (before.delivered_stream_sequence, after.delivered_stream_sequence);
    let (floor_was, floor_is) = (before.ack_floor_stream_sequence, after.ack_floor_stream_sequence);
    if is >= was && floor_is < floor_was { (floor_was, floor_is) } else { (was, is) }
}

fn is_other(before: &Sample, after: &Sample) -> bool {
    before.created != after.created
        || after.delivered_stream_sequence < before.delivered_stream_sequence
        || after.ack_floor_stream_sequence < before.ack_floor_stream_sequence
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check, check_severity, long_ago, now};
    use super::*;

    fn at(positions: &[u64], anew_from: usize) -> World {
        let world = World::moving(&vec![5; positions.len()], 10).sampled(|round, sample| {
            (sample.delivered_stream_sequence, sample.ack_floor_stream_sequence) = (positions[round], positions[round]);
            sample.created = if round >= anew_from { now() } else { long_ago() };
        });
        if anew_from < positions.len() { world.made(now()) } else { world }
    }

    #[test]
    fn a_position_that_goes_back_is_told_of_for_three_rounds() {
        check_severity(&at(&[100, 110, 50], 9), Label::Rewound, Severity::Warning);
        check(&at(&[100, 50, 60, 70], 9), Label::Rewound);
        check(&at(&[100, 50, 60, 70, 80], 9), Label::Ok);
        check(&at(&[100, 110, 120], 9), Label::Ok);
    }

    #[test]
    fn a_consumer_that_is_made_anew_begins_somewhere_else() {
        check_severity(&at(&[100, 110, 0], 2), Label::Rewound, Severity::Warning);
        check(&at(&[100, 0, 10, 20], 1), Label::Rewound);
        check(&at(&[100, 110, 120], 0), Label::Ok);
        check_severity(&at(&[100, 110, 120], 2), Label::Rewound, Severity::Warning);
    }

    #[test]
    fn one_that_is_made_anew_counts_its_deliveries_from_there() {
        let anew = |delivered| {
            at(&[100, 110, 120], 2).sampled(move |round, sample| {
                sample.pending = 0;
                sample.delivered = if round == 2 { delivered } else { 110 };
            })
        };
        let said = |world: &World| world.judge().sentence.into_owned();
        check_severity(&anew(10), Label::Rewound, Severity::Notice);
        check_severity(&anew(120), Label::Rewound, Severity::Warning);
        assert!(said(&anew(120)).contains("has processed about 110 messages again"), "{}", said(&anew(120)));
        check_severity(&anew(3), Label::Rewound, Severity::Warning);
        assert!(said(&anew(3)).contains("may have skipped 7 messages"), "{}", said(&anew(3)));
        check_severity(
            &anew(3).configured(|config| config.filter_subject = "a".to_owned()),
            Label::Rewound,
            Severity::Notice,
        );
    }
}
