//! Something with a life that services tell of, such as an order: what it is, what state it is in since when, by which steps.
//!
//! Services write records as JSON into a key-value bucket; the observer shows them by kind and knows nothing more about them.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    message::MessageId,
    name::{Subject, SubjectPattern},
};

/// The key-value bucket that holds records, under the key `<kind>.<id>`.
pub const BUCKET: &str = "records";

/// The stream that holds the bucket.
///
/// Convention: key-value buckets over streams, NATS ADR-8.
pub const STREAM: &str = "KV_records";

/// What stands before a key in a subject of that stream.
pub const PREFIX: &str = "$KV.records.";

/// The subject of the values under a key; `None` where a bucket can have no such key.
pub fn subject_of(key: &str) -> Option<Subject> {
    format!("{PREFIX}{key}").parse().ok()
}

/// The subjects of the values whose keys are of a kind, or of any.
pub fn subjects_of(kind: Option<&str>) -> Option<SubjectPattern> {
    let of_kind = |kind: &str| format!("{}.>", subject_of(kind)?).parse().ok();
    kind.map_or_else(|| format!("{PREFIX}>").parse().ok(), of_kind)
}

/// The subjects of what has this id, whatever its kind; `None` where a bucket can have no such key.
pub fn subjects_with(id: &str) -> Option<SubjectPattern> {
    subject_of(id)?;
    format!("{PREFIX}*.{id}").parse().ok()
}

/// A thing with a life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it is, such as `order`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The state it is in, in its owner's words.
    pub state: String,
    /// What kind of state that is.
    pub phase: Phase,
    /// When its life began.
    pub started: Timestamp,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// What a person would say it is, such as `3 items for ada, 59.70 EUR`.
    #[serde(default)]
    pub summary: String,
    /// Why it is in this state, where that needs a reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// The trace that it began in, as 32 hex digits.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// What happened to it, in the order it happened.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// Whether a record's life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Something is still to happen.
    Open,
    /// It ended as it should.
    Succeeded,
    /// It ended otherwise, in good order.
    Failed,
}

/// One thing that happened to a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What happened, such as `StockReserved`.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The service that did it.
    pub by: String,
    /// The message that told of it.
    #[serde(default)]
    pub message: Option<MessageId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_subject_of_the_bucket_or_none_at_all() {
        let subject = |key: &str| subject_of(key).map(|subject| subject.to_string());
        assert_eq!(subject("order.7").as_deref(), Some("$KV.records.order.7"));
        let pattern = |pattern: Option<SubjectPattern>| pattern.map(|pattern| pattern.to_string());
        assert_eq!(pattern(subjects_of(Some("order"))).as_deref(), Some("$KV.records.order.>"));
        assert_eq!(pattern(subjects_of(None)).as_deref(), Some("$KV.records.>"));
        assert_eq!(pattern(subjects_with("7")).as_deref(), Some("$KV.records.*.7"));
        for hostile in ["", ".", "a..b", "a b", "a.", "*", "order.>", "a\n", "a\0b"] {
            assert_eq!((subject(hostile), pattern(subjects_with(hostile))), (None, None), "{hostile:?}");
            assert_eq!(pattern(subjects_of(Some(hostile))), None, "{hostile:?}");
        }
    }
}
