//! What several lints ask of facts.

use crate::{
    name::subjects_overlap,
    snapshot::{Configs, ConsumerConfig, StreamConfig},
};

/// The stream of the object store `claims`, in which the library keeps payloads that are too large for a message.
pub(super) const CLAIMS: &str = "OBJ_claims";

/// Such as `stream ORDERS` or `bucket records`.
pub(super) fn stream_in_words(stream: &StreamConfig) -> String {
    match stream.name.strip_prefix("KV_").or_else(|| stream.name.strip_prefix("OBJ_")) {
        Some(bucket) => format!("bucket {bucket}"),
        None => format!("stream {}", stream.name),
    }
}

/// Such as `consumer mailer of stream ORDERS`.
pub(super) fn consumer_in_words(consumer: &ConsumerConfig) -> String {
    format!("consumer {} of stream {}", consumer.durable_name, consumer.stream)
}

/// What streams take of the subjects below `root`: with thousands of streams only these few have to be looked at for each subject.
pub(super) struct Kept<'a>(Vec<&'a str>);

impl<'a> Kept<'a> {
    /// What streams take of what `root`, a subject pattern, stands for.
    pub(super) fn of(configs: &'a Configs, root: &str) -> Self {
        let subjects = configs.streams.iter().flat_map(|stream| &stream.subjects).map(String::as_str);
        Self(subjects.filter(|pattern| subjects_overlap(pattern, root)).collect())
    }

    /// Whether some stream takes this one, which is among those of the root.
    pub(super) fn has(&self, subject: &str) -> bool {
        self.0.iter().any(|pattern| subjects_overlap(pattern, subject))
    }
}

/// Whether it comes to an end by its size.
pub(super) fn is_limited(stream: &StreamConfig) -> bool {
    stream.max_bytes > 0 || stream.max_msgs > 0
}

/// Whether only a server publishes on it.
pub(super) fn is_of_server(stream: &StreamConfig) -> bool {
    stream.subjects.iter().all(|subject| subject.starts_with('$'))
}

#[cfg(test)]
pub(super) mod facts {
    use std::time::Duration;

    use super::*;
    use crate::snapshot::WorkerFact;

    /// A stream that no lint finds anything in.
    pub(in crate::checks) fn stream(name: &str, subject: &str) -> StreamConfig {
        StreamConfig {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            num_replicas: 1,
            max_age: Duration::from_secs(3_600),
            max_bytes: 1 << 20,
            max_msgs: -1,
            duplicate_window: Duration::from_secs(120),
            ..StreamConfig::default()
        }
    }

    pub(in crate::checks) fn consumer(stream: &str, name: &str) -> ConsumerConfig {
        ConsumerConfig {
            stream: stream.to_owned(),
            durable_name: name.to_owned(),
            ack_policy: "explicit".to_owned(),
            ack_wait: Duration::from_secs(30),
            max_deliver: -1,
            max_ack_pending: 1_000,
            ..ConsumerConfig::default()
        }
    }

    pub(in crate::checks) fn worker(stream: &str, consumer: &str, concurrency: u32, p99_seconds: u64) -> WorkerFact {
        let p99 = Some(Duration::from_secs(p99_seconds));
        WorkerFact { stream: stream.to_owned(), consumer: consumer.to_owned(), concurrency, running: 0, p99 }
    }

    /// What a lint finds, as what it is about.
    pub(in crate::checks) fn found(lint: &crate::checks::Lint, configs: &Configs) -> Vec<String> {
        (lint.look)(configs).into_iter().map(|case| case.about).collect()
    }
}
