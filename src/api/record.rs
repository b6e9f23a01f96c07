//! Records: things with a life that services tell of.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Failure, Route, json,
    known::Moment,
    list::{ACCOUNT, LIMIT, List, PAGE},
};
use crate::{
    record::{Phase, Record, Step},
    snapshot::Watched,
};

/// Records of all kinds.
pub(super) const ALL: Route = Route {
    path: "/records",
    summary: "Things with a life that services tell of, the newest first.",
    query: &[ACCOUNT, PAGE, LIMIT],
    schema: |generator| generator.subschema_for::<List<RecordAnswer>>(),
    answer: |ask| list(ask, |_| true),
};

/// Records of one kind.
pub(super) const OF_KIND: Route = Route {
    path: "/records/{kind}",
    summary: "Those of one kind, such as `order`.",
    query: &[ACCOUNT, PAGE, LIMIT],
    schema: |generator| generator.subschema_for::<List<RecordAnswer>>(),
    answer: |ask| list(ask, |record| ask.parts.first().is_some_and(|kind| record.kind == *kind)),
};

fn list(ask: &Ask<'_>, is_wanted: impl Fn(&Record) -> bool) -> Result<String, Failure> {
    let rows = ask.accounts().flat_map(|watched| {
        let entries = watched.records.value().into_iter().flat_map(|bucket| &bucket.entries);
        entries.map(move |entry| (watched, &entry.value))
    });
    let rows: Vec<(&Watched, &Record)> = rows.filter(|(_, record)| is_wanted(record)).collect();
    let reason = ask.reason(|watched| watched.records.reason());
    json(&List::of(ask, rows, |(watched, record)| RecordAnswer::of(watched, record))?.lacking(reason, Vec::new()))
}

/// A thing with a life.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Record")]
struct RecordAnswer {
    /// The account; empty where its name is not known.
    account: String,
    kind: String,
    id: String,
    /// The state it is in, in its owner's words.
    state: String,
    phase: PhaseAnswer,
    started: Moment,
    /// Since when it has been in this state.
    since: Moment,
    summary: String,
    /// Why it is in this state, where that needs a reason.
    reason: Option<String>,
    /// The trace that it began in, as 32 hex digits.
    trace_id: Option<String>,
    /// What happened to it, in the order it happened.
    steps: Vec<StepAnswer>,
}

/// Whether a record's life goes on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Phase")]
enum PhaseAnswer {
    Open,
    Succeeded,
    Failed,
}

/// One thing that happened to a record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepAnswer {
    name: String,
    at: Moment,
    /// The service that did it.
    by: String,
    /// The message that told of it.
    message: Option<String>,
}

impl RecordAnswer {
    fn of(watched: &Watched, record: &Record) -> Self {
        Self {
            account: watched.name().to_owned(),
            kind: record.kind.clone(),
            id: record.id.clone(),
            state: record.state.clone(),
            phase: match record.phase {
                Phase::Open => PhaseAnswer::Open,
                Phase::Succeeded => PhaseAnswer::Succeeded,
                Phase::Failed => PhaseAnswer::Failed,
            },
            started: Moment(record.started),
            since: Moment(record.since),
            summary: record.summary.clone(),
            reason: record.reason.clone(),
            trace_id: record.trace_id.clone(),
            steps: record.steps.iter().map(StepAnswer::of).collect(),
        }
    }
}

impl StepAnswer {
    fn of(step: &Step) -> Self {
        Self {
            name: step.name.clone(),
            at: Moment(step.at),
            by: step.by.clone(),
            message: step.message.as_ref().map(ToString::to_string),
        }
    }
}
