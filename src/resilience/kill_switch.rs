//! A kill switch: when too large a share of messages ends in dead letters, working stops for a while, so that a bad deployment does not
//! move a whole stream there.
//!
//! Convention: the kill switch of the field's service buses. It is a breaker that hears of dead letters instead of failures.

use std::time::Duration;

use super::Breaker;

/// When the switch is thrown and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct KillSwitch(Breaker);

impl Default for KillSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl KillSwitch {
    /// Pauses for a minute when a quarter of at least 20 messages within a minute end in dead letters.
    pub fn new() -> Self {
        let minute = Duration::from_secs(60);
        Self(Breaker::new().failures(0.25).of(20).within(minute).open_for(minute))
    }

    /// The share of messages in dead letters that throws it, from 0 to 1.
    #[must_use]
    pub fn dead_letters(self, share: f64) -> Self {
        Self(self.0.failures(share))
    }

    /// How many messages it wants to see before it judges.
    #[must_use]
    pub fn of(self, messages: u32) -> Self {
        Self(self.0.of(messages))
    }

    /// How long a message counts.
    #[must_use]
    pub fn within(self, window: Duration) -> Self {
        Self(self.0.within(window))
    }

    /// How long working stops before one message is tried.
    #[must_use]
    pub fn pause_for(self, pause: Duration) -> Self {
        Self(self.0.open_for(pause))
    }
}

impl From<KillSwitch> for Breaker {
    fn from(switch: KillSwitch) -> Self {
        switch.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::resilience::{BreakerState, Phase};

    #[test]
    fn a_quarter_of_dead_letters_throws_it() {
        let (now, pause) = (Instant::now(), Duration::from_secs(3));
        let mut state = BreakerState::new(KillSwitch::new().of(8).pause_for(pause).into());
        let results = [true, true, false, true, true, true, true];
        assert!(results.iter().all(|buried| state.record(now, *buried).is_none()));
        assert_eq!(state.record(now, false), Some(Phase::Open { until: now + pause }));
    }
}
