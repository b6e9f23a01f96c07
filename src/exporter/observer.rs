//! Series of the observer's own work: its rounds, what it found, and what it has no fresh word of.

use std::collections::BTreeMap;

use super::text::{Text, Value, labels};
use crate::{
    clock::Timestamp,
    snapshot::{RoundStats, Severity, Snapshot},
    telemetry::metrics::{Family, Kind},
};

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

const FINDINGS: Family = gauge(
    "streamgauge_findings",
    &["severity"],
    "What was found of everything but the state of consumers, by severity.",
);
const CHECK_FINDINGS: Family = gauge(
    "streamgauge_check_findings",
    &["check", "severity"],
    "The same by check; a check that finds nothing is absent.",
);
const STALE: Family = gauge(
    "streamgauge_stale",
    &["kind"],
    "Streams and consumers that are known and of which the last round brought no word; they have no counts here.",
);
const DEAD_LETTERS: Family = gauge(
    "streamgauge_dead_letters_stored",
    &["account"],
    "Messages that workers gave up and whose copies are kept; absent where there is no stream of dead letters.",
);
const ROUNDS: Family = Family {
    name: "streamgauge_rounds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Rounds of looking at NATS that have ended.",
};
const ROUND_AGE: Family = gauge("streamgauge_round_age_seconds", &[], "How long ago the last round ended.");
const ROUND_INTERVAL: Family =
    gauge("streamgauge_round_interval_seconds", &[], "From the end of a round to the start of the next.");

/// A family of what the last round cost, and how its value is read; `None` where it is not known.
struct Cost {
    family: Family,
    value: fn(&RoundStats) -> Option<Value>,
}

const COSTS: &[Cost] = &[
    Cost {
        family: gauge(
            "streamgauge_round_duration_seconds",
            &[],
            "How long the last round took, from its first question to the verdicts.",
        ),
        value: |stats| Some(stats.duration.as_secs_f64().into()),
    },
    Cost {
        family: gauge(
            "streamgauge_round_waited_seconds",
            &[],
            "Of that, the time until the last answer came; the rest is the observer's own work.",
        ),
        value: |stats| Some(stats.waited.as_secs_f64().into()),
    },
    Cost {
        family: gauge("streamgauge_round_requests", &[], "Messages that the observer sent in the last round."),
        value: |stats| Some(stats.requests.into()),
    },
    Cost {
        family: gauge(
            "streamgauge_round_bytes",
            &[],
            "Bytes that came to the observer and went from it in the last round.",
        ),
        value: |stats| Some(stats.bytes.into()),
    },
    Cost {
        family: gauge(
            "streamgauge_round_servers_expected",
            &[],
            "Servers that there are; absent without a user of the system account.",
        ),
        value: |stats| stats.servers_expected.map(Value::from),
    },
    Cost {
        family: gauge(
            "streamgauge_round_servers_answered",
            &[],
            "Servers that told in the last round what they hold; absent without a user of the system account.",
        ),
        value: |stats| stats.servers_expected.map(|_| stats.servers_answered.into()),
    },
    Cost {
        family: gauge(
            "streamgauge_round_rows_dropped",
            &[],
            "Rows of streams and consumers that were told by servers that do not lead them, and were not taken; absent without a user of the system account.",
        ),
        value: |stats| stats.servers_expected.map(|_| stats.rows_dropped.into()),
    },
    Cost {
        family: gauge(
            "streamgauge_round_rows_missing",
            &[],
            "Streams and consumers of which no leader gave an account in the last round.",
        ),
        value: |stats| Some(stats.rows_missing.into()),
    },
    Cost {
        family: gauge(
            "streamgauge_round_configs_read",
            &[],
            "1 where the last round read anew how everything is set up, else 0; absent without a user of the system account, where every round does.",
        ),
        value: |stats| stats.servers_expected.map(|_| stats.has_read_configs.into()),
    },
];

pub(super) fn families() -> Vec<Family> {
    let own = [FINDINGS, CHECK_FINDINGS, STALE, DEAD_LETTERS, ROUNDS, ROUND_AGE, ROUND_INTERVAL];
    own.into_iter().chain(COSTS.iter().map(|cost| cost.family)).collect()
}

pub(super) fn write(text: &mut Text, snapshot: &Snapshot, now: Timestamp) {
    text.single(&ROUNDS, Some(snapshot.round.into()));
    text.single(&ROUND_INTERVAL, Some(snapshot.interval.as_secs_f64().into()));
    if snapshot.round == 0 {
        return;
    }
    text.single(&ROUND_AGE, Some(snapshot.taken.age(now).0.as_secs_f64().into()));
    for Cost { family, value } in COSTS {
        text.single(family, value(&snapshot.stats));
    }
    text.family(&FINDINGS, by_severity(snapshot).into_iter());
    text.family(&CHECK_FINDINGS, by_check(snapshot).into_iter());
    text.family(&STALE, stale(snapshot).into_iter());
    let letters = snapshot.watched().filter_map(|watched| Some((watched, watched.dead_letters.fresh()?)));
    let letters = letters.map(|(watched, letters)| (labels(&[("account", watched.name())]), letters.total.into()));
    text.family(&DEAD_LETTERS, letters);
}

fn by_severity(snapshot: &Snapshot) -> Vec<(String, Value)> {
    let count = |severity| snapshot.findings.iter().filter(|finding| finding.severity == severity).count();
    let severities = [Severity::Notice, Severity::Warning, Severity::Critical];
    severities.into_iter().map(|severity| (labels(&[("severity", severity.word())]), count(severity).into())).collect()
}

fn by_check(snapshot: &Snapshot) -> Vec<(String, Value)> {
    let mut counts = BTreeMap::<_, usize>::new();
    for finding in &snapshot.findings {
        *counts.entry((finding.check, finding.severity)).or_default() += 1;
    }
    let labels = |check, severity: Severity| labels(&[("check", check), ("severity", severity.word())]);
    counts.into_iter().map(|((check, severity), count)| (labels(check, severity), count.into())).collect()
}

fn stale(snapshot: &Snapshot) -> Vec<(String, Value)> {
    let streams = snapshot.known_streams().iter().filter(|stream| stream.state.fresh().is_none()).count();
    let consumers = snapshot.known_consumers().filter(|consumer| consumer.state.fresh().is_none()).count();
    let kinds = [("stream", streams), ("consumer", consumers)];
    kinds.into_iter().map(|(kind, count)| (labels(&[("kind", kind)]), count.into())).collect()
}
