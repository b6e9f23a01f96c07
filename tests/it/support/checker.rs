//! What was attempted, what was confirmed, and what was read: whether these three fit together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

/// Numbers that a report names at the most.
const NAMED: usize = 20;

/// Keeps the three sets for one test; clones keep the same.
#[derive(Debug, Clone, Default)]
pub struct Checker(Arc<Mutex<Sets>>);

#[derive(Debug, Clone, Default)]
struct Sets {
    attempted: BTreeSet<u32>,
    acked: BTreeSet<u32>,
    read: BTreeMap<u32, u32>,
}

/// What does not fit; nothing in a good run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Confirmed and never read.
    pub lost: Vec<u32>,
    /// Read and never attempted.
    pub invented: Vec<u32>,
}

impl Checker {
    /// Notes that a number is about to be published.
    pub fn attempted(&self, number: u32) {
        self.sets().attempted.insert(number);
    }

    /// Notes that its stream has confirmed it.
    pub fn acked(&self, number: u32) {
        self.sets().acked.insert(number);
    }

    /// Notes that a handler was given it, and returns how often that has been.
    pub fn read(&self, number: u32) -> u32 {
        let mut sets = self.sets();
        let times = sets.read.entry(number).or_default();
        *times += 1;
        *times
    }

    /// How many were confirmed.
    pub fn acks(&self) -> usize {
        self.sets().acked.len()
    }

    /// How many different ones were read.
    pub fn reads(&self) -> usize {
        self.sets().read.len()
    }

    /// How often a number was read.
    pub fn times(&self, number: u32) -> u32 {
        self.sets().read.get(&number).copied().unwrap_or_default()
    }

    /// Those read more than once.
    pub fn repeated(&self) -> Vec<u32> {
        self.sets().read.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect()
    }

    /// Those attempted and not confirmed: they may have been stored or not.
    pub fn unclear(&self) -> Vec<u32> {
        let sets = self.sets();
        sets.attempted.difference(&sets.acked).copied().collect()
    }

    /// What does not fit so far. Only what is lost may yet come.
    pub fn faults(&self) -> Faults {
        let sets = self.sets();
        Faults {
            lost: sets.acked.iter().filter(|number| !sets.read.contains_key(number)).copied().collect(),
            invented: sets.read.keys().filter(|number| !sets.attempted.contains(number)).copied().collect(),
        }
    }

    /// Whether all fits so far; what does not, as the answer to a question that is asked again.
    pub fn fits(&self) -> Result<(), Faults> {
        let faults = self.faults();
        if faults == Faults::default() { Ok(()) } else { Err(faults) }
    }

    fn sets(&self) -> MutexGuard<'_, Sets> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |numbers: &[u32]| format!("{} {:?}", numbers.len(), &numbers[..numbers.len().min(NAMED)]);
        write!(f, "lost {}, invented {}", some(&self.lost), some(&self.invented))
    }
}

/// A source of chance for one test. The seed is printed, and `STREAMGAUGE_TEST_SEED` gives it again.
pub fn seeded(test: &str) -> fastrand::Rng {
    let given = std::env::var("STREAMGAUGE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: replay with STREAMGAUGE_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempted: &[u32], acked: &[u32], read: &[u32], lost: &[u32], invented: &[u32]) {
        let checker = Checker::default();
        attempted.iter().for_each(|number| checker.attempted(*number));
        acked.iter().for_each(|number| checker.acked(*number));
        for number in read {
            checker.read(*number);
        }
        assert_eq!(checker.faults(), Faults { lost: lost.to_vec(), invented: invented.to_vec() });
        assert_eq!(checker.fits().is_ok(), lost.is_empty() && invented.is_empty());
    }

    #[test]
    fn what_was_confirmed_must_be_read_and_what_was_read_must_have_been_sent() {
        check(&[], &[], &[], &[], &[]);
        check(&[1, 2], &[1, 2], &[2, 1], &[], &[]);
        check(&[1, 2], &[1, 2], &[2, 2], &[1], &[]);
        check(&[1, 2], &[1], &[1], &[], &[]);
        check(&[1, 2], &[1], &[1, 2], &[], &[]);
        check(&[1], &[1], &[1, 3], &[], &[3]);
    }

    #[test]
    fn repeats_and_doubts_are_told_apart() {
        let checker = Checker::default();
        (0..3).for_each(|number| checker.attempted(number));
        checker.acked(0);
        assert_eq!((checker.read(0), checker.read(0), checker.read(2)), (1, 2, 1));
        assert_eq!((checker.repeated(), checker.unclear()), (vec![0], vec![1, 2]));
        assert_eq!((checker.times(0), checker.times(1), checker.reads(), checker.acks()), (2, 0, 2, 1));
    }
}
