//! Series of durable consumers, those with the greatest lag first, as many as may be.

use std::cmp::Reverse;

use super::{
    streams,
    text::{Text, Value, labels},
};
use crate::{
    clock::Timestamp,
    snapshot::{Ages, Consumer, ConsumerState, Label, Oldest, Snapshot, Stream},
    telemetry::metrics::{Family, Kind},
};

/// The labels that other exporters give to a consumer.
const KNOWN: &[&str] = &[
    "account",
    "server_name",
    "stream_name",
    "stream_leader",
    "consumer_name",
    "consumer_leader",
    "is_consumer_leader",
];

/// What names a consumer.
const KEY: &[&str] = &["account", "stream_name", "consumer_name"];

/// A family and how its value is read; `None` where it is not known or there is none.
struct Column {
    family: Family,
    value: fn(&Consumer, Timestamp) -> Option<Value>,
}

const fn known(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: KNOWN, help }
}

const fn ours(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: KEY, help }
}

const COLUMNS: &[Column] = &[
    Column {
        family: known("nats_consumer_num_pending", "Messages not yet delivered, by the word of the consumer's leader."),
        value: |consumer, _| count(consumer, |state| state.pending),
    },
    Column {
        family: known("nats_consumer_num_ack_pending", "Messages delivered and not yet acked."),
        value: |consumer, _| count(consumer, |state| state.ack_pending),
    },
    Column {
        family: known("nats_consumer_num_redelivered", "Messages that are being delivered again now."),
        value: |consumer, _| count(consumer, |state| state.redelivered),
    },
    Column {
        family: known("nats_consumer_num_waiting", "Pull requests that wait for messages."),
        value: |consumer, _| count(consumer, |state| state.waiting),
    },
    Column {
        family: known("nats_consumer_delivered_consumer_seq", "Deliveries ever made."),
        value: |consumer, _| count(consumer, |state| state.delivered),
    },
    Column {
        family: known(
            "nats_consumer_delivered_stream_seq",
            "The last message delivered, by its sequence in the stream.",
        ),
        value: |consumer, _| count(consumer, |state| state.delivered_stream_sequence),
    },
    Column {
        family: known("nats_consumer_ack_floor_consumer_seq", "Deliveries up to which all is acked."),
        value: |consumer, _| count(consumer, |state| state.ack_floor),
    },
    Column {
        family: known(
            "nats_consumer_ack_floor_stream_seq",
            "The message up to which all is acked, by its sequence in the stream.",
        ),
        value: |consumer, _| count(consumer, |state| state.ack_floor_stream_sequence),
    },
    Column {
        family: ours(
            "streamgauge_consumer_lag",
            "Messages not processed: not yet delivered, or delivered and not yet acked.",
        ),
        value: |consumer, _| count(consumer, ConsumerState::lag),
    },
    Column {
        family: ours(
            "streamgauge_consumer_lag_age_seconds",
            "Age of the oldest message that the consumer has not processed; 0 where there is none.",
        ),
        value: |consumer, now| age(consumer, |ages| ages.unprocessed, now),
    },
    Column {
        family: ours(
            "streamgauge_consumer_undelivered_age_seconds",
            "Age of the oldest message that the consumer was not delivered; 0 where there is none.",
        ),
        value: |consumer, now| age(consumer, |ages| ages.undelivered, now),
    },
    Column {
        family: ours(
            "streamgauge_consumer_eta_seconds",
            "When nothing will be pending at the pace of the last round; 0 where nothing is, absent where pending does not shrink.",
        ),
        value: |consumer, _| consumer.eta().map(|left| left.as_secs_f64().into()),
    },
    Column {
        family: ours(
            "streamgauge_consumer_max_ack_pending",
            "Messages that may be in flight at once; absent where there is no such limit.",
        ),
        value: |consumer, _| consumer.config.ack_pending_limit().map(Value::from),
    },
    Column {
        family: ours("streamgauge_consumer_paused", "1 while somebody paused the consumer, else 0."),
        value: |consumer, _| Some(consumer.state.fresh()?.is_paused.into()),
    },
    Column {
        family: ours(
            "streamgauge_consumer_exhausted_messages",
            "Messages given up after as many deliveries as the consumer allows, as far as advisories tell.",
        ),
        value: |consumer, _| Some(consumer.failures.fresh()?.exhausted.into()),
    },
    Column {
        family: ours(
            "streamgauge_consumer_terminated_messages",
            "Messages that workers of the consumer terminated, as far as advisories tell.",
        ),
        value: |consumer, _| Some(consumer.failures.fresh()?.terminated.into()),
    },
    Column {
        family: ours(
            "streamgauge_consumer_removed_messages",
            "Messages that the stream removed in the last rounds while they were in flight, as far as advisories tell.",
        ),
        value: |consumer, _| Some(consumer.failures.fresh()?.removed.into()),
    },
    Column {
        family: ours(
            "streamgauge_consumer_dead_letters",
            "Copies of messages that workers of the consumer gave up, which wait for somebody to look at them; absent where they could not be counted.",
        ),
        value: |consumer, _| consumer.failures.fresh()?.copies.map(Value::from),
    },
    Column {
        family: ours("streamgauge_consumer_verdict_age_seconds", "How long the consumer has had its verdict."),
        value: |consumer, now| Some(consumer.verdict.since.age(now).0.as_secs_f64().into()),
    },
];

