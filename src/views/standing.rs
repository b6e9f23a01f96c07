//! How a consumer or an instance stands, in a word and a sentence, by what two rounds tell.

use std::time::Duration;

use super::{
    format,
    pieces::{Level, Sign},
};
use crate::{
    clock::Age,
    presence::{INTERVAL, Presence, Probe},
    snapshot::{Bucket, Consumer, ConsumerState, ConsumerTrend, Entry, Mode, Reading},
};

/// A consumer that has nothing to do and had nothing for this long is idle.
const IDLE: Duration = Duration::from_secs(60);

/// What it is called then.
const IDLE_WORD: &str = "idle";

/// No delivery within less than this says nothing.
const MOMENT: Duration = Duration::from_secs(1);

/// A handler may take this long, or its ack wait if that is longer, before its consumer counts as stopped.
const LONG_HANDLER: Duration = Duration::from_secs(30);

/// How a thing stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) sign: Sign,
    /// Why, in a sentence without its end; empty where the word says it all.
    pub(super) why: String,
}

impl Standing {
    fn new(level: Level, word: &str, why: impl Into<String>) -> Self {
        Self { sign: Sign::new(level, word), why: why.into() }
    }

    pub(super) fn level(&self) -> Level {
        self.sign.level
    }

    /// Whether all that there was to do is done.
    pub(super) fn is_well(&self) -> bool {
        self.level() == Level::Ok || self.sign.word == IDLE_WORD
    }

    /// Whether somebody should look at it.
    pub(super) fn is_trouble(&self) -> bool {
        self.level() >= Level::Warning
    }
}

/// How a consumer stands.
pub(super) fn of_consumer(consumer: &Consumer) -> Standing {
    let (state, read_at) = match &consumer.state {
        Reading::Known(fact) => (&fact.value, fact.at),
        Reading::Stale { reason, .. } => return Standing::new(Level::Unknown, "stale", reason),
        Reading::Unknown { reason, .. } => return Standing::new(Level::Unknown, "unknown", reason),
    };
    if state.is_paused {
        return Standing::new(Level::Idle, "paused", "the server delivers nothing until the pause ends");
    }
    let quiet = state.last_delivered.unwrap_or(consumer.created).age(read_at).0;
    match consumer.trend {
        _ if state.pending == 0 && state.ack_pending == 0 && quiet > IDLE => Standing::new(Level::Idle, IDLE_WORD, ""),
        _ if state.pending == 0 && state.ack_pending == 0 => Standing::new(Level::Ok, "keeps up", ""),
        None if state.pending > 0 => Standing::new(Level::Busy, "has lag", "one more round tells whether it keeps up"),
        Some(trend) if state.pending > 0 => with_lag(consumer, state, &trend, quiet),
        _ => in_flight(consumer, state),
    }
}

/// `quiet` is how long ago the last delivery was.
fn with_lag(consumer: &Consumer, state: &ConsumerState, trend: &ConsumerTrend, quiet: Duration) -> Standing {
    let pending = format::count(state.pending);
    let over = Age(trend.over);
    if trend.delivered > 0 {
        let outgrows = state.pending > trend.pending_before && state.pending > trend.delivered;
        return if outgrows {
            let before = format::count(trend.pending_before);
            let delivered = format::count(trend.delivered);
            let why = format!("{pending} pending, {before} before; {delivered} delivered in {over}");
            Standing::new(Level::Warning, "falls behind", why)
        } else {
            Standing::new(Level::Ok, "keeps up", "")
        };
    }
    // What came in within this round may go out in the next, and rounds may follow each other fast.
    if trend.pending_before == 0 || trend.over < MOMENT {
        return Standing::new(Level::Busy, "has lag", format!("{pending} pending, none delivered yet"));
    }
    let none = format!("{pending} pending, none delivered in {over}");
    let nobody_asks = match consumer.mode {
        Mode::Pull => state.waiting == 0 && state.ack_pending == 0,
        Mode::Push => !state.has_listener,
    };
    if nobody_asks {
        return Standing::new(Level::Critical, "nobody asks", format!("{none}, and no worker asks for any"));
    }
    if state.ack_pending > 0 && quiet < consumer.ack_wait.max(LONG_HANDLER) {
        let in_flight = format::count(state.ack_pending);
        return Standing::new(Level::Busy, "busy", format!("{none}; {in_flight} in flight"));
    }
    Standing::new(Level::Critical, "stopped", none)
}

fn in_flight(consumer: &Consumer, state: &ConsumerState) -> Standing {
    if state.redelivered > 0 {
        let why = format!("{} being delivered again", format::count(state.redelivered));
        return Standing::new(Level::Busy, "tries again", why);
    }
    let is_full = consumer.max_ack_pending.is_some_and(|most| state.ack_pending >= most);
    if is_full {
        Standing::new(Level::Busy, "full", "as many in flight as it may have")
    } else {
        Standing::new(Level::Ok, "keeps up", "")
    }
}

/// How an instance stands, by what it wrote last.
pub(super) fn of_instance(entry: &Entry<Presence>, bucket: &Reading<Bucket<Presence>>) -> Standing {
    let probes = &entry.value.probes;
    let read_at = match bucket {
        Reading::Known(fact) => fact.at,
        Reading::Stale { reason, .. } | Reading::Unknown { reason, .. } => {
            return Standing::new(Level::Unknown, "stale", reason);
        }
    };
    let silence = entry.written.age(read_at);
    if silence.0 > INTERVAL * 2 {
        return Standing::new(Level::Warning, "silent", format!("it has not written for {silence}"));
    }
    if !probes.startup.passes {
        return Standing::new(Level::Busy, "starting", failing(&probes.startup));
    }
    if !probes.live.passes {
        return Standing::new(Level::Critical, "not live", failing(&probes.live));
    }
    if !probes.ready.passes {
        return Standing::new(Level::Critical, "not ready", failing(&probes.ready));
    }
    Standing::new(Level::Ok, "ready", "")
}

/// The parts that do not pass, each with its reason.
fn failing(probe: &Probe) -> String {
    let parts = probe.parts.iter().filter(|part| !part.passes);
    let said: Vec<String> = parts.map(|part| format!("{}: {}", part.name, part.reason)).collect();
    if said.is_empty() { "it does not say why".to_owned() } else { said.join("; ") }
}
