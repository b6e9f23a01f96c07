//! More comes than goes.

use super::{Facts, Found, Rule, waiting};
use crate::{
    clock::Age,
    snapshot::{Label, Mark, Severity},
    words::{agree, count},
};

/// Messages that more have to wait before growth over minutes is one.
const TELLING: u64 = 5;

pub(super) const RULE: Rule = Rule {
    label: Label::FallingBehind,
    severity: "warning",
    rule: "More comes than goes: pending grows round after round, or over minutes while the oldest message grows older, although messages are delivered.",
    evidence: "pending and deliveries in each of the last rounds and one to two minutes ago; the age of the oldest message not processed",
    threshold: "3 rounds, and more waiting than was delivered in them; or one to two minutes, and 5 more waiting and a twentieth of what was delivered",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let (before, now) = quickly(facts).or_else(|| slowly(facts))?;
    let (_, delivered) = before.deliveries_until(&now)?;
    let over = Age(before.at.age(now.at).0);
    let came = (now.pending - before.pending).saturating_add(delivered);
    Some(Found {
        label: Label::FallingBehind,
        severity: Severity::Warning,
        sentence: format!(
            "More comes than goes: {}, {} did {over} before.",
            waiting(now.pending),
            count(before.pending)
        )
        .into(),
        evidence: vec![format!(
            "{} came and {} {} delivered in {over}",
            count(came),
            count(delivered),
            agree(delivered, "was", "were")
        )],
        next_step: "add workers or raise their concurrency, or find out what slows the handler".into(),
    })
}

/// Round after round.
fn quickly(facts: &Facts<'_>) -> Option<(Mark, Mark)> {
    let [first, .., now] = facts.trend()? else { return None };
    let delivered = now.delivered.checked_sub(first.delivered).filter(|delivered| *delivered > 0)?;
    (facts.lag_grows() && now.pending > delivered).then(|| (first.mark(), now.mark()))
}

/// Over minutes, with rounds between in which less waited: its oldest message is older than that time, and nothing says yet that it turned.
fn slowly(facts: &Facts<'_>) -> Option<(Mark, Mark)> {
    let (earlier, now) = facts.minutes()?;
    let (deliveries, _) = earlier.deliveries_until(&now.mark()).filter(|(deliveries, _)| *deliveries > 0)?;
    let grown = now.pending.checked_sub(earlier.pending)?;
    let is_old = facts.oldest_unprocessed().is_some_and(|age| age >= earlier.at.age(now.at).0);
    let turned = facts.recent().first()?.pending.saturating_sub(now.pending);
    let is_so = grown >= TELLING.max(deliveries / 20) && is_old && turned.saturating_mul(4) < grown;
    is_so.then(|| (earlier, now.mark()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::world::{World, check, now};
    use crate::snapshot::{Habits, Label, Mark};

    #[test]
    fn lag_that_grows_round_after_round_falls_behind() {
        check(&World::moving(&[50, 80, 120], 10), Label::FallingBehind);
        check(&World::moving(&[50, 80, 70], 10), Label::Ok);
        check(&World::moving(&[120, 80, 50], 10), Label::CatchingUp);
        check(&World::moving(&[2, 5, 9], 10), Label::Ok);
        check(&World::moving(&[50, 80], 10), Label::Unknown);
    }

    #[test]
    fn a_count_that_begins_anew_is_no_rate() {
        let anew = World::moving(&[50, 80, 120], 10).sampled(|round, sample| sample.delivered = 10 - round as u64);
        check(&anew, Label::Ok);
    }

    #[test]
    fn lag_that_grows_over_minutes_falls_behind_although_a_round_took_some() {
        let slowly = |pending: &[u64], age| {
            let earlier = Mark {
                at: now().before(Duration::from_secs(90)),
                pending: 90,
                delivered: 40,
                delivered_stream_sequence: 40,
            };
            let world = World::moving(pending, 2).oldest(Duration::from_secs(age));
            world.used_to(Habits { earlier: Some(earlier), ..Habits::default() })
        };
        check(&slowly(&[115, 113, 116], 230), Label::FallingBehind);
        assert_eq!(slowly(&[115, 113, 116], 230).judge().evidence, ["90 came and 64 were delivered in 1 min 30 s"]);
        check(&slowly(&[115, 113, 116], 60), Label::Ok);
        check(&slowly(&[90, 88, 92], 230), Label::Ok);
        check(&slowly(&[150, 120, 116], 230), Label::CatchingUp);
    }
}
