//! Series of the traces that are taken, and of their logs: what came, what was not kept and why, what is kept, and what went on.

use super::text::{Text, Value, labels};
use crate::{
    telemetry::metrics::{Family, Kind},
    traces::{Forwarded, Intake, Stock},
};

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: &[], help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels, help }
}

const TAKEN: Family = counter("streamgauge_trace_spans_taken_total", &[], "Spans that came and were kept.");
const REJECTED: Family = counter(
    "streamgauge_trace_spans_rejected_total",
    &["reason"],
    "Spans that came and were not kept: malformed, late for a trace that had made room, or too_large, they or their trace.",
);
const REFUSED: Family = counter(
    "streamgauge_trace_requests_refused_total",
    &["reason"],
    "Requests with spans that were refused as a whole: malformed, too_large, or busy, where too many came at once.",
);
const EVICTED: Family =
    counter("streamgauge_traces_evicted_total", &[], "Traces that were let go, the oldest, to make room for new ones.");
const EVICTED_SPANS: Family = counter("streamgauge_trace_spans_evicted_total", &[], "Their spans.");
const TRACES: Family = gauge("streamgauge_traces", "Traces that are kept.");
const SPANS: Family = gauge("streamgauge_trace_spans", "Their spans.");
const BYTES: Family = gauge("streamgauge_trace_bytes", "What they take in memory.");
const LIMIT: Family = gauge("streamgauge_trace_bytes_limit", "What they may take (--trace-memory).");
const LOGS_TAKEN: Family =
    counter("streamgauge_trace_logs_taken_total", &[], "Log entries of traces that came by OTLP and were kept.");
const LOGS_REJECTED: Family = counter(
    "streamgauge_trace_logs_rejected_total",
    &["reason"],
    "Log entries that came and were not kept: malformed, untraced, late for a trace that had made room, or too_large, they or the logs of their trace.",
);
const LOGS_EVICTED: Family = counter(
    "streamgauge_trace_logs_evicted_total",
    &[],
    "Log entries that were let go, with their trace or to make room for new ones.",
);
const LOGS: Family = gauge("streamgauge_trace_logs", "Log entries that are kept.");
const LOG_BYTES: Family = gauge(
    "streamgauge_trace_log_bytes",
    "What they take of streamgauge_trace_bytes, an eighth of its limit at the most.",
);
const EVENTS: Family = counter(
    "streamgauge_trace_events_total",
    &["outcome"],
    "Events that brokers told of messages on their way (--trace-events): taken as spans, or malformed.",
);
const FORWARDED: Family = counter(
    "streamgauge_trace_spans_forwarded_total",
    &[],
    "Spans that went on to --otlp-forward and were taken there; absent without it.",
);
const DROPPED: Family = counter(
    "streamgauge_trace_spans_forward_dropped_total",
    &["reason"],
    "Spans that should have gone on and were dropped: no_room, where too many waited, not_taken there, or rejected there of a request that was taken; absent without --otlp-forward.",
);
const LOGS_FORWARDED: Family = counter(
    "streamgauge_trace_logs_forwarded_total",
    &[],
    "Log entries that went on to --otlp-forward and were taken there; absent without it.",
);
const LOGS_DROPPED: Family = counter(
    "streamgauge_trace_logs_forward_dropped_total",
    &["reason"],
    "Log entries that should have gone on and were dropped: no_room, not_taken or rejected as spans are, or unwanted, where no logs at all are taken there; absent without --otlp-forward.",
);
const WAITING: Family = gauge(
    "streamgauge_trace_forward_waiting_bytes",
    "Bytes of requests that wait to go on or are on their way; absent without --otlp-forward.",
);

pub(super) fn families() -> Vec<Family> {
    let kept = [TAKEN, REJECTED, REFUSED, EVICTED, EVICTED_SPANS, TRACES, SPANS, BYTES, LIMIT, EVENTS];
    let logs = [LOGS_TAKEN, LOGS_REJECTED, LOGS_EVICTED, LOGS, LOG_BYTES];
    [&kept[..], &logs, &[FORWARDED, DROPPED, LOGS_FORWARDED, LOGS_DROPPED, WAITING]].concat()
}

pub(super) fn write(text: &mut Text, intake: &Intake) {
    let Intake { stock, refused, events, forwarded } = intake;
    let counts = &stock.counts;
    text.single(&TAKEN, Some(counts.taken.into()));
    let reasons = [("malformed", counts.malformed), ("late", counts.late), ("too_large", counts.too_large)];
    text.family(&REJECTED, by("reason", &reasons));
    let reasons = [("malformed", refused.malformed), ("too_large", refused.too_large), ("busy", refused.busy)];
    text.family(&REFUSED, by("reason", &reasons));
    text.single(&EVICTED, Some(counts.evicted_traces.into()));
    text.single(&EVICTED_SPANS, Some(counts.evicted_spans.into()));
    text.single(&TRACES, Some(stock.traces.into()));
    text.single(&SPANS, Some(stock.spans.into()));
    text.single(&BYTES, Some(stock.bytes.into()));
    text.single(&LIMIT, Some(stock.bound.into()));
    write_logs(text, stock);
    let outcomes = [("taken", events.taken), ("malformed", events.malformed)];
    text.family(&EVENTS, by("outcome", &outcomes));
    if let Some(forwarded) = forwarded {
        write_forwarded(text, forwarded);
    }
}

fn write_forwarded(text: &mut Text, Forwarded { spans, logs }: &Forwarded) {
    text.single(&FORWARDED, Some(spans.taken.into()));
    let reasons = [("no_room", spans.no_room), ("not_taken", spans.not_taken), ("rejected", spans.rejected)];
    text.family(&DROPPED, by("reason", &reasons));
    text.single(&LOGS_FORWARDED, Some(logs.taken.into()));
    let reasons = [
        ("no_room", logs.no_room),
        ("not_taken", logs.not_taken),
        ("rejected", logs.rejected),
        ("unwanted", logs.unwanted),
    ];
    text.family(&LOGS_DROPPED, by("reason", &reasons));
    text.single(&WAITING, Some((spans.waiting_bytes + logs.waiting_bytes).into()));
}

fn write_logs(text: &mut Text, stock: &Stock) {
    let counts = &stock.log_counts;
    text.single(&LOGS_TAKEN, Some(counts.taken.into()));
    let reasons = [
        ("malformed", counts.malformed),
        ("untraced", counts.untraced),
        ("late", counts.late),
        ("too_large", counts.too_large),
    ];
    text.family(&LOGS_REJECTED, by("reason", &reasons));
    text.single(&LOGS_EVICTED, Some(counts.evicted.into()));
    text.single(&LOGS, Some(stock.logs.into()));
    text.single(&LOG_BYTES, Some(stock.log_bytes.into()));
}

/// Counts, each under what the label says of it.
fn by(label: &str, counts: &[(&str, u64)]) -> impl Iterator<Item = (String, Value)> {
    counts.iter().map(move |(said, count)| (labels(&[(label, said)]), Value::from(*count)))
}
