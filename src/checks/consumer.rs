//! The verdict on a consumer: each check looks for one thing, and the worst that is found is the verdict.
//!
//! Convention: the window of samples and the rules about positions that stand still or go back are those of Burrow's evaluator; unlike
//! there a single sample without lag excuses nothing, and a consumer is judged by the age of its messages too.

mod at_risk;
mod catching_up;
mod falling_behind;
mod idle;
mod losing;
mod no_workers;
mod paused;
mod rewound;
mod saturated;
mod stopped;
mod stuck;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod world;

use std::{borrow::Cow, time::Duration};

use super::monitor::{Notes, PREFIX};
use crate::{
    clock::{Age, Timestamp},
    snapshot::{
        AgeBy, Ages, Consumer, ConsumerState, Failures, Habits, Label, Mark, Mode, Sample, Severity, Stream,
        StreamState, Verdict, WorkerFact, stretch,
    },
    words::{agree, counted},
};

/// Samples that make a trend: what holds over so many rounds is no accident.
pub const ROUNDS: usize = 3;

/// Rounds of a consumer that any rule looks at; no more have to be remembered.
pub const SAMPLES: usize = ROUNDS + 1;

/// The default of the API for how long the server waits for an ack: one that is longer was set by somebody whose handlers take long.
const USUAL_ACK_WAIT: Duration = Duration::from_secs(30);

/// Since when nothing happened where the time of what happened last was lost with the server's memory.
const SINCE_START: &str = "since its server was started";

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
    /// What is remembered of it beyond these.
    pub habits: Habits,
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

/// One thing that a consumer may amount to, and how that is found out.
#[derive(Debug)]
pub struct Rule {
    /// The verdict.
    pub label: Label,
    /// How much it matters.
    pub severity: &'static str,
    /// What is the matter then.
    pub rule: &'static str,
    /// What it is read from.
    pub evidence: &'static str,
    /// How much, or for how long, makes it so.
    pub threshold: &'static str,
    look: fn(&Facts<'_>) -> Option<Found>,
}

/// All of them, the worst first.
pub const RULES: &[Rule] = &[
    losing::RULE,
    at_risk::RULE,
    stopped::RULE,
    no_workers::RULE,
    stuck::RULE,
    saturated::RULE,
    falling_behind::RULE,
    rewound::RULE,
    catching_up::RULE,
    paused::RULE,
    idle::RULE,
];

/// What a consumer amounts to: of all that is found the most severe, and of those the first in the order of the rules. The others of
/// that kind are among its evidence. `last` is the verdict of the round before.
pub fn verdict(facts: &Facts<'_>, last: &Verdict) -> Verdict {
    let mut found: Vec<Found> = RULES.iter().filter_map(|rule| (rule.look)(facts)).collect();
    found.sort_by_key(|found| (std::cmp::Reverse(found.severity), found.label));
    let mut found = found.into_iter();
    let Found { label, severity, sentence, mut evidence, next_step } =
        found.next().or_else(|| too_early(facts)).unwrap_or_else(|| well(facts));
    let others = found.filter(|other| other.severity >= Severity::Warning);
    evidence.extend(others.map(|other| format!("also {}: {}", other.label.words(), other.sentence)));
    let silenced =
        Notes(&facts.consumer.config.metadata).is_silenced() || Notes(&facts.stream.config.metadata).is_silenced();
    if silenced && severity > Severity::Notice {
        evidence.push(format!("{} noted on it: `{PREFIX}enabled` is false", severity.word()));
    }
    let severity = if silenced { severity.min(Severity::Notice) } else { severity };
    let since = if is_same(last.label, label) { last.since } else { facts.now };
    let since = facts.known_since(label).map_or(since, |known| known.min(since));
    Verdict { label, severity, sentence, evidence, next_step, since }
}

/// Whether one is the other seen later: whoever took messages is told from whoever hangs only once `ack_wait` is over.
pub fn is_same(before: Label, now: Label) -> bool {
    let kind = |label| if label == Label::NoWorkers { Label::Stopped } else { label };
    kind(before) == kind(now)
}

/// Whether it keeps up shows only over some rounds: before that nothing is said of one that had something to do in each of them. One
/// that had nothing to do in one of them had done all by then.
fn too_early(facts: &Facts<'_>) -> Option<Found> {
    let is_its = |sample: &&Sample| sample.created == facts.consumer.created;
    let seen = facts.samples.iter().rev().take_while(is_its);
    if facts.trend().is_some() || facts.state.lag() == 0 || seen.clone().any(|sample| sample.lag() == 0) {
        return None;
    }
    let seen = seen.count();
    let (seen, more) = (counted(seen as u64, "round"), ROUNDS.saturating_sub(seen));
    Some(Found {
        label: Label::Unknown,
        severity: Severity::Notice,
        sentence: format!("It was looked at in {seen} so far; whether it keeps up shows after {more} more.").into(),
        evidence: Vec::new(),
        next_step: Cow::Borrowed(""),
    })
}

fn well(facts: &Facts<'_>) -> Found {
    Found {
        label: Label::Ok,
        severity: Severity::Ok,
        sentence: at_work(facts).map_or(Cow::Borrowed("It keeps up."), Cow::Owned),
        evidence: Vec::new(),
        next_step: Cow::Borrowed(""),
    }
}

/// That nothing came back over the last rounds, which is no trouble yet, and nothing that would keep up either.
fn at_work(facts: &Facts<'_>) -> Option<String> {
    let trend = facts.trend()?;
    let [first, .., now] = trend else { return None };
    let stands = trend.iter().all(|sample| sample.ack_floor == now.ack_floor && sample.ack_pending > 0);
    if !stands || facts.unacked_for() < first.at.age(facts.now).0 {
        return None;
    }
    let (nothing, since) = if facts.has_moved() {
        (format!("nothing was {}", facts.acked_in_words()), facts.unacked_for())
    } else {
        (format!("nothing moved {}", facts.still_in_words()), facts.still_for())
    };
    let (held, patience) = (facts.state.ack_pending, facts.patience());
    let why = if facts.is_at_its_word() {
        format!("whoever has {} asks for more time", agree(held, "it", "them"))
    } else if since < patience {
        format!("a handler may take {}", Age(patience))
    } else {
        return None;
    };
    Some(format!("{} {} in hand, and {nothing}: {why}.", messages(held), agree(held, "is", "are")))
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
        let held_for = if self.is_at_its_word() { self.silent_for() } else { self.still_for() };
        self.trend().is_some() && !self.has_moved() && (self.state.ack_pending == 0 || held_for >= self.patience())
    }

