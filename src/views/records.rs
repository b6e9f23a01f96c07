//! Records: things with a life that services tell of, by kind.

use std::collections::{BTreeMap, HashSet};

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
    peek::{End, Found},
    record::{Phase, Record},
    snapshot::{Entry, UnderKey, Watched},
    views::{Read, Searched},
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
    /// How much was searched, where something was.
    said: Option<String>,
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
    /// Its own page, where it is shown elsewhere.
    href: Option<String>,
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
    action: String,
    q: String,
    lists: Vec<RecordList>,
}

impl RecordsPage {
    pub(super) fn of(kind: Option<&str>, q: &str, look: &Look<'_>) -> Self {
        let title = kind.map_or_else(|| "Records".to_owned(), |kind| format::capital(&format::kinds(kind)));
        let lists = match (look.read, kind) {
            (Read::Records(all), _) => all.iter().map(|searched| RecordList::found(searched, kind, look)).collect(),
            (_, Some(kind)) => {
                let accounts = look.telling(|watched| &watched.records).into_iter();
                let lists = accounts.map(|watched| (watched, of_kind(kind, watched)));
                lists.map(|(watched, rows)| RecordList::of_kind(kind, rows, watched, look, usize::MAX)).collect()
            }
            (_, None) => RecordList::all(look, usize::MAX),
        };
        let lists = lists.into_iter().map(|list| RecordList { is_page: true, ..list }).collect();
        let action = look.link(&Page::Records(kind.map(str::to_owned), String::new()));
        Self { title, action, q: q.to_owned(), lists }
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
            href: look.link(&page_of_kind(kind)),
            heading: if kind.is_empty() { "Records".to_owned() } else { format!("Recent {what}") },
            gap: gap.or_else(|| is_empty.then(|| Gap::empty(&format!("No service has told of {what} yet.")))),
            stamp: Stamp::of(records, look),
            note: unreadable(records.value().map_or(0, |bucket| bucket.malformed)),
            said: None,
            has_more: !lacks_newest && (entries.len() > most || is_cut),
            lacks_newest,
            is_page: false,
            rows: entries.into_iter().take(most).map(|entry| RecordRow::of(entry, watched, look)).collect(),
        }
    }
}

impl RecordList {
    /// What was found by a search.
    fn found(searched: &Searched, kind: Option<&str>, look: &Look<'_>) -> Self {
        let watched = look.snapshot.account(&searched.account).unwrap_or(&look.snapshot.app);
        let what = format::kinds(kind.unwrap_or("record"));
        let found = searched.found.value();
        let (entries, malformed) = found.map(records_of).unwrap_or_default();
        let gap = Gap::of(&searched.found, &what);
        Self {
            account: look.account_of(watched),
            id: look.anchor(watched, "found"),
            href: look.link(&Page::Records(kind.map(str::to_owned), String::new())),
            heading: format!("Found {what}"),
            gap: gap.or_else(|| found.filter(|_| entries.is_empty()).map(|found| Gap::empty(none(found)))),
            stamp: Stamp::of(&searched.found, look),
            note: unreadable(malformed),
            said: found.map(|found| said(found, entries.len())),
            has_more: false,
            lacks_newest: false,
            is_page: true,
            rows: entries.iter().map(|entry| RecordRow::of(entry, watched, look)).collect(),
        }
    }

    /// One record by itself.
    pub(super) fn one(entry: &Entry<Record>, watched: &Watched, look: &Look<'_>) -> Self {
        let row = RecordRow::of(entry, watched, look);
        Self {
            account: None,
            id: "one".to_owned(),
            href: String::new(),
            heading: "State and steps".to_owned(),
            gap: None,
            stamp: None,
            note: None,
            said: None,
            has_more: false,
            lacks_newest: false,
            is_page: true,
            rows: vec![RecordRow { href: None, ..row }],
        }
    }
}

/// The records among messages of the bucket, each once as it was written last, and how many values are none.
pub(crate) fn records_of(found: &Found) -> (Vec<Entry<Record>>, usize) {
    let (mut seen, mut entries, mut malformed) = (HashSet::new(), Vec::new(), 0);
    // The newest come first.
    for message in found.rows.iter().filter(|message| seen.insert(message.subject.as_str())) {
        match UnderKey::of(message) {
            UnderKey::Record(entry) => entries.push(*entry),
            UnderKey::Deleted(_) => {}
            UnderKey::NoRecord => malformed += 1,
        }
    }
    (entries, malformed)
}

/// How much was searched of how much there is.
fn said(found: &Found, records: usize) -> String {
    let sequences = found.held.sequences();
    let end = match found.end {
        End::All => "",
        End::Rows => ", until as many were found as are shown",
        End::Looked => ", which is as many as one search looks into",
        End::Bytes => ", which is as many bytes as one search reads",
        End::Time => ", then time was up",
    };
    format!(
        "{}; searched {} of {} of the bucket{end}.",
        format::counted(records, "record"),
        format::count(found.searched.min(sequences)),
        format::counted_u64(sequences, "sequence"),
    )
}

fn none(found: &Found) -> &'static str {
    match found.end {
        End::All => "No record has this in its key.",
        _ => {
            "No record like that is among those that were searched. One whose whole id or key is given is always found."
        }
    }
}

fn page_of_kind(kind: &str) -> Page {
    Page::Records(Some(kind.to_owned()), String::new())
}

/// The page of a record; that of its kind where the account has no name.
pub(super) fn page_of(account: &str, entry: &Entry<Record>, look: &Look<'_>) -> String {
    look.link(&match account {
        "" => page_of_kind(&entry.value.kind),
        account => Page::Record(account.to_owned(), entry.key.clone()),
    })
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
            href: Some(page_of(watched.name(), entry, look)),
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
