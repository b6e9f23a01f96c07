//! There is nothing to do, and has not been for a while.

use std::time::Duration;

use super::{Facts, Found, Rule};
use crate::snapshot::{Label, Mode, Severity};

/// A consumer that has nothing to do and had nothing for this long is idle.
const IDLE: Duration = Duration::from_secs(60);

pub(super) const RULE: Rule = Rule {
    label: Label::Idle,
    severity: "ok",
    rule: "Nothing waits, and nothing came for a while; or its client went away and the server will remove it.",
    evidence: "lag, and the time since the last delivery or ack",
    threshold: "60 s",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let config = &facts.consumer.config;
    let idle = |sentence: String| Found {
        label: Label::Idle,
        severity: Severity::Ok,
        sentence: sentence.into(),
        evidence: Vec::new(),
        next_step: "".into(),
    };
    if config.mode() == Mode::Push && !config.is_durable() && !facts.state.has_listener {
        return Some(idle("Its client went away; the server removes it after its inactive threshold.".to_owned()));
    }
    let quiet = facts.still_for();
    let is_new = facts.state.delivered == 0;
    let came =
        if is_new { "Nothing ever came for it".to_owned() } else { format!("Nothing came {}", facts.still_in_words()) };
    (facts.state.lag() == 0 && quiet > IDLE).then(|| idle(format!("{came}, and nothing waits.")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::world::{World, check, now};
    use crate::snapshot::Label;

    #[test]
    fn a_minute_without_work_is_idle() {
        check(&World::still(0), Label::Ok);
        check(&World::still(0).quiet_for(Duration::from_secs(61)), Label::Idle);
        check(
            &World::still(0).quiet_for(Duration::from_secs(61)).with(|state| state.ack_pending = 1),
            Label::NoWorkers,
        );
    }

    #[test]
    fn what_never_had_work_says_so() {
        let said = |delivered, quiet: Option<u64>| {
            let last = quiet.map(|seconds| now().before(Duration::from_secs(seconds)));
            let world = World::still(0).with(|state| (state.delivered, state.last_delivered) = (delivered, last));
            world.judge().sentence.into_owned()
        };
        assert_eq!(said(0, None), "Nothing ever came for it, and nothing waits.");
        assert_eq!(said(7, Some(120)), "Nothing came for 2 min, and nothing waits.");
        assert_eq!(said(7, None), "Nothing came since its server was started, and nothing waits.");
    }

    #[test]
    fn what_a_client_left_behind_is_no_trouble() {
        let left = World::still(5).configured(|config| {
            config.deliver_subject = "inbox".to_owned();
            config.durable_name.clear();
        });
        check(&left, Label::Idle);
    }
}
