//! The streams of all accounts as a table, searched, sorted and paged.

use std::cmp::Reverse;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    limits::Fill,
    lists::{Entry, Pager, accounts, sorts},
    page::Page,
    pieces::{Dotted, Gap, Moment, Number, Sign, Stamp},
    replicas::leader,
    search::{Search, Sort},
    select::streams_of,
    standing,
};
use crate::snapshot::{Held, Span, Stream, limit};

/// The orders that the list can have, and their words.
const SORTS: [(Sort, &str); 5] = [
    (Sort::Worst, "worst first"),
    (Sort::Size, "largest first"),
    (Sort::Messages, "most messages first"),
    (Sort::Rate, "busiest first"),
    (Sort::Name, "by name"),
];

/// A table of streams.
#[derive(Template)]
#[template(path = "parts/streams.html")]
pub(super) struct StreamTable {
    names_accounts: bool,
    rows: Vec<StreamRow>,
}

impl HtmlSafe for StreamTable {}

struct StreamRow {
    key: String,
    name: String,
    href: String,
    account: String,
    tag: Option<&'static str>,
    subjects: Dotted,
    /// The worst of its consumers.
    sign: Option<Sign>,
    messages: Number,
    size: Number,
    fill: Option<Fill>,
    /// How else it is bounded, where no limit is on messages or bytes.
    bound: String,
    stored: Number,
    consumers: Number,
    consumers_href: String,
    last: Option<Moment>,
    leader: String,
    is_stale: bool,
    stamp: Option<Stamp>,
}

/// The page of streams.
#[derive(Template)]
#[template(path = "pages/streams.html")]
pub(super) struct StreamsPage {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    unlisted: Vec<Gap>,
    missing: Vec<String>,
    more: usize,
    action: String,
    search: Search,
    accounts: Vec<Entry>,
    sorts: Vec<Entry>,
    table: StreamTable,
    pager: Pager,
}

impl StreamsPage {
    pub(super) fn of(search: &Search, look: &Look<'_>) -> Self {
        let shown = streams_of(look.snapshot, search);
        let (pager, range) = Pager::of(shown.len(), search, look, Page::Streams, "stream");
        let missing = look.snapshot.streams.value().map_or(&[][..], |streams| &streams.missing);
        // Of an account that is not listed more is missing than is known to be.
        let is_listed = |account: &str| look.snapshot.account(account).is_none_or(|one| one.unlisted.is_none());
        let missing = missing.iter().filter(|missing| is_listed(&missing.account));
        let missing: Vec<String> = missing.map(ToString::to_string).collect();
        let unlisted = look.unlisted();
        let empty = if search.is_narrow() { "No stream is like that." } else { "NATS holds no stream yet." };
        let gap = Gap::of(&look.snapshot.streams, "streams");
        Self {
            gap: gap
                .or_else(|| (shown.is_empty() && missing.is_empty() && unlisted.is_empty()).then(|| Gap::empty(empty))),
            stamp: Stamp::of(&look.snapshot.streams, look),
            unlisted,
            missing,
            more: 0,
            action: look.link(&Page::Streams(Search::default())),
            accounts: accounts(look, search),
            sorts: sorts(&SORTS, search.sort),
            table: StreamTable::of(&shown[range], look),
            pager,
            search: search.clone(),
        }
    }
}

/// Whether a stream is among what is searched for.
pub(super) fn is_found(stream: &Stream, search: &Search) -> bool {
    search.is_of(&stream.account, stream.name.as_str())
        && (search.finds(&[stream.name.as_str(), &stream.account, &stream.config.description])
            || stream.config.subjects.iter().any(|subject| search.finds(&[subject])))
}

