//! Messages wait and somebody could take them, but neither delivery nor ack moves.

use super::{Facts, Found, ROUNDS, Rule, messages, waiting};
use crate::{
    snapshot::{Label, Mode, Severity},
    words::agree,
};

pub(super) const RULE: Rule = Rule {
    label: Label::Stopped,
    severity: "critical",
    rule: "It has lag and somebody could take it, but neither delivery nor ack moves: a handler hangs, or its leader or its connections do.",
    evidence: "delivered and ack floor in each of the last rounds; pending, ack pending and waiting pull requests",
    threshold: "3 rounds, and with messages in flight as long as a handler may take: its `ack_wait`, where that is above the usual 30 s or whoever holds them asks for more time, and four times the p99 of its workers",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let state = facts.state;
    let all_lag = || facts.trend().is_some_and(|trend| trend.iter().all(|sample| sample.lag() > 0));
    if state.lag() == 0 || state.is_paused || !facts.has_reader() || !all_lag() || !facts.stands_still() {
        return None;
    }
    let (sentence, next_step) = if state.ack_pending > 0 {
        let held = format!("{} {}", messages(state.ack_pending), agree(state.ack_pending, "is", "are"));
        let sentence =
            format!("{held} handed out and neither back nor at an end; nothing moved {}.", facts.still_in_words());
        (sentence, "look for a handler that hangs: its logs and what it waits for")
    } else {
        let there = match facts.consumer.config.mode() {
            Mode::Pull => "workers ask for them",
            Mode::Push => "somebody listens where they are sent",
        };
        let sentence = format!("{}, {there}, and {}.", waiting(state.pending), facts.nothing_was_delivered());
        (sentence, "look at the consumer's leader and at the connections of its workers")
    };
    Some(Found {
        label: Label::Stopped,
        severity: Severity::Critical,
        sentence: sentence.into(),
        evidence: vec![
            format!(
                "{} delivered and the ack floor at {} in each of the last {ROUNDS} rounds",
                state.delivered, state.ack_floor
            ),
            format!(
                "{} pending, {} ack pending, {} pull requests wait",
                state.pending, state.ack_pending, state.waiting
            ),
        ],
        next_step: next_step.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::world::{World, check, now};
    use crate::snapshot::{Habits, Label};

    #[test]
    fn lag_that_does_not_move_although_somebody_asks_has_stopped() {
        check(&World::still(5).with(|state| state.waiting = 1), Label::Stopped);
        check(&World::still(0).with(|state| state.ack_pending = 2), Label::Stopped);
        check(&World::still(5).with(|state| state.waiting = 1).rounds(2), Label::Unknown);
        check(&World::still(0), Label::Ok);
    }

    #[test]
    fn handlers_that_are_known_to_take_long_are_given_their_time() {
        let long = World::still(0).with(|state| state.ack_pending = 2);
        let long = long.configured(|config| config.ack_wait = Duration::from_secs(300));
        check(&long, Label::Ok);
        check(&long.quiet_for(Duration::from_secs(301)), Label::NoWorkers);
        check(&World::still(0).with(|state| state.ack_pending = 2).handled_in(Duration::from_secs(20)), Label::Ok);
    }

    #[test]
    fn whoever_asks_for_more_time_has_not_stopped() {
        let held = |is_extended| {
            let world = World::still(0).with(|state| state.ack_pending = 1);
            world.used_to(Habits { is_extended, ..Habits::default() })
        };
        check(&held(false), Label::Stopped);
        check(&held(true).quiet_for(Duration::from_secs(29)), Label::Ok);
        check(&held(true).quiet_for(Duration::from_secs(31)), Label::NoWorkers);
    }

    #[test]
    fn it_began_when_nothing_moved_any_more_whether_anybody_looked_or_not() {
        let world = World::still(5).oldest(Duration::from_secs(600)).quiet_for(Duration::from_secs(420));
        assert_eq!(world.judge().since, now().before(Duration::from_secs(420)));
        let world = World::still(5).oldest(Duration::from_secs(60)).quiet_for(Duration::from_secs(420));
        assert_eq!(world.judge().since, now().before(Duration::from_secs(60)));
    }
}
