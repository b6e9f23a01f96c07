//! How many handlers may run at once, found by how long they take.
//!
//! Algorithm: additive increase, multiplicative decrease, as TCP's congestion avoidance does (RFC 5681) and the `AIMDLimit` of Netflix'
//! concurrency-limits applies to services: a result slower than the target, or a failure by overload, takes a tenth off the limit; a
//! quick one, while at least half of the limit is in use, adds to it.

use std::{ops::RangeInclusive, time::Duration};

/// What is left of the limit after a slow result.
const DECREASE: f64 = 0.9;

/// The bounds of a limit and the time that it aims at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adaptive {
    /// The fewest and the most handlers at once.
    pub between: RangeInclusive<u32>,
    /// A handler that takes longer is a sign of too many at once.
    pub target: Duration,
}

/// A limit at work.
#[derive(Debug)]
pub struct AdaptiveState {
    settings: Adaptive,
    limit: f64,
    /// Results to let pass before the next decrease: those that began under the old limit say nothing of the new one.
    ignored: u32,
}

impl AdaptiveState {
    /// Begins at the fewest.
    pub fn new(settings: Adaptive) -> Self {
        let limit = f64::from((*settings.between.start()).max(1));
        Self { settings, limit, ignored: 0 }
    }

    /// The limit now.
    pub fn limit(&self) -> u32 {
        // Kept within bounds of u32 by `clamp`; what is behind the point is cut off.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the limit lies between two u32")]
        let whole = self.limit as u32;
        whole
    }

    /// Takes the result of a handler that ran beside `running` others, itself included, and returns the limit after it. A handler that
    /// was `overloaded` counts as slow however quick it was.
    pub fn observe(&mut self, took: Duration, running: u32, overloaded: bool) -> u32 {
        let is_slow = overloaded || took > self.settings.target;
        if is_slow && self.ignored == 0 {
            self.limit *= DECREASE;
            self.ignored = running.saturating_sub(1);
        } else if is_slow {
            self.ignored -= 1;
        } else {
            self.ignored = self.ignored.saturating_sub(1);
            if f64::from(running) * 2.0 >= self.limit {
                // One more after as many results as the limit: linear in rounds, not in results.
                self.limit += 1.0 / self.limit;
            }
        }
        let (least, most) = self.settings.between.clone().into_inner();
        let least = least.max(1);
        self.limit = self.limit.clamp(f64::from(least), f64::from(most.max(least)));
        self.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    fn state(between: RangeInclusive<u32>) -> AdaptiveState {
        AdaptiveState::new(Adaptive { between, target: TARGET })
    }

    /// A resource that serves `fits` at once in half of the target and more in proportion slower.
    fn settle(state: &mut AdaptiveState, fits: u32, rounds: u32) -> Vec<u32> {
        let round = |_| {
            let running = state.limit();
            let took = (TARGET / 2).mul_f64((f64::from(running) / f64::from(fits)).max(1.0));
            (0..running).map(|_| state.observe(took, running, false)).last().unwrap_or_default()
        };
        (0..rounds).map(round).collect()
    }

    #[test]
    fn it_finds_what_the_resource_can_do_within_the_target() {
        let mut state = state(1..=200);
        let limits = settle(&mut state, 20, 400);
        let late = &limits[300..];
        assert!(late.iter().all(|limit| (34..=42).contains(limit)), "{late:?}");
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut state = state(2..=5);
        assert_eq!(settle(&mut state, 1_000, 100).last(), Some(&5));
        for _ in 0..100 {
            state.observe(TARGET * 2, 1, false);
        }
        assert_eq!(state.limit(), 2);
    }

    #[test]
    fn an_idle_worker_does_not_grow_and_an_overload_counts_as_slow() {
        let mut state = state(4..=100);
        for _ in 0..1_000 {
            state.observe(Duration::ZERO, 1, false);
        }
        assert_eq!(state.limit(), 4);
        settle(&mut state, 1_000, 50);
        let before = state.limit();
        assert!(state.observe(Duration::ZERO, before, true) < before);
    }

    #[test]
    fn one_slow_round_costs_one_decrease() {
        let mut state = state(1..=100);
        settle(&mut state, 1_000, 200);
        let before = state.limit();
        for _ in 0..before {
            state.observe(TARGET * 2, before, false);
        }
        assert!(state.limit() >= before * 8 / 10, "{} of {before}", state.limit());
    }
}
