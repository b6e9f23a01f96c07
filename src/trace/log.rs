//! What a service wrote down while it worked on a trace.

use std::{fmt, sync::Arc};

use super::{Attribute, Origin, SpanId, Value};

/// One entry of a log. What a rule of `mask` knows as secret is left out of its body and its attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// When, in nanoseconds since 1970 by the clock of its service; when somebody saw it, where that is not told.
    pub at: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// The span that it was written in.
    pub span: Option<SpanId>,
    /// What kind of event it tells of, where it says so.
    pub event: String,
    /// What it says.
    pub body: Value,
    /// What is said beside that.
    pub attributes: Vec<Attribute>,
    /// Attributes that its maker or we left out.
    pub left_out: u64,
    /// Who wrote it.
    pub origin: Arc<Origin>,
}

/// The logs of a trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceLogs {
    /// In the order of their times.
    pub rows: Vec<Log>,
    /// How many more came and were not kept, because there are so many.
    pub left_out: u64,
}

/// How much an entry matters.
///
/// Convention: the ranges of `SeverityNumber` of OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing is said.
    #[default]
    Unspecified,
    /// For whoever follows every step.
    Trace,
    /// For whoever looks for a defect.
    Debug,
    /// Something happened.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
    /// Nothing goes on.
    Fatal,
}

impl LogLevel {
    /// The level of a number; of a name where there is none.
    pub fn of(number: u64, name: &str) -> Self {
        match number {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            9..=12 => Self::Info,
            13..=16 => Self::Warn,
            17..=20 => Self::Error,
            21..=24 => Self::Fatal,
            _ => Self::named(name),
        }
    }

    fn named(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" | "information" | "notice" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "error" | "err" => Self::Error,
            "fatal" | "critical" | "emergency" => Self::Fatal,
            _ => Self::Unspecified,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_number_or_a_name() {
        let check = |number, name: &str, expected| assert_eq!(LogLevel::of(number, name), expected, "{number} {name}");
        check(9, "anything", LogLevel::Info);
        check(17, "", LogLevel::Error);
        check(24, "", LogLevel::Fatal);
        check(0, " WARNING", LogLevel::Warn);
        check(25, "x", LogLevel::Unspecified);
    }
}
