//! A list that servers put together, and what nobody gave an account of.

use std::{fmt, ops::Range, sync::Arc};

use crate::snapshot::Stream;

/// The rows of a list, and what is known to exist beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The rows, by account and name.
    pub rows: Vec<T>,
    /// What exists and of which nobody gave an account in time, by account and name. What was known of it before is among the rows, stale.
    pub missing: Vec<Missing>,
}

impl Listing<Stream> {
    /// The stream of this name in `account`.
    pub fn of(&self, account: &str, name: &str) -> Option<&Stream> {
        self.rows.iter().find(|stream| *stream.account == *account && stream.name.as_str() == name)
    }

    /// Whether there is a stream of this name in `account`, even one of which nobody gave an account.
    pub fn has(&self, account: &str, name: &str) -> bool {
        let is_it = |missing: &Missing| (&*missing.account, &*missing.name) == (account, name);
        self.of(account, name).is_some() || self.missing.iter().any(is_it)
    }

    /// The streams of an account.
    pub fn in_account(&self, account: &str) -> &[Stream] {
        &self.rows[self.places_of(account)]
    }

    /// The same, to be changed.
    pub fn in_account_mut(&mut self, account: &str) -> &mut [Stream] {
        let places = self.places_of(account);
        &mut self.rows[places]
    }

    /// The rows are in order, so those of one account stand together.
    fn places_of(&self, account: &str) -> Range<usize> {
        let first = self.rows.partition_point(|stream| *stream.account < *account);
        let those = self.rows[first..].partition_point(|stream| *stream.account == *account);
        first..first + those
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), missing: Vec::new() }
    }
}

/// Something that exists and of which nobody gave an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The account that it is in.
    pub account: Arc<str>,
    /// Its name; of a consumer the stream is that of the list.
    pub name: String,
    /// Why there is no account of it, in a few words.
    pub reason: Arc<str>,
}

impl Missing {
    /// What a cluster's list says it left out, because no leader answered for it in time.
    pub fn left_out(account: &Arc<str>, name: String) -> Self {
        Self { account: account.clone(), name, reason: "its leader did not answer in time".into() }
    }

    /// What has a name that nobody could ask for.
    pub fn unnamed(account: &Arc<str>, name: String) -> Self {
        Self { account: account.clone(), name, reason: "its name is none that can be asked for".into() }
    }
}

/// The name alone.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
