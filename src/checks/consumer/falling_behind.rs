//! More comes than goes.

use super::{Facts, Found, Rule, waiting};
use crate::{
    clock::Age,
    snapshot::{Label, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::FallingBehind,
    severity: "warning",
    rule: "More comes than goes: pending grows round after round, although messages are delivered.",
    evidence: "pending and deliveries in each of the last rounds",
    threshold: "3 rounds, and more waiting than was delivered in them",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let [first, .., now] = facts.trend()? else { return None };
    let delivered = now.delivered.checked_sub(first.delivered).filter(|delivered| *delivered > 0)?;
    if !facts.lag_grows() || now.pending <= delivered {
        return None;
    }
    let over = Age(first.at.age(now.at).0);
    let came = (now.pending - first.pending).saturating_add(delivered);
    Some(Found {
        label: Label::FallingBehind,
        severity: Severity::Warning,
        sentence: format!("More comes than goes: {}, {} did {over} before.", waiting(now.pending), first.pending)
            .into(),
        evidence: vec![format!("{came} came and {delivered} were delivered in {over}")],
        next_step: "add workers or raise their concurrency, or find out what slows the handler".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use crate::snapshot::Label;

    #[test]
    fn lag_that_grows_round_after_round_falls_behind() {
        check(&World::moving(&[50, 80, 120], 10), Label::FallingBehind);
        check(&World::moving(&[50, 80, 70], 10), Label::Ok);
        check(&World::moving(&[120, 80, 50], 10), Label::CatchingUp);
        check(&World::moving(&[2, 5, 9], 10), Label::Ok);
        check(&World::moving(&[50, 80], 10), Label::Ok);
    }

    #[test]
    fn a_count_that_begins_anew_is_no_rate() {
        let anew = World::moving(&[50, 80, 120], 10).sampled(|round, sample| sample.delivered = 10 - round as u64);
        check(&anew, Label::Ok);
    }
}
