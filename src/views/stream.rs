//! One stream: what it holds against its limits and when it will be full, its consumers, where its messages come from, who holds it.

use std::time::Duration;

use askama::Template;

use super::{
    Look,
    advisories::AdvisoryList,
    ages,
    browse::Browse,
    consumer::Crumb,
    consumers::{self, ConsumerTable},
    elsewhere::Elsewhere,
    equivalent::Equivalents,
    findings::FindingRow,
    format,
    limits::Fill,
    map::{Thing, on_map},
    page::Page,
    past::PastView,
    pieces::{Gap, Level, Moment, Number, Sign, Stamp},
    replicas::{ReplicaTable, leader},
    search::Search,
    streams::{subjects, tag},
};
use crate::{
    name::StreamName,
    snapshot::{Consumer, Discard, Forecast, Held, OriginState, Retention, Span, Storage, Stream, limit},
};

/// Losses that are foreseen and named, the soonest.
const LOSSES_MOST: usize = 5;

/// What is lost within this time needs somebody now.
const SOON: Duration = Duration::from_secs(60 * 60);

/// The page of one stream.
#[derive(Template)]
#[template(path = "pages/stream.html")]
pub(super) struct StreamPage {
    name: String,
    pub(super) is_there: bool,
    /// Its account, where there are several.
    account: Option<String>,
    crumbs: Vec<Crumb>,
    gap: Option<Gap>,
    body: Option<Body>,
}

