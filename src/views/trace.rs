//! The page of one trace: what failed first, how its messages spent their time, then every span in its place.

use askama::Template;

use super::{
    Look, Page, Traced,
    elsewhere::Elsewhere,
    follow::Follow,
    format,
    logs::LogsPanel,
    message,
    pieces::{Gap, Level, Moment, Sign},
    traces::place,
    waterfall::{Hop, NAME_MOST, Placed, Waterfall, has_failed, took},
};
use crate::{
    clock::Timestamp,
    mask::{self, Masked},
    trace::{Attribute, Link, Span, SpanId, SpanKind, SpanStatus, Trace, TraceId, TraceLogs},
    traces::{Query, Taking},
};

/// Spans that are drawn: a page of more is slow in a browser, and nobody reads it.
const ROWS_MOST: usize = 1_000;

/// Ways of messages that are told.
const HOPS_MOST: usize = 100;

/// Failures that are told on top.
const FAILURES_MOST: usize = 20;

/// How deep spans are set in: deeper ones stand below each other.
const DEPTH_MOST: usize = 12;

/// Letters of a value that are shown.
const VALUE_MOST: usize = 4_000;

/// Width of the drawing, in its own units.
const WIDTH: u64 = 1_000;

#[derive(Template)]
#[template(path = "pages/trace.html")]
pub(super) struct TracePage {
    pub(super) title: String,
    pub(super) is_there: bool,
    id: String,
    list: String,
    journey: String,
    elsewhere: Elsewhere,
    gap: Option<Gap>,
    lines: Vec<String>,
    began: Option<Moment>,
    failures: Vec<Failure>,
    chosen: Option<Chosen>,
    hops: Vec<HopRow>,
    rows: Vec<SpanRow>,
    notes: Vec<String>,
    logs: LogsPanel,
}

struct Failure {
    name: String,
    service: String,
    href: String,
    why: String,
}

struct HopRow {
    subject: String,
    consumer: String,
    publish: String,
    waiting: String,
    process: String,
    settle: String,
    sign: Option<Sign>,
    href: String,
}

struct SpanRow {
    id: String,
    depth: usize,
    name: String,
    service: String,
    kind: &'static str,
    took: String,
    after: String,
    href: String,
    is_failed: bool,
    is_critical: bool,
    is_chosen: bool,
    tags: Vec<String>,
    waiting: Option<Bar>,
    bar: Bar,
}

/// A part of the drawing.
struct Bar {
    x: u64,
    width: u64,
    title: String,
}

/// A span that is looked at.
struct Chosen {
    name: String,
    lines: Vec<(String, String)>,
    groups: Vec<(String, Vec<(String, String)>)>,
    links: Vec<(String, String)>,
    /// The message as its stream holds it.
    message: Option<String>,
    close: String,
}

impl TracePage {
    pub(super) fn of(id: TraceId, chosen: Option<SpanId>, traced: &Traced, look: &Look<'_>) -> Self {
        let nothing = TraceLogs::default();
        let (trace, logs, taking) = match traced {
            Traced::Trace(trace, logs, taking) => (trace.as_ref(), logs, taking),
            _ => (None, &nothing, &Taking::Off),
        };
        let empty = Self {
            title: format!("Trace {id}"),
            is_there: trace.is_some() || !logs.rows.is_empty(),
            id: id.to_string(),
            list: look.link(&Page::Traces(Query::default())),
            journey: look.link(&Page::Journey(Follow::of(&id.to_string()))),
            elsewhere: Elsewhere::of_trace(id, chosen, trace, look),
            gap: None,
            lines: Vec::new(),
            began: None,
            failures: Vec::new(),
            chosen: None,
            hops: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
            logs: LogsPanel::of(id, trace, chosen, logs, look),
        };
        match trace {
            None => Self { gap: Some(gone(taking)), ..empty },
            Some(trace) => empty.filled(trace, chosen, look),
        }
    }

    fn filled(self, trace: &Trace, chosen: Option<SpanId>, look: &Look<'_>) -> Self {
        let fall = Waterfall::of(trace);
        let link = |span: SpanId| look.link(&Page::Trace(trace.id, Some(span)));
        let failed = fall.rows.iter().filter(|row| has_failed(row.span));
        let chosen_span = fall.rows.iter().find(|row| Some(row.span.id) == chosen);
        let mut hops = fall.hops();
        hops.truncate(HOPS_MOST);
        // What a broker did is known from what a service asked of it, where that came.
        let mut spans = fall.rows.iter().map(|row| row.span);
        let first = spans.clone().find(|span| !span.origin.is_broker()).or_else(|| spans.next());
        Self {
            title: first.map_or_else(|| self.title.clone(), |span| format::cut_at(&span.name, NAME_MOST)),
            lines: lines(&fall),
            began: Timestamp::of_nanos(fall.start).map(|at| Moment::ago(at, look)),
            failures: failed.take(FAILURES_MOST).map(|row| Failure::of(row.span, link(row.span.id))).collect(),
            chosen: chosen_span.map(|row| Chosen::of(row, trace.id, look)),
            hops: hops.iter().map(|hop| HopRow::of(hop, link(hop.process.id))).collect(),
            rows: fall
                .rows
                .iter()
                .take(ROWS_MOST)
                .map(|row| SpanRow::of(row, &fall, chosen, link(row.span.id)))
                .collect(),
            notes: notes(&fall, trace),
            ..self
        }
    }
}

