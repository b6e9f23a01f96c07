//! Streams and buckets as code: declared by their owners, made or updated by whoever may, never deleted.

use std::time::Duration;

use async_nats::jetstream::{self, stream};

/// A stream and who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: &'static str,
    /// The service that owns it.
    pub owner: &'static str,
    /// The subjects that it takes.
    pub subjects: &'static [&'static str],
    /// How long it keeps a message.
    pub max_age: Duration,
    /// How many bytes it keeps; the oldest go first.
    pub max_bytes: i64,
    /// For how long it knows a message id again.
    pub duplicate_window: Duration,
    /// How many servers hold a copy.
    pub replicas: usize,
}

/// A key-value bucket and who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSpec {
    /// Its name.
    pub name: &'static str,
    /// The service that owns it.
    pub owner: &'static str,
    /// How long it keeps a key that nobody writes; `None` keeps it for ever.
    pub ttl: Option<Duration>,
    /// How many bytes it keeps. A full bucket that forgets by age forgets its oldest keys sooner; one that keeps for ever refuses new ones.
    pub max_bytes: i64,
    /// How many servers hold a copy.
    pub replicas: usize,
}

/// Everything that a system needs in JetStream before its services start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// The streams.
    pub streams: Vec<StreamSpec>,
    /// The buckets.
    pub buckets: Vec<BucketSpec>,
}

/// A stream or bucket could not be made or updated.
#[derive(Debug, thiserror::Error)]
#[error("declaring {what} {name}: check its limits against the account's, and that the user may manage JetStream")]
pub struct TopologyError {
    what: &'static str,
    name: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Topology {
    /// Makes what does not exist and updates what differs. What exists and is not named is left alone.
    ///
    /// # Errors
    /// When the server refuses one of them; those before it stand.
    pub async fn apply(&self, jetstream: &jetstream::Context) -> Result<(), TopologyError> {
        for spec in &self.streams {
            let made = jetstream.create_or_update_stream(stream_config(spec)).await;
            made.map_err(|error| TopologyError { what: "stream", name: spec.name, source: error.into() })?;
        }
        for spec in &self.buckets {
            let made = jetstream.create_or_update_stream(bucket_config(spec)).await;
            made.map_err(|error| TopologyError { what: "bucket", name: spec.name, source: error.into() })?;
        }
        Ok(())
    }
}

fn stream_config(spec: &StreamSpec) -> stream::Config {
    stream::Config {
        name: spec.name.to_owned(),
        subjects: spec.subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        max_age: spec.max_age,
        max_bytes: spec.max_bytes,
        duplicate_window: spec.duplicate_window,
        num_replicas: spec.replicas,
        discard: stream::DiscardPolicy::Old,
        allow_direct: true,
        metadata: [("owner".to_owned(), spec.owner.to_owned())].into(),
        ..stream::Config::default()
    }
}

/// A bucket is a stream of this shape. The client's own function for it cannot say what a full one does.
///
/// Convention: NATS ADR-8 (key-value).
fn bucket_config(spec: &BucketSpec) -> stream::Config {
    stream::Config {
        name: format!("KV_{}", spec.name),
        description: Some(format!("owned by {}", spec.owner)),
        subjects: vec![format!("$KV.{}.>", spec.name)],
        max_messages_per_subject: 1,
        max_age: spec.ttl.unwrap_or_default(),
        max_bytes: spec.max_bytes,
        num_replicas: spec.replicas,
        discard: if spec.ttl.is_some() { stream::DiscardPolicy::Old } else { stream::DiscardPolicy::New },
        allow_direct: true,
        allow_rollup: true,
        deny_delete: true,
        metadata: [("owner".to_owned(), spec.owner.to_owned())].into(),
        ..stream::Config::default()
    }
}
