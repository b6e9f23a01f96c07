//! There is nothing to do, and has not been for a while.

use std::time::Duration;

use super::{Facts, Found, Rule};
use crate::{
    clock::Age,
    snapshot::{Label, Mode, Severity},
};

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
    (facts.state.lag() == 0 && quiet > IDLE)
        .then(|| idle(format!("Nothing came for {}, and nothing waits.", Age(quiet))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::world::{World, check};
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
    fn what_a_client_left_behind_is_no_trouble() {
        let left = World::still(5).configured(|config| {
            config.deliver_subject = "inbox".to_owned();
            config.durable_name.clear();
        });
        check(&left, Label::Idle);
    }
}
