//! Traces that services sent: those that are looked for, and one with all its spans.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Failure, Parameter, Route, json,
    known::{Moment, seconds},
    list::{LIMIT, limit},
};
use crate::{
    clock::Timestamp,
    mask::{self, Masked},
    trace::{Attribute, Event, Link, Log, LogLevel, Span, SpanKind, SpanStatus, TraceId},
    traces::{Found, Query, Row},
};

/// Traces of an answer unless it is said how many.
const ROWS: usize = 100;

const fn asked(name: &'static str, about: &'static str) -> Parameter {
    Parameter::text(name, about)
}

/// Traces that are looked for.
pub(super) const LIST: Route = Route {
    path: "/traces",
    summary: "Traces that services sent, the newest first. Everything but the durations has to hold of one and the same span.",
    query: &[
        asked("q", "A part of a span's name, or a whole value of any of its attributes; or the id of a trace."),
        asked("service", "The service that made the span."),
        asked("subject", "The subject of the message that it is about, or a pattern of subjects."),
        asked("stream", "The stream of the message."),
        asked("consumer", "The consumer of the message, or its queue group."),
        asked("message", "The message's id."),
        asked("correlation", "What the message belongs to, such as the id of an order."),
        asked("status", "`error` or `ok`."),
        asked("min", "How long the whole trace took at least, such as `250ms`."),
        asked("max", "How long it took at most."),
        asked("attribute", "An attribute as `name=value`; several may be given."),
        Parameter::number("before", "Goes on from the `next` of an earlier answer.", 0, u64::MAX),
        LIMIT,
    ],
    schema: |generator| generator.subschema_for::<FoundAnswer>(),
    answer: |ask| {
        let query = Query::of_query(ask.query);
        if let Some(unclear) = query.unclear.first() {
            return Err(Failure { status: 400, code: "unclear", message: unclear.why.clone() });
        }
        json(&FoundAnswer::of(ask.traces.search(&query, limit(ask.query, ROWS))))
    },
};

/// One trace.
pub(super) const ONE: Route = Route {
    path: "/traces/{trace_id}",
    summary: "One trace with all spans of it that are kept, and what services wrote down in it, secrets left out.",
    query: &[],
    schema: |generator| generator.subschema_for::<TraceAnswer>(),
    answer: one,
};

fn one(ask: &Ask<'_>) -> Result<String, Failure> {
    let id = ask.parts.first().and_then(|id| id.parse::<TraceId>().ok());
    let found = id.map(|id| (id, ask.traces.trace(id), ask.traces.logs(id)));
    let (id, trace, logs) = found
        .filter(|(_, trace, logs)| trace.is_some() || !logs.rows.is_empty())
        .ok_or_else(|| Failure::not_found("no trace of this id is kept"))?;
    json(&TraceAnswer {
        trace_id: id.to_string(),
        left_out: trace.as_ref().map_or(0, |trace| trace.left_out),
        spans: trace.iter().flat_map(|trace| &trace.spans).map(SpanAnswer::of).collect(),
        logs_left_out: logs.left_out,
        logs: logs.rows.iter().map(LogAnswer::of).collect(),
    })
}

/// What was found, and how much was looked at.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Traces")]
struct FoundAnswer {
    /// How many traces were looked at.
    searched: usize,
    /// How many there were to look at.
    of: usize,
    /// Whether time was up before all were looked at or enough were found.
    is_cut_short: bool,
    /// What `before` goes on from; null where all were looked at.
    next: Option<u64>,
    rows: Vec<RowAnswer>,
}

/// A trace in a few words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TraceRow")]
struct RowAnswer {
    trace_id: String,
    /// What its first span is called, of those that no broker told of where there are such.
    name: String,
    /// The service that made that, or the broker.
    service: String,
    started: Option<Moment>,
    duration_seconds: f64,
    spans: usize,
    /// Spans that failed.
    errors: u32,
    /// Those that made its spans; brokers are none.
    services: Vec<String>,
    /// Whether its first span has a parent that did not come.
    is_headless: bool,
}

/// A trace.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trace")]
struct TraceAnswer {
    trace_id: String,
    /// Spans that came and were not kept, because it has so many.
    left_out: u64,
    /// In the order in which they came; none where only logs of it are kept.
    spans: Vec<SpanAnswer>,
    /// Log entries that came and were not kept, because it has so many.
    logs_left_out: u64,
    /// In the order of their times.
    logs: Vec<LogAnswer>,
}

/// What a service wrote down. Values that look secret are masked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TraceLog")]
struct LogAnswer {
    at: Option<Moment>,
    /// The same in nanoseconds since 1970, as text.
    at_unix_nanos: String,
    level: LevelAnswer,
    service: String,
    /// The span that it was written in.
    span_id: Option<String>,
    /// What kind of event it tells of; empty where it does not say so.
    event: String,
    body: String,
    attributes: Vec<PairAnswer>,
}

