//! Messages wait, and nobody asks for them.

use std::time::Duration;

use super::{Facts, Found, ROUNDS, Rule, messages, waiting};
use crate::{
    clock::Age,
    snapshot::{ConsumerConfig, Label, Mode, Severity},
    words::agree,
};

pub(super) const RULE: Rule = Rule {
    label: Label::NoWorkers,
    severity: "critical",
    rule: "Messages wait, and nobody asks for them: no pull request waits, or nobody listens where they are sent.",
    evidence: "waiting pull requests, the server's word on listeners, the time since the last delivery",
    threshold: "3 rounds; where messages are in flight, once `ack_wait` is over; where its worker stayed away three times alike and came back by itself, half as long again",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let (state, config) = (facts.state, &facts.consumer.config);
    let is_left_behind = config.mode() == Mode::Push && !config.is_durable();
    let all_wait = || facts.trend().is_some_and(|trend| trend.iter().all(|sample| sample.lag() > 0));
    if state.lag() == 0
        || state.is_paused
        || is_left_behind
        || facts.has_reader()
        || !all_wait()
        || !facts.stands_still()
    {
        return None;
    }
    if let Some(rhythm) = facts.habits.rhythm.filter(|rhythm| facts.still_for() < *rhythm + *rhythm / 2) {
        return Some(comes_and_goes(state.lag(), rhythm));
    }
    let who =
        if config.mode() == Mode::Pull { "no worker asks for them" } else { "nobody listens where they are sent" };
    Some(Found {
        label: Label::NoWorkers,
        severity: Severity::Critical,
        sentence: format!("{} and {who}.", waiting(state.lag())).into(),
        evidence: vec![
            match config.mode() {
                Mode::Pull if state.ack_pending == 0 => {
                    format!("no pull request waited in the last {ROUNDS} rounds, and nothing is in flight")
                }
                Mode::Pull => format!(
                    "no pull request waits, and {} {} in flight for longer than ack_wait: whoever took {} is gone or hangs",
                    messages(state.ack_pending),
                    agree(state.ack_pending, "is", "are"),
                    agree(state.ack_pending, "it", "them")
                ),
                Mode::Push => format!("the server knows of no subscription to `{}`", config.deliver_subject),
            },
            facts.nothing_was_delivered(),
        ],
        next_step: next_step(config).into(),
    })
}

fn next_step(config: &ConsumerConfig) -> String {
    let ConsumerConfig { deliver_subject, deliver_group, .. } = config;
    match (config.mode(), deliver_group.as_str()) {
        (Mode::Pull, _) => "start the service that reads it, or look at why it does not pull".to_owned(),
        (Mode::Push, "") => format!("start what subscribes to `{deliver_subject}`, or look at why it does not"),
        (Mode::Push, group) => format!(
            "start what subscribes to `{deliver_subject}` in the queue group `{group}`, or look at why it does not"
        ),
    }
}

/// Nobody asks now, as so often before somebody came.
fn comes_and_goes(lag: u64, rhythm: Duration) -> Found {
    Found {
        label: Label::Ok,
        severity: Severity::Ok,
        sentence: format!(
            "{} for its worker, which has come by itself about every {} so far.",
            waiting(lag),
            Age(rhythm)
        )
        .into(),
        evidence: Vec::new(),
        next_step: "".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::world::{World, check, now};
    use crate::snapshot::{Habits, Label};

    #[test]
    fn messages_that_nobody_asks_for_have_no_workers() {
        check(&World::still(5), Label::NoWorkers);
        check(&World::still(5).rounds(2), Label::Unknown);
        check(&World::moving(&[5, 5, 5], 10), Label::Ok);
    }

    #[test]
    fn whoever_took_messages_and_let_the_wait_pass_is_gone_or_hangs() {
        let held = |quiet| World::still(5).with(|state| state.ack_pending = 2).quiet_for(Duration::from_secs(quiet));
        check(&held(29), Label::Stopped);
        check(&held(31), Label::NoWorkers);
        check(&held(31).handled_in(Duration::from_secs(1)), Label::Stopped);
        let verdict = held(31).judge();
        assert!(verdict.sentence.starts_with("7 messages wait and no worker asks"), "{verdict:?}");
        assert!(verdict.evidence[0].contains("2 messages are in flight for longer than ack_wait"), "{verdict:?}");
    }

    #[test]
    fn a_push_consumer_is_judged_by_who_listens() {
        let push = World::still(5).configured(|config| config.deliver_subject = "inbox".to_owned());
        check(&push, Label::NoWorkers);
        let step = |world: &World| world.judge().next_step.into_owned();
        assert_eq!(step(&push), "start what subscribes to `inbox`, or look at why it does not");
        let grouped = push.clone().configured(|config| config.deliver_group = "mailers".to_owned());
        let said = "start what subscribes to `inbox` in the queue group `mailers`, or look at why it does not";
        assert_eq!(step(&grouped), said);
        assert_eq!(step(&World::still(5)), "start the service that reads it, or look at why it does not pull");
        check(&push.with(|state| state.has_listener = true), Label::Stopped);
    }

    #[test]
    fn what_was_never_delivered_is_told_from_what_was_long_ago() {
        let said = |delivered, last| {
            let world = World::still(5).with(|state| (state.delivered, state.last_delivered) = (delivered, last));
            world.judge().evidence[1].clone()
        };
        assert_eq!(said(0, None), "nothing was ever delivered");
        assert_eq!(said(7, Some(now().before(Duration::from_secs(60)))), "nothing was delivered for 1 min");
        assert_eq!(said(7, None), "nothing was delivered since its server was started");
    }

    #[test]
    fn a_worker_that_always_came_back_is_given_half_as_long_again() {
        let resting = |quiet| {
            let rhythm = Some(Duration::from_secs(60));
            World::still(5).quiet_for(Duration::from_secs(quiet)).used_to(Habits { rhythm, ..Habits::default() })
        };
        check(&resting(80), Label::Ok);
        assert!(resting(80).judge().sentence.contains("every 1 min"), "{:?}", resting(80).judge());
        check(&resting(91), Label::NoWorkers);
    }
}
