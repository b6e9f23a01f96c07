//! What services wrote down while they worked on a trace, in the order of its times.

use std::collections::HashSet;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, Page, format,
    pieces::{Level, Sign},
    waterfall::took,
};
use crate::{
    clock::Timestamp,
    trace::{Log, LogLevel, SpanId, Trace, TraceId, TraceLogs},
};

/// Entries that are shown: those of one trace that are more are read with a tool for logs.
const ROWS_MOST: usize = 500;

/// Attributes of an entry that are shown, and letters of what it says and of each value.
const PAIRS_MOST: usize = 32;
const SAID_MOST: usize = 2_000;
const VALUE_MOST: usize = 200;

/// The logs of a trace.
#[derive(Template)]
#[template(path = "parts/logs.html")]
pub(super) struct LogsPanel {
    note: String,
    rows: Vec<LogRow>,
    notes: Vec<String>,
}

impl HtmlSafe for LogsPanel {}

struct LogRow {
    sign: Sign,
    said: String,
    event: String,
    pairs: Vec<(String, String)>,
    service: String,
    /// The span that it was written in, where that is kept.
    href: Option<String>,
    is_here: bool,
    at: Option<Timestamp>,
    when: String,
}

impl LogsPanel {
    pub(super) fn of(
        id: TraceId,
        trace: Option<&Trace>,
        chosen: Option<SpanId>,
        logs: &TraceLogs,
        look: &Look<'_>,
    ) -> Self {
        let start = trace.and_then(|trace| trace.spans.iter().map(|span| span.start).min());
        let kept: HashSet<SpanId> = match trace {
            Some(trace) if !logs.rows.is_empty() => trace.spans.iter().map(|span| span.id).collect(),
            _ => HashSet::new(),
        };
        let row = |log: &Log| LogRow {
            href: log.span.filter(|span| kept.contains(span)).map(|span| look.link(&Page::Trace(id, Some(span)))),
            is_here: log.span.is_some() && log.span == chosen,
            ..LogRow::of(log, start)
        };
        let more = logs.rows.len().saturating_sub(ROWS_MOST);
        let left_out = usize::try_from(logs.left_out).unwrap_or(usize::MAX);
        let told =
            |number: usize, what: &str| (number > 0).then(|| format!("{} {what}", format::counted(number, "entry")));
        let notes = [
            told(more, "more are not shown; the API answers them."),
            told(left_out, "more came and were not kept: they are too large, or the trace has too many."),
        ];
        Self {
            note: format!("{}, secrets left out", told(logs.rows.len(), "by OTLP").unwrap_or_default()),
            rows: logs.rows.iter().take(ROWS_MOST).map(row).collect(),
            notes: notes.into_iter().flatten().collect(),
        }
    }
}

impl LogRow {
    fn of(log: &Log, start: Option<u64>) -> Self {
        let at = Timestamp::of_nanos(log.at);
        let when = match start {
            Some(start) if log.at >= start => format!("after {}", took(log.at - start)),
            // Clocks of two machines differ.
            Some(start) => format!("{} before", took(start - log.at)),
            None => at.map_or_else(|| "?".to_owned(), |at| at.to_string()),
        };
        let said = format::cut_at(&log.body.to_string(), SAID_MOST);
        let pairs = log.attributes.iter().take(PAIRS_MOST);
        Self {
            sign: sign(log.level),
            said: if said.is_empty() && log.event.is_empty() { "it says nothing".to_owned() } else { said },
            event: format::cut(&log.event),
            pairs: pairs
                .map(|pair| (format::cut(&pair.key), format::cut_at(&pair.value.to_string(), VALUE_MOST)))
                .collect(),
            service: format::cut(&log.origin.service),
            href: None,
            is_here: false,
            at,
            when,
        }
    }
}

fn sign(level: LogLevel) -> Sign {
    let of = match level {
        LogLevel::Error | LogLevel::Fatal => Level::Critical,
        LogLevel::Warn => Level::Warning,
        LogLevel::Unspecified => Level::Unknown,
        LogLevel::Info | LogLevel::Debug | LogLevel::Trace => Level::Idle,
    };
    Sign::new(of, level.to_string())
}
