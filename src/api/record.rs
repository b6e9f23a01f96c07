//! Records: things with a life that services tell of.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Failure, Parameter, Route, json,
    known::Moment,
    list::{ACCOUNT, LIMIT, List, PAGE},
    parameter,
};
use crate::{
    peek::End,
    record::{Phase, Record, Step},
    snapshot::{Reading, UnderKey, Watched, Why},
    views::{self, Page, Read, Search, Searched},
};

/// Records of all kinds.
pub(super) const ALL: Route = Route {
    path: "/records",
    summary: "Things with a life that services tell of, the newest first.",
    query: &[KEY, ACCOUNT, PAGE, LIMIT],
    schema: |generator| generator.subschema_for::<List<RecordAnswer>>(),
    answer: |ask| list(ask, |_| true),
};

/// Records of one kind.
pub(super) const OF_KIND: Route = Route {
    path: "/records/{kind}",
    summary: "Those of one kind, such as `order`.",
    query: &[KEY, ACCOUNT, PAGE, LIMIT],
    schema: |generator| generator.subschema_for::<List<RecordAnswer>>(),
    answer: |ask| list(ask, |record| ask.parts.first().is_some_and(|kind| record.kind == *kind)),
};

/// One record.
pub(super) const ONE: Route = Route {
    path: "/records/{account}/{key}",
    summary: "The record under a key of the bucket, `<kind>.<id>`, however long ago it was written.",
    query: &[],
    schema: |generator| generator.subschema_for::<RecordAnswer>(),
    answer: one,
};

const KEY: Parameter = Parameter::text(
    "q",
    "A text that their keys have, in letters of either case: the bucket is searched from the newest on, and a whole id or key is always found. Without it, the newest.",
);

/// The page whose records have to be read for a question at `path`, below [`crate::views::API_PREFIX`].
pub fn recorded(path: &str, query: &str) -> Option<Page> {
    let route = [&ALL, &OF_KIND, &ONE].into_iter().find(|route| super::parts(route.path, path).is_some())?;
    parameter::check(route.query, query).ok()?;
    let parts = super::parts(route.path, path)?;
    match parts.as_slice() {
        [account, key] => Some(Page::Record(account.clone(), key.clone())),
        parts => Some(Page::Records(parts.first().cloned(), Search::of_query(query).q)),
    }
}

fn one(ask: &Ask<'_>) -> Result<String, Failure> {
    let [account, key] = ask.parts.as_slice() else { return Err(Failure::not_found("no such record")) };
    let Read::Record(reading) = ask.read else { return Err(Failure::unknown("the record was not read")) };
    let reason = || reading.reason().unwrap_or_default().to_owned();
    let found = match reading {
        Reading::Unknown { why: Why::Absent, .. } => return Err(Failure::not_found(reason())),
        reading => reading.value().ok_or_else(|| Failure::unknown(format!("the record is not known: {}", reason())))?,
    };
    match found.as_ref().map(UnderKey::of) {
        Some(UnderKey::Record(entry)) => json(&RecordAnswer::of(account, &entry.value)),
        Some(UnderKey::Deleted(at)) => Err(Failure::not_found(format!("the record under `{key}` was deleted at {at}"))),
        Some(UnderKey::NoRecord) => Err(Failure::not_found(format!("what stands under `{key}` is no record"))),
        None => Err(Failure::not_found(format!("the bucket holds nothing under the key `{key}`"))),
    }
}

/// Those that were looked for, of the accounts that are asked for.
fn searched(ask: &Ask<'_>, all: &[Searched]) -> Result<String, Failure> {
    let wanted = &ask.search.account;
    let all = || all.iter().filter(|one| wanted.is_empty() || one.account == *wanted);
    let rows = all().filter_map(|one| Some((one.account.as_str(), one.found.value()?)));
    let rows =
        rows.flat_map(|(account, found)| views::records_of(found).0.into_iter().map(move |entry| (account, entry)));
    let unsearched = all().filter_map(|one| {
        let found = one.found.value().filter(|found| found.end != End::All)?;
        let (searched, sequences) = (found.searched, found.held.sequences());
        let account = &one.account;
        Some(format!("what is older than the {searched} of {sequences} sequences searched in account {account}"))
    });
    let reason = all().find_map(|one| one.found.reason());
    let list = List::of(ask, rows.collect(), |(account, entry)| RecordAnswer::of(account, &entry.value))?;
    json(&list.lacking(reason, unsearched.collect()))
}

fn list(ask: &Ask<'_>, is_wanted: impl Fn(&Record) -> bool) -> Result<String, Failure> {
    if let Read::Records(all) = ask.read {
        return searched(ask, all);
    }
    let rows = ask.accounts().flat_map(|watched| {
        let entries = watched.records.value().into_iter().flat_map(|bucket| &bucket.entries);
        entries.map(move |entry| (watched, &entry.value))
    });
    let rows: Vec<(&Watched, &Record)> = rows.filter(|(_, record)| is_wanted(record)).collect();
    let reason = ask.reason(|watched| watched.records.reason());
    json(
        &List::of(ask, rows, |(watched, record)| RecordAnswer::of(watched.name(), record))?.lacking(reason, Vec::new()),
    )
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
    fn of(account: &str, record: &Record) -> Self {
        Self {
            account: account.to_owned(),
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
