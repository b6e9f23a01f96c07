//! A circuit breaker: after too many failures it lets nothing through for a while, then one, and that one decides.
//!
//! Convention: the three states of the field's circuit breakers (Nygard, "Release It!"), tripped by the share of failures in a sliding
//! window of time.

use std::time::{Duration, Instant};

/// Parts of the sliding window: what is older goes a part at a time.
const PARTS: u32 = 10;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    share: f64,
    of: u32,
    within: Duration,
    open_for: Duration,
    classes: Option<Vec<&'static str>>,
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything.
    Closed,
    /// Nothing, until then.
    Open {
        /// When it lets one through.
        until: Instant,
    },
    /// One, whose result closes it or opens it again.
    HalfOpen,
}

/// A breaker at work.
#[derive(Debug)]
pub struct BreakerState {
    breaker: Breaker,
    opened_until: Option<Instant>,
    window: Window,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// Opens for 10 s when half of at least 20 results within 10 s are failures.
    pub fn new() -> Self {
        let ten = Duration::from_secs(10);
        Self { share: 0.5, of: 20, within: ten, open_for: ten, classes: None }
    }

    /// The share of failures that opens it, from 0 to 1.
    #[must_use]
    pub fn failures(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// How many results it wants to see before it judges.
    #[must_use]
    pub fn of(mut self, results: u32) -> Self {
        self.of = results.max(1);
        self
    }

    /// How long a result counts.
    #[must_use]
    pub fn within(mut self, window: Duration) -> Self {
        self.within = window;
        self
    }

    /// How long it stays open before it lets one through.
    #[must_use]
    pub fn open_for(mut self, pause: Duration) -> Self {
        self.open_for = pause;
        self
    }

    /// Counts failures of these kinds only; a failure of another kind says nothing of what the breaker guards.
    #[must_use]
    pub fn classes(mut self, classes: &[&'static str]) -> Self {
        self.classes = Some(classes.to_vec());
        self
    }

    /// Whether a failure of this kind counts.
    pub fn counts(&self, class: &str) -> bool {
        self.classes.as_ref().is_none_or(|classes| classes.contains(&class))
    }
}

impl BreakerState {
    /// A closed breaker.
    pub fn new(breaker: Breaker) -> Self {
        let window = Window { part: (breaker.within / PARTS).max(Duration::from_millis(1)), parts: Vec::new() };
        Self { breaker, opened_until: None, window }
    }

    /// Its settings.
    pub fn settings(&self) -> &Breaker {
        &self.breaker
    }

    /// What it lets through now.
    pub fn phase(&self, now: Instant) -> Phase {
        match self.opened_until {
            None => Phase::Closed,
            Some(until) if now < until => Phase::Open { until },
            Some(_) => Phase::HalfOpen,
        }
    }

    /// Takes a result and returns the new phase if it changed by it. A result that comes while it is open, from a call that began
    /// before, changes nothing.
    pub fn record(&mut self, now: Instant, succeeded: bool) -> Option<Phase> {
        match self.phase(now) {
            Phase::Open { .. } => None,
            Phase::HalfOpen if succeeded => {
                self.opened_until = None;
                Some(Phase::Closed)
            }
            Phase::HalfOpen => Some(self.open(now)),
            Phase::Closed => {
                let (results, failures) = self.window.add(now, succeeded);
                let is_too_much = f64::from(failures) >= self.breaker.share * f64::from(results);
                (failures > 0 && results >= self.breaker.of && is_too_much).then(|| self.open(now))
            }
        }
    }

    fn open(&mut self, now: Instant) -> Phase {
        let until = now + self.breaker.open_for;
        self.opened_until = Some(until);
        self.window.parts.clear();
        Phase::Open { until }
    }
}

/// Results of the latest time, in parts of it.
#[derive(Debug)]
struct Window {
    part: Duration,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    began: Instant,
    results: u32,
    failures: u32,
}

impl Window {
    /// Adds a result and returns how many there are, and how many of them are failures.
    fn add(&mut self, now: Instant, succeeded: bool) -> (u32, u32) {
        let (part, whole) = (self.part, self.part * PARTS);
        self.parts.retain(|kept| now.saturating_duration_since(kept.began) < whole);
        if self.parts.last().is_none_or(|last| now.saturating_duration_since(last.began) >= part) {
            self.parts.push(Part { began: now, results: 0, failures: 0 });
        }
        if let Some(last) = self.parts.last_mut() {
            last.results += 1;
            last.failures += u32::from(!succeeded);
        }
        self.parts.iter().fold((0, 0), |(results, failures), part| (results + part.results, failures + part.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> BreakerState {
        BreakerState::new(Breaker::new().failures(0.5).of(4).within(SECOND * 10).open_for(SECOND * 5))
    }

    /// Records results at one moment; `.` is a success, `x` a failure. Returns what the last one changed.
    fn record(state: &mut BreakerState, now: Instant, results: &str) -> Option<Phase> {
        results.chars().fold(None, |_, result| state.record(now, result == '.'))
    }

    #[test]
    fn it_opens_at_the_share_of_failures_and_not_before_it_has_seen_enough() {
        let now = Instant::now();
        let mut state = breaker();
        assert_eq!(record(&mut state, now, "xxx"), None);
        assert_eq!(record(&mut state, now, "."), Some(Phase::Open { until: now + SECOND * 5 }));
        let mut state = breaker();
        assert_eq!(record(&mut state, now, "...x.x."), None);
        assert_eq!(state.phase(now), Phase::Closed);
    }

    #[test]
    fn old_results_do_not_count() {
        let now = Instant::now();
        let mut state = breaker();
        record(&mut state, now, "xxx");
        assert_eq!(record(&mut state, now + SECOND * 10, "x.."), None);
        assert!(record(&mut state, now + SECOND * 10, "x").is_some());
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_again() {
        let now = Instant::now();
        let mut state = breaker();
        record(&mut state, now, "xxxx");
        assert_eq!(record(&mut state, now + SECOND, "..xx"), None, "late results change nothing");
        let then = now + SECOND * 5;
        assert_eq!(state.phase(then), Phase::HalfOpen);
        assert_eq!(record(&mut state, then, "x"), Some(Phase::Open { until: then + SECOND * 5 }));
        assert_eq!(record(&mut state, then + SECOND * 5, "."), Some(Phase::Closed));
        assert_eq!(record(&mut state, then + SECOND * 5, "xxx"), None, "it begins anew");
    }

    #[test]
    fn successes_alone_never_open_it_and_classes_say_what_counts() {
        let mut state = BreakerState::new(Breaker::new().failures(0.0).of(1));
        assert_eq!(record(&mut state, Instant::now(), "....."), None);
        assert!(Breaker::new().counts("anything"));
        let picky = Breaker::new().classes(&["provider_down"]);
        assert_eq!((picky.counts("provider_down"), picky.counts("error")), (true, false));
    }

    #[test]
    fn its_memory_is_bounded() {
        let now = Instant::now();
        let mut state = BreakerState::new(Breaker::new().of(u32::MAX));
        for millis in 0..100_000 {
            state.record(now + Duration::from_millis(millis), true);
        }
        assert!(state.window.parts.len() <= PARTS as usize);
    }
}
