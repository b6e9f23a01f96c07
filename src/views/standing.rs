//! How a consumer or an instance stands, in a word and a sentence, by what two rounds tell.

use super::{
    format,
    pieces::{Level, Sign},
};
use crate::{
    presence::{INTERVAL, Presence, Probe},
    snapshot::{Bucket, Consumer, Entry, Label, Reading, Severity},
};

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

    /// Of an instance: whether what it said last still counts.
    pub(super) fn is_heard(&self) -> bool {
        !matches!(self.sign.word.as_str(), GONE | SILENT | STALE)
    }

    /// Whether somebody should look at it.
    pub(super) fn is_trouble(&self) -> bool {
        self.level() >= Level::Warning
    }
}

/// How a consumer stands, by its verdict.
pub(super) fn of_consumer(consumer: &Consumer) -> Standing {
    let verdict = &consumer.verdict;
    if consumer.state.fresh().is_none() {
        let word = if consumer.state.fact().is_some() { STALE } else { "unknown" };
        return Standing::new(Level::Unknown, word, consumer.state.reason().unwrap_or_default());
    }
    let why = if verdict.label == Label::Ok { "" } else { verdict.sentence.trim_end_matches('.') };
    Standing::new(level_of(consumer), verdict.label.words(), why)
}

/// How bad it is with a consumer.
pub(super) fn level_of(consumer: &Consumer) -> Level {
    let verdict = &consumer.verdict;
    if consumer.state.fresh().is_none() {
        return Level::Unknown;
    }
    match (verdict.severity, verdict.label) {
        (Severity::Critical, _) => Level::Critical,
        (Severity::Warning, _) => Level::Warning,
        (_, Label::Unknown) => Level::Unknown,
        (_, Label::Ok) => Level::Ok,
        (_, Label::Idle | Label::Paused) => Level::Idle,
        _ => Level::Busy,
    }
}

/// Whether a consumer has done all that there was to do.
pub(super) fn is_well(consumer: &Consumer) -> bool {
    level_of(consumer) == Level::Ok || (consumer.state.fresh().is_some() && consumer.verdict.label == Label::Idle)
}

/// How bad it is with the worst of some.
pub(super) fn worst_of<'a>(consumers: impl Iterator<Item = &'a Consumer>) -> Level {
    consumers.map(level_of).max().unwrap_or(Level::Idle)
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
        return Standing::new(Level::Warning, SILENT, format!("it has not written for {}", format::age(silence.0)));
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
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::{Clock, Timestamp},
        snapshot::Why,
    };

    fn now() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
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
