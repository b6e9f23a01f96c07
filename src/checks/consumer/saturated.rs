//! As many are in flight as may be, while more and more wait.

use super::{Facts, Found, ROUNDS, Rule};
use crate::snapshot::{Label, Severity};

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
            "{limit} messages are in flight, which is all that `max_ack_pending` allows, and more and more wait."
        )
        .into(),
        evidence: vec![
            format!("{} ack pending in the last of {ROUNDS} rounds, all at the limit of {limit}", now.ack_pending),
            format!("pending went from {} to {}", first.pending, now.pending),
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
        check(&full(&[30, 30, 30]), Label::Ok);
        check(&full(&[10, 20, 30]).configured(|config| config.max_ack_pending = 9), Label::FallingBehind);
        check(&full(&[10, 20, 30]).configured(|config| config.max_ack_pending = -1), Label::FallingBehind);
        check(
            &full(&[10, 20, 30]).sampled(|round, sample| sample.ack_pending = round as u64 + 6),
            Label::FallingBehind,
        );
    }
}
