//! Messages will go before it processes them.

use std::time::Duration;

use super::{Facts, Found, Rule};
use crate::{
    clock::Age,
    snapshot::{IMMINENT, Label, Outlook, Pace, Severity, StreamState},
};

pub(super) const RULE: Rule = Rule {
    label: Label::AtRisk,
    severity: "critical",
    rule: "The limits of its stream will remove messages before it processes them.",
    evidence: "`max_age` against the oldest unprocessed message and the time that the lag takes; `max_msgs` and `max_bytes` against growth",
    threshold: "within an hour, or within the last quarter of `max_age` where that is shorter; growth counts for a hundred times as long as it was seen, and for twenty minutes in any case",
    look,
};

/// What is further away than this may still change, and is not told of.
const HORIZON: Duration = Duration::from_secs(60 * 60);

/// For how many times as long as growth was seen it is taken to go on: a burst of seconds tells nothing of the next hour.
const FORESEEN: u32 = 100;

/// What is as near as this is told of however short growth was seen: there is no time to wait and see.
const NEAR: Duration = Duration::from_secs(20 * 60);

fn look(facts: &Facts<'_>) -> Option<Found> {
    if facts.stream.config.is_bucket() || facts.is_left_behind() || facts.state.lag() == 0 {
        return None;
    }
    let unknown = StreamState::default();
    let outlook = outlook(facts, facts.held.unwrap_or(&unknown));
    let risks = [by_age(&outlook), by_slowness(&outlook), by_size(facts, &outlook)];
    let Risk { left, evidence } = risks.into_iter().flatten().min_by_key(|risk| risk.left)?;
    let sentence = if left < IMMINENT {
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

/// What a forecast is made of, by the last rounds.
fn outlook<'a>(facts: &Facts<'a>, held: &'a StreamState) -> Outlook<'a> {
    let pace = facts.trend().and_then(|trend| {
        let [first, .., now] = trend else { return None };
        Some(Pace {
            over: first.at.age(now.at).0,
            stored: now.stream_last_sequence.saturating_sub(first.stream_last_sequence),
            passed: now.ack_floor_stream_sequence.saturating_sub(first.ack_floor_stream_sequence),
            acked: now.ack_floor.saturating_sub(first.ack_floor),
        })
    });
    Outlook {
        config: &facts.stream.config,
        held,
        lag: facts.state.lag(),
        ack_floor_stream_sequence: facts.state.ack_floor_stream_sequence,
        oldest: facts.oldest_unprocessed(),
        pace,
    }
}

/// The oldest message comes close to `max_age`.
fn by_age(outlook: &Outlook<'_>) -> Option<Risk> {
    let (limit, age, left) = (outlook.config.age_limit()?, outlook.oldest?, outlook.until_too_old()?);
    let evidence = vec![format!("its oldest unprocessed message is {} old, max_age is {}", Age(age), Age(limit))];
    (left <= HORIZON.min(limit / 4)).then_some(Risk { left, evidence })
}

/// At its rate it will reach the messages behind only after `max_age`.
fn by_slowness(outlook: &Outlook<'_>) -> Option<Risk> {
    let (limit, takes, left) = (outlook.config.age_limit()?, outlook.takes()?, outlook.until_overtaken()?);
    let evidence = vec![format!("at its rate what waits takes {}, max_age is {}", Age(takes), Age(limit))];
    (left <= HORIZON).then_some(Risk { left, evidence })
}

/// The stream grows, at its limit removes its oldest messages, and that reaches what was not processed.
fn by_size(facts: &Facts<'_>, outlook: &Outlook<'_>) -> Option<Risk> {
    let is_told = facts.trend()?.iter().all(|sample| sample.stream_last_sequence > 0);
    if !is_told || !(facts.stands_still() || facts.lag_grows()) {
        return None;
    }
    let (held, (most, _), pace) = (outlook.held, outlook.room()?, outlook.pace?);
    let (left, _) = outlook.until_crowded_out()?;
    let evidence = vec![
        format!("the stream holds {} messages ({} bytes); its limits leave room for {most}", held.messages, held.bytes),
        format!(
            "{} were stored in the last {}, and the consumer moved on by {}",
            pace.stored,
            Age(pace.over),
            pace.passed
        ),
    ];
    let foreseen = pace.over.saturating_mul(FORESEEN).clamp(NEAR, HORIZON);
    (left <= foreseen).then_some(Risk { left, evidence })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use super::*;
    use crate::snapshot::Discard;

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
        check(&sized(&[100, 200, 300], 10, 33_000), Label::FallingBehind);
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
