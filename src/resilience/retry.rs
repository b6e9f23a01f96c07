//! Whether a failed message is tried again, and when.

use std::{borrow::Cow, time::Duration};

use super::Backoff;

/// How often and how soon a failed message is tried again. An *attempt* is a start of its handler.
///
/// Without a limit by [`RetryPolicy::attempts`] or [`RetryPolicy::within`] it is tried for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    immediate: u32,
    delays: Delays,
    attempts: Option<u32>,
    within: Option<Duration>,
    classes: Vec<(&'static str, RetryPolicy)>,
}

/// The waits between attempts, once the immediate ones are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delays {
    /// Waits that double.
    Growing(Backoff),
    /// These waits one after the other, the last one again and again; each shortened by chance as [`Backoff`] does.
    Listed(Cow<'static, [Duration]>),
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// How long ago the first attempt started.
    pub since_first: Duration,
    /// What kind of failure it was.
    pub class: &'a str,
    /// When the handler asks to be tried again; it overrides the delays, not the limits.
    pub after: Option<Duration>,
}

/// What to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Try again at once.
    Now,
    /// Try again after this long.
    After(Duration),
    /// Never try again, for this reason.
    GiveUp(String),
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy {
    /// Tries again for ever, after a quarter of a second at first and half a minute in the end.
    pub fn new() -> Self {
        let delays = Delays::Growing(Backoff { first: Duration::from_millis(250), most: Duration::from_secs(30) });
        Self { immediate: 0, delays, attempts: None, within: None, classes: Vec::new() }
    }

    /// Tries again at once so many times before it begins to wait.
    #[must_use]
    pub fn immediately(mut self, times: u32) -> Self {
        self.immediate = times;
        self
    }

    /// Says how long to wait between the attempts after the immediate ones.
    #[must_use]
    pub fn then(mut self, delays: impl Into<Delays>) -> Self {
        self.delays = delays.into();
        self
    }

    /// Gives up after so many attempts, the first one included.
    #[must_use]
    pub fn attempts(mut self, most: u32) -> Self {
        self.attempts = Some(most);
        self
    }

    /// Gives up when the next attempt would start later than this after the first.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// Treats failures of one kind by a policy of their own.
    #[must_use]
    pub fn class(mut self, class: &'static str, policy: RetryPolicy) -> Self {
        self.classes.push((class, policy));
        self
    }

    /// Decides about a failure; `chance` is drawn from 0 to 1.
    pub fn decide(&self, failure: &Failure<'_>, chance: f64) -> Decision {
        match self.classes.iter().find(|(class, _)| *class == failure.class) {
            Some((_, policy)) => policy.decide_plainly(failure, chance),
            None => self.decide_plainly(failure, chance),
        }
    }

    fn decide_plainly(&self, failure: &Failure<'_>, chance: f64) -> Decision {
        let attempts = failure.attempts;
        if self.attempts.is_some_and(|most| attempts >= most) {
            return Decision::GiveUp(format!("attempt {attempts} was the last one"));
        }
        let wait = match failure.after {
            Some(after) => after,
            None if attempts <= self.immediate => Duration::ZERO,
            None => self.delays.wait(attempts - self.immediate, chance),
        };
        match self.within {
            Some(deadline) if failure.since_first + wait > deadline => {
                Decision::GiveUp(format!("attempt {attempts} was the last one within {} s", deadline.as_secs_f64()))
            }
            _ if wait.is_zero() => Decision::Now,
            _ => Decision::After(wait),
        }
    }
}

impl Delays {
    fn wait(&self, failures: u32, chance: f64) -> Duration {
        let listed = match self {
            Self::Growing(backoff) => return backoff.wait(failures, chance),
            Self::Listed(listed) => listed,
        };
        let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let whole = listed.get(at).or(listed.last()).copied().unwrap_or_default();
        Backoff { first: whole, most: whole }.wait(1, chance)
    }
}

impl From<Backoff> for Delays {
    fn from(backoff: Backoff) -> Self {
        Self::Growing(backoff)
    }
}

impl From<&'static [Duration]> for Delays {
    fn from(listed: &'static [Duration]) -> Self {
        Self::Listed(Cow::Borrowed(listed))
    }
}

impl From<Vec<Duration>> for Delays {
    fn from(listed: Vec<Duration>) -> Self {
        Self::Listed(Cow::Owned(listed))
    }
}

/// For ever, with these waits.
impl From<Backoff> for RetryPolicy {
    fn from(backoff: Backoff) -> Self {
        Self::new().then(backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failure(attempts: u32) -> Failure<'static> {
        Failure { attempts, since_first: Duration::ZERO, class: "error", after: None }
    }

    fn check(policy: &RetryPolicy, failure: Failure<'_>, expected: &Decision) {
        assert_eq!(&policy.decide(&failure, 1.0), expected, "{failure:?}");
    }

    #[test]
    fn immediate_attempts_come_first_then_the_delays_then_nothing() {
        let policy = RetryPolicy::new().immediately(2).then(vec![SECOND, SECOND * 5]).attempts(6);
        check(&policy, failure(1), &Decision::Now);
        check(&policy, failure(2), &Decision::Now);
        check(&policy, failure(3), &Decision::After(SECOND));
        check(&policy, failure(4), &Decision::After(SECOND * 5));
        check(&policy, failure(5), &Decision::After(SECOND * 5));
        check(&policy, failure(6), &Decision::GiveUp("attempt 6 was the last one".into()));
        check(&policy, failure(7), &Decision::GiveUp("attempt 7 was the last one".into()));
    }

    #[test]
    fn no_attempt_starts_after_the_deadline() {
        let policy = RetryPolicy::new().then(vec![SECOND * 5]).within(SECOND * 12);
        check(&policy, Failure { since_first: SECOND * 7, ..failure(2) }, &Decision::After(SECOND * 5));
        let gives_up = Decision::GiveUp("attempt 3 was the last one within 12 s".into());
        check(&policy, Failure { since_first: SECOND * 8, ..failure(3) }, &gives_up);
        check(&policy, Failure { after: Some(SECOND * 13), ..failure(3) }, &gives_up);
    }

    #[test]
    fn the_handler_may_say_when_and_a_class_may_have_its_own_policy() {
        let policy = RetryPolicy::new().attempts(9).class("busy", RetryPolicy::new().attempts(2));
        check(&policy, Failure { after: Some(SECOND), ..failure(1) }, &Decision::After(SECOND));
        check(&policy, Failure { after: Some(Duration::ZERO), ..failure(1) }, &Decision::Now);
        let gives_up = Decision::GiveUp("attempt 2 was the last one".into());
        check(&policy, Failure { class: "busy", ..failure(2) }, &gives_up);
        check(&policy, failure(2), &Decision::After(Duration::from_millis(500)));
    }

    #[test]
    fn without_limits_it_is_tried_for_ever_and_chance_shortens_a_wait_by_half_at_most() {
        let policy = RetryPolicy::from(Backoff { first: SECOND, most: SECOND * 4 });
        check(&policy, Failure { since_first: SECOND * 1_000_000, ..failure(u32::MAX) }, &Decision::After(SECOND * 4));
        let listed = RetryPolicy::new().then(vec![SECOND]);
        assert_eq!(listed.decide(&failure(1), 0.0), Decision::After(SECOND / 2));
        assert_eq!(RetryPolicy::new().then(Vec::new()).decide(&failure(1), 0.0), Decision::Now);
    }
}
