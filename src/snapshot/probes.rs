//! What the probes of instances said in the last rounds.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

/// The last rounds, and what each instance said in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbePast {
    /// When each round ended, the newest last.
    pub rounds: Vec<Timestamp>,
    /// What was said, by the account and the instance's key, the newest last; fewer than rounds where it was seen later. Probes that the
    /// operator named are in no account.
    pub said: BTreeMap<(String, String), Vec<Probed>>,
}

/// What an instance's probes said in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probed {
    /// It can do its work.
    Ready,
    /// It cannot do its work, not yet or not any more.
    NotReady,
    /// Its loops do not tick.
    NotLive,
    /// It was not heard.
    Unknown,
}

impl ProbePast {
    /// What an instance of an account said, each with the time of the round, the newest last.
    pub fn of(&self, account: &str, key: &str) -> impl DoubleEndedIterator<Item = (Timestamp, Probed)> + Clone {
        let said = self.said.get(&(account.to_owned(), key.to_owned())).map_or(&[][..], Vec::as_slice);
        let skipped = self.rounds.len().saturating_sub(said.len());
        self.rounds.iter().skip(skipped).copied().zip(said.iter().copied())
    }
}
