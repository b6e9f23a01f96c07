//! A fact with its source and its age, or the reason why there is none.

use std::sync::Arc;

use crate::clock::Timestamp;

/// What is known of something: it was read in the last round, or only earlier, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading<T> {
    /// The last round read it.
    Known(Fact<T>),
    /// An earlier round read it, the last one failed to.
    Stale {
        /// What was read then.
        fact: Fact<T>,
        /// Why it was not read again.
        reason: String,
    },
    /// There is no word of it.
    Unknown {
        /// What kind of gap that is.
        why: Why,
        /// The gap in a sentence, and what would close it.
        reason: String,
    },
}

/// Something that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact<T> {
    /// What was said.
    pub value: T,
    /// Who said it, such as the name of a server.
    pub source: Arc<str>,
    /// When it was heard, by our clock.
    pub at: Timestamp,
}

/// Why something is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody has asked yet.
    NotYet,
    /// What would tell of it does not exist.
    Absent,
    /// Our user may not see it.
    Hidden,
    /// It was asked for, and the answer did not come or made no sense.
    Failed,
}

impl<T> Reading<T> {
    /// A fact that was just read.
    pub fn known(value: T, source: impl Into<Arc<str>>, at: Timestamp) -> Self {
        Self::Known(Fact { value, source: source.into(), at })
    }

    /// A gap and the reason for it.
    pub fn unknown(why: Why, reason: impl Into<String>) -> Self {
        Self::Unknown { why, reason: reason.into() }
    }

    /// What everything is before the first round has ended.
    pub fn not_yet() -> Self {
        Self::unknown(Why::NotYet, "the first round has not ended yet")
    }

    /// The fact, fresh or stale.
    pub fn fact(&self) -> Option<&Fact<T>> {
        match self {
            Self::Known(fact) | Self::Stale { fact, .. } => Some(fact),
            Self::Unknown { .. } => None,
        }
    }

    /// What was said, however long ago.
    pub fn value(&self) -> Option<&T> {
        self.fact().map(|fact| &fact.value)
    }

    /// What was said, to be changed.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Known(fact) | Self::Stale { fact, .. } => Some(&mut fact.value),
            Self::Unknown { .. } => None,
        }
    }

    /// What was said in the last round.
    pub fn fresh(&self) -> Option<&T> {
        match self {
            Self::Known(fact) => Some(&fact.value),
            _ => None,
        }
    }

    /// Why it is not fresh; `None` when it is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Stale { reason, .. } | Self::Unknown { reason, .. } => Some(reason),
        }
    }

    /// Falls back on what was read before when this round failed to read it. A gap of another kind is news, and stays.
    #[must_use]
    pub fn or_last(self, last: &Self) -> Self
    where
        T: Clone,
    {
        match (self, last.fact()) {
            (Self::Unknown { why: Why::Failed, reason }, Some(fact)) => Self::Stale { fact: fact.clone(), reason },
            (reading, _) => reading,
        }
    }

    /// Changes what was said and keeps who said it and when.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        let change = |fact: Fact<T>| Fact { value: change(fact.value), source: fact.source, at: fact.at };
        match self {
            Self::Known(fact) => Reading::Known(change(fact)),
            Self::Stale { fact, reason } => Reading::Stale { fact: change(fact), reason },
            Self::Unknown { why, reason } => Reading::Unknown { why, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u8) -> Timestamp {
        Timestamp::parse(&format!("2030-01-31T12:00:{second:02}Z")).unwrap()
    }

    fn check(now: Reading<u64>, last: Reading<u64>, expected: Reading<u64>) {
        assert_eq!(now.clone().or_last(&last), expected, "{now:?} after {last:?}");
    }

    #[test]
    fn a_failed_round_keeps_what_was_known_and_says_why_it_is_old() {
        let failed = || Reading::unknown(Why::Failed, "no answer");
        let stale = |reason: &str| Reading::Stale {
            fact: Fact { value: 7, source: "n1".into(), at: at(1) },
            reason: reason.to_owned(),
        };
        check(failed(), Reading::known(7, "n1", at(1)), stale("no answer"));
        check(failed(), stale("lost"), stale("no answer"));
        check(failed(), Reading::not_yet(), failed());
        check(Reading::known(8, "n1", at(2)), stale("lost"), Reading::known(8, "n1", at(2)));
        check(
            Reading::unknown(Why::Absent, "no bucket"),
            Reading::known(7, "n1", at(1)),
            Reading::unknown(Why::Absent, "no bucket"),
        );
    }

    #[test]
    fn unknown_has_no_value_that_could_be_read_as_zero() {
        let unknown = Reading::<u64>::not_yet();
        assert_eq!((unknown.value(), unknown.fresh()), (None, None));
        assert_eq!(unknown.reason(), Some("the first round has not ended yet"));
    }
}
