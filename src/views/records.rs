//! Records: things with a life that services tell of, by kind.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    follow::Follow,
    format,
    page::Page,
    pieces::{Gap, Level, Moment, Sign, Stamp, TraceLink, short},
    services::unreadable,
};
use crate::{
    clock::Timestamp,
    record::{Phase, Record},
    snapshot::{Entry, Watched},
};

/// Steps shown of one record, the first ones.
const STEPS_MOST: usize = 50;

/// The newest records of one kind.
#[derive(Template)]
#[template(path = "parts/records.html")]
pub(super) struct RecordList {
    /// The account, where there are several.
    account: Option<String>,
    /// Tells it from other lists on a page.
    id: String,
    /// The page of the kind.
    href: String,
    heading: String,
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    note: Option<String>,
    has_more: bool,
    /// Whether those shown are not the newest: there was more to read than a round reads.
    lacks_newest: bool,
    /// Whether each shows its steps without being asked.
    is_page: bool,
    rows: Vec<RecordRow>,
}

impl HtmlSafe for RecordList {}

struct RecordRow {
    id_on_page: String,
    short: String,
    id: String,
    sign: Sign,
    summary: String,
    reason: Option<String>,
    started: Moment,
    since: Moment,
    trace: Option<TraceLink>,
    /// The way of all messages that belong to it.
    journey: String,
    steps: Vec<StepRow>,
}

struct StepRow {
    name: String,
    by: String,
    /// How long after the start.
    after: String,
    at: Timestamp,
    message: Option<String>,
}

/// The page of one kind, or of all.
#[derive(Template)]
#[template(path = "pages/records.html")]
pub(super) struct RecordsPage {
    pub(super) title: String,
    lists: Vec<RecordList>,
}

impl RecordsPage {
    pub(super) fn of(kind: Option<&str>, look: &Look<'_>) -> Self {
        let title = kind.map_or_else(|| "Records".to_owned(), |kind| format::capital(&format::kinds(kind)));
        let lists = match kind {
            Some(kind) => {
                let accounts = look.telling(|watched| &watched.records).into_iter();
                let lists = accounts.map(|watched| (watched, of_kind(kind, watched)));
                lists.map(|(watched, rows)| RecordList::of_kind(kind, rows, watched, look, usize::MAX)).collect()
            }
            None => RecordList::all(look, usize::MAX),
        };
        let lists = lists.into_iter().map(|list| RecordList { is_page: true, ..list }).collect();
        Self { title, lists }
    }
}

impl RecordList {
    /// One list for each kind that there is in an account; a single empty one of an account that has none, which says why.
    pub(super) fn all(look: &Look<'_>, most: usize) -> Vec<Self> {
        let accounts = look.telling(|watched| &watched.records).into_iter();
        accounts.flat_map(|watched| Self::all_in(watched, look, most)).collect()
    }

    fn all_in(watched: &Watched, look: &Look<'_>, most: usize) -> Vec<Self> {
        let mut kinds = BTreeMap::<&str, Vec<&Entry<Record>>>::new();
        for entry in entries(watched) {
            kinds.entry(&entry.value.kind).or_default().push(entry);
        }
        if kinds.is_empty() {
            return vec![Self::of_kind("", Vec::new(), watched, look, most)];
        }
        kinds.into_iter().map(|(kind, entries)| Self::of_kind(kind, entries, watched, look, most)).collect()
    }

    fn of_kind(kind: &str, mut entries: Vec<&Entry<Record>>, watched: &Watched, look: &Look<'_>, most: usize) -> Self {
        entries.sort_by(|a, b| b.value.started.cmp(&a.value.started).then_with(|| b.revision.cmp(&a.revision)));
        let records = &watched.records;
        let what = if kind.is_empty() { "records".to_owned() } else { format::kinds(kind) };
        let is_empty = entries.is_empty();
        let gap = Gap::of(records, &what);
        let is_cut = records.value().is_some_and(|bucket| bucket.is_cut);
        let lacks_newest = records.value().is_some_and(|bucket| bucket.lacks_newest);
        Self {
            account: look.account_of(watched),
            id: look.anchor(watched, kind),
            href: look.link(&Page::Records(Some(kind.to_owned()))),
            heading: if kind.is_empty() { "Records".to_owned() } else { format!("Recent {what}") },
            gap: gap.or_else(|| is_empty.then(|| Gap::empty(&format!("No service has told of {what} yet.")))),
            stamp: Stamp::of(records, look),
            note: unreadable(records.value().map_or(0, |bucket| bucket.malformed)),
            has_more: !lacks_newest && (entries.len() > most || is_cut),
            lacks_newest,
            is_page: false,
            rows: entries.into_iter().take(most).map(|entry| RecordRow::of(entry, watched, look)).collect(),
        }
    }
}

fn entries(watched: &Watched) -> impl Iterator<Item = &Entry<Record>> {
    watched.records.value().into_iter().flat_map(|bucket| &bucket.entries)
}

fn of_kind<'a>(kind: &str, watched: &'a Watched) -> Vec<&'a Entry<Record>> {
    entries(watched).filter(|entry| entry.value.kind == kind).collect()
}

impl RecordRow {
    fn of(entry: &Entry<Record>, watched: &Watched, look: &Look<'_>) -> Self {
        let record = &entry.value;
        let level = match record.phase {
            Phase::Open => Level::Busy,
            Phase::Succeeded => Level::Ok,
            Phase::Failed => Level::Warning,
        };
        let step = |step: &crate::record::Step| StepRow {
            name: format::cut(&step.name),
            by: format::cut(&step.by),
            after: format::age(record.started.age(step.at).0),
            at: step.at,
            message: step.message.as_ref().map(|id| format::cut(&id.0)),
        };
        Self {
            id_on_page: look.anchor(watched, &entry.key),
            short: short(&record.id),
            id: format::cut(&record.id),
            sign: Sign::new(level, format::cut(&record.state)),
            summary: format::cut(&record.summary),
            reason: record.reason.as_deref().map(format::cut),
            started: Moment::ago(record.started, look),
            since: Moment::length(record.since, look),
            trace: record.trace_id.as_deref().map(|id| TraceLink::of(&format::cut(id), record.since, look)),
            journey: look.link(&Page::Journey(Follow::of(&record.id))),
            steps: record.steps.iter().take(STEPS_MOST).map(step).collect(),
        }
    }
}