impl StreamTable {
    pub(super) fn of(rows: &[&Stream], look: &Look<'_>) -> Self {
        Self { names_accounts: look.has_accounts(), rows: rows.iter().map(|row| StreamRow::of(row, look)).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Rows in the order that was asked for. By default streams of messages come before buckets, each by name.
pub(super) fn sorted(mut rows: Vec<&Stream>, sort: Sort) -> Vec<&Stream> {
    match sort {
        Sort::Size => rows.sort_by_cached_key(|row| Reverse(row.state.value().map_or(0, |state| state.bytes))),
        Sort::Messages => rows.sort_by_cached_key(|row| Reverse(row.state.value().map_or(0, |state| state.messages))),
        Sort::Rate => rows.sort_by_cached_key(|row| Reverse(row.trend.map_or(0, |trend| trend.stored))),
        Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        Sort::Worst | Sort::Lag | Sort::AckPending | Sort::Age => rows.sort_by_cached_key(|row| {
            // Verdicts stand in the order of how bad they are; what is well stays in its place.
            let troubled =
                consumers(row).map(|consumer| (standing::level_of(consumer).trouble(), consumer.verdict.label));
            let worst =
                troubled.filter(|(trouble, _)| *trouble > 0).map(|(trouble, label)| (Reverse(trouble), label)).min();
            (worst.is_none(), worst, row.held() != Held::Messages)
        }),
    }
    rows
}

fn consumers(stream: &Stream) -> impl Iterator<Item = &crate::snapshot::Consumer> {
    stream.consumers.value().into_iter().flat_map(|list| &list.rows)
}

impl StreamRow {
    fn of(stream: &Stream, look: &Look<'_>) -> Self {
        let state = &stream.state;
        let worst = consumers(stream).max_by_key(|consumer| standing::level_of(consumer));
        let worst = worst.map(standing::of_consumer).filter(standing::Standing::is_trouble);
        Self {
            key: format!("{}.{}", stream.account, stream.name),
            name: stream.name.to_string(),
            href: look.link(&Page::Stream(stream.account.to_string(), stream.name.clone(), Span::default())),
            account: stream.account.to_string(),
            tag: tag(stream),
            subjects: Dotted::new(subjects(stream)),
            sign: worst.map(|standing| standing.sign),
            messages: Number::of(state, |state| format::count(state.messages)),
            size: Number::of(state, |state| format::bytes(state.bytes)),
            fill: Fill::fullest(stream),
            bound: bound(stream),
            stored: Number::rate(stream.trend.map(|trend| trend.stored_per_second())),
            consumers: Number::of(state, |state| format::count(state.consumers)),
            consumers_href: look.link(&Page::Consumers(Search::of_stream(&stream.account, stream.name.as_str()))),
            last: state.value().and_then(|state| state.last_stored).map(|at| Moment::ago(at, look)),
            leader: leader(state, |state| state.cluster.as_ref()),
            is_stale: state.fresh().is_none(),
            stamp: Stamp::of(state, look),
        }
    }
}

/// What bounds a stream beside how many messages and bytes it may hold.
fn bound(stream: &Stream) -> String {
    let age = stream.config.age_limit().map(|age| format!("kept for {}", format::age(age)));
    let newest = limit(stream.config.max_msgs_per_subject).map(|most| format!("{} a subject", format::count(most)));
    let bounds: Vec<String> = age.into_iter().chain(newest).collect();
    if bounds.is_empty() { "no limit".to_owned() } else { bounds.join(", ") }
}

/// What a stream is that does not hold messages for their own sake.
pub(super) fn tag(stream: &Stream) -> Option<&'static str> {
    match stream.held() {
        Held::Messages => None,
        Held::KeyValue => Some("key-value"),
        Held::Objects => Some("objects"),
    }
}

/// The subject patterns that the stream takes, or where it takes its messages from.
pub(super) fn subjects(stream: &Stream) -> String {
    match (&stream.config.mirror, stream.config.subjects.is_empty()) {
        (Some(mirror), _) => format!("a mirror of {}", format::cut(&mirror.name)),
        (None, true) => "gathered from other streams".to_owned(),
        (None, false) => format::cut(&stream.config.subjects.join(" ")),
    }
}
