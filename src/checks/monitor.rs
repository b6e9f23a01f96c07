//! What the makers of streams and consumers noted on them for whoever watches.
//!
//! Convention: the metadata `io.nats.monitor.*` of `nats server check` (`monitor` in <https://github.com/nats-io/jsm.go>).

use std::{collections::BTreeMap, ops::Bound, time::Duration};

/// What all of them begin with.
pub(super) const PREFIX: &str = "io.nats.monitor.";

/// What is noted on a stream or consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notes<'a>(pub(super) &'a BTreeMap<String, String>);

impl<'a> Notes<'a> {
    /// Whether nothing is to be told of it.
    pub(super) fn is_silenced(self) -> bool {
        self.get("enabled").is_some_and(|value| flag(value) == Some(false))
    }

    /// A count; a count of 0 is no threshold.
    pub(super) fn count(self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok().filter(|count| *count > 0)
    }

    /// A length of time.
    pub(super) fn length(self, key: &str) -> Option<Duration> {
        length(self.get(key)?).filter(|length| !length.is_zero())
    }

    /// Whether it says yes.
    pub(super) fn is_set(self, key: &str) -> bool {
        self.get(key).and_then(flag).unwrap_or_default()
    }

    /// Those that say nothing that could be understood, as key and value. `kind` says how a key is to be read, if it is known.
    pub(super) fn unreadable(self, kind: impl Fn(&str) -> Option<Kind>) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.ours().filter(move |(key, value)| match kind(key) {
            Some(Kind::Count) => value.parse::<u64>().is_err(),
            Some(Kind::Length) => length(value).is_none(),
            Some(Kind::Flag) => flag(value).is_none(),
            None => false,
        })
    }

    /// Servers note things of their own on everything, so this is asked of every row in every round: it allocates nothing.
    fn get(self, key: &str) -> Option<&'a str> {
        self.ours().find(|(noted, _)| *noted == key).map(|(_, value)| value)
    }

    /// Those for monitors, without what all of them begin with.
    fn ours(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range::<str, _>((Bound::Included(PREFIX), Bound::Unbounded));
        from.map_while(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str())))
    }
}

/// How a value is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number.
    Count,
    /// A length of time.
    Length,
    /// Yes or no.
    Flag,
}

/// Convention: what Go's `strconv.ParseBool` takes.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Convention: Go's durations, such as `1h30m` and `1.5s`, and beside their units days, weeks, months of 30 and years of 365 days.
fn length(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = number.parse::<f64>().ok()? * unit_seconds(unit)?;
        whole = whole.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = tail;
    }
    (!text.trim().is_empty()).then_some(whole)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" | "D" => DAY,
        "w" | "W" => 7.0 * DAY,
        "M" => 30.0 * DAY,
        "y" | "Y" => 365.0 * DAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(length(text), expected.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn lengths_are_written_as_in_go() {
        check("90s", Some(90_000));
        check("1h30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check("250ms", Some(250));
        check("2d", Some(172_800_000));
        check("1w", Some(604_800_000));
        check("0", Some(0));
        for bad in ["", "s", "10", "-1s", "1x", "1 s", "..s", "1e400y"] {
            check(bad, None);
        }
    }

    #[test]
    fn only_what_is_ours_to_read_can_be_unreadable() {
        let notes: BTreeMap<String, String> = [
            ("io.nats.monitor.msgs-warn", "many"),
            ("io.nats.monitor.msgs-critical", "5"),
            ("io.nats.monitor.new", "?"),
            ("owner", "?"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        let kind = |key: &str| key.starts_with("msgs").then_some(Kind::Count);
        let unreadable: Vec<_> = Notes(&notes).unreadable(kind).collect();
        assert_eq!(unreadable, [("msgs-warn", "many")]);
        assert_eq!((Notes(&notes).count("msgs-critical"), Notes(&notes).count("msgs-warn")), (Some(5), None));
    }

    #[test]
    fn silence_has_to_be_said() {
        let noted = |value: &str| BTreeMap::from([(format!("{PREFIX}enabled"), value.to_owned())]);
        assert!(Notes(&noted("false")).is_silenced());
        assert!(!Notes(&noted("true")).is_silenced() && !Notes(&noted("no")).is_silenced());
        assert!(!Notes(&BTreeMap::new()).is_silenced());
    }
}
