//! As many are in flight as may be, while more and more wait.

use super::{Facts, Found, ROUNDS, Rule, messages};
use crate::{
    snapshot::{Label, Severity},
    words::{agree, count},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Saturated,
    severity: "warning",
    rule: "As many messages are in flight as `max_ack_pending` allows, while more and more wait: its workers would get more only if they were done sooner, or were allowed more.",
    evidence: "ack pending against `max_ack_pending`, and pending, in each of the last rounds",
    threshold: "3 rounds",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let limit = facts.consumer.config.ack_pending_limit()?;
    let trend = facts.trend()?;
    let [first, .., now] = trend else { return None };
    if !trend.iter().all(|sample| sample.ack_pending >= limit) || !facts.lag_grows() {
        return None;
    }
    let handlers: u64 = facts.workers.iter().map(|worker| u64::from(worker.concurrency)).sum();
    let next_step = if handlers > limit {
        format!("raise `max_ack_pending` to {handlers}, which its workers could handle at once")
    } else {
        "find out what slows the handlers; raise `max_ack_pending` only together with workers that can take more"
            .to_owned()
    };
    Some(Found {
        label: Label::Saturated,
        severity: Severity::Warning,
        sentence: format!(
            "{} {} in flight, which is all that `max_ack_pending` allows, and more and more wait.",
            messages(limit),
            agree(limit, "is", "are")
        )
        .into(),
        evidence: vec![
            format!(
                "{} ack pending in the last of {ROUNDS} rounds, all at the limit of {}",
                count(now.ack_pending),
                count(limit)
            ),
            format!("pending went from {} to {}", count(first.pending), count(now.pending)),
        ],
        next_step: next_step.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use crate::snapshot::Label;

    #[test]
    fn a_consumer_at_its_limit_with_more_to_come_is_saturated() {
        let full = |pending: &[u64]| {
            World::moving(pending, 10)
                .with(|state| state.ack_pending = 8)
                .configured(|config| config.max_ack_pending = 8)
        };
        check(&full(&[10, 20, 30]), Label::Saturated);
        let one = full(&[10, 20, 30]).with(|state| state.ack_pending = 1);
        let one = one.configured(|config| config.max_ack_pending = 1).judge().sentence;
        assert!(one.starts_with("1 message is in flight, which is all"), "{one}");
        check(&full(&[30, 30, 30]), Label::Ok);
        check(&full(&[10, 20, 30]).configured(|config| config.max_ack_pending = 9), Label::FallingBehind);
        check(&full(&[10, 20, 30]).configured(|config| config.max_ack_pending = -1), Label::FallingBehind);
        check(
            &full(&[10, 20, 30]).sampled(|round, sample| sample.ack_pending = round as u64 + 6),
            Label::FallingBehind,
        );
    }
}
