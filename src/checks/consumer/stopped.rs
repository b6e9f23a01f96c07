//! Messages wait and somebody could take them, but neither delivery nor ack moves.

use super::{Facts, Found, ROUNDS, Rule, messages, waiting};
use crate::{
    presence::INTERVAL,
    snapshot::{Label, Mode, Severity},
    words::{agree, count, counted},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Stopped,
    severity: "critical; warning where nothing waits behind what is in flight, and that waits to be tried again or whoever has it asks for more time",
    rule: "It has lag and somebody could take it, but neither delivery nor ack moves: a handler hangs, or its leader or its connections do, or what failed waits to be tried again.",
    evidence: "delivered and ack floor in each of the last rounds; pending, ack pending and waiting pull requests; how many handlers run",
    threshold: "3 rounds, and with messages in flight as long as a handler may take: four times the p99 of its workers, and its `ack_wait` where that is above the usual 30 s, or where whoever holds them asks for more time and no worker tells its p99, anew from each asking",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let state = facts.state;
    let all_lag = || facts.trend().is_some_and(|trend| trend.iter().all(|sample| sample.lag() > 0));
    if state.lag() == 0 || state.is_paused || !facts.has_reader() || !all_lag() || !facts.stands_still() {
        return None;
    }
    let is_resting = rests(facts);
    let is_mild = state.pending == 0 && (is_resting || facts.habits.is_extended);
    let (sentence, next_step) = if is_resting {
        (
            to_be_tried_again(facts),
            "look at the workers' logs for what fails and why; a message that no handler can ever take should be terminated",
        )
    } else if state.ack_pending > 0 {
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
        severity: if is_mild { Severity::Warning } else { Severity::Critical },
        sentence: sentence.into(),
        evidence: vec![
            format!(
                "{} delivered and the ack floor at {} in each of the last {ROUNDS} rounds",
                count(state.delivered),
                count(state.ack_floor)
            ),
            format!(
                "{} pending, {} ack pending, {} {}",
                count(state.pending),
                count(state.ack_pending),
                counted(state.waiting, "pull request"),
                agree(state.waiting, "waits", "wait")
            ),
        ],
        next_step: next_step.into(),
    })
}

/// Whether what is in flight is in no handler's hands, and is all that may be: its workers have said since that none of theirs runs.
fn rests(facts: &Facts<'_>) -> bool {
    let (state, workers) = (facts.state, facts.workers);
    let is_full = facts.consumer.config.ack_pending_limit().is_some_and(|limit| state.ack_pending >= limit);
    state.ack_pending > 0
        && (state.pending == 0 || is_full)
        && !workers.is_empty()
        && workers.iter().all(|worker| worker.running == 0)
        && facts.still_for() >= INTERVAL * 2
}