    /// Whether anything was delivered or acked over the last rounds.
    fn has_moved(&self) -> bool {
        let Some([first, .., now]) = self.trend() else { return false };
        (first.delivered, first.ack_floor, first.ack_pending) != (now.delivered, now.ack_floor, now.ack_pending)
    }

    /// Whether asking for more time goes for work. It goes for none where workers tell how long their handlers take: leases are extended
    /// for a handler that hangs, too.
    fn is_at_its_word(&self) -> bool {
        self.habits.is_extended && self.workers.iter().all(|worker| worker.p99.is_none())
    }

    /// When a message was last delivered or acked.
    fn last_moved(&self) -> Option<Timestamp> {
        let delivered = self.habits.delivered.or(self.state.last_delivered);
        [delivered, self.state.last_acked].into_iter().flatten().max()
    }

    /// How long nothing was delivered or acked.
    fn still_for(&self) -> Duration {
        self.last_moved().unwrap_or(self.consumer.created).age(self.now).0
    }

    /// How long nothing was acked although something was there to be.
    fn unacked_for(&self) -> Duration {
        self.state.last_acked.max(self.oldest_stored()).unwrap_or(self.consumer.created).age(self.now).0
    }

    /// The same in words, after a word for nothing: `acked for 3 min`.
    fn acked_in_words(&self) -> String {
        match self.state.last_acked {
            Some(_) => format!("acked for {}", Age(self.unacked_for())),
            None if self.samples.last().is_some_and(|now| now.ack_floor == 0) => "ever acked".to_owned(),
            None => format!("acked {SINCE_START}"),
        }
    }

    /// How long nothing was delivered or acked, and nobody asked for more time.
    fn silent_for(&self) -> Duration {
        let last = [self.state.last_delivered, self.state.last_acked].into_iter().flatten().max();
        last.unwrap_or(self.consumer.created).age(self.now).0
    }

    /// The same in words: `for 3 min`. Since its server was started anew nobody may know more.
    fn still_in_words(&self) -> String {
        if self.state.last_delivered.or(self.state.last_acked).is_some() || self.state.delivered == 0 {
            format!("for {}", Age(self.still_for()))
        } else {
            SINCE_START.to_owned()
        }
    }

