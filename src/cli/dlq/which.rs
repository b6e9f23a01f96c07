//! Which dead letters a command is about.

use std::time::Duration;

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};

use crate::{
    clock::Timestamp,
    consumer::dead_letter::Filter,
    dead_letter::Kind,
    name::{ConsumerName, StreamName},
};

/// Letters of one command at the most: they are held in memory.
const LIMIT_MOST: u64 = 1_000_000;

/// Flags that choose letters; a letter fits if it fits all of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which letters")]
pub(super) struct Which {
    /// Of messages of this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<StreamName>,
    /// Given up by this durable consumer
    #[arg(long, value_name = "NAME")]
    durable: Option<ConsumerName>,
    /// Given up by whom
    #[arg(long, value_name = "KIND")]
    kind: Option<KindFlag>,
    /// Given up for this kind of failure, such as `rejected` or `unreadable`
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Given up since then: an age such as `90m`, `12h` or `3d`, or a time such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    since: Option<Since>,
    /// With this text, in any case, in subject, ids, reason, headers or payload
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindFlag {
    /// By a worker of ours, which kept a copy
    Buried,
    /// By the server, after as many deliveries as the consumer allows
    Exhausted,
    /// By another worker, which told the server not to deliver it again
    Terminated,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Since {
    At(Timestamp),
    Ago(Duration),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither an age (90m, 12h, 3d) nor a time (2030-01-31T12:00:00Z)");
        if let Some(at) = Timestamp::parse(text) {
            return Ok(Self::At(at));
        }
        let unit = text.chars().last().ok_or_else(wrong)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        Ok(Self::Ago(Duration::from_secs(seconds * u64::from(count))))
    }
}

impl Which {
    /// Whether every letter fits.
    pub(super) fn is_everything(&self) -> bool {
        let texts = self.class.is_some() || self.text.is_some();
        !texts && self.stream.is_none() && self.durable.is_none() && self.kind.is_none() && self.since.is_none()
    }

    /// The letters that are meant when it is `now`.
    pub(super) fn filter(&self, now: Timestamp) -> Filter {
        Filter {
            stream: self.stream.clone(),
            consumer: self.durable.clone(),
            sequence: None,
            kind: self.kind.map(|kind| match kind {
                KindFlag::Buried => Kind::Buried,
                KindFlag::Exhausted => Kind::Exhausted,
                KindFlag::Terminated => Kind::Terminated,
            }),
            class: self.class.clone(),
            since: self.since.map(|since| match since {
                Since::At(at) => at,
                Since::Ago(age) => ago(now, age),
            }),
            text: self.text.clone(),
        }
    }
}

/// Before any time that can be written lies everything.
fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let age = time::Duration::try_from(age).ok();
    Timestamp(age.and_then(|age| now.0.checked_sub(age)).unwrap_or(time::OffsetDateTime::UNIX_EPOCH))
}

/// Reads a `--limit`.
pub(super) fn limit() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=LIMIT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Since>) {
        assert_eq!(Since::parse(text).ok(), expected, "{text:?}");
    }

    #[test]
    fn since_is_an_age_or_a_time() {
        check("90m", Some(Since::Ago(Duration::from_secs(5_400))));
        check("3d", Some(Since::Ago(Duration::from_secs(259_200))));
        check("2030-01-31T12:00:00Z", Timestamp::parse("2030-01-31T12:00:00Z").map(Since::At));
        check("4000000000d", Some(Since::Ago(Duration::from_secs(4_000_000_000 * 86_400))));
        check("yesterday", None);
        check("12", None);
        check("é", None);
        check("", None);
    }

    #[test]
    fn an_age_that_reaches_before_all_time_is_everything() {
        let now = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        assert_eq!(ago(now, Duration::from_secs(3_600)), Timestamp::parse("2030-01-31T11:00:00Z").unwrap());
        assert_eq!(ago(now, Duration::from_secs(4_000_000_000 * 86_400)), Timestamp(time::OffsetDateTime::UNIX_EPOCH));
        assert_eq!(ago(now, Duration::MAX), Timestamp(time::OffsetDateTime::UNIX_EPOCH));
    }
}
