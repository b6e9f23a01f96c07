//! Series of streams, and of the consumers on them that have no durable name, together.

use super::text::{Text, Value, labels};
use crate::{
    clock::Timestamp,
    snapshot::{Cluster, Snapshot, Stream, StreamState},
    telemetry::metrics::{Family, Kind},
};

/// The labels that other exporters give to a stream.
const KNOWN: &[&str] = &["account", "server_name", "stream_name", "stream_leader", "is_stream_leader"];

/// What names a stream.
const KEY: &[&str] = &["account", "stream_name"];

/// A family and how its value is read; `None` where it is not known or there is none.
struct Column {
    family: Family,
    value: fn(&Stream, &StreamState, Timestamp) -> Option<Value>,
}

const fn known(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: KNOWN, help }
}

const fn ours(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: KEY, help }
}

const COLUMNS: &[Column] = &[
    Column {
        family: known("nats_stream_total_messages", "Messages in the stream."),
        value: |_, state, _| Some(state.messages.into()),
    },
    Column {
        family: known("nats_stream_total_bytes", "Bytes in the stream."),
        value: |_, state, _| Some(state.bytes.into()),
    },
    Column {
        family: known("nats_stream_first_seq", "Sequence of the stream's oldest message."),
        value: |_, state, _| Some(state.first_sequence.into()),
    },
    Column {
        family: known("nats_stream_last_seq", "Sequence of the newest message that the stream ever stored."),
        value: |_, state, _| Some(state.last_sequence.into()),
    },
    Column {
        family: known("nats_stream_consumer_count", "Consumers on the stream."),
        value: |_, state, _| Some(state.consumers.into()),
    },
    Column {
        family: known("nats_stream_subject_count", "Different subjects among the stream's messages."),
        value: |_, state, _| Some(state.subjects.into()),
    },
    Column {
        family: ours(
            "streamgauge_stream_oldest_age_seconds",
            "Age of the stream's oldest message; absent where it holds none.",
        ),
        value: |_, state, now| state.first_stored.map(|stored| stored.age(now).0.as_secs_f64().into()),
    },
    Column {
        family: ours(
            "streamgauge_stream_max_bytes",
            "Bytes that the stream may hold; absent where it has no such limit.",
        ),
        value: |stream, _, _| stream.config.byte_limit().map(Value::from),
    },
    Column {
        family: ours(
            "streamgauge_stream_max_messages",
            "Messages that the stream may hold; absent where it has no such limit.",
        ),
        value: |stream, _, _| stream.config.message_limit().map(Value::from),
    },
    Column {
        family: ours(
            "streamgauge_stream_max_age_seconds",
            "How long the stream keeps a message; absent where it has no such limit.",
        ),
        value: |stream, _, _| stream.config.age_limit().map(|age| age.as_secs_f64().into()),
    },
    Column {
        family: ours(
            "streamgauge_stream_replicas_behind",
            "Replicas of the stream that are away or lack messages; absent without a cluster.",
        ),
        value: |_, state, _| state.cluster.as_ref().map(|cluster| behind(cluster).into()),
    },
    Column {
        family: ours(
            "streamgauge_stream_first_loss_seconds",
            "When the stream will remove the first message that one of its consumers has not processed, at the pace of the last round; absent where it will not.",
        ),
        value: |stream, _, now| first_loss(stream, now),
    },
    Column {
        family: ours("streamgauge_stream_ephemeral_consumers", "Consumers on the stream without a durable name."),
        value: |stream, _, _| ephemerals(stream, |_| 1),
    },
    Column {
        family: ours(
            "streamgauge_stream_ephemeral_pending",
            "Messages not yet delivered to the stream's consumers without a durable name, over all of these.",
        ),
        value: |stream, _, _| ephemerals(stream, |state| state.pending),
    },
    Column {
        family: ours(
            "streamgauge_stream_ephemeral_ack_pending",
            "Messages in flight to the stream's consumers without a durable name, over all of these.",
        ),
        value: |stream, _, _| ephemerals(stream, |state| state.ack_pending),
    },
];

pub(super) fn families() -> Vec<Family> {
    COLUMNS.iter().map(|column| column.family).collect()
}

/// How many parts the families of streams are written in: one for each column.
pub(super) const PARTS: usize = COLUMNS.len();

/// The streams that have series: those of which there is a fresh word.
pub(super) struct Rows(Vec<Row>);

impl Rows {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let streams = snapshot.known_streams().iter().enumerate();
        let fresh = streams.filter(|(_, stream)| stream.state.fresh().is_some());
        Self(fresh.map(|(number, stream)| Row::of(number, stream)).collect())
    }

    /// One of the parts. `snapshot` is that of which these are the rows.
    pub(super) fn write(&self, part: usize, text: &mut Text, snapshot: &Snapshot, now: Timestamp) {
        let Column { family, value } = &COLUMNS[part];
        let streams = snapshot.known_streams();
        let series = self.0.iter().filter_map(|row| {
            let stream = &streams[row.stream];
            Some((row.labels(family), value(stream, stream.state.fresh()?, now)?))
        });
        text.family(family, series);
    }
}

/// Where a stream stands in the snapshot, and its labels.
struct Row {
    stream: usize,
    known: String,
    key: String,
}

impl Row {
    fn of(number: usize, stream: &Stream) -> Self {
        let (account, name) = (stream.account.as_ref(), stream.name.as_str());
        let server = stream.state.fact().map_or("", |fact| fact.source.as_ref());
        let leader = leader(stream).unwrap_or(server);
        let known = labels(&[
            ("account", account),
            ("server_name", server),
            ("stream_name", name),
            ("stream_leader", leader),
            ("is_stream_leader", "true"),
        ]);
        Self { stream: number, known, key: labels(&[("account", account), ("stream_name", name)]) }
    }

    fn labels(&self, family: &Family) -> &str {
        if family.labels == KNOWN { &self.known } else { &self.key }
    }
}

/// The server that leads the stream; `None` without a cluster.
pub(super) fn leader(stream: &Stream) -> Option<&str> {
    stream.state.value()?.cluster.as_ref()?.leader.as_deref()
}

fn behind(cluster: &Cluster) -> usize {
    cluster.replicas.iter().filter(|replica| replica.is_late()).count()
}

fn first_loss(stream: &Stream, now: Timestamp) -> Option<Value> {
    let consumers = &stream.consumers.fresh()?.rows;
    let when = consumers.iter().filter_map(|consumer| Some(stream.forecast(consumer, now)?.when)).min()?;
    Some(now.age(when).0.as_secs_f64().into())
}

/// A sum over the consumers without a durable name; known only where each of its parts is.
fn ephemerals(stream: &Stream, of: fn(&crate::snapshot::ConsumerState) -> u64) -> Option<Value> {
    let list = stream.consumers.fresh().filter(|list| list.missing.is_empty())?;
    let rows = list.rows.iter().filter(|consumer| !consumer.config.is_durable());
    let sum = rows
        .map(|consumer| consumer.state.fresh().map(of))
        .try_fold(0_u64, |sum, part| Some(sum.saturating_add(part?)));
    sum.map(Value::from)
}
