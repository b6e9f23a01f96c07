//! What time it is, how long ago something was, and both in words.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Where the time comes from: the system, or in a test a time that only the test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Mutex<Timestamp>>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn standing_at(at: Timestamp) -> Self {
        Self(Some(Arc::new(Mutex::new(at))))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp(OffsetDateTime::now_utc()),
            Some(at) => *lock(at),
        }
    }

    /// Moves a standing clock; the system's clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Some(at) = &self.0 {
            let mut at = lock(at);
            at.0 += by;
        }
    }
}

fn lock(at: &Mutex<Timestamp>) -> std::sync::MutexGuard<'_, Timestamp> {
    at.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A moment, in UTC. Travels as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(#[serde(with = "time::serde::rfc3339")] pub OffsetDateTime);

impl Timestamp {
    /// Reads RFC 3339, such as `2030-01-31T12:00:00Z`.
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Self(at.to_offset(UtcOffset::UTC)))
    }

    /// The moment of so many nanoseconds since 1970 in UTC, if it is one that a calendar has.
    pub fn of_nanos(nanos: impl Into<i128>) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(nanos.into()).ok().map(Self)
    }

    /// How long before `now` this was; zero if it lies in the future.
    pub fn age(self, now: Timestamp) -> Age {
        Age(Duration::try_from(now.0 - self.0).unwrap_or_default())
    }

    /// This moment less `by`.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0 - by)
    }

    /// This moment and `by` more.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0 + by)
    }
}

/// Writes RFC 3339 with milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.to_offset(UtcOffset::UTC);
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second, milli) = at.to_hms_milli();
        let month = u8::from(month);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// A length of time, said in words with at most two units: `350 ms`, `2 min 5 s`, `3 d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Age(pub Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let two = |f: &mut fmt::Formatter<'_>, unit: u64, name: &str, part: u64, part_name: &str| match seconds % unit
            / part
        {
            0 => write!(f, "{} {name}", seconds / unit),
            rest => write!(f, "{} {name} {rest} {part_name}", seconds / unit),
        };
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{seconds} s"),
            60..3_600 => two(f, 60, "min", 1, "s"),
            3_600..86_400 => two(f, 3_600, "h", 60, "min"),
            _ => two(f, 86_400, "d", 3_600, "h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_age(millis: u64, expected: &str) {
        assert_eq!(Age(Duration::from_millis(millis)).to_string(), expected);
    }

    #[test]
    fn an_age_is_said_in_at_most_two_units() {
        check_age(0, "0 ms");
        check_age(350, "350 ms");
        check_age(1_999, "1 s");
        check_age(59_000, "59 s");
        check_age(60_000, "1 min");
        check_age(125_000, "2 min 5 s");
        check_age(3_600_000, "1 h");
        check_age(3_661_000, "1 h 1 min");
        check_age(90_000_000, "1 d 1 h");
    }

    #[test]
    fn a_timestamp_survives_its_text() {
        let at = Timestamp::parse("2030-01-31T12:00:00.250+02:00").unwrap();
        assert_eq!(at.to_string(), "2030-01-31T10:00:00.250Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_standing_clock_moves_only_when_told() {
        let clock = Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap());
        let start = clock.now();
        clock.advance(Duration::from_secs(65));
        assert_eq!(start.age(clock.now()).to_string(), "1 min 5 s");
        assert_eq!(clock.now().age(start), Age::default());
    }
}
