//! Dead letters as the pages show them: the newest copies that workers left, with as much of each as a page has room for.

use crate::{
    clock::Timestamp,
    dead_letter::{Place, Repeat},
};

/// The newest dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letters {
    /// The letters that were read, the newest first.
    pub rows: Vec<Letter>,
    /// How many their stream holds.
    pub total: u64,
    /// How many of those read could not be understood.
    pub malformed: usize,
}

/// A message that a worker gave up, by the copy that it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where it died.
    pub place: Place,
    /// The subject that it was published on.
    pub subject: String,
    /// Its id, if it had one.
    pub message_id: Option<String>,
    /// Why it was given up, in words.
    pub reason: String,
    /// What kind of failure, one of few.
    pub class: String,
    /// How often a handler was started on it, if its worker counted.
    pub attempts: Option<u32>,
    /// How often the server delivered it.
    pub deliveries: Option<u64>,
    /// When its stream took it.
    pub published: Option<Timestamp>,
    /// When it was given up.
    pub died: Timestamp,
    /// Of one that was replayed and died again: which letter that was, and the how many-th replay.
    pub repeat: Option<Repeat>,
    /// The trace that it belongs to, as 32 hex digits.
    pub trace_id: Option<String>,
    /// Its own headers.
    pub headers: Vec<(String, String)>,
    /// Bytes of its payload.
    pub size: u64,
    /// The beginning of its payload; empty where the copy has none.
    pub head: Vec<u8>,
    /// Whether the copy had no room for the payload, which lies elsewhere then.
    pub is_elsewhere: bool,
}
