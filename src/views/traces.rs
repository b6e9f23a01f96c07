//! The page of traces: what is looked for, what was found, and how much was looked at.

use std::cmp::Reverse;

use askama::Template;

use super::{
    Look, Page, Traced,
    follow::Follow,
    format,
    pieces::{Gap, Level, Moment, Sign},
    traced::{Listed, SPANS_COME_WITHIN},
    waterfall,
};
use crate::{
    clock::Timestamp,
    traces::{Forwarded, Intake, Passed, Query, Refused, Row, Taking, Wanted, query},
};

/// Services of a trace that are named in its row.
const SERVICES_NAMED: usize = 4;

#[derive(Template)]
#[template(path = "pages/traces.html")]
pub(super) struct TracesPage {
    action: String,
    journey: String,
    query: Query,
    least: String,
    attribute: String,
    services: Vec<Entry>,
    statuses: Vec<Entry>,
    is_fine: bool,
    gap: Option<Gap>,
    rows: Vec<TraceRow>,
    /// How many were looked at, of how many.
    searched: String,
    next: Option<String>,
    /// What is kept, and what was not.
    stock: Vec<String>,
    /// Why they do not go on, or their logs.
    troubles: Vec<String>,
    place: String,
}

/// An entry of a choice.
struct Entry {
    value: String,
    text: String,
    is_chosen: bool,
}

struct TraceRow {
    id: String,
    href: String,
    name: String,
    service: String,
    began: Option<Moment>,
    took: String,
    spans: String,
    sign: Option<Sign>,
    services: String,
}

impl TracesPage {
    pub(super) fn of(query: &Query, traced: &Traced, look: &Look<'_>) -> Self {
        let (listed, taking) = match traced {
            Traced::Found(listed) => (Some(listed.as_ref()), &listed.taking),
            _ => (None, &Taking::Off),
        };
        let mut rows: Vec<&Row> = listed.iter().flat_map(|listed| &listed.found.rows).collect();
        // They are found in the order in which their first spans came, which is rarely that of what began.
        rows.sort_by_key(|row| Reverse(row.start));
        let rows: Vec<TraceRow> = rows.into_iter().map(|row| TraceRow::of(row, look)).collect();
        let names = listed.map(|listed| listed.services.clone()).unwrap_or_default();
        Self {
            action: look.link(&Page::Traces(Query::default())),
            journey: look.link(&Page::Journey(Follow::of(id_in(query)))),
            least: query.least.map(query::in_words).unwrap_or_default(),
            attribute: query.attributes.first().map(|(key, value)| format!("{key}={value}")).unwrap_or_default(),
            services: services(names, &query.service),
            statuses: statuses(query.status),
            is_fine: is_fine(query),
            gap: listed.filter(|_| rows.is_empty()).map(|listed| gap(query, listed)),
            rows,
            searched: listed.map(searched).unwrap_or_default(),
            next: listed
                .and_then(|listed| listed.found.next)
                .map(|next| look.link(&Page::Traces(query.before(Some(next))))),
            stock: listed.map(|listed| stock(&listed.intake, look)).unwrap_or_default(),
            troubles: listed.map(|listed| troubles(&listed.intake)).unwrap_or_default(),
            place: place(taking),
            query: query.clone(),
        }
    }
}

/// What is searched for, where it may be an id: then its journey is asked for at once. Names of spans are of several words.
fn id_in(query: &Query) -> &str {
    let id = [&query.message, &query.correlation, &query.text].into_iter().find(|text| !text.is_empty());
    id.filter(|id| !id.contains(char::is_whitespace)).map_or("", String::as_str)
}

/// Whether something is asked for that has its field among the finer ones.
fn is_fine(query: &Query) -> bool {
    let texts = [&query.subject, &query.stream, &query.consumer, &query.message, &query.correlation];
    texts.iter().any(|text| !text.is_empty()) || !query.attributes.is_empty()
}

