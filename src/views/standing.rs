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

/// Why an ephemeral push consumer without a listener is nobody's trouble.
const LEFT_BEHIND: &str = "its client went away; the server removes it after its inactive threshold";

/// No delivery within less than this says nothing.
const MOMENT: Duration = Duration::from_secs(1);

/// A handler may take this long, or its ack wait if that is longer, before its consumer counts as stopped.
const LONG_HANDLER: Duration = Duration::from_secs(30);

/// The part of its readiness by which an instance says that it is about to end.
const DRAINS: &str = "drain";

/// Words for an instance of which nothing new is heard.
const GONE: &str = "gone";
const SILENT: &str = "silent";
const STALE: &str = "stale";

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

    /// Of an instance: whether what it said last still counts.
    pub(super) fn is_heard(&self) -> bool {
        !matches!(self.sign.word.as_str(), GONE | SILENT | STALE)
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
        Reading::Stale { reason, .. } => return Standing::new(Level::Unknown, STALE, reason),
        Reading::Unknown { reason, .. } => return Standing::new(Level::Unknown, "unknown", reason),
    };
    if state.is_paused {
        return Standing::new(Level::Idle, "paused", "the server delivers nothing until the pause ends");
    }
    if consumer.mode == Mode::Push && !consumer.is_durable && !state.has_listener {
        return Standing::new(Level::Idle, "left behind", LEFT_BEHIND);
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
        } else if state.redelivered > 0 {
            tries_again(state)
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
        return tries_again(state);
    }
    let is_full = consumer.max_ack_pending.is_some_and(|most| state.ack_pending >= most);
    if is_full {
        Standing::new(Level::Busy, "full", "as many in flight as it may have")
    } else {
        Standing::new(Level::Ok, "keeps up", "")
    }
}

/// Handlers fail, or workers died: either way somebody wants to know.
fn tries_again(state: &ConsumerState) -> Standing {
    let messages = format::counted_u64(state.redelivered, "message");
    Standing::new(Level::Warning, "tries again", format!("{messages} failed or lost their worker and came again"))
}

/// How an instance stands that fell silent without a word.
pub(super) fn of_gone() -> Standing {
    Standing::new(Level::Critical, GONE, "it stopped writing and did not say that it ends")
}

