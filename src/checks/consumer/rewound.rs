//! It was set back, or made anew.

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
    let (severity, sentence) = match was.checked_sub(is) {
        Some(back) if back > 0 => {
            (Severity::Warning, format!("{what}, {} before where it was: they are processed again.", messages(back)))
        }
        _ if before.lag() > 0 => {
            (Severity::Warning, format!("{what}, and may have skipped {}.", messages(before.lag())))
        }
        _ => (Severity::Notice, format!("{what}, and goes on where it was.")),
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
        let caught_up = at(&[100, 110, 120], 2).sampled(|_, sample| sample.pending = 0);
        check_severity(&caught_up, Label::Rewound, Severity::Notice);
    }
}
