//! Messages will go before it processes them.

use std::time::Duration;

use super::{Facts, Found, Rule, stretch};
use crate::{
    clock::Age,
    snapshot::{Discard, Label, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::AtRisk,
    severity: "critical",
    rule: "The limits of its stream will remove messages before it processes them.",
    evidence: "`max_age` against the oldest unprocessed message and the time that the lag takes; `max_msgs` and `max_bytes` against growth",
    threshold: "within an hour, or within the last quarter of `max_age` where that is shorter",
    look,
};

/// What is further away than this may still change, and is not told of.
const HORIZON: Duration = Duration::from_secs(60 * 60);

/// Deliveries that make a rate to reckon with: fewer in the last rounds say little of the next hour.
const TELLING: u64 = 3;

fn look(facts: &Facts<'_>) -> Option<Found> {
    if facts.stream.config.is_bucket() || facts.is_left_behind() || facts.state.lag() == 0 {
        return None;
    }
    let risks = [by_age(facts), by_slowness(facts), by_size(facts)];
    let Risk { left, evidence } = risks.into_iter().flatten().min_by_key(|risk| risk.left)?;
    let sentence = if left.is_zero() {
        "Messages are about to be removed that it has not processed.".to_owned()
    } else {
        format!("In {} messages will be removed that it has not processed.", Age(left))
    };
    Some(Found {
        label: Label::AtRisk,
        severity: Severity::Critical,
        sentence: sentence.into(),
        evidence,
        next_step: "raise the limits of the stream, or have the consumer work faster than that".into(),
    })
}

struct Risk {
    left: Duration,
    evidence: Vec<String>,
}

/// The oldest message comes close to `max_age`.
fn by_age(facts: &Facts<'_>) -> Option<Risk> {
    let limit = facts.stream.config.age_limit()?;
    let age = facts.oldest_unprocessed()?;
    let left = limit.saturating_sub(age);
    let evidence = vec![format!("its oldest unprocessed message is {} old, max_age is {}", Age(age), Age(limit))];
    (left <= HORIZON.min(limit / 4)).then_some(Risk { left, evidence })
}

/// At its rate it will reach the messages behind only after `max_age`.
fn by_slowness(facts: &Facts<'_>) -> Option<Risk> {
    let limit = facts.stream.config.age_limit()?;
    let age = facts.oldest_unprocessed()?;
    let [first, .., now] = facts.trend()? else { return None };
    let done = now.ack_floor.checked_sub(first.ack_floor).filter(|done| *done >= TELLING)?;
    let takes = stretch(first.at.age(now.at).0, now.lag(), done);
    // Ages fall evenly from the oldest message to the newest, and waits rise evenly: the message where both add up to `max_age` goes first.
    let gains = takes.checked_sub(age)?.as_nanos();
    let left = u128::from(now.lag()).saturating_mul(limit.saturating_sub(age).as_nanos()) / gains.max(1);
    let left = stretch(takes, u64::try_from(left).ok()?, now.lag());
    let is_near = takes > limit && left <= HORIZON;
    let evidence = vec![format!("at its rate what waits takes {}, max_age is {}", Age(takes), Age(limit))];
    is_near.then_some(Risk { left, evidence })
}

/// The stream grows, at its limit removes its oldest messages, and that reaches what was not processed.
fn by_size(facts: &Facts<'_>) -> Option<Risk> {
    let (config, held) = (&facts.stream.config, facts.held?);
    let [first, .., now] = facts.trend()? else { return None };
    if config.discard == Discard::New || held.messages == 0 || !(facts.stands_still() || facts.lag_grows()) {
        return None;
    }
    let each = (held.bytes / held.messages).max(1);
    let fitting = config.byte_limit().map(|bytes| bytes / each);
    let most = config.message_limit().into_iter().chain(fitting).min()?;
    let processed = (now.ack_floor_stream_sequence.saturating_add(1)).saturating_sub(held.first_sequence);
    let room = most.saturating_sub(held.messages).saturating_add(processed);
    let stored = now.stream_last_sequence.saturating_sub(first.stream_last_sequence);
    let moved = now.ack_floor_stream_sequence.saturating_sub(first.ack_floor_stream_sequence);
    let nearer = stored.checked_sub(moved).filter(|nearer| *nearer > 0)?;
    let over = first.at.age(now.at).0;
    let left = stretch(over, room, nearer);
    let evidence = vec![
        format!("the stream holds {} messages ({} bytes); its limits leave room for {most}", held.messages, held.bytes),
        format!("{stored} were stored in the last {}, and the consumer moved on by {moved}", Age(over)),
    ];
    (left <= HORIZON && first.stream_last_sequence > 0).then_some(Risk { left, evidence })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use super::*;

    fn aged(max_age: u64, oldest: u64) -> World {
        World::moving(&[50; 3], 10)
            .streamed(|config| config.max_age = Duration::from_secs(max_age))
            .oldest(Duration::from_secs(oldest))
    }

    #[test]
    fn a_message_that_comes_close_to_its_age_limit_is_at_risk() {
        check(&aged(100, 80), Label::AtRisk);
        check(&aged(100, 70), Label::Ok);
        check(&aged(86_400, 86_400 - 3_601), Label::Ok);
        check(&aged(86_400, 86_400 - 3_599), Label::AtRisk);
        check(&aged(0, 80), Label::Ok);
        check(&aged(100, 200), Label::AtRisk);
    }

    #[test]
    fn the_stream_tells_the_age_of_its_oldest_message_when_nothing_else_does() {
        let world = World::still(50).streamed(|config| config.max_age = Duration::from_secs(100));
        let oldest = |seconds| {
            world.clone().held(move |held| {
                held.first_sequence = 101;
                held.first_stored = Some(super::super::world::now().before(Duration::from_secs(seconds)));
            })
        };
        check(&oldest(80), Label::AtRisk);
        check(&oldest(10), Label::NoWorkers);
        check(&oldest(80).held(|held| held.first_sequence = 90), Label::NoWorkers);
        check(&oldest(80).configured(|config| config.filter_subject = "orders.rare".to_owned()), Label::NoWorkers);
    }

    #[test]
    fn a_lag_that_takes_longer_than_messages_are_kept_is_at_risk() {
        let slow = |pending: u64| {
            World::moving(&[pending; 3], 10)
                .streamed(|config| config.max_age = Duration::from_secs(1_000))
                .oldest(Duration::from_secs(10))
        };
        check(&slow(1_200), Label::AtRisk);
        check(&slow(900), Label::Ok);
    }

    fn sized(pending: &[u64], each: u64, max_msgs: i64) -> World {
        let held = 100 + each * 2 + pending[pending.len() - 1];
        World::moving(pending, each).streamed(|config| config.max_msgs = max_msgs).held(|state| state.messages = held)
    }

    #[test]
    fn a_stream_that_fills_up_behind_its_consumer_puts_it_at_risk() {
        check(&sized(&[100, 200, 300], 10, 10_000), Label::AtRisk);
        check(&sized(&[100, 200, 300], 10, 1_000_000), Label::FallingBehind);
        check(&sized(&[100, 200, 300], 0, 1_000), Label::AtRisk);
        check(&sized(&[300, 300, 300], 10, 1_000), Label::Ok);
        check(&sized(&[100, 200, 300], 0, -1), Label::NoWorkers);
    }

    #[test]
    fn a_stream_that_refuses_new_messages_loses_none() {
        let refusing = sized(&[100, 200, 300], 10, 1_000).streamed(|config| config.discard = Discard::New);
        check(&refusing, Label::FallingBehind);
    }

    #[test]
    fn bytes_count_as_messages_do() {
        let full = |max_bytes| {
            let world = sized(&[100, 200, 300], 10, -1).held(|held| held.bytes = held.messages * 1_000);
            world.streamed(|config| config.max_bytes = max_bytes)
        };
        check(&full(1_000_000), Label::AtRisk);
        check(&full(1_000_000_000), Label::FallingBehind);
    }
}