fn services(mut names: Vec<String>, chosen: &str) -> Vec<Entry> {
    if !chosen.is_empty() && !names.iter().any(|name| name == chosen) {
        names.push(chosen.to_owned());
    }
    let all = Entry { value: String::new(), text: "all".to_owned(), is_chosen: chosen.is_empty() };
    let entry = |name: String| Entry { is_chosen: name == chosen, text: name.clone(), value: name };
    std::iter::once(all).chain(names.into_iter().map(entry)).collect()
}

fn statuses(chosen: Option<Wanted>) -> Vec<Entry> {
    let entry = |status: Option<Wanted>, text: &str| Entry {
        value: status.map(Wanted::token).unwrap_or_default().to_owned(),
        text: text.to_owned(),
        is_chosen: chosen == status,
    };
    vec![entry(None, "any"), entry(Some(Wanted::Error), "failed"), entry(Some(Wanted::NoError), "did not fail")]
}

fn searched(listed: &Listed) -> String {
    let found = &listed.found;
    let (searched, of) = (format::count(found.searched as u64), format::counted(found.of, "trace"));
    let end = if found.is_cut_short { "; time was up" } else { "" };
    format!("Searched {searched} of {of}{end}")
}

fn gap(query: &Query, listed: &Listed) -> Gap {
    if listed.intake.stock.traces > 0 {
        let sentence = match (query.is_empty(), listed.found.is_cut_short) {
            (_, true) => "None of those that were looked at is like that: go on with the search, or ask for less.",
            (true, false) => "No trace is older than those before.",
            (false, false) => {
                "No trace is like that. Everything but the duration has to hold of one and the same span."
            }
        };
        return Gap::empty(sentence);
    }
    match &listed.taking {
        Taking::At(addresses) => Gap::empty(&format!(
            "No service has sent a trace yet. Start services with OTEL_EXPORTER_OTLP_ENDPOINT=http://{} and \
             OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or grpc.",
            addresses.first().map(ToString::to_string).unwrap_or_default()
        )),
        taking => Gap { sign: Sign::new(Level::Unknown, "not taken"), sentence: place(taking) },
    }
}

/// Where traces come in.
pub(super) fn place(taking: &Taking) -> String {
    match taking {
        Taking::Off => "Traces are not taken here: start the observer with --otlp and an address.".to_owned(),
        Taking::Busy(address) => format!(
            "Traces are not taken here: another program listens on {address}. Start the observer with --otlp and another address."
        ),
        Taking::At(_) => format!("Traces are taken at {taking} by OTLP, over HTTP and gRPC."),
    }
}

fn stock(intake: &Intake, look: &Look<'_>) -> Vec<String> {
    let Intake { stock, refused, events, forwarded } = intake;
    let count = format::counted_u64;
    let bytes = |bytes: usize| format::bytes(bytes as u64);
    let mut lines = vec![format!(
        "Kept: {} of {} in {} of {}",
        count(stock.traces as u64, "trace"),
        count(stock.spans as u64, "span"),
        bytes(stock.bytes),
        bytes(stock.bound)
    )];
    lines.extend(stock.oldest.map(|oldest| format!("the oldest came {}", format::ago(oldest, look.now))));
    let counts = &stock.counts;
    let Refused { malformed, too_large, busy } = refused;
    let Forwarded { spans, logs } = forwarded.clone().unwrap_or_default();
    for (number, one, what) in [
        (counts.evicted_traces, "older trace", "made room"),
        (counts.late, "span", "came after the trace had made room"),
        (counts.too_large, "span", "had too many bytes, or the trace had"),
        (counts.malformed, "span", "could not be read"),
        (malformed + too_large, "request", "could not be read, or had too many bytes"),
        (
            stock.logs as u64,
            "log entry",
            format::agree(stock.logs as u64, "is kept beside them", "are kept beside them"),
        ),
        (stock.log_counts.untraced, "log entry", "belonged to no trace and could not be kept"),
        (
            stock.log_counts.late + stock.log_counts.too_large + stock.log_counts.malformed,
            "log entry",
            "could not be kept",
        ),
        (*busy, "request", "came while too many did, and had to come again"),
        (events.taken, "event", "of brokers became spans"),
        (events.malformed, "event", "of brokers could not be read"),
        (spans.taken, "span", "went on"),
        (spans.no_room, "span", "found no room to go on"),
        (spans.not_taken + spans.rejected, "span", "did not go on: not taken there"),
        (logs.taken, "log entry", "went on"),
        (logs.no_room, "log entry", "found no room to go on"),
        (logs.not_taken + logs.rejected, "log entry", "did not go on: not taken there"),
        (logs.unwanted, "log entry", "did not go on: no logs are taken there"),
    ] {
        if number > 0 {
            lines.push(format!("{} {what}", count(number, one)));
        }
    }
    lines
}

