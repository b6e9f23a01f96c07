//! Deliveries go on, and the ack floor does not move.

use std::time::Duration;

use super::{Facts, Found, ROUNDS, Rule};
use crate::{
    clock::Age,
    snapshot::{Acks, Label, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Stuck,
    severity: "critical; warning while other messages are acked",
    rule: "The same messages are delivered again and again, and the ack floor does not move: one that no handler can take, or an `ack_wait` shorter than the handlers.",
    evidence: "ack floor and deliveries of the last rounds; messages in redelivery; `ack_wait` against the p99 of its workers",
    threshold: "3 rounds",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let [first, .., now] = facts.trend()? else { return None };
    let trend = facts.trend()?;
    let is_stuck = trend.iter().all(|sample| sample.ack_floor == now.ack_floor && sample.ack_pending > 0)
        && trend[1..].iter().all(|sample| sample.redelivered > 0)
        && now.delivered > first.delivered
        && facts.consumer.config.acks() != Acks::None
        && !facts.state.is_paused;
    if !is_stuck {
        return None;
    }
    let window = first.at.age(now.at).0;
    let acked_lately = facts.state.last_acked.is_some_and(|acked| acked.age(facts.now).0 < window);
    let (sentence, next_step) = match slow_handlers(facts) {
        Some((p99, wait)) => (
            format!(
                "Its handlers take longer than the server waits for them: p99 is {}, ack_wait is {}.",
                Age(p99),
                Age(wait)
            ),
            "raise `ack_wait` above the handlers' p99, or have the workers extend their leases (in progress)"
                .to_owned(),
        ),
        None => again_and_again(facts),
    };
    Some(Found {
        label: Label::Stuck,
        severity: if acked_lately { Severity::Warning } else { Severity::Critical },
        sentence: sentence.into(),
        evidence: vec![
            format!(
                "the ack floor is at stream sequence {} in each of the last {ROUNDS} rounds, while {} deliveries were made",
                now.ack_floor_stream_sequence,
                now.delivered - first.delivered
            ),
            format!("{} of {} messages in flight are being delivered again", now.redelivered, now.ack_pending),
            if acked_lately { "other messages are acked meanwhile" } else { "nothing was acked meanwhile" }.to_owned(),
        ],
        next_step: next_step.into(),
    })
}

fn slow_handlers(facts: &Facts<'_>) -> Option<(Duration, Duration)> {
    let wait = Some(facts.consumer.config.ack_wait).filter(|wait| !wait.is_zero())?;
    let p99 = facts.workers.iter().filter_map(|worker| worker.p99).max()?;
    (p99 > wait).then_some((p99, wait))
}

fn again_and_again(facts: &Facts<'_>) -> (String, String) {
    let stream = &facts.stream.name;
    match facts.ages.and_then(|ages| ages.unprocessed).and_then(|oldest| oldest.sequence) {
        Some(sequence) => (
            format!("Message {sequence} is delivered again and again, and never acked."),
            format!(
                "look at it with `nats stream get {stream} {sequence}`: a worker that cannot take it should terminate it; if the handlers are slow, raise `ack_wait`"
            ),
        ),
        None => (
            format!(
                "A message after sequence {} is delivered again and again, and never acked.",
                facts.state.ack_floor_stream_sequence
            ),
            format!(
                "look at the workers' logs and at the message (`nats stream get {stream}`): a worker that cannot take it should terminate it; if the handlers are slow, raise `ack_wait`"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check, check_severity, now};
    use super::*;

    /// Deliveries go on, the floor stands, and some messages are in flight again.
    fn poisoned(redelivered: u64) -> World {
        let world = World::moving(&[0, 0, 0], 10).with(|state| {
            (state.ack_pending, state.redelivered) = (5, redelivered);
            (state.ack_floor, state.ack_floor_stream_sequence) = (100, 100);
        });
        world.sampled(|_, sample| sample.ack_floor = 100)
    }

    #[test]
    fn a_floor_that_stays_under_redelivery_is_stuck() {
        check_severity(&poisoned(1), Label::Stuck, Severity::Critical);
        check(&poisoned(0), Label::Ok);
        check(&poisoned(1).rounds(2), Label::Ok);
        check(&poisoned(1).sampled(|round, sample| sample.ack_floor = 100 + round as u64), Label::Ok);
        let acked = poisoned(1).with(|state| state.last_acked = Some(now().before(Duration::from_secs(1))));
        check_severity(&acked, Label::Stuck, Severity::Warning);
    }

    #[test]
    fn the_first_round_may_have_come_before_the_redelivery() {
        check(&poisoned(1).sampled(|round, sample| sample.redelivered = u64::from(round > 0)), Label::Stuck);
    }

    #[test]
    fn slow_handlers_are_told_from_poison() {
        let said = |world: &World| world.judge().sentence.into_owned();
        assert!(said(&poisoned(5).handled_in(Duration::from_secs(60))).contains("p99 is 1 min, ack_wait is 30 s"));
        assert!(said(&poisoned(5).handled_in(Duration::from_secs(1))).contains("after sequence"));
        assert!(said(&poisoned(5).oldest(Duration::from_secs(9))).contains("Message 101 is delivered"));
    }
}
