//! Streams, consumers and buckets as code: declared by their owners, made or updated by whoever may, never deleted.

mod actual;
mod api;
mod apply;
mod catalogue;
mod library;
mod obstacle;
mod plan;
mod spec;
mod wanted;
mod words;

use serde::{Deserialize, Serialize};

use crate::name::{ConsumerName, NameError, StreamName, SubjectPattern};

pub use actual::Actual;
pub use api::TopologyError;
pub use apply::ensure;
pub use library::{
    ADVISORIES, ATTEMPTS, CLAIMS, DEAD_LETTERS, DEAD_LETTERS_AGE, INBOX, OWNERSHIP, REPLAYS, RETRIES, library,
};
pub use plan::{Action, Change, Plan, Step, Undeclared};
pub use spec::{BucketKind, BucketSpec, ConsumerSpec, MAX_ACK_PENDING, MessageSpec, StreamSpec};
pub use wanted::Kind;

/// Everything that a system needs in JetStream. It is read from and written to JSON, so that a program can hand it to `streamgauge topology`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topology {
    /// The streams.
    pub streams: Vec<StreamSpec>,
    /// The consumers that workers pull from.
    pub consumers: Vec<ConsumerSpec>,
    /// The buckets.
    pub buckets: Vec<BucketSpec>,
}

impl Topology {
    /// This topology and what `other` declares beside it. What both declare stays as it is here, so that a system may give a store of
    /// [`library`] limits of its own.
    #[must_use]
    pub fn joined(mut self, other: Topology) -> Self {
        for stream in other.streams {
            if self.streams.iter().all(|own| own.name != stream.name) {
                self.streams.push(stream);
            }
        }
        for consumer in other.consumers {
            if self.consumers.iter().all(|own| (&own.stream, &own.durable) != (&consumer.stream, &consumer.durable)) {
                self.consumers.push(consumer);
            }
        }
        for bucket in other.buckets {
            if self.buckets.iter().all(|own| (own.kind, &own.name) != (bucket.kind, &bucket.name)) {
                self.buckets.push(bucket);
            }
        }
        self
    }

    /// The names of its streams and buckets.
    pub fn names(&self) -> Vec<&str> {
        let streams = self.streams.iter().map(|stream| stream.name.as_str());
        streams.chain(self.buckets.iter().map(|bucket| bucket.name.as_str())).collect()
    }

    /// The streams and buckets of these names alone.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Self {
        self.streams.retain(|stream| names.contains(&stream.name.as_str()));
        self.buckets.retain(|bucket| names.contains(&bucket.name.as_str()));
        self.consumers.retain(|consumer| names.contains(&consumer.stream.as_str()));
        self
    }

    /// Whether NATS can have all that is named here.
    ///
    /// # Errors
    /// When a name or a subject is none; says which.
    pub fn check(&self) -> Result<(), NameError> {
        let pattern = |subject: &String| SubjectPattern::try_from(subject.as_str()).map(drop);
        for stream in &self.streams {
            StreamName::try_from(stream.name.as_str())?;
            stream
                .subjects
                .iter()
                .chain(stream.messages.iter().map(|message| &message.subject))
                .try_for_each(pattern)?;
        }
        for consumer in &self.consumers {
            StreamName::try_from(consumer.stream.as_str())?;
            ConsumerName::try_from(consumer.durable.as_str())?;
            consumer.filters.iter().try_for_each(pattern)?;
        }
        for bucket in &self.buckets {
            StreamName::try_from(bucket.name.as_str())?;
            StreamName::try_from(bucket.stream())?;
        }
        Ok(())
    }

    /// The same, each stream and bucket held by so many servers.
    #[must_use]
    pub fn replicated(mut self, replicas: u32) -> Self {
        self.streams.iter_mut().for_each(|stream| stream.replicas = replicas);
        self.buckets.iter_mut().for_each(|bucket| bucket.replicas = replicas);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_declare_stays_as_the_first_has_it() {
        let own = BucketSpec { max_bytes: Some(7), ..library().only(&[ATTEMPTS]).buckets.remove(0) };
        let joined = Topology { buckets: vec![own.clone()], ..Topology::default() }.joined(library());
        assert_eq!(joined.buckets.iter().filter(|bucket| bucket.name == ATTEMPTS).collect::<Vec<_>>(), [&own]);
        assert_eq!(joined.buckets.len(), library().buckets.len());
        assert_eq!(joined.streams, library().streams);
    }

    #[test]
    fn a_topology_reads_back_from_what_it_was_written_as() {
        let text = serde_json::to_string(&library()).unwrap();
        assert_eq!(serde_json::from_str::<Topology>(&text).unwrap(), library());
    }

    #[test]
    fn what_nats_cannot_have_is_named() {
        assert_eq!(library().check(), Ok(()));
        for (wrong, what) in [
            (r#"{"streams":[{"name":"A.B","owner":"a","subjects":["a.>"]}]}"#, "stream name `A.B`"),
            (r#"{"streams":[{"name":"A","owner":"a","subjects":["a..b"]}]}"#, "subject pattern `a..b`"),
            (r#"{"consumers":[{"stream":"A","durable":"a b","owner":"a"}]}"#, "consumer name `a b`"),
            (
                r#"{"consumers":[{"stream":"A","durable":"a","owner":"a","filters":["a.>.b"]}]}"#,
                "subject pattern `a.>.b`",
            ),
            (r#"{"buckets":[{"name":"","owner":"a"}]}"#, "stream name ``"),
        ] {
            let read: Topology = serde_json::from_str(wrong).unwrap();
            let error = read.check().unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
    }

    #[test]
    fn a_file_may_leave_out_what_has_a_default_and_no_more() {
        let text = r#"{"streams":[{"name":"A","owner":"a","subjects":["a.>"]}]}"#;
        let read: Topology = serde_json::from_str(text).unwrap();
        assert_eq!(read.streams, [StreamSpec::new("A", "a", &["a.>"])]);
        for wrong in
            [r#"{"streams":[{"name":"A"}]}"#, r#"{"streams":[{"name":"A","owner":"a","subjects":[],"max_agee":1}]}"#]
        {
            assert!(serde_json::from_str::<Topology>(wrong).is_err(), "{wrong}");
        }
    }
}
