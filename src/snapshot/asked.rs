//! What probes answered that the operator named.

use std::time::Duration;

use crate::clock::Timestamp;

/// A probe, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedProbe {
    /// What the operator calls it.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The status of its answer, or why there is none.
    pub answer: Result<u16, String>,
    /// How long that took.
    pub took: Duration,
    /// When it was asked.
    pub at: Timestamp,
}

impl AskedProbe {
    /// Whether it says that all is well.
    pub fn passes(&self) -> bool {
        matches!(self.answer, Ok(200..=299))
    }

    /// What stands for it where the last rounds are remembered: no instance has such a key.
    pub fn key(&self) -> String {
        format!("={}", self.name)
    }

    /// What it answered, in words.
    pub fn said(&self) -> String {
        match &self.answer {
            Ok(status) => format!("it answers {status}"),
            Err(why) => why.clone(),
        }
    }
}