/// How much a log entry matters.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LogLevel")]
enum LevelAnswer {
    Unspecified,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// One piece of work. Values that look secret are masked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Span")]
struct SpanAnswer {
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: KindAnswer,
    service: String,
    started: Option<Moment>,
    /// The same in nanoseconds since 1970, as text.
    start_unix_nanos: String,
    duration_seconds: f64,
    status: StatusAnswer,
    /// Why it failed.
    message: String,
    attributes: Vec<PairAnswer>,
    events: Vec<EventAnswer>,
    links: Vec<LinkAnswer>,
}

/// A span's place among others.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SpanKind")]
enum KindAnswer {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// How a span ended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SpanStatus")]
enum StatusAnswer {
    Unset,
    Ok,
    Error,
}

/// An attribute, its value as text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SpanAttribute")]
struct PairAnswer {
    key: String,
    value: String,
}

/// Something that happened within a span.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SpanEvent")]
struct EventAnswer {
    at: Option<Moment>,
    name: String,
    attributes: Vec<PairAnswer>,
}

/// A span that another follows from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SpanLink")]
struct LinkAnswer {
    trace_id: String,
    span_id: String,
}

fn moment(nanos: u64) -> Option<Moment> {
    Timestamp::of_nanos(nanos).map(Moment)
}

fn pairs(attributes: &[Attribute]) -> Vec<PairAnswer> {
    let pair = |Attribute { key, value }: &Attribute| PairAnswer {
        key: key.clone(),
        value: mask::header(key, &value.to_string(), &mut Masked::default()),
    };
    attributes.iter().map(pair).collect()
}

impl FoundAnswer {
    fn of(found: Found) -> Self {
        let Found { rows, searched, of, next, is_cut_short } = found;
        Self { searched, of, is_cut_short, next, rows: rows.into_iter().map(RowAnswer::of).collect() }
    }
}

impl RowAnswer {
    fn of(row: Row) -> Self {
        Self {
            trace_id: row.id.to_string(),
            name: row.name,
            service: row.service,
            started: moment(row.start),
            duration_seconds: seconds(row.duration),
            spans: row.spans,
            errors: row.errors,
            services: row.services,
            is_headless: row.is_headless,
        }
    }
}

impl SpanAnswer {
    fn of(span: &Span) -> Self {
        Self {
            span_id: span.id.to_string(),
            parent_span_id: span.parent.map(|parent| parent.to_string()),
            name: span.name.clone(),
            kind: match span.kind {
                SpanKind::Unspecified => KindAnswer::Unspecified,
                SpanKind::Internal => KindAnswer::Internal,
                SpanKind::Server => KindAnswer::Server,
                SpanKind::Client => KindAnswer::Client,
                SpanKind::Producer => KindAnswer::Producer,
                SpanKind::Consumer => KindAnswer::Consumer,
            },
            service: span.origin.service.clone(),
            started: moment(span.start),
            start_unix_nanos: span.start.to_string(),
            duration_seconds: seconds(span.duration()),
            status: match span.status {
                SpanStatus::Unset => StatusAnswer::Unset,
                SpanStatus::Ok => StatusAnswer::Ok,
                SpanStatus::Error => StatusAnswer::Error,
            },
            message: span.message.clone(),
            attributes: pairs(&span.attributes),
            events: span.events.iter().map(EventAnswer::of).collect(),
            links: span.links.iter().map(LinkAnswer::of).collect(),
        }
    }
}

impl LogAnswer {
    fn of(log: &Log) -> Self {
        Self {
            at: moment(log.at),
            at_unix_nanos: log.at.to_string(),
            level: match log.level {
                LogLevel::Unspecified => LevelAnswer::Unspecified,
                LogLevel::Trace => LevelAnswer::Trace,
                LogLevel::Debug => LevelAnswer::Debug,
                LogLevel::Info => LevelAnswer::Info,
                LogLevel::Warn => LevelAnswer::Warn,
                LogLevel::Error => LevelAnswer::Error,
                LogLevel::Fatal => LevelAnswer::Fatal,
            },
            service: log.origin.service.clone(),
            span_id: log.span.map(|span| span.to_string()),
            event: log.event.clone(),
            body: log.body.to_string(),
            attributes: pairs(&log.attributes),
        }
    }
}

impl EventAnswer {
    fn of(event: &Event) -> Self {
        Self { at: moment(event.at), name: event.name.clone(), attributes: pairs(&event.attributes) }
    }
}

impl LinkAnswer {
    fn of(link: &Link) -> Self {
        Self { trace_id: link.trace.to_string(), span_id: link.span.to_string() }
    }
}
