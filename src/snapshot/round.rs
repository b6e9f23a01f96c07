//! What a round of looking cost, and how much of the answer came.

use std::time::Duration;

/// What one round cost the observer and the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundStats {
    /// From the first question to the verdicts.
    pub duration: Duration,
    /// Of that, the time until the last answer came; the rest is our own work.
    pub waited: Duration,
    /// Messages that we sent: questions, and what else went over our connections meanwhile.
    pub requests: u64,
    /// Bytes that came to us and went from us over our connections.
    pub bytes: u64,
    /// Servers that there are, as they say themselves; `None` without a system user.
    pub servers_expected: Option<u64>,
    /// Servers that told what they hold.
    pub servers_answered: u64,
    /// Rows that were told by servers that do not lead them, and therefore were not taken.
    pub rows_dropped: u64,
    /// Streams and consumers that nobody gave an account of.
    pub rows_missing: u64,
    /// Whether how everything is set up was read anew.
    pub has_read_configs: bool,
}
