//! What stands on a page once for each account: of which accounts, and how they are told apart.

use super::{
    Look, format,
    page::encoded,
    pieces::{Gap, Level, Sign},
};
use crate::snapshot::{Reading, Watched, Why};

impl<'a> Look<'a> {
    /// Whether users of several accounts were given, so that it has to be said in which something was told.
    pub(super) fn watches_several(&self) -> bool {
        !self.snapshot.others.is_empty()
    }

    /// The accounts in which somebody tells of something, or may do so; the first where there is none.
    pub(super) fn telling<T>(&self, of: fn(&Watched) -> &Reading<T>) -> Vec<&'a Watched> {
        let has_none = |watched: &&Watched| matches!(of(watched), Reading::Unknown { why: Why::Absent, .. });
        let told: Vec<&Watched> = self.snapshot.watched().filter(|watched| !has_none(watched)).collect();
        if told.is_empty() { vec![&self.snapshot.app] } else { told }
    }

    /// The accounts of which nobody told what they hold, where others were told of.
    pub(super) fn unlisted(&self) -> Vec<Gap> {
        let watched =
            self.snapshot.watched().filter(|_| self.watches_several() && self.snapshot.streams.fresh().is_some());
        let unlisted = watched.filter_map(|watched| Some((watched, watched.unlisted.as_deref()?)));
        let gap = |(watched, reason): (&Watched, &str)| Gap {
            sign: Sign::new(Level::Critical, "unknown"),
            sentence: format!(
                "What {} holds is not known, or old: {}.",
                format::cut(&watched.to_string()),
                format::cut(reason)
            ),
        };
        unlisted.map(gap).collect()
    }

    /// The account in words, where there are several.
    pub(super) fn account_of(&self, watched: &Watched) -> Option<String> {
        self.watches_several().then(|| format::cut(&watched.to_string()))
    }

    /// What stands before a key to make it an id on a page: nothing in the account of `--nats`.
    pub(super) fn anchor(&self, watched: &Watched, key: &str) -> String {
        if std::ptr::eq(watched, &raw const self.snapshot.app) {
            key.to_owned()
        } else {
            format!("{}.{key}", encoded(watched.name()))
        }
    }
}
