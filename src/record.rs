//! Something with a life that services tell of, such as an order: what it is, what state it is in since when, by which steps.
//!
//! Services write records as JSON into a key-value bucket; the observer shows them by kind and knows nothing more about them.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, message::MessageId};

/// The key-value bucket that holds records, under the key `<kind>.<id>`.
pub const BUCKET: &str = "records";

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
