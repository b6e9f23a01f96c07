//! What is declared: a stream, a consumer, a bucket, a message, each with its owner.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    bus::{Payload, codec},
    message::Schema,
    snapshot::{Discard, Retention, Storage},
};

/// Messages that all workers of a consumer may hold together unless told otherwise; far above any sum of credits, so that the workers' own
/// bounds decide.
pub const MAX_ACK_PENDING: u64 = 10_000;

/// The server's own default.
pub(super) const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// That of a worker unless told otherwise.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// A stream and who owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// The service that owns it.
    pub owner: String,
    /// The subjects that it takes.
    pub subjects: Vec<String>,
    /// When it lets messages go.
    #[serde(default)]
    pub retention: Retention,
    /// Where it keeps them.
    #[serde(default)]
    pub storage: Storage,
    /// What it does when it is full.
    #[serde(default)]
    pub discard: Discard,
    /// How long it keeps a message; `None` keeps it until a limit removes it.
    #[serde(default, rename = "max_age_seconds", with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// How many bytes it keeps; `None` is as many as there is room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// How many messages it keeps; `None` is as many as there is room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_messages: Option<u64>,
    /// For how long it knows a message id again, `max_age` at the most.
    #[serde(default = "duplicate_window", rename = "duplicate_window_seconds", with = "seconds")]
    pub duplicate_window: Duration,
    /// How many servers hold a copy.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Whether any replica may be asked for single messages.
    #[serde(default = "yes")]
    pub allow_direct: bool,
    /// Whether it takes several messages as one, all or none (server 2.12).
    #[serde(default)]
    pub allow_atomic: bool,
    /// Whether it takes messages that are to appear later (server 2.12). It cannot be taken back.
    #[serde(default)]
    pub allow_msg_schedules: bool,
    /// What is published on it.
    #[serde(default)]
    pub messages: Vec<MessageSpec>,
}

/// A kind of message on a stream, and who publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSpec {
    /// What it is, such as `OrderPlaced`.
    pub kind: String,
    /// The version of its payload.
    pub version: u32,
    /// Its subjects.
    pub subject: String,
    /// The services that publish it.
    pub published_by: Vec<String>,
    /// The services that look it up where it lies, without a consumer.
    #[serde(default)]
    pub looked_up_by: Vec<String>,
}

/// A durable consumer that the workers of one service pull from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerSpec {
    /// The stream that it reads.
    pub stream: String,
    /// Its durable name.
    pub durable: String,
    /// The service that owns it.
    pub owner: String,
    /// The subject patterns that it takes; none for all.
    #[serde(default)]
    pub filters: Vec<String>,
    /// How soon the server gives a dead worker's messages to another.
    #[serde(default = "ack_wait", rename = "ack_wait_seconds", with = "seconds")]
    pub ack_wait: Duration,
    /// Messages that all its workers may hold together; `None` for any number.
    #[serde(default = "max_ack_pending")]
    pub max_ack_pending: Option<u64>,
    /// How often the server delivers one message; `None` for without end, as a worker wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deliver: Option<u64>,
    /// The kinds of message that its workers read, such as `OrderPlaced/1`.
    #[serde(default, with = "schemas")]
    pub reads: Vec<Schema>,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketKind {
    /// Values under keys.
    #[default]
    KeyValue,
    /// Objects in chunks.
    Objects,
}

/// A bucket and who owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSpec {
    /// Its name.
    pub name: String,
    /// The service that owns it.
    pub owner: String,
    /// What it holds.
    #[serde(default)]
    pub kind: BucketKind,
    /// How long it keeps what nobody writes; `None` keeps it for ever.
    #[serde(default, rename = "ttl_seconds", with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// How many bytes it keeps; `None` is as many as there is room for. A full bucket of keys that forgets by age forgets its oldest keys
    /// sooner; one that keeps for ever, or keeps objects, refuses new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// How many servers hold a copy.
    #[serde(default = "one")]
    pub replicas: u32,
}

