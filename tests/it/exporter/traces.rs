//! What is exposed of the traces that are taken.

use std::sync::Arc;

use streamgauge::{
    clock::Clock,
    exporter,
    traces::{Counts, Events, Forwarded, Intake, LogCounts, Passed, Receiver, Refused, Stock, Taking, Traces},
    web,
};
use tokio::sync::watch;

use super::{MANY, sources, value};
use crate::{
    pages::facts::{now, snapshot},
    support::page::Page,
};

fn intake(forwarded: Option<Forwarded>) -> Intake {
    let counts = Counts { taken: 70, malformed: 1, late: 2, too_large: 3, evicted_traces: 4, evicted_spans: 40 };
    Intake {
        stock: Stock {
            traces: 3,
            spans: 30,
            bytes: 9_000,
            bound: 10_000,
            oldest: None,
            counts,
            logs: 11,
            log_bytes: 120,
            log_counts: LogCounts { taken: 13, malformed: 14, untraced: 15, late: 16, too_large: 17, evicted: 18 },
        },
        refused: Refused { malformed: 5, too_large: 6, busy: 7 },
        events: Events { taken: 11, malformed: 12 },
        forwarded,
    }
}

/// Every series that there can be.
pub(super) fn whole() -> String {
    let spans = Passed { taken: 8, no_room: 9, not_taken: 10, rejected: 12, waiting_bytes: 1_024, ..Passed::default() };
    let logs = Passed { taken: 20, no_room: 21, not_taken: 22, rejected: 23, unwanted: 24, ..spans.clone() };
    let forwarded = Forwarded { spans, logs };
    exporter::exposition_of_traces(&intake(Some(forwarded)))
}

#[test]
fn traces_are_told_of_by_what_became_of_them() {
    let intake = intake(None);
    let text = exporter::exposition_of_traces(&intake);
    for (name, expected) in [
        ("streamgauge_trace_spans_taken_total", 70.0),
        ("streamgauge_trace_spans_rejected_total{reason=\"late\"}", 2.0),
        ("streamgauge_trace_requests_refused_total{reason=\"busy\"}", 7.0),
        ("streamgauge_traces_evicted_total", 4.0),
        ("streamgauge_trace_spans_evicted_total", 40.0),
        ("streamgauge_trace_events_total{outcome=\"taken\"}", 11.0),
        ("streamgauge_traces", 3.0),
        ("streamgauge_trace_bytes", 9_000.0),
        ("streamgauge_trace_bytes_limit", 10_000.0),
        ("streamgauge_trace_logs_taken_total", 13.0),
        ("streamgauge_trace_logs_rejected_total{reason=\"untraced\"}", 15.0),
        ("streamgauge_trace_logs_evicted_total", 18.0),
        ("streamgauge_trace_logs", 11.0),
        ("streamgauge_trace_log_bytes", 120.0),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
    assert!(!text.contains("forward"), "what is not to go on is absent: {text}");
    let whole = whole();
    assert_eq!(value(&whole, "streamgauge_trace_spans_forwarded_total"), 8.0);
    assert_eq!(value(&whole, "streamgauge_trace_spans_forward_dropped_total{reason=\"no_room\"}"), 9.0);
    assert_eq!(value(&whole, "streamgauge_trace_spans_forward_dropped_total{reason=\"rejected\"}"), 12.0);
    assert_eq!(value(&whole, "streamgauge_trace_logs_forwarded_total"), 20.0);
    for (reason, expected) in [("no_room", 21.0), ("not_taken", 22.0), ("rejected", 23.0), ("unwanted", 24.0)] {
        let name = format!("streamgauge_trace_logs_forward_dropped_total{{reason=\"{reason}\"}}");
        assert_eq!(value(&whole, &name), expected, "{name}");
    }
    assert_eq!(value(&whole, "streamgauge_trace_forward_waiting_bytes"), 2_048.0);
}

#[tokio::test]
async fn an_observer_that_takes_traces_tells_of_them() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let taking = Taking::At(["127.0.0.1:4318".parse().unwrap()].into());
    let traces = Traces { receiver: Receiver::default(), taking };
    let router = web::metrics::router(sources(snapshots, traces), Clock::standing_at(now()), MANY, Default::default());
    assert_eq!(value(&Page::of(&router, "/metrics").await.html, "streamgauge_traces"), 0.0);
}