fn gone(taking: &Taking) -> Gap {
    let sentence = format!(
        "The trace is not kept: it made room for newer ones, was not sampled, or its spans have not come. {}",
        place(taking)
    );
    Gap { sign: Sign::new(Level::Unknown, "not here"), sentence }
}

fn lines(fall: &Waterfall<'_>) -> Vec<String> {
    let makers = fall.rows.iter().map(|row| &row.span.origin).filter(|origin| !origin.is_broker());
    let mut services: Vec<&str> = makers.map(|origin| origin.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    let failed = fall.rows.iter().filter(|row| has_failed(row.span)).count();
    let mut lines = vec![format!("took {}", took(fall.duration())), format::counted(fall.rows.len(), "span")];
    if !services.is_empty() {
        lines.push(format::counted(services.len(), "service"));
    }
    if failed > 0 {
        lines.push(format!("{} failed", format::count(failed as u64)));
    }
    lines
}

/// What one should know before one believes the drawing.
fn notes(fall: &Waterfall<'_>, trace: &Trace) -> Vec<String> {
    let count = |is: fn(&Placed<'_>) -> bool| fall.rows.iter().filter(|row| is(row)).count();
    let (orphans, early) = (count(|row| row.is_orphan), count(|row| row.is_early));
    let more = fall.rows.len().saturating_sub(ROWS_MOST);
    let told =
        |number: usize, one: &str, what: &str| (number > 0).then(|| format!("{} {what}", format::counted(number, one)));
    [
        told(orphans, "span", "below a span that has not come: the trace is not whole, or not yet."),
        told(early, "span", "begin before their parent: the clocks of their machines differ."),
        told(fall.repeated, "span", "came more than once and are shown once."),
        told(more, "span", "more are not drawn."),
        told(
            usize::try_from(trace.left_out).unwrap_or(usize::MAX),
            "span",
            "more came and were not kept: the trace is too large.",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn service_of(span: &Span) -> String {
    format::service(&span.origin.service).to_owned()
}

fn kind_of(span: &Span) -> &'static str {
    match span.kind {
        // A settlement is a question to the server, and no news to whoever reads.
        _ if span.text("messaging.operation.type") == Some("settle") => "settles",
        SpanKind::Server => "answers",
        SpanKind::Client => "asks",
        SpanKind::Producer => "publishes",
        SpanKind::Consumer => "handles",
        SpanKind::Internal | SpanKind::Unspecified => "",
    }
}

impl Failure {
    fn of(span: &Span, href: String) -> Self {
        let kind = span.text("error.type").unwrap_or("it does not say why");
        let why = if span.message.is_empty() { kind } else { &span.message };
        Self {
            name: format::cut_at(&span.name, NAME_MOST),
            service: service_of(span),
            href,
            why: format::cut_at(why, VALUE_MOST),
        }
    }
}

impl HopRow {
    fn of(hop: &Hop<'_>, href: String) -> Self {
        let unknown = || "?".to_owned();
        let process = hop.process;
        let first = |keys: &[&str]| keys.iter().find_map(|key| process.text(key)).unwrap_or(&process.name);
        let sign = match (has_failed(process), hop.deliveries) {
            (true, _) => Some(Sign::new(Level::Critical, "failed")),
            (false, 0 | 1) => None,
            (false, count) => Some(Sign::new(Level::Warning, format!("delivery {count}"))),
        };
        Self {
            subject: first(&["messaging.destination.name", "messaging.destination.template"]).to_owned(),
            consumer: first(&["messaging.nats.consumer", "messaging.consumer.group.name"]).to_owned(),
            publish: hop.publish.map_or_else(unknown, |publish| took(publish.duration())),
            waiting: hop.waiting.map_or_else(unknown, waited),
            process: took(process.duration()),
            settle: hop.settle.map_or_else(unknown, |settle| took(settle.duration())),
            sign,
            href,
        }
    }
}

/// How long a message waited. A handler may begin before its publisher hears that the message is stored.
fn waited(nanos: u64) -> String {
    if nanos == 0 { "none".to_owned() } else { took(nanos) }
}

impl SpanRow {
    fn of(row: &Placed<'_>, fall: &Waterfall<'_>, chosen: Option<SpanId>, href: String) -> Self {
        let span = row.span;
        let waited = row.publisher().filter(|publish| publish.end < span.start);
        let mut tags = Vec::new();
        if row.is_orphan {
            tags.push("parent missing".to_owned());
        }
        if row.is_early {
            tags.push("clock differs".to_owned());
        }
        if span.origin.is_broker() {
            tags.push("told by the broker".to_owned());
        }
        if let Some(stream) = span.text("messaging.nats.stream") {
            tags.push(stream.to_owned());
        }
        Self {
            id: span.id.to_string(),
            depth: row.depth.min(DEPTH_MOST),
            name: format::cut_at(&span.name, NAME_MOST),
            service: service_of(span),
            kind: kind_of(span),
            took: took(span.duration()),
            after: took(span.start.saturating_sub(fall.start)),
            href,
            is_failed: has_failed(span),
            is_critical: row.is_critical,
            is_chosen: chosen == Some(span.id),
            tags,
            waiting: waited.map(|parent| Bar::of(parent.end, span.start, fall, "confirmed to handler")),
            bar: Bar::of(span.start, span.end, fall, "took"),
        }
    }
}

impl Bar {
    fn of(start: u64, end: u64, fall: &Waterfall<'_>, what: &str) -> Self {
        let whole = u128::from(fall.duration().max(1));
        let at = |nanos: u64| {
            let part = u128::from(nanos.saturating_sub(fall.start)) * u128::from(WIDTH) / whole;
            u64::try_from(part).unwrap_or(WIDTH).min(WIDTH)
        };
        let x = at(start).min(WIDTH - 2);
        // What is short is still seen.
        Self {
            x,
            width: at(end).saturating_sub(x).max(2),
            title: format!("{what} {}", took(end.saturating_sub(start))),
        }
    }
}

impl Chosen {
    fn of(row: &Placed<'_>, trace: TraceId, look: &Look<'_>) -> Self {
        let span = row.span;
        let line = |name: &str, text: String| (!text.is_empty()).then(|| (name.to_owned(), text));
        let status = match span.status {
            SpanStatus::Unset => String::new(),
            SpanStatus::Ok => "ok".to_owned(),
            SpanStatus::Error if span.message.is_empty() => "failed".to_owned(),
            SpanStatus::Error => format!("failed: {}", format::cut_at(&span.message, VALUE_MOST)),
        };
        let began = Timestamp::of_nanos(span.start).map(|at| at.to_string()).unwrap_or_default();
        let left_out = if span.left_out > 0 {
            format!("{} of its attributes, events and links", format::count(span.left_out))
        } else {
            String::new()
        };
        let lines = [
            line("Service", service_of(span)),
            line("Began", began),
            line("Took", took(span.duration())),
            line("Status", status),
            line("Span", span.id.to_string()),
            line("Parent", span.parent.map(|parent| parent.to_string()).unwrap_or_default()),
            line("Made by", format!("{} {}", span.origin.scope, span.origin.scope_version).trim().to_owned()),
            line("Trace state", span.state.clone()),
            line("Left out", left_out),
        ];
        let mut groups = vec![("What is said of it".to_owned(), pairs(&span.attributes))];
        for event in &span.events {
            let after = took(event.at.saturating_sub(span.start));
            groups
                .push((format!("{} after {after}", format::cut_at(&event.name, NAME_MOST)), pairs(&event.attributes)));
        }
        groups.push(("What its service says of itself".to_owned(), pairs(&span.origin.attributes)));
        groups.retain(|(name, pairs)| !pairs.is_empty() || name.contains(" after "));
        Self {
            name: format::cut_at(&span.name, NAME_MOST),
            lines: lines.into_iter().flatten().collect(),
            groups,
            message: message::page_of_span(span, look),
            links: span.links.iter().map(|other| linked(other, trace, look)).collect(),
            close: look.link(&Page::Trace(trace, None)),
        }
    }
}

/// A link to another span: its page, and what it is called.
fn linked(other: &Link, trace: TraceId, look: &Look<'_>) -> (String, String) {
    let said = if other.trace == trace { "of this trace".to_owned() } else { format!("of trace {}", other.trace) };
    (look.link(&Page::Trace(other.trace, Some(other.span))), format!("span {} {said}", other.span))
}

fn pairs(attributes: &[Attribute]) -> Vec<(String, String)> {
    let pair = |Attribute { key, value }: &Attribute| {
        let value = mask::header(key, &value.to_string(), &mut Masked::default());
        (format::cut_at(key, NAME_MOST), format::cut_at(&value, VALUE_MOST))
    };
    attributes.iter().map(pair).collect()
}