/// Why traces do not go on to where they should, and why logs do not.
fn troubles(intake: &Intake) -> Vec<String> {
    let Some(Forwarded { spans, logs }) = &intake.forwarded else { return Vec::new() };
    let trouble = |what: &str, passed: &Passed| {
        let why = passed.trouble.as_ref()?;
        Some(format!("{what} do not go on to {}: {why}.", passed.to))
    };
    [trouble("Traces", spans), trouble("Logs", logs)].into_iter().flatten().collect()
}

impl TraceRow {
    fn of(row: &Row, look: &Look<'_>) -> Self {
        let mut services: Vec<&str> = row.services.iter().filter(|name| !name.is_empty()).map(String::as_str).collect();
        let more = services.len().saturating_sub(SERVICES_NAMED);
        services.truncate(SERVICES_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let sign = match row.errors {
            0 if row.is_headless && is_young(row, look) => Some(Sign::new(Level::Busy, "still coming")),
            0 if row.is_headless => Some(Sign::new(Level::Unknown, "beginning missing")),
            0 => None,
            errors => Some(Sign::new(Level::Critical, format!("{} failed", format::count(errors.into())))),
        };
        Self {
            id: row.id.to_string(),
            href: look.link(&Page::Trace(row.id, None)),
            name: format::cut_at(&row.name, waterfall::NAME_MOST),
            service: format::service(&row.service).to_owned(),
            began: Timestamp::of_nanos(row.start).map(|at| Moment::ago(at, look)),
            took: waterfall::took(row.duration),
            spans: format::count(row.spans as u64),
            sign,
            services: if row.services.is_empty() {
                "a broker alone".to_owned()
            } else {
                format!("{}{more}", services.join(", "))
            },
        }
    }
}

/// Whether more of a trace may well come.
fn is_young(row: &Row, look: &Look<'_>) -> bool {
    Timestamp::of_nanos(row.start.saturating_add(row.duration))
        .is_some_and(|ended| ended.age(look.now).0 < SPANS_COME_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::Receiver;

    #[test]
    fn what_does_not_go_on_is_told_of_traces_and_of_logs() {
        let passed = |to: &str, trouble: Option<&str>| Passed {
            to: format!("http://far/v1/{to}"),
            trouble: trouble.map(str::to_owned),
            ..Passed::default()
        };
        let told = |spans, logs| {
            let forwarded = Some(Forwarded { spans: passed("traces", spans), logs: passed("logs", logs) });
            troubles(&Intake { forwarded, ..Receiver::default().intake() })
        };
        assert_eq!(told(None, None), Vec::<String>::new());
        assert_eq!(
            told(Some("it answers 503"), None),
            ["Traces do not go on to http://far/v1/traces: it answers 503."]
        );
        assert_eq!(told(None, Some("it answers 401")), ["Logs do not go on to http://far/v1/logs: it answers 401."]);
        assert_eq!(troubles(&Receiver::default().intake()), Vec::<String>::new());
    }
}