/// Such as `Message 42 is in flight, but no handler works at it: it waits to be tried again.`
fn to_be_tried_again(facts: &Facts<'_>) -> String {
    let state = facts.state;
    let one = |one, many| agree(state.ack_pending, one, many);
    let oldest = facts.ages.and_then(|ages| ages.unprocessed?.sequence).filter(|_| state.ack_pending == 1);
    let what = oldest.map_or_else(|| messages(state.ack_pending), |sequence| format!("Message {}", count(sequence)));
    let behind = if state.pending > 0 {
        format!(
            "; {} behind {}, since `max_ack_pending` allows no more in flight",
            waiting(state.pending),
            one("it", "them")
        )
    } else {
        String::new()
    };
    format!(
        "{what} {} in flight, but no handler works at {}: {} to be tried again{behind}. Nothing moved {}.",
        one("is", "are"),
        one("it", "them"),
        one("it waits", "they wait"),
        facts.still_in_words()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::world::{World, check, check_severity, now};
    use crate::snapshot::{Habits, Label, Severity};

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
    fn what_no_handler_works_at_waits_to_be_tried_again() {
        let resting = |pending, limit, running| {
            let world = World::still(pending).with(|state| (state.ack_pending, state.waiting) = (1, 1));
            let world = world.configured(|config| config.max_ack_pending = limit).oldest(Duration::from_secs(25));
            world.handled_in(Duration::from_millis(1)).running(running).quiet_for(Duration::from_secs(25))
        };
        let said = |world: &World| world.judge().sentence.into_owned();
        let hangs = "1 message is handed out and neither back nor at an end; nothing moved for 25 s.";
        let held = "Message 101 is in flight, but no handler works at it: it waits to be tried again; 257 messages wait behind it, \
                    since `max_ack_pending` allows no more in flight. Nothing moved for 25 s.";
        assert_eq!(said(&resting(257, 1, 0)), held);
        check_severity(&resting(257, 1, 0), Label::Stopped, Severity::Critical);
        let alone =
            "Message 101 is in flight, but no handler works at it: it waits to be tried again. Nothing moved for 25 s.";
        assert_eq!(said(&resting(0, 9, 0)), alone);
        check_severity(&resting(0, 9, 0), Label::Stopped, Severity::Warning);
        assert_eq!(said(&resting(257, 1, 1)), hangs);
        assert_eq!(said(&resting(257, 9, 0)), hangs, "others could be delivered, and are not");
        let lately = resting(0, 9, 0).quiet_for(Duration::from_secs(9));
        check_severity(&lately, Label::Stopped, Severity::Critical);
        let unheard = World { workers: Vec::new(), ..resting(0, 9, 0) };
        assert_eq!(said(&unheard), hangs);
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
    fn workers_that_tell_how_long_their_handlers_take_are_not_at_work_because_they_ask_for_more_time() {
        let leased = |pending, p99| {
            let world = World::still(pending).with(|state| state.ack_pending = 1).quiet_for(Duration::from_secs(2));
            let delivered = Some(now().before(Duration::from_secs(40)));
            let world = world.used_to(Habits { is_extended: true, delivered, ..Habits::default() });
            world.handled_in(Duration::from_secs(p99))
        };
        check_severity(&leased(5, 1), Label::Stopped, Severity::Critical);
        check_severity(&leased(0, 1), Label::Stopped, Severity::Warning);
        let said = leased(5, 1).judge().sentence;
        assert_eq!(said, "1 message is handed out and neither back nor at an end; nothing moved for 40 s.");
        check(&leased(5, 11), Label::Ok);
    }

    #[test]
    fn what_is_still_in_hand_is_said_and_how_long_it_may_be() {
        let said = |world: &World| (world.judge().label, world.judge().sentence.into_owned());
        let held = World::still(5).with(|state| state.ack_pending = 2);
        let slow = held.clone().handled_in(Duration::from_secs(20));
        let still = "2 messages are in hand, and nothing moved for 30 s: a handler may take 1 min 20 s.";
        assert_eq!(said(&slow), (Label::Ok, still.to_owned()));
        let acked = |seconds| {
            let world = World::moving(&[5; 3], 1).sampled(|_, sample| sample.ack_floor = 100);
            let acked = Some(now().before(Duration::from_secs(seconds)));
            world.with(|state| (state.ack_pending, state.last_acked) = (2, acked)).handled_in(Duration::from_secs(20))
        };
        let unacked = "2 messages are in hand, and nothing was acked for 25 s: a handler may take 1 min 20 s.";
        assert_eq!(said(&acked(25)), (Label::Ok, unacked.to_owned()));
        assert_eq!(said(&acked(19)), (Label::Ok, "It keeps up.".to_owned()));
        let asks = held.used_to(Habits { is_extended: true, ..Habits::default() }).quiet_for(Duration::from_secs(9));
        let asked = "2 messages are in hand, and nothing moved for 9 s: whoever has them asks for more time.";
        assert_eq!(said(&asks), (Label::Ok, asked.to_owned()));
    }

    #[test]
    fn it_began_when_nothing_moved_any_more_whether_anybody_looked_or_not() {
        let world = World::still(5).oldest(Duration::from_secs(600)).quiet_for(Duration::from_secs(420));
        assert_eq!(world.judge().since, now().before(Duration::from_secs(420)));
        let world = World::still(5).oldest(Duration::from_secs(60)).quiet_for(Duration::from_secs(420));
        assert_eq!(world.judge().since, now().before(Duration::from_secs(60)));
    }
}
