//! It has lag, which shrinks.

use super::{Facts, Found, Rule, stretch, waiting};
use crate::{
    clock::Age,
    snapshot::{Label, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::CatchingUp,
    severity: "notice",
    rule: "It has lag, which shrinks round after round: the sentence says when it will be gone.",
    evidence: "pending in each of the last rounds",
    threshold: "3 rounds, and more left than one round takes",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let trend = facts.trend()?;
    let [first, .., now] = trend else { return None };
    let shrinks = trend.windows(2).all(|pair| pair[1].pending < pair[0].pending);
    let less = first.pending.checked_sub(now.pending).filter(|less| *less > 0 && shrinks)?;
    let over = first.at.age(now.at).0;
    let left = stretch(over, now.pending, less);
    let round = over / u32::try_from(trend.len() - 1).unwrap_or(1);
    (left > round).then(|| Found {
        label: Label::CatchingUp,
        severity: Severity::Notice,
        sentence: format!("It catches up: {}, none in about {}.", waiting(now.pending), Age(left)).into(),
        evidence: vec![format!("pending went from {} to {} in {}", first.pending, now.pending, Age(over))],
        next_step: "".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use crate::snapshot::Label;

    #[test]
    fn a_lag_that_shrinks_and_takes_a_while_is_being_caught_up() {
        check(&World::moving(&[120, 80, 50], 50), Label::CatchingUp);
        check(&World::moving(&[120, 80, 10], 50), Label::Ok);
        check(&World::moving(&[120, 120, 50], 50), Label::Ok);
        check(&World::moving(&[120, 80], 50), Label::Unknown);
    }

    #[test]
    fn it_says_when_it_will_be_done() {
        let verdict = World::moving(&[1_200, 1_000, 800], 500).judge();
        assert_eq!(verdict.sentence, "It catches up: 800 messages wait, none in about 40 s.");
    }
}
