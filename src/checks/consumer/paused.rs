//! Somebody paused the consumer.

use super::{Facts, Found, Rule, messages};
use crate::{
    clock::Age,
    snapshot::{Label, Severity},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Paused,
    severity: "notice",
    rule: "Somebody paused it.",
    evidence: "the server's word and the time that is left",
    threshold: "none",
    look,
};

fn look(facts: &Facts<'_>) -> Option<Found> {
    let state = facts.state;
    let left = state.pause_left.map(|left| format!("{} of the pause are left", Age(left)));
    state.is_paused.then(|| Found {
        label: Label::Paused,
        severity: Severity::Notice,
        sentence: "It is paused: the server delivers nothing until the pause ends.".into(),
        evidence: left.into_iter().chain([format!("{} wait", messages(state.pending))]).collect(),
        next_step: "resume it with `nats consumer resume` if the pause is not meant".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check};
    use crate::snapshot::Label;

    #[test]
    fn a_pause_is_a_pause_whatever_waits() {
        check(&World::still(5).with(|state| state.is_paused = true), Label::Paused);
        check(&World::still(0).with(|state| state.is_paused = true), Label::Paused);
    }
}
