//! What becomes of a message when its handler has ended: pure, the policy, the count and the dice come in.

use std::time::Duration;

use crate::{
    bus::ClaimError,
    errors::ErrorChain,
    handler::{Outcome, class},
    resilience::{Decision, Failure, RetryPolicy},
};

/// How soon a message is looked at again that another process is at, unless its handler says.
const CLAIMED_AGAIN: Duration = Duration::from_secs(1);

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is processed.
    Done,
    /// It is tried again after so long; zero is at once.
    Again(Duration),
    /// It goes back, to be delivered after so long, and the attempt does not count: it was we who ended it, or another process is at it.
    /// Where order is kept, it waits here instead if it is to wait.
    HandedBack(Option<Duration>),
    /// It goes to the dead letters, for this reason.
    Dead(String),
}

/// Decides by how the handler ended, after `attempts` of which the first was `since_first` ago; `chance` is drawn from 0 to 1.
pub(super) fn fate(policy: &RetryPolicy, outcome: &Outcome, attempts: u32, since_first: Duration, chance: f64) -> Fate {
    match outcome {
        Outcome::Done => Fate::Done,
        Outcome::Reject { reason, .. } => Fate::Dead(reason.clone()),
        Outcome::Retry { class: class::SHUTDOWN, .. } => Fate::HandedBack(None),
        Outcome::Retry { class: class::CLAIMED, after, .. } => Fate::HandedBack(Some(after.unwrap_or(CLAIMED_AGAIN))),
        Outcome::Retry { reason, class, after } => {
            match policy.decide(&Failure { attempts, since_first, class, after: *after }, chance) {
                Decision::Now => Fate::Again(Duration::ZERO),
                Decision::After(wait) => Fate::Again(wait),
                Decision::GiveUp(why) => Fate::Dead(format!("{reason}; {why}")),
            }
        }
    }
}

/// How a handler ended that took longer than it may.
pub(super) fn outlived(limit: Duration) -> Outcome {
    let words = format!("the handler took longer than {} s", limit.as_secs_f64());
    Outcome::retry(words).classed(class::TIMEOUT)
}

/// How a handler ended that panicked.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Outcome {
    Outcome::retry(format!("the handler panicked: {}", words(panic))).classed(class::PANIC)
}

/// How a handler ended whose message's payload lies elsewhere and did not come.
pub(super) fn unredeemed(error: &ClaimError) -> Outcome {
    let words = ErrorChain(error).to_string();
    if error.is_transient() { Outcome::retry(words) } else { Outcome::reject(words).classed(class::UNREADABLE) }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: &Outcome, attempts: u32, expected: &Fate) {
        let policy = RetryPolicy::new().immediately(1).attempts(3).then(vec![Duration::from_secs(2)]);
        assert_eq!(&fate(&policy, outcome, attempts, Duration::ZERO, 1.0), expected, "{outcome:?} {attempts}");
    }

    #[test]
    fn a_message_is_done_tried_again_handed_back_or_dead() {
        let failed = Outcome::retry("no room");
        check(&Outcome::Done, 1, &Fate::Done);
        check(&failed, 1, &Fate::Again(Duration::ZERO));
        check(&failed, 2, &Fate::Again(Duration::from_secs(2)));
        check(&failed, 3, &Fate::Dead("no room; attempt 3 was the last one".into()));
        check(&failed.clone().classed(class::SHUTDOWN), 3, &Fate::HandedBack(None));
        check(&failed.classed(class::CLAIMED), 3, &Fate::HandedBack(Some(CLAIMED_AGAIN)));
        check(&Outcome::reject("no such sku"), 1, &Fate::Dead("no such sku".into()));
    }
}
