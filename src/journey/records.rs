//! The records that may tell of a journey: those that the last round read, the newest of each kind, and those that were found by their keys.

use super::{Facts, Scope};
use crate::{
    record::Record,
    snapshot::{Entry, Snapshot},
};

/// A record, and the account that it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRecord {
    /// The account.
    pub account: String,
    /// The record under its key.
    pub entry: Entry<Record>,
}

/// All of them, each once, as it was written last.
pub(super) fn known(facts: &Facts, snapshot: &Snapshot) -> Vec<KeptRecord> {
    let mut known = facts.records.clone();
    for watched in snapshot.watched() {
        for entry in watched.records.value().into_iter().flat_map(|bucket| &bucket.entries) {
            let account = watched.name();
            let mut same = known.iter_mut().filter(|one| one.account == account && one.entry.key == entry.key);
            match same.next() {
                Some(one) if one.entry.revision < entry.revision => one.entry = entry.clone(),
                Some(_) => {}
                None => known.push(KeptRecord { account: account.to_owned(), entry: entry.clone() }),
            }
        }
    }
    known
}

/// Those that tell of it.
pub(super) fn of(known: Vec<KeptRecord>, scope: &Scope) -> Vec<KeptRecord> {
    known.into_iter().filter(|one| scope.is_of(&one.entry.value)).collect()
}
