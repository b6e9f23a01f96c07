//! The checks: pure functions from facts to findings, one file each. They never wait and never ask.

mod accounts;
mod ack_wait_under_p99;
mod audits;
mod backoff_beside_nak;
mod claims_forget_sooner;
mod claims_never_forget;
pub mod consumer;
mod credits_over_max_ack_pending;
mod duplicate_window_short;
mod given_up;
mod gives_up_unseen;
mod monitor;
mod no_dead_letters;
mod no_limits;
mod one_replica;
mod overlapping_filters;
mod support;

use crate::snapshot::{Configs, Finding, Severity};

pub use accounts::lint_all;
pub use audits::{AUDITS, Audit, audit};
pub use given_up::given_up;

/// A check of how things are set up.
#[derive(Debug)]
pub struct Lint {
    /// Its name.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it finds, as a rule.
    pub rule: &'static str,
    /// What to do about it.
    pub next_step: &'static str,
    look: fn(&Configs) -> Vec<Case>,
}

/// One thing that a lint found.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    about: String,
    sentence: String,
    evidence: String,
}

/// All of them, the worst first.
pub const LINTS: &[Lint] = &[
    gives_up_unseen::LINT,
    overlapping_filters::LINT,
    claims_forget_sooner::LINT,
    claims_never_forget::LINT,
    ack_wait_under_p99::LINT,
    backoff_beside_nak::LINT,
    credits_over_max_ack_pending::LINT,
    no_limits::LINT,
    one_replica::LINT,
    no_dead_letters::LINT,
    duplicate_window_short::LINT,
];

/// What all lints find, the worst first.
pub fn lint(configs: &Configs) -> Vec<Finding> {
    LINTS.iter().flat_map(|lint| (lint.look)(configs).into_iter().map(|case| lint.finding(case))).collect()
}

impl Lint {
    fn finding(&self, case: Case) -> Finding {
        Finding {
            check: self.name,
            severity: self.severity,
            account: None,
            about: case.about,
            sentence: case.sentence,
            evidence: case.evidence,
            next_step: self.next_step.to_owned(),
            since: None,
        }
    }
}

/// A server that is heard and runs without JetStream.
#[cfg(test)]
pub(crate) fn a_server_without_jetstream(name: &str) -> crate::snapshot::Server {
    crate::snapshot::Server { has_jetstream: false, ..audits::world::server(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first() {
        assert!(LINTS.is_sorted_by_key(|lint| std::cmp::Reverse(lint.severity)));
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(lint(&Configs::default()), []);
    }
}
