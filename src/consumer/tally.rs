//! The attempts of one message while it is held: what was known when it came, what happened since, and whether that is written.

use super::attempts::{Attempts, Record};
use crate::{
    clock::Timestamp,
    errors::brief,
    handler::class,
    message::Delivery,
    resilience::{Decision, Failure, RetryPolicy},
};

/// The count of a held message.
#[derive(Debug)]
pub(super) struct Tally {
    /// What is known; `None` before the first start.
    record: Option<Record>,
    /// What was known before the start that runs.
    before: Option<Record>,
    /// Whether the bucket may hold something of it.
    is_stored: bool,
    /// Whether the bucket lacks what is known.
    is_unsaved: bool,
    is_redelivered: bool,
}

/// Why a message is not started again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    pub(super) class: String,
    pub(super) reason: String,
}

impl Tally {
    /// Takes over what is known of a delivered message.
    pub(super) fn new(delivery: &Delivery, record: Option<Record>) -> Self {
        let is_stored = record.is_some();
        Self { record, before: None, is_stored, is_unsaved: false, is_redelivered: delivery.delivered > 1 }
    }

    /// Handler starts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.attempts)
    }

    /// What is known; `None` before the first start.
    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// When the first start was; `None` before it.
    pub(super) fn first_started(&self) -> Option<Timestamp> {
        self.record.as_ref().map(|record| record.first_started)
    }

    /// Whether the starts so far are all that the policy allows. A start that nobody heard of again counts: it may have killed its
    /// process. Time is not looked at: that a worker was away is no reason to give a message up.
    pub(super) fn exhausted(&self, policy: &RetryPolicy) -> Option<Exhausted> {
        let record = self.record.as_ref()?;
        let is_lost = record.class.is_empty();
        let class = if is_lost { class::LOST } else { &record.class };
        let failure = Failure { attempts: record.attempts, since_first: std::time::Duration::ZERO, class, after: None };
        let Decision::GiveUp(why) = policy.decide(&failure, 1.0) else {
            return None;
        };
        let reason = if is_lost { "the process ended before the handler did" } else { &record.reason };
        // Another version may have written it, at any length.
        let reason = format!("{}; {why}", brief(reason.to_owned()));
        Some(Exhausted { class: class.to_owned(), reason })
    }

    /// Counts a start. What is no first start of a first delivery is written before it begins.
    pub(super) async fn start(&mut self, attempts: &Attempts, delivery: &Delivery, now: Timestamp) -> u32 {
        let first_started = self.first_started().unwrap_or(now);
        let number = self.attempts().saturating_add(1);
        let record = Record { attempts: number, first_started, class: String::new(), reason: String::new() };
        self.before = self.record.replace(record);
        self.is_unsaved = self.is_redelivered || number > 1;
        if self.is_unsaved {
            Box::pin(self.save(attempts, delivery)).await;
        }
        number
    }

    /// Notes how the start ended.
    pub(super) fn failed(&mut self, class: &str, reason: &str) {
        if let Some(record) = &mut self.record {
            class.clone_into(&mut record.class);
            reason.clone_into(&mut record.reason);
            self.is_unsaved = true;
        }
    }

    /// Takes the start back: it was we who ended it.
    pub(super) async fn take_back(&mut self, attempts: &Attempts, delivery: &Delivery) {
        self.record = self.before.take();
        self.is_unsaved = self.is_stored && self.record.is_some();
        match self.record {
            Some(_) => self.save(attempts, delivery).await,
            None => self.forget(attempts, delivery).await,
        }
    }

    /// Whether the bucket may hold something of it.
    pub(super) fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// Writes what is not written yet.
    pub(super) async fn save(&mut self, attempts: &Attempts, delivery: &Delivery) {
        if let Some(record) = self.record.as_ref().filter(|_| self.is_unsaved) {
            attempts.write(delivery, record).await;
            (self.is_stored, self.is_unsaved) = (true, false);
        }
    }

    /// Forgets the message, if anything of it is written.
    pub(super) async fn forget(&mut self, attempts: &Attempts, delivery: &Delivery) {
        if std::mem::take(&mut self.is_stored) {
            attempts.forget(delivery).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempts: u32, class: &str, expected: Option<(&str, &str)>) {
        let first_started = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let record = Record { attempts, first_started, class: class.into(), reason: "no room".into() };
        let tally =
            Tally { record: Some(record), before: None, is_stored: true, is_unsaved: false, is_redelivered: true };
        let found = tally.exhausted(&RetryPolicy::new().attempts(3));
        let found = found.as_ref().map(|found| (found.class.as_str(), found.reason.as_str()));
        assert_eq!(found, expected, "{attempts} {class}");
    }

    #[test]
    fn starts_that_nobody_heard_of_again_use_up_the_attempts() {
        check(2, "", None);
        check(3, "", Some((class::LOST, "the process ended before the handler did; attempt 3 was the last one")));
        check(2, "error", None);
        check(4, "error", Some(("error", "no room; attempt 4 was the last one")));
    }
}
