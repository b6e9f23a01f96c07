//! Messages wait, and nobody asks for them.

use super::{Facts, Found, ROUNDS, messages};
use crate::{
    clock::Age,
    snapshot::{Label, Mode, Severity},
};

pub(super) fn look(facts: &Facts<'_>) -> Option<Found> {
    let (state, config) = (facts.state, &facts.consumer.config);
    let is_left_behind = config.mode() == Mode::Push && !config.is_durable();
    let all_wait = || facts.trend().is_some_and(|trend| trend.iter().all(|sample| sample.pending > 0));
    if state.pending == 0
        || state.is_paused
        || is_left_behind
        || facts.has_reader()
        || !all_wait()
        || !facts.stands_still()
    {
        return None;
    }
    let who =
        if config.mode() == Mode::Pull { "no worker asks for them" } else { "nobody listens where they are sent" };
    Some(Found {
        label: Label::NoWorkers,
        severity: Severity::Critical,
        sentence: format!("{} wait and {who}.", messages(state.pending)).into(),
        evidence: vec![
            match config.mode() {
                Mode::Pull => format!("no pull request waited in the last {ROUNDS} rounds, and nothing is in flight"),
                Mode::Push => format!("the server knows of no subscription to `{}`", config.deliver_subject),
            },
            format!("nothing was delivered for {}", Age(facts.still_for())),
        ],
        next_step: "start the service that reads it, or look at why it does not pull".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use crate::snapshot::Label;

    #[test]
    fn messages_that_nobody_asks_for_have_no_workers() {
        check(&World::still(5), Label::NoWorkers);
        check(&World::still(5).rounds(2), Label::Ok);
        check(&World::moving(&[5, 5, 5], 10), Label::Ok);
    }

    #[test]
    fn a_push_consumer_is_judged_by_who_listens() {
        let push = World::still(5).configured(|config| config.deliver_subject = "inbox".to_owned());
        check(&push, Label::NoWorkers);
        check(&push.with(|state| state.has_listener = true), Label::Stopped);
    }
}
