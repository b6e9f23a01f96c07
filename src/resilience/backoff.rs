//! How long to wait before trying again.

use std::time::Duration;

/// Waits that double from `first` up to `most`, each then shortened by chance to between half and all of itself, so that many that
/// failed together do not come back together (the "equal jitter" of the field's usual back-off schemes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
}

impl Backoff {
    /// The wait after the `failures`th failure in a row, counted from 1; `chance` is drawn from 0 to 1.
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let whole = self.first.saturating_mul(1 << doublings).min(self.most);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(2) };

    fn check(failures: u32, chance: f64, millis: u64) {
        assert_eq!(BACKOFF.wait(failures, chance), Duration::from_millis(millis), "{failures} {chance}");
    }

    #[test]
    fn waits_double_up_to_the_most_and_keep_at_least_half() {
        check(0, 1.0, 100);
        check(1, 1.0, 100);
        check(1, 0.0, 50);
        check(2, 1.0, 200);
        check(5, 0.5, 1_200);
        check(6, 1.0, 2_000);
        check(u32::MAX, 1.0, 2_000);
        check(1, 7.0, 100);
    }
}
