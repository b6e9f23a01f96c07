//! How often something happened, by the minute for two hours and by ten minutes for a day.

/// Milliseconds of a minute, and of ten.
const MINUTE: u64 = 60_000;
const TEN: u64 = 10 * MINUTE;

/// The counts of one thing.
#[derive(Debug, Default)]
pub(super) struct Counts {
    minutes: Ring<120>,
    tens: Ring<144>,
}

/// The last so many steps, each in its place by its number.
#[derive(Debug)]
struct Ring<const N: usize> {
    counts: Box<[u32; N]>,
    /// The number of the newest step.
    newest: u64,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { counts: Box::new([0; N]), newest: 0 }
    }
}

impl<const N: usize> Ring<N> {
    fn add(&mut self, step: u64) {
        let steps = N as u64;
        if step > self.newest {
            let passed = (step - self.newest).min(steps);
            (0..passed).for_each(|back| self.counts[((step - back) % steps) as usize] = 0);
            self.newest = step;
        }
        if self.newest - step < steps {
            let count = &mut self.counts[(step % steps) as usize];
            *count = count.saturating_add(1);
        }
    }

    fn between(&self, first: u64, last: u64) -> u64 {
        let steps = N as u64;
        let kept = self.newest.saturating_sub(steps - 1)..=self.newest;
        let wanted = first.max(*kept.start())..=last.min(*kept.end());
        wanted.map(|step| u64::from(self.counts[(step % steps) as usize])).sum()
    }
}

impl Counts {
    /// What they take in memory.
    pub(super) const BYTES: usize = (120 + 144) * size_of::<u32>() + 2 * 16;

    /// Counts something that happened at a moment.
    pub(super) fn add(&mut self, at: u64) {
        self.minutes.add(at / MINUTE);
        self.tens.add(at / TEN);
    }

    /// How often it happened between two moments, and when the first step of that began.
    pub(super) fn between(&self, from: u64, to: u64, now: u64) -> (u64, u64) {
        if now.saturating_sub(from) < 120 * MINUTE {
            (self.minutes.between(from / MINUTE, to / MINUTE), from / MINUTE * MINUTE)
        } else {
            (self.tens.between(from / TEN, to / TEN), from / TEN * TEN)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * MINUTE;

    /// Some day's noon.
    const NOON: u64 = 21_000 * 24 * HOUR + 12 * HOUR;

    fn check(happened: &[u64], (from, to): (u64, u64), expected: u64) {
        let mut counts = Counts::default();
        happened.iter().for_each(|at| counts.add(NOON + at));
        let now = NOON + happened.iter().max().unwrap();
        assert_eq!(counts.between(NOON + from, NOON + to, now).0, expected, "{happened:?} {from} to {to}");
    }

    #[test]
    fn what_happened_is_counted_in_its_minute() {
        let happened = [0, 1, MINUTE, 5 * MINUTE, 5 * MINUTE + 59_999];
        check(&happened, (0, 6 * MINUTE), 5);
        check(&happened, (MINUTE, 6 * MINUTE), 3);
        check(&happened, (2 * MINUTE, 4 * MINUTE), 0);
        check(&happened, (5 * MINUTE, 5 * MINUTE), 2);
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let happened = [0, 23 * HOUR, 23 * HOUR];
        check(&happened, (0, 23 * HOUR), 3);
        check(&[0, 24 * HOUR + TEN], (0, 25 * HOUR), 1);
        check(&[0, 3 * HOUR], (2 * HOUR, 3 * HOUR), 1);
    }

    #[test]
    fn what_is_told_late_goes_where_it_belongs() {
        check(&[10 * MINUTE, 0], (0, MINUTE), 1);
        check(&[30 * HOUR, 0], (0, 30 * HOUR), 1);
    }

    #[test]
    fn their_size_is_as_told() {
        let counts = Counts::default();
        assert!(size_of_val(&*counts.minutes.counts) + size_of_val(&*counts.tens.counts) <= Counts::BYTES);
    }
}