const VERDICT: Family = Family {
    name: "streamgauge_consumer_verdict",
    kind: Kind::Gauge,
    labels: &["account", "stream_name", "consumer_name", "label"],
    help: "1 for the label of the consumer's verdict, 0 for all others.",
};
const CONSUMERS: Family = Family {
    name: "streamgauge_consumers",
    kind: Kind::Gauge,
    labels: &["label"],
    help: "Consumers by the label of their verdict: all of them, also those without series of their own.",
};
const LIMIT: Family = Family {
    name: "streamgauge_exporter_consumers_max",
    kind: Kind::Gauge,
    labels: &[],
    help: "Durable consumers that may have series of their own; those with the greatest lag do.",
};
const LEFT_OUT: Family = Family {
    name: "streamgauge_exporter_consumers_left_out",
    kind: Kind::Gauge,
    labels: &[],
    help: "Durable consumers without series of their own, because there are more than may have them.",
};

pub(super) fn families() -> Vec<Family> {
    let columns = COLUMNS.iter().map(|column| column.family);
    columns.chain([VERDICT, CONSUMERS, LIMIT, LEFT_OUT]).collect()
}

/// How many parts the families of consumers are written in: one for each column, and one for each label of a verdict.
pub(super) const PARTS: usize = COLUMNS.len() + Label::ALL.len();

/// How many consumers may have series, and how many have none therefore.
pub(super) fn write_bounds(text: &mut Text, most: usize, left_out: usize) {
    text.single(&LIMIT, Some(most.into()));
    text.single(&LEFT_OUT, Some(left_out.into()));
}

/// The durable consumers that have series, those with the greatest lag first, and how many have none. Of equal lag, the worse verdict
/// comes first.
pub(super) struct Rows {
    rows: Vec<Row>,
    pub(super) left_out: usize,
}

/// Where a consumer stands in the snapshot, and its labels.
struct Row {
    stream: usize,
    consumer: usize,
    known: String,
    key: String,
}

impl Row {
    fn labels(&self, family: &Family) -> &str {
        if family.labels == KNOWN { &self.known } else { &self.key }
    }
}

impl Rows {
    pub(super) fn of(snapshot: &Snapshot, most: usize) -> Self {
        let mut durable: Vec<(usize, usize, &Consumer)> = places(snapshot).collect();
        let lag = |consumer: &Consumer| consumer.state.value().map_or(0, ConsumerState::lag);
        durable.sort_by_cached_key(|(_, _, consumer)| (Reverse(lag(consumer)), Reverse(consumer.verdict.severity)));
        let left_out = durable.len().saturating_sub(most);
        durable.truncate(most);
        let rows = durable.into_iter().map(|(stream, number, consumer)| {
            let (known, key) = both_labels(consumer, &snapshot.known_streams()[stream]);
            Row { stream, consumer: number, known, key }
        });
        Self { rows: rows.collect(), left_out }
    }