    /// That nothing was delivered, and how long.
    fn nothing_was_delivered(&self) -> String {
        if self.state.delivered == 0 {
            "nothing was ever delivered".to_owned()
        } else {
            format!("nothing was delivered {}", self.still_in_words())
        }
    }

    /// From when on at the latest it must have been so, whether anybody looked then or not.
    fn known_since(&self, label: Label) -> Option<Timestamp> {
        match label {
            // Nothing moved since, and there was something to do: the later of both.
            Label::Stopped | Label::NoWorkers => {
                let waits = self.oldest_stored();
                self.last_moved().max(waits).filter(|_| waits.is_some())
            }
            Label::Losing => self.failures.filter(|failures| failures.exhausted > 0)?.last,
            _ => None,
        }
    }

    /// When the oldest message was stored that is not processed, where that was read.
    fn oldest_stored(&self) -> Option<Timestamp> {
        let oldest = self.ages.and_then(|ages| ages.unprocessed).filter(|oldest| oldest.by == AgeBy::Message)?;
        Some(oldest.stored)
    }

    /// How long a handler may take before it counts as hung. One that asks for more time is given what it asks for, where that goes for
    /// work.
    fn patience(&self) -> Duration {
        let told = self.consumer.config.ack_wait;
        let told = if told > USUAL_ACK_WAIT || self.is_at_its_word() { told } else { Duration::ZERO };
        let handlers = self.workers.iter().filter_map(|worker| worker.p99).max().unwrap_or_default();
        told.max(handlers.saturating_mul(4))
    }

    /// Whether anybody would get a message that came now. Whoever took messages and let `ack_wait` pass is no reader, unless a worker
    /// says of itself that it is there.
    fn has_reader(&self) -> bool {
        let (state, config) = (self.state, &self.consumer.config);
        match config.mode() {
            Mode::Pull => {
                let may_hold = state.ack_pending > 0 && self.silent_for() <= config.ack_wait.max(self.patience());
                state.waiting > 0 || may_hold || (state.ack_pending > 0 && !self.workers.is_empty())
            }
            Mode::Push => state.has_listener,
        }
    }

    /// The last rounds in which something that happened once is still told of, the oldest first.
    fn recent(&self) -> &'a [Sample] {
        &self.samples[self.samples.len().saturating_sub(SAMPLES)..]
    }

    /// How far it was one to two minutes ago, and how far it is; `None` where the last rounds reach as far back.
    fn minutes(&self) -> Option<(Mark, &'a Sample)> {
        let (earlier, now) = (self.habits.earlier?, self.samples.last()?);
        let first = self.recent().first()?;
        (earlier.at < first.at).then_some((earlier, now))
    }

    /// Whether more waited in each of the last rounds than in the one before.
    fn lag_grows(&self) -> bool {
        self.trend().is_some_and(|trend| trend.windows(2).all(|pair| pair[1].pending > pair[0].pending))
    }

    /// Whether it takes only some of the stream's messages, or may have begun in the midst of them.
    fn is_filtered(&self) -> bool {
        !self.consumer.config.takes_all()
    }

    /// Whether its client went away and the server is about to remove it.
    fn is_left_behind(&self) -> bool {
        let config = &self.consumer.config;
        config.mode() == Mode::Push && !config.is_durable() && !self.state.has_listener
    }

    /// How old the oldest message is that it has not processed. Where nobody has read that message the stream's oldest may be it. An
    /// estimate is believed of a consumer that takes every message: of another it says how old its message is at the most.
    fn oldest_unprocessed(&self) -> Option<Duration> {
        let read = self.ages.and_then(|ages| ages.unprocessed);
        let read = read.filter(|oldest| oldest.by == AgeBy::Message || !self.is_filtered()).map(|oldest| oldest.stored);
        let first = || {
            let held = self.held.filter(|held| self.state.ack_floor_stream_sequence < held.first_sequence)?;
            held.first_stored.filter(|_| self.state.lag() > 0 && !self.is_filtered())
        };
        read.or_else(first).map(|stored| stored.age(self.now).0)
    }
}

/// `3 messages`, `1 message`.
fn messages(count: u64) -> String {
    counted(count, "message")
}

/// Messages that wait.
fn waiting(count: u64) -> String {
    format!("{} {}", messages(count), agree(count, "waits", "wait"))
}
