//! The verdict on a consumer: the worst that was found of it, in one word and one sentence.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Severity;
use crate::clock::Timestamp;

/// What a consumer amounts to, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Messages went that it had not processed.
    Losing,
    /// Messages will go before it processes them.
    AtRisk,
    /// It has lag, and neither delivery nor ack moves.
    Stopped,
    /// It has lag, and nobody pulls.
    NoWorkers,
    /// Deliveries go on, the ack floor does not move.
    Stuck,
    /// As many are in flight as may be, while more and more wait.
    Saturated,
    /// More comes than goes.
    FallingBehind,
    /// It was set back.
    Rewound,
    /// It has lag, which shrinks.
    CatchingUp,
    /// Somebody paused it.
    Paused,
    /// Nothing comes.
    Idle,
    /// It keeps up.
    Ok,
    /// There is no fresh word of its leader, or it was not looked at often enough to tell.
    Unknown,
}

impl Label {
    /// All of them, the worst first.
    pub const ALL: [Self; 13] = [
        Self::Losing,
        Self::AtRisk,
        Self::Stopped,
        Self::NoWorkers,
        Self::Stuck,
        Self::Saturated,
        Self::FallingBehind,
        Self::Rewound,
        Self::CatchingUp,
        Self::Paused,
        Self::Idle,
        Self::Ok,
        Self::Unknown,
    ];

    /// In words, as pages say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Losing => "losing",
            Self::AtRisk => "at risk",
            Self::Stopped => "stopped",
            Self::NoWorkers => "no workers",
            Self::Stuck => "stuck",
            Self::Saturated => "saturated",
            Self::FallingBehind => "falling behind",
            Self::Rewound => "rewound",
            Self::CatchingUp => "catching up",
            Self::Paused => "paused",
            Self::Idle => "idle",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }

    /// As one token, for labels of metrics and for addresses.
    pub fn token(self) -> &'static str {
        match self {
            Self::Losing => "losing",
            Self::AtRisk => "at_risk",
            Self::Stopped => "stopped",
            Self::NoWorkers => "no_workers",
            Self::Stuck => "stuck",
            Self::Saturated => "saturated",
            Self::FallingBehind => "falling_behind",
            Self::Rewound => "rewound",
            Self::CatchingUp => "catching_up",
            Self::Paused => "paused",
            Self::Idle => "idle",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }
}

/// What a consumer amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// In one word or two.
    pub label: Label,
    /// How much it matters.
    pub severity: Severity,
    /// In one plain sentence.
    pub sentence: Cow<'static, str>,
    /// What that is read from, each in a few words.
    pub evidence: Vec<String>,
    /// What to do; empty where nothing is.
    pub next_step: Cow<'static, str>,
    /// Since when it is so, as far as the rounds tell.
    pub since: Timestamp,
}

impl Verdict {
    /// What is said before anything is known.
    pub fn unknown(sentence: impl Into<Cow<'static, str>>, since: Timestamp) -> Self {
        Self {
            label: Label::Unknown,
            severity: Severity::Notice,
            sentence: sentence.into(),
            evidence: Vec::new(),
            next_step: Cow::Borrowed(""),
            since,
        }
    }

    /// Whether somebody should look.
    pub fn is_trouble(&self) -> bool {
        self.severity >= Severity::Warning
    }
}