struct Body {
    tag: Option<&'static str>,
    description: Option<String>,
    subjects: String,
    findings: Vec<FindingRow>,
    figures: Vec<(&'static str, Number)>,
    messages_href: String,
    map_href: String,
    elsewhere: Elsewhere,
    stamp: Option<Stamp>,
    limits: Vec<Fill>,
    kept: String,
    losses: Vec<Loss>,
    past: PastView,
    consumers_gap: Option<Gap>,
    consumers_stamp: Option<Stamp>,
    consumers: ConsumerTable,
    consumers_more: usize,
    consumers_href: String,
    missing: Vec<String>,
    config: Vec<(&'static str, String, Option<String>)>,
    last: Option<Moment>,
    replicas: Option<ReplicaTable>,
    equivalents: Equivalents,
    advisories: AdvisoryList,
}

/// Messages that the stream will remove before a consumer has processed them.
struct Loss {
    sign: Sign,
    limit: &'static str,
    consumer: String,
    href: String,
    left: String,
    messages: String,
}

impl StreamPage {
    pub(super) fn of(page: &Page, account: &str, name: &StreamName, look: &Look<'_>) -> Self {
        let stream = look.snapshot.stream(account, name);
        let unknown = stream.is_none().then(|| Gap::of(&look.snapshot.streams, "streams")).flatten();
        let is_there = stream.is_some() || unknown.is_some();
        let gone = format!("There is no stream {name} in account {account} any more.");
        Self {
            name: name.to_string(),
            is_there,
            account: look.has_accounts().then(|| account.to_owned()),
            crumbs: vec![Crumb { text: "Streams".to_owned(), href: look.link(&Page::Streams(Search::default())) }],
            gap: unknown.or_else(|| stream.is_none().then(|| Gap::empty(&gone))),
            body: stream.map(|stream| Body::of(page, stream, look)),
        }
    }
}

impl Body {
    fn of(page: &Page, stream: &Stream, look: &Look<'_>) -> Self {
        let (consumers, consumers_more) = ConsumerTable::of_stream(stream, look);
        let list = stream.consumers.value();
        let missing = list.map_or(&[][..], |list| &list.missing);
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let is_empty = consumers.is_empty() && missing.is_empty();
        let what = match stream.held() {
            Held::Messages => "stream",
            Held::KeyValue | Held::Objects => "bucket",
        };
        let name = stream.name.as_str();
        let called = name.strip_prefix("KV_").or_else(|| name.strip_prefix("OBJ_")).unwrap_or(name);
        Self {
            tag: tag(stream),
            description: Some(format::cut(&stream.config.description)).filter(|text| !text.is_empty()),
            subjects: subjects(stream),
            findings: FindingRow::about(&format!("{what} {called}"), &stream.account, look),
            figures: figures(stream),
            messages_href: look.link(&Page::Messages(
                stream.account.to_string(),
                stream.name.clone(),
                Browse::default(),
            )),
            map_href: on_map(Thing::Stream(stream.account.to_string(), stream.name.to_string()), look),
            elsewhere: Elsewhere::of_stream(stream, page.past().map_or_else(Span::default, |(_, span)| span), look),
            stamp: Stamp::of(&stream.state, look),
            limits: Fill::all(stream, look.now),
            kept: kept(stream),
            losses: losses(stream, look),
            past: PastView::of_stream(page, look),
            consumers_gap: Gap::of(&stream.consumers, "consumers")
                .or_else(|| is_empty.then(|| Gap::empty("Nobody has made a consumer on it."))),
            consumers_stamp: Stamp::of(&stream.consumers, look),
            consumers,
            consumers_more,
            consumers_href: look.link(&Page::Consumers(Search::of_stream(&stream.account, name))),
            missing,
            config: config(stream, look),
            last: stream.state.value().and_then(|state| state.last_stored).map(|at| Moment::ago(at, look)),
            replicas: ReplicaTable::of(&stream.state, |state| state.cluster.as_ref()),
            equivalents: Equivalents::of_stream(stream, look),
            advisories: AdvisoryList::of(&Search::of_stream(&stream.account, name), look),
        }
    }
}

/// What will be lost of its consumers if all goes on, the soonest first.
fn losses(stream: &Stream, look: &Look<'_>) -> Vec<Loss> {
    let consumers = stream.consumers.value().into_iter().flat_map(|list| &list.rows);
    let mut losses: Vec<_> =
        consumers.filter_map(|consumer| Some((ages::loss(stream, consumer, look)?, consumer))).collect();
    losses.sort_by_key(|((_, left), _)| *left);
    let loss = |((forecast, left), consumer): ((Forecast, Duration), &Consumer)| Loss {
        sign: if left < SOON { Sign::new(Level::Critical, "soon") } else { Sign::new(Level::Warning, "in time") },
        limit: forecast.limit.token(),
        consumer: consumer.name.to_string(),
        href: look.link(&consumers::page_of(consumer)),
        left: ages::in_about(left),
        messages: format::counted_u64(forecast.messages, "message"),
    };
    losses.into_iter().take(LOSSES_MOST).map(loss).collect()
}

fn figures(stream: &Stream) -> Vec<(&'static str, Number)> {
    let state = &stream.state;
    vec![
        ("Messages", Number::of(state, |state| format::count(state.messages))),
        ("Size", Number::of(state, |state| format::bytes(state.bytes))),
        ("Stored", Number::rate(stream.trend.map(|trend| trend.stored_per_second()))),
        ("Subjects held", Number::of(state, |state| format::count(state.subjects))),
        ("Deleted between", Number::of(state, |state| format::count(state.deleted))),
    ]
}

/// How long messages stay: `for 1 d, up to 500 MB`.
fn kept(stream: &Stream) -> String {
    let retention = match stream.config.retention {
        Retention::Limits => None,
        Retention::Interest => Some("until every consumer has acked".to_owned()),
        Retention::WorkQueue => Some("until one consumer has acked".to_owned()),
    };
    let limits = [
        retention,
        stream.config.age_limit().map(|age| format!("for {}", format::age(age))),
        stream.config.byte_limit().map(|most| format!("up to {}", format::bytes(most))),
        stream.config.message_limit().map(|most| format!("up to {}", format::counted_u64(most, "message"))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "as long as there is room".to_owned() } else { limits.join(", ") }
}

/// How it is set up, and where its messages come from. A stream of the same account is a link.
fn config(stream: &Stream, look: &Look<'_>) -> Vec<(&'static str, String, Option<String>)> {
    let config = &stream.config;
    let place = if config.storage == Storage::Memory { "in memory" } else { "on disk" };
    let full = if config.discard == Discard::New { "refuses new messages" } else { "lets its oldest go" };
    let mut lines = vec![
        ("Kept", kept(stream), None),
        ("When full it", full.to_owned(), None),
        ("Held", format!("{} {place}", format::counted(config.num_replicas as usize, "copy")), None),
        ("Leader", leader(&stream.state, |state| state.cluster.as_ref()), None),
    ];
    if let Some(state) = stream.state.value() {
        let sequences = format!("{} to {}", format::count(state.first_sequence), format::count(state.last_sequence));
        lines.push(("Sequences", sequences, None));
    }
    let mut add = |name, text: Option<String>| lines.extend(text.map(|text| (name, text, None)));
    add("Messages a subject", limit(config.max_msgs_per_subject).map(format::count));
    let window = config.duplicate_window;
    add("Knows message ids again for", (!window.is_zero()).then(|| format::age(window)));
    add("Single messages", Some(if config.allow_direct { "from any replica" } else { "from the leader" }.to_owned()));
    add("Sealed", config.sealed.then(|| "it takes no more messages".to_owned()));
    let noted = config.metadata.iter().filter(|(name, _)| !name.starts_with("_nats."));
    let noted: Vec<String> = noted.map(|(name, value)| format!("{name}={value}")).collect();
    add("Metadata", Some(format::cut(&noted.join(" "))).filter(|text| !text.is_empty()));
    let from = config.mirror.iter().map(|origin| ("Mirrors", origin));
    let from = from.chain(config.sources.iter().map(|origin| ("Gathers from", origin)));
    lines.extend(from.map(|(what, origin)| {
        let known = origin.name.parse().ok().filter(|name| look.snapshot.stream(&stream.account, name).is_some());
        let href = known.map(|name| look.link(&Page::Stream(stream.account.to_string(), name, Span::default())));
        (what, format::cut(&origin_in_words(&origin.name, stream)), href)
    }));
    lines
}

/// A stream that messages are taken from, and how that goes.
fn origin_in_words(name: &str, stream: &Stream) -> String {
    let mut told = stream.state.value().into_iter().flat_map(|state| &state.origins);
    let Some(OriginState { lag, heard_ago, error, .. }) = told.find(|told| told.name == name) else {
        return name.to_owned();
    };
    let still = format!("{} still to come", format::counted_u64(*lag, "message"));
    match (error, heard_ago) {
        (Some(error), _) => format!("{name}: it gets nothing from there: {error}"),
        (None, None) => format!("{name}: never heard of yet"),
        (None, Some(ago)) => format!("{name}: {still}, heard of {} ago", format::age(*ago)),
    }
}
