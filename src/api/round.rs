//! What a round of looking costs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::snapshot::RoundStats;

/// What the last round cost the observer and the broker.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Round")]
pub(super) struct RoundAnswer {
    /// From the first question to the verdicts.
    duration_seconds: f64,
    /// Of that, the time until the last answer came.
    waited_seconds: f64,
    /// Messages that the observer sent.
    requests: u64,
    /// Bytes that came to the observer and went from it.
    bytes: u64,
    /// Servers that there are; null without a user of the system account.
    servers_expected: Option<u64>,
    /// Servers that told what they hold; null without a user of the system account.
    servers_answered: Option<u64>,
    /// Rows that were told by servers that do not lead them, and therefore were not taken; null without a user of the system account.
    rows_dropped: Option<u64>,
    /// Streams and consumers that nobody gave an account of.
    rows_missing: u64,
    /// Whether how everything is set up was read anew; null where every round does.
    has_read_configs: Option<bool>,
}

impl RoundAnswer {
    pub(super) fn of(stats: &RoundStats) -> Self {
        let of_system = stats.servers_expected.is_some();
        Self {
            duration_seconds: stats.duration.as_secs_f64(),
            waited_seconds: stats.waited.as_secs_f64(),
            requests: stats.requests,
            bytes: stats.bytes,
            servers_expected: stats.servers_expected,
            servers_answered: of_system.then_some(stats.servers_answered),
            rows_dropped: of_system.then_some(stats.rows_dropped),
            rows_missing: stats.rows_missing,
            has_read_configs: of_system.then_some(stats.has_read_configs),
        }
    }
}
