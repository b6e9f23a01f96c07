//! Findings of the checks.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Parameter, Route,
    consumer::SeverityAnswer,
    json,
    known::Moment,
    list::{LIMIT, List, PAGE, Q},
};
use crate::{snapshot::Finding, views};

/// What the checks found.
pub(super) const ROUTE: Route = Route {
    path: "/findings",
    summary: "What the checks found of everything but the state of consumers, the worst first.",
    query: &[
        Q,
        Parameter::word("severity", "`notice`, `warning` or `critical`.", || vec!["notice", "warning", "critical"]),
        PAGE,
        LIMIT,
    ],
    schema: |generator| generator.subschema_for::<List<FindingAnswer>>(),
    answer: |ask| {
        let rows = views::findings_of(ask.snapshot, &ask.search);
        let reason = ask.snapshot.streams.reason();
        json(&List::of(ask, rows, FindingAnswer::of)?.lacking(reason, Vec::new()))
    },
};

/// What a check found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingAnswer {
    /// The check's name.
    check: &'static str,
    severity: SeverityAnswer,
    /// What it is about, such as `stream ORDERS`.
    about: String,
    /// What is the matter.
    sentence: String,
    /// What that is read from.
    evidence: String,
    /// What to do.
    next_step: String,
    /// The account that it is in; null where it is in none.
    account: Option<String>,
    /// The first of the rounds in a row that found it.
    since: Option<Moment>,
}

impl FindingAnswer {
    fn of(finding: &Finding) -> Self {
        Self {
            check: finding.check,
            severity: finding.severity.into(),
            about: finding.about.clone(),
            sentence: finding.sentence.clone(),
            evidence: finding.evidence.clone(),
            next_step: finding.next_step.clone(),
            account: finding.account.clone(),
            since: finding.since.map(Moment),
        }
    }
}
