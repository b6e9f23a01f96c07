//! What a check found: one sentence with its evidence and the next step.

use serde::Serialize;

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
    /// What it is about, such as `stream ORDERS`.
    pub about: String,
    /// What is the matter.
    pub sentence: String,
    /// What that is read from.
    pub evidence: String,
    /// What to do.
    pub next_step: String,
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