impl StreamSpec {
    /// A stream on disk on one server that keeps everything; what is to be otherwise is said with `..StreamSpec::new(…)`.
    pub fn new(name: &str, owner: &str, subjects: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            owner: owner.to_owned(),
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
            retention: Retention::Limits,
            storage: Storage::File,
            discard: Discard::Old,
            max_age: None,
            max_bytes: None,
            max_messages: None,
            duplicate_window: DUPLICATE_WINDOW,
            replicas: 1,
            allow_direct: true,
            allow_atomic: false,
            allow_msg_schedules: false,
            messages: Vec::new(),
        }
    }

    /// Says that `services` publish messages of type `P` on it.
    #[must_use]
    pub fn carrying<P: Payload>(mut self, services: &[&str]) -> Self {
        self.messages.push(MessageSpec {
            kind: P::KIND.to_owned(),
            version: P::VERSION,
            subject: codec::pattern_of::<P>().to_string(),
            published_by: services.iter().map(|service| (*service).to_owned()).collect(),
            looked_up_by: Vec::new(),
        });
        self
    }

    /// Says that `services` look up what it was last said to carry, without a consumer.
    #[must_use]
    pub fn looked_up_by(mut self, services: &[&str]) -> Self {
        if let Some(message) = self.messages.last_mut() {
            message.looked_up_by = services.iter().map(|service| (*service).to_owned()).collect();
        }
        self
    }
}

impl MessageSpec {
    /// The kind and version.
    pub fn schema(&self) -> Schema {
        Schema { kind: self.kind.clone(), version: self.version }
    }
}

impl ConsumerSpec {
    /// The consumer `durable` of the service `owner`, which reads messages of type `P`, set up as a worker sets it up.
    pub fn reading<P: Payload>(durable: &str, owner: &str) -> Self {
        let consumer = Self {
            stream: P::STREAM.to_owned(),
            durable: durable.to_owned(),
            owner: owner.to_owned(),
            filters: Vec::new(),
            ack_wait: ACK_WAIT,
            max_ack_pending: Some(MAX_ACK_PENDING),
            max_deliver: None,
            reads: Vec::new(),
        };
        consumer.and::<P>()
    }

    /// Messages of type `P` too, which are on the same stream.
    #[must_use]
    pub fn and<P: Payload>(mut self) -> Self {
        let filter = codec::pattern_of::<P>().to_string();
        if !self.filters.contains(&filter) {
            self.filters.push(filter);
        }
        self.reads.push(P::schema());
        self
    }

    /// The consumers of a worker that is [partitioned](crate::consumer::Worker::partitioned): `<durable>-0` to `<durable>-<n - 1>`, each
    /// of one partition, with one message under way.
    pub fn partitioned<P: Payload>(durable: &str, owner: &str) -> Vec<Self> {
        let of_partition = |partition: u32| Self {
            filters: vec![codec::pattern_of::<P>().as_str().replacen('*', &partition.to_string(), 1)],
            max_ack_pending: Some(1),
            ..Self::reading::<P>(&format!("{durable}-{partition}"), owner)
        };
        (0..P::PARTITIONS.unwrap_or_default()).map(of_partition).collect()
    }

    /// How soon the server gives a dead worker's messages to another.
    #[must_use]
    pub fn ack_wait(mut self, ack_wait: Duration) -> Self {
        self.ack_wait = ack_wait;
        self
    }
}

impl BucketSpec {
    /// A bucket of keys and values on one server that keeps everything; what is to be otherwise is said with `..BucketSpec::new(…)`.
    pub fn new(name: &str, owner: &str) -> Self {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        Self { name, owner, kind: BucketKind::KeyValue, ttl: None, max_bytes: None, replicas: 1 }
    }

    /// The name of the stream that it is.
    ///
    /// Convention: NATS ADR-8 (key-value) and ADR-20 (object store).
    pub fn stream(&self) -> String {
        match self.kind {
            BucketKind::KeyValue => format!("KV_{}", self.name),
            BucketKind::Objects => format!("OBJ_{}", self.name),
        }
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn duplicate_window() -> Duration {
    DUPLICATE_WINDOW
}

fn ack_wait() -> Duration {
    ACK_WAIT
}

#[expect(clippy::unnecessary_wraps, reason = "the field's default has the field's type")]
fn max_ack_pending() -> Option<u64> {
    Some(MAX_ACK_PENDING)
}

/// Durations are written in seconds, whole ones without a fraction.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        match duration.subsec_nanos() {
            0 => to.serialize_u64(duration.as_secs()),
            _ => to.serialize_f64(duration.as_secs_f64()),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod some_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde passes the field as it is")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::seconds::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)).transpose()
    }
}

/// Schemas are written as they travel: `OrderPlaced/1`.
mod schemas {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::message::Schema;

    pub(super) fn serialize<S: Serializer>(schemas: &[Schema], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(schemas.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<Schema>, D::Error> {
        let read = |text: &String| {
            Schema::parse(text)
                .ok_or_else(|| D::Error::custom(format!("`{text}` is not a kind and a version as in OrderPlaced/1")))
        };
        Vec::<String>::deserialize(from)?.iter().map(read).collect()
    }
}