/// How an instance stands, by what it wrote last.
pub(super) fn of_instance(entry: &Entry<Presence>, bucket: &Reading<Bucket<Presence>>) -> Standing {
    let probes = &entry.value.probes;
    let read_at = match bucket {
        Reading::Known(fact) => fact.at,
        Reading::Stale { reason, .. } | Reading::Unknown { reason, .. } => {
            return Standing::new(Level::Unknown, STALE, reason);
        }
    };
    let silence = entry.written.age(read_at);
    if silence.0 > INTERVAL * 2 {
        return Standing::new(Level::Warning, SILENT, format!("it has not written for {silence}"));
    }
    if !probes.startup.passes {
        return Standing::new(Level::Busy, "starting", failing(&probes.startup));
    }
    if !probes.live.passes {
        return Standing::new(Level::Critical, "not live", failing(&probes.live));
    }
    if probes.ready.parts.iter().any(|part| part.name == DRAINS && !part.passes) {
        return Standing::new(Level::Busy, "draining", "it takes nothing new and is about to end");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, Timestamp},
        snapshot::{Acks, Why},
    };

    fn now() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
    }

    /// A consumer with this much pending, of which this much was pending and delivered in the two seconds before.
    fn consumer(pending: u64, before: u64, delivered: u64) -> Consumer {
        let state = ConsumerState { pending, delivered: 100, last_delivered: Some(now()), ..ConsumerState::default() };
        Consumer {
            stream: "ORDERS".parse().unwrap(),
            name: "reserve".parse().unwrap(),
            is_durable: true,
            mode: Mode::Pull,
            filters: Vec::new(),
            acks: Acks::Explicit,
            ack_wait: Duration::from_secs(30),
            max_deliver: None,
            max_ack_pending: Some(10),
            created: now(),
            state: Reading::known(state, "n1", now()),
            trend: Some(ConsumerTrend { over: Duration::from_secs(2), delivered, pending_before: before }),
        }
    }

    fn with(mut consumer: Consumer, change: impl FnOnce(&mut ConsumerState)) -> Consumer {
        if let Reading::Known(fact) = &mut consumer.state {
            change(&mut fact.value);
        }
        consumer
    }

    fn check(consumer: &Consumer, expected: &str) {
        let standing = of_consumer(consumer);
        assert_eq!(standing.sign.word, expected, "{standing:?}");
    }

    fn long_ago() -> Option<Timestamp> {
        Timestamp::parse("2030-01-31T11:00:00Z")
    }

    #[test]
    fn what_moves_and_does_not_grow_keeps_up() {
        check(&consumer(0, 0, 10), "keeps up");
        check(&consumer(5, 5, 10), "keeps up");
        check(&consumer(9, 2, 10), "keeps up");
        check(&consumer(50, 80, 10), "keeps up");
        check(&consumer(80, 50, 10), "falls behind");
        check(&with(consumer(0, 0, 0), |state| state.last_delivered = long_ago()), "idle");
    }

    #[test]
    fn what_does_not_move_is_told_apart_by_who_could_move_it() {
        check(&consumer(5, 0, 0), "has lag");
        check(&consumer(5, 5, 0), "nobody asks");
        check(&with(consumer(5, 5, 0), |state| state.waiting = 1), "stopped");
        check(&with(consumer(5, 5, 0), |state| state.ack_pending = 3), "busy");
        let hung = |state: &mut ConsumerState| (state.ack_pending, state.last_delivered) = (3, long_ago());
        check(&with(consumer(5, 5, 0), hung), "stopped");
        check(&with(consumer(0, 0, 0), |state| state.ack_pending = 10), "full");
        check(&with(consumer(0, 0, 0), |state| (state.ack_pending, state.redelivered) = (2, 1)), "tries again");
        check(&with(consumer(5, 5, 0), |state| state.is_paused = true), "paused");
        check(&Consumer { mode: Mode::Push, ..consumer(5, 5, 0) }, "nobody asks");
    }

    #[test]
    fn what_a_client_left_behind_is_no_trouble() {
        let ephemeral = |consumer| Consumer { mode: Mode::Push, is_durable: false, ..consumer };
        check(&ephemeral(consumer(5, 5, 0)), "left behind");
        check(&ephemeral(with(consumer(5, 5, 0), |state| state.redelivered = 1)), "left behind");
        assert_eq!(of_consumer(&ephemeral(consumer(5, 5, 0))).level(), Level::Idle);
        check(&ephemeral(with(consumer(5, 5, 0), |state| state.has_listener = true)), "stopped");
        check(&Consumer { is_durable: false, ..consumer(5, 5, 0) }, "nobody asks");
    }

    #[test]
    fn one_round_alone_condemns_nobody() {
        check(&Consumer { trend: None, ..consumer(5, 5, 0) }, "has lag");
        let fast = ConsumerTrend { over: Duration::from_millis(200), delivered: 0, pending_before: 5 };
        check(&Consumer { trend: Some(fast), ..consumer(5, 5, 0) }, "has lag");
    }

    #[test]
    fn what_is_not_known_is_neither_well_nor_ill() {
        let unknown = Consumer { state: Reading::unknown(Why::Failed, "no leader"), ..consumer(0, 0, 0) };
        check(&unknown, "unknown");
        assert!(!of_consumer(&unknown).is_well() && !of_consumer(&unknown).is_trouble());
    }

    fn presence(startup: bool, live: bool, ready: bool) -> Entry<Presence> {
        let probe = |passes| Probe { passes, parts: Vec::new() };
        let text =
            r#"{"service":"mail","instance":"1","started":"2030-01-31T12:00:00Z","written":"2030-01-31T12:00:00Z"}"#;
        let mut value: Presence = serde_json::from_str(text).unwrap();
        value.probes = crate::presence::Probes { live: probe(live), ready: probe(ready), startup: probe(startup) };
        Entry { key: "mail.1".to_owned(), revision: 1, written: now(), value }
    }

    fn check_instance(entry: &Entry<Presence>, read_after: u64, expected: &str) {
        let clock = Clock::standing_at(now());
        clock.advance(Duration::from_secs(read_after));
        let bucket =
            Bucket { entries: Vec::new(), deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false };
        let bucket = Reading::known(bucket, "bucket presence", clock.now());
        assert_eq!(of_instance(entry, &bucket).sign.word, expected);
        let stale = Reading::unknown(Why::Failed, "lost").or_last(&bucket);
        assert_eq!(of_instance(entry, &stale).sign.word, "stale", "an old word of it is no word of it");
    }

    #[test]
    fn an_instance_is_what_its_probes_say_for_as_long_as_it_says_something() {
        check_instance(&presence(true, true, true), 1, "ready");
        check_instance(&presence(true, true, false), 1, "not ready");
        check_instance(&presence(true, false, false), 1, "not live");
        check_instance(&presence(false, true, false), 1, "starting");
        check_instance(&presence(true, true, true), 11, "silent");
    }
}
