//! More comes than goes.

use super::{Facts, Found, messages};
use crate::{
    clock::Age,
    snapshot::{Label, Severity},
};

pub(super) fn look(facts: &Facts<'_>) -> Option<Found> {
    let trend = facts.trend()?;
    let [first, .., now] = trend else { return None };
    let grows = trend.windows(2).all(|pair| pair[1].pending > pair[0].pending);
    let delivered = now.delivered - first.delivered;
    if !grows || delivered == 0 || now.pending <= delivered {
        return None;
    }
    let over = Age(first.at.age(now.at).0);
    let came = now.pending - first.pending + delivered;
    Some(Found {
        label: Label::FallingBehind,
        severity: Severity::Warning,
        sentence: format!("More comes than goes: {} wait, {} did {over} before.", messages(now.pending), first.pending)
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
        check(&World::moving(&[120, 80, 50], 10), Label::Ok);
        check(&World::moving(&[2, 5, 9], 10), Label::Ok);
        check(&World::moving(&[50, 80], 10), Label::Ok);
    }
}
