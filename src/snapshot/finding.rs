//! What a check found: one sentence with its evidence and the next step.

use serde::Serialize;

use crate::clock::Timestamp;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All is well.
    Ok,
    /// Good to know.
    Notice,
    /// It will hurt.
    Warning,
    /// It hurts now, or loses messages.
    Critical,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The account that it is in, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it is about, such as `stream ORDERS`.
    pub about: String,
    /// What is the matter.
    pub sentence: String,
    /// What that is read from.
    pub evidence: String,
    /// What to do.
    pub next_step: String,
    /// The first of the rounds in a row that found it; `None` where only one look was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Severity {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
