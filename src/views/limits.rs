//! How full a stream is: each limit as a bar, and when it will be reached if it goes on like this.

use std::time::Duration;

use askama::{Template, filters::HtmlSafe};

use super::{format, pieces::Level};
use crate::{
    clock::Timestamp,
    snapshot::{Discard, FULL_PERCENT, Limit, Stream, limit},
};

/// From here on a limit is shown as nearly reached.
const NEARLY: u64 = 85;

/// A forecast that reaches further than this is none.
const HORIZON: Duration = Duration::from_secs(30 * 86_400);

/// How much of a limit is used up, as a bar.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/fill.html")]
pub(super) struct Fill {
    /// Of what.
    pub(super) name: &'static str,
    /// In percent, 100 at the most.
    percent: u64,
    /// Of how much, such as `of 5.0 MB`, after the used part where that stands nowhere else.
    text: String,
    level: Level,
    /// What comes of it when it goes on like this.
    pub(super) forecast: String,
}

impl HtmlSafe for Fill {}

impl Fill {
    fn new(name: &'static str, used: u64, most: u64, text: String) -> Self {
        let percent = u64::try_from(u128::from(used) * 100 / u128::from(most.max(1))).unwrap_or(100).min(100);
        Self { name, percent, text, level: Level::Idle, forecast: String::new() }
    }

    /// A limit that refuses what does not fit.
    pub(super) fn of_limit(used: u64, most: u64, words: fn(u64) -> String) -> Self {
        let fill = Self::new("", used, most, format!("used, {} of {}", words(used), words(most)));
        let level = match fill.percent {
            FULL_PERCENT.. => Level::Critical,
            NEARLY.. => Level::Warning,
            _ => Level::Idle,
        };
        Self { level, ..fill }
    }

    /// The limits that a stream has, with how far they are reached.
    pub(super) fn all(stream: &Stream, now: Timestamp) -> Vec<Self> {
        let Some(state) = stream.state.value() else { return Vec::new() };
        let config = &stream.config;
        let counts = [
            ("Messages", state.messages, config.message_limit(), format::count as fn(u64) -> String, Limit::MaxMsgs),
            ("Size", state.bytes, config.byte_limit(), format::bytes, Limit::MaxBytes),
        ];
        let counts = counts.into_iter().filter_map(|(name, used, most, words, limit)| {
            let most = most?;
            let fill = Self::new(name, used, most, format!("used, {} of {}", words(used), words(most)));
            let fill = if state.is_full(config, limit) { Self { percent: 100, ..fill } } else { fill };
            Some(fill.forecast(config.discard, stream.until_full(limit).filter(|left| *left < HORIZON)))
        });
        let age = config.age_limit().zip(state.first_stored).map(|(most, first)| {
            let used = first.age(now).0;
            let text = format!("used, {} of {}", format::age(used), format::age(most));
            Self::new("Age of the oldest", used.as_secs(), most.as_secs().max(1), text)
        });
        let consumers = limit(config.max_consumers).map(|most| {
            let text = format!("used, {} of {}", format::count(state.consumers), format::count(most));
            Self::new("Consumers", state.consumers, most, text)
        });
        counts.chain(age).chain(consumers).collect()
    }

    /// The limit on messages or bytes that is reached the furthest.
    pub(super) fn fullest(stream: &Stream) -> Option<Self> {
        let state = stream.state.value()?;
        let full =
            |fill: Self, limit| if state.is_full(&stream.config, limit) { Self { percent: 100, ..fill } } else { fill };
        let messages = stream.config.message_limit().map(|most| {
            let text = format!("of {}", format::counted_u64(most, "message"));
            full(Self::new("Messages", state.messages, most, text), Limit::MaxMsgs)
        });
        let bytes = stream.config.byte_limit().map(|most| {
            full(Self::new("Size", state.bytes, most, format!("of {}", format::bytes(most))), Limit::MaxBytes)
        });
        let fullest = messages.into_iter().chain(bytes).max_by_key(|fill| fill.percent)?;
        let is_near = stream.config.discard == Discard::New && fullest.percent >= NEARLY;
        Some(Self { level: if is_near { Level::Warning } else { Level::Idle }, ..fullest })
    }

    /// What a full stream does is said where it is full, or will be.
    fn forecast(mut self, discard: Discard, left: Option<Duration>) -> Self {
        let then = match discard {
            Discard::Old => "its oldest messages go",
            Discard::New => "it refuses new messages",
        };
        self.forecast = match left {
            _ if self.percent >= 100 => format!("full: {then}"),
            Some(left) => format!("full in about {} at this rate, then {then}", format::age(left)),
            None => String::new(),
        };
        if discard == Discard::New && self.percent >= NEARLY {
            self.level = if self.percent >= 100 { Level::Critical } else { Level::Warning };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_its_place() {
        let check = |used, most, expected| assert_eq!(Fill::new("", used, most, String::new()).percent, expected);
        check(0, 10, 0);
        check(5, 10, 50);
        check(11, 10, 100);
        check(u64::MAX, 1, 100);
        check(1, 0, 100);
    }
}
