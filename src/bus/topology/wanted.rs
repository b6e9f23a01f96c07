//! What is declared, in the words of the JetStream API: only the fields that are declared, so that whoever updates leaves the others alone.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{BucketKind, BucketSpec, ConsumerSpec, StreamSpec, Topology, spec::DUPLICATE_WINDOW};
use crate::snapshot::{Discard, Storage};

/// What kind of thing is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A stream.
    Stream,
    /// A bucket of keys and values, or of objects.
    Bucket,
    /// A consumer.
    Consumer,
}

/// One thing as the API is told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    /// The name that people know it by.
    pub(super) name: String,
    /// The stream that it is, or that it reads.
    pub(super) stream: String,
    /// The fields that are declared.
    pub(super) config: Map<String, Value>,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stream => "stream",
            Self::Bucket => "bucket",
            Self::Consumer => "consumer",
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Stream | Kind::Bucket => write!(f, "{} {}", self.kind, self.name),
            Kind::Consumer => write!(f, "consumer {} of stream {}", self.name, self.stream),
        }
    }
}

/// Everything that a topology declares: streams before the consumers that read them.
pub(super) fn all(topology: &Topology) -> Vec<Wanted> {
    let streams = topology.streams.iter().map(stream);
    let buckets = topology.buckets.iter().map(bucket);
    streams.chain(buckets).chain(topology.consumers.iter().map(consumer)).collect()
}

fn stream(spec: &StreamSpec) -> Wanted {
    let config = json!({
        "name": spec.name,
        "subjects": spec.subjects,
        "retention": spec.retention,
        "storage": spec.storage,
        "discard": spec.discard,
        "max_age": nanoseconds(spec.max_age),
        "max_bytes": limit(spec.max_bytes),
        "max_msgs": limit(spec.max_messages),
        "duplicate_window": nanoseconds(Some(window(spec.duplicate_window, spec.max_age))),
        "num_replicas": spec.replicas,
        "allow_direct": spec.allow_direct,
        "allow_atomic": spec.allow_atomic,
        "allow_msg_schedules": spec.allow_msg_schedules,
        "metadata": { "owner": spec.owner },
    });
    Wanted { kind: Kind::Stream, name: spec.name.clone(), stream: spec.name.clone(), config: fields(config) }
}

/// A bucket is a stream of this shape. The client's own function for it cannot say what a full one does.
///
/// Convention: NATS ADR-8 (key-value) and ADR-20 (object store).
fn bucket(spec: &BucketSpec) -> Wanted {
    let stream = spec.stream();
    let is_of_keys = spec.kind == BucketKind::KeyValue;
    let discard = if is_of_keys && spec.ttl.is_some() { Discard::Old } else { Discard::New };
    let subjects = if is_of_keys {
        vec![format!("$KV.{}.>", spec.name)]
    } else {
        vec![format!("$O.{}.C.>", spec.name), format!("$O.{}.M.>", spec.name)]
    };
    let mut config = fields(json!({
        "name": stream,
        "description": format!("owned by {}", spec.owner),
        "subjects": subjects,
        "storage": Storage::File,
        "discard": discard,
        "max_age": nanoseconds(spec.ttl),
        "duplicate_window": nanoseconds(Some(window(DUPLICATE_WINDOW, spec.ttl))),
        "max_bytes": limit(spec.max_bytes),
        "num_replicas": spec.replicas,
        "allow_direct": true,
        "allow_rollup_hdrs": true,
        "metadata": { "owner": spec.owner },
    }));
    if is_of_keys {
        config.extend(fields(json!({ "max_msgs_per_subject": 1, "deny_delete": true })));
    }
    Wanted { kind: Kind::Bucket, name: spec.name.clone(), stream, config }
}

/// No `backoff`, and by default no `max_deliver`: retries are the worker's, and a message that the server gave up on would look processed.
fn consumer(spec: &ConsumerSpec) -> Wanted {
    let config = json!({
        "durable_name": spec.durable,
        "filter_subjects": spec.filters,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": nanoseconds(Some(spec.ack_wait)),
        "max_deliver": limit(spec.max_deliver),
        "max_ack_pending": limit(spec.max_ack_pending),
    });
    Wanted { kind: Kind::Consumer, name: spec.durable.clone(), stream: spec.stream.clone(), config: fields(config) }
}

/// An id is not known for longer than its message is kept; the server refuses a longer window.
fn window(duplicate_window: Duration, max_age: Option<Duration>) -> Duration {
    max_age.map_or(duplicate_window, |max_age| max_age.min(duplicate_window))
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The API counts in nanoseconds; 0 is without end.
fn nanoseconds(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// The API writes "no limit" as -1.
fn limit(value: Option<u64>) -> i64 {
    value.map_or(-1, |value| i64::try_from(value).unwrap_or(i64::MAX))
}
