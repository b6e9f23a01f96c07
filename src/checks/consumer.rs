//! The verdict on a consumer: each check looks for one thing, and the worst that is found is the verdict.
//!
//! Convention: the window of samples and the rules about positions that stand still or go back are those of Burrow's evaluator; unlike
//! there a single sample without lag excuses nothing, and a consumer is judged by the age of its messages too.

mod falling_behind;
mod idle;
mod no_workers;
mod paused;
mod stopped;
#[cfg(test)]
mod world;

use std::{borrow::Cow, time::Duration};

use crate::{
    clock::Timestamp,
    snapshot::{
        Ages, Consumer, ConsumerState, Failures, Label, Sample, Severity, Stream, StreamState, Verdict, WorkerFact,
    },
};

/// Samples that make a trend: what holds over so many rounds is no accident.
const ROUNDS: usize = 3;

/// The default of the API for how long the server waits for an ack: one that is longer was set by somebody whose handlers take long.
const USUAL_ACK_WAIT: Duration = Duration::from_secs(30);

/// All that a consumer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The consumer.
    pub consumer: &'a Consumer,
    /// How far it is, by a fresh word of its leader.
    pub state: &'a ConsumerState,
    /// The stream that it reads.
    pub stream: &'a Stream,
    /// What the stream held, if that is fresh.
    pub held: Option<&'a StreamState>,
    /// The last rounds, the oldest first, this one included.
    pub samples: &'a [Sample],
    /// How old the oldest messages are, if that is fresh.
    pub ages: Option<&'a Ages>,
    /// What it gave up, if that is known.
    pub failures: Option<&'a Failures>,
    /// The workers that say of themselves that they pull from it.
    pub workers: &'a [WorkerFact],
    /// Now.
    pub now: Timestamp,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    label: Label,
    severity: Severity,
    sentence: Cow<'static, str>,
    evidence: Vec<String>,
    next_step: Cow<'static, str>,
}

/// The checks, the worst first; the first that finds something gives the verdict.
const CHECKS: &[fn(&Facts<'_>) -> Option<Found>] =
    &[stopped::look, no_workers::look, falling_behind::look, paused::look, idle::look];

/// What a consumer amounts to. `last` is the verdict of the round before.
pub fn verdict(facts: &Facts<'_>, last: &Verdict) -> Verdict {
    let found = CHECKS.iter().find_map(|check| check(facts)).unwrap_or_else(well);
    let since = if last.label == found.label { last.since } else { facts.now };
    let Found { label, severity, sentence, evidence, next_step } = found;
    Verdict { label, severity, sentence, evidence, next_step, since }
}

fn well() -> Found {
    Found {
        label: Label::Ok,
        severity: Severity::Ok,
        sentence: Cow::Borrowed("It keeps up."),
        evidence: Vec::new(),
        next_step: Cow::Borrowed(""),
    }
}

impl<'a> Facts<'a> {
    /// The last rounds over which a trend is told, the oldest first; `None` while there are too few, or it was made anew among them.
    fn trend(&self) -> Option<&'a [Sample]> {
        let from = self.samples.len().checked_sub(ROUNDS)?;
        let last = &self.samples[from..];
        last.iter().all(|sample| sample.created == self.consumer.created).then_some(last)
    }

    /// Whether nothing was delivered and nothing acked over the last rounds, and for as long as a handler may take.
    fn stands_still(&self) -> bool {
        let Some([first, .., now]) = self.trend() else { return false };
        let moved =
            (first.delivered, first.ack_floor, first.ack_pending) != (now.delivered, now.ack_floor, now.ack_pending);
        !moved && (self.state.ack_pending == 0 || self.still_for() >= self.patience())
    }

    /// How long nothing was delivered or acked.
    fn still_for(&self) -> Duration {
        let last = [self.state.last_delivered, self.state.last_acked].into_iter().flatten().max();
        last.unwrap_or(self.consumer.created).age(self.now).0
    }

    /// How long a handler may take before it counts as hung.
    fn patience(&self) -> Duration {
        let told = self.consumer.config.ack_wait;
        let told = if told > USUAL_ACK_WAIT { told } else { Duration::ZERO };
        let handlers = self.workers.iter().filter_map(|worker| worker.p99).max().unwrap_or_default();
        told.max(handlers * 4)
    }

    /// Whether anybody would get a message that came now.
    fn has_reader(&self) -> bool {
        match self.consumer.config.mode() {
            crate::snapshot::Mode::Pull => self.state.waiting > 0 || self.state.ack_pending > 0,
            crate::snapshot::Mode::Push => self.state.has_listener,
        }
    }
}

/// `3 messages`, `1 message`.
fn messages(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}