    /// One of the parts. `snapshot` is that of which these are the rows.
    pub(super) fn write(&self, part: usize, text: &mut Text, snapshot: &Snapshot, now: Timestamp) {
        match COLUMNS.get(part) {
            Some(column) => self.column(column, text, snapshot, now),
            None => self.verdict(Label::ALL[part - COLUMNS.len()], text, snapshot),
        }
    }

    fn column(&self, Column { family, value }: &Column, text: &mut Text, snapshot: &Snapshot, now: Timestamp) {
        text.family(
            family,
            self.of_snapshot(snapshot).filter_map(|(row, it)| Some((row.labels(family), value(it, now)?))),
        );
    }

    /// The series of the verdicts' family for one label.
    fn verdict(&self, label: Label, text: &mut Text, snapshot: &Snapshot) {
        let more = format!(",label=\"{}\"", label.token());
        let is = |consumer: &Consumer| Value::from(consumer.verdict.label == label);
        let series = self.of_snapshot(snapshot).map(|(row, consumer)| (row.key.as_str(), more.as_str(), is(consumer)));
        match label {
            label if label == Label::ALL[0] => text.family_in_parts(&VERDICT, series),
            _ => text.more_of_family(&VERDICT, series),
        }
    }

    fn of_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a Row, &'a Consumer)> {
        let streams = snapshot.known_streams();
        self.rows.iter().filter_map(|row| Some((row, streams[row.stream].consumers.value()?.rows.get(row.consumer)?)))
    }
}

/// The families that tell of all consumers together.
pub(super) fn write_sums(text: &mut Text, snapshot: &Snapshot) {
    if snapshot.round > 0 {
        text.family(&CONSUMERS, by_label(snapshot).into_iter());
    }
}

/// The durable consumers, and where they stand.
fn places(snapshot: &Snapshot) -> impl Iterator<Item = (usize, usize, &Consumer)> {
    snapshot.known_streams().iter().enumerate().flat_map(|(stream, of)| {
        let consumers = of.consumers.value().map_or(&[][..], |list| &list.rows);
        let durable = consumers.iter().enumerate().filter(|(_, consumer)| consumer.config.is_durable());
        durable.map(move |(number, consumer)| (stream, number, consumer))
    })
}

/// The labels that other exporters give to a consumer, and what names it.
fn both_labels(consumer: &Consumer, of: &Stream) -> (String, String) {
    let (account, stream, name) = (consumer.account.as_ref(), consumer.stream.as_str(), consumer.name.as_str());
    let server = consumer.state.fact().map_or("", |fact| fact.source.as_ref());
    let stream_server = of.state.fact().map_or("", |fact| fact.source.as_ref());
    let known = labels(&[
        ("account", account),
        ("server_name", server),
        ("stream_name", stream),
        ("stream_leader", streams::leader(of).unwrap_or(stream_server)),
        ("consumer_name", name),
        ("consumer_leader", leader(consumer).unwrap_or(server)),
        ("is_consumer_leader", "true"),
    ]);
    (known, labels(&[("account", account), ("stream_name", stream), ("consumer_name", name)]))
}

/// The server that leads the consumer; `None` without a cluster.
fn leader(consumer: &Consumer) -> Option<&str> {
    consumer.state.value()?.cluster.as_ref()?.leader.as_deref()
}

fn by_label(snapshot: &Snapshot) -> Vec<(String, Value)> {
    let mut counts = [0_usize; Label::ALL.len()];
    for consumer in snapshot.known_consumers() {
        counts[consumer.verdict.label as usize] += 1;
    }
    Label::ALL.into_iter().map(|label| (labels(&[("label", label.token())]), counts[label as usize].into())).collect()
}

fn count(consumer: &Consumer, of: fn(&ConsumerState) -> u64) -> Option<Value> {
    consumer.state.fresh().map(|state| of(state).into())
}

fn age(consumer: &Consumer, of: fn(&Ages) -> Option<Oldest>, now: Timestamp) -> Option<Value> {
    let oldest = of(consumer.ages.fresh()?);
    Some(oldest.map_or(0.0, |oldest| oldest.stored.age(now).0.as_secs_f64()).into())
}
