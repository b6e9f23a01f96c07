//! An account that the operator gave a user for: the connection to it, and what only a user of it is told.

use std::{fmt, sync::Arc};

use super::{AccountUse, Advisories, Bucket, Contact, Entry, Letters, Reading};
use crate::{fault::Fault, presence::Presence, record::Record};

/// What was learnt over the connection to one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its name; `None` until a server told it.
    pub name: Option<Arc<str>>,
    /// The connection to it.
    pub contact: Contact,
    /// Why its streams were not listed in the last round; `None` where they were, or where a user of the system account told of them.
    pub unlisted: Option<String>,
    /// What it has used of what it may.
    pub used: Reading<AccountUse>,
    /// What instances of services say of themselves.
    pub presence: Reading<Bucket<Presence>>,
    /// Instances that stopped telling of themselves without having said that they end, as last heard.
    pub gone: Vec<Entry<Presence>>,
    /// Things with a life that services tell of, the newest first.
    pub records: Reading<Bucket<Record>>,
    /// Messages that workers gave up, the newest first.
    pub dead_letters: Reading<Arc<Letters>>,
    /// What servers told unasked.
    pub advisories: Reading<Arc<Advisories>>,
    /// Faults that somebody switched on in services, and such as have ended.
    pub faults: Reading<Bucket<Fault>>,
}

impl Watched {
    /// What there is before the first round: nothing is known.
    pub fn before_the_first(contact: Contact) -> Self {
        Self {
            name: None,
            contact,
            unlisted: None,
            used: Reading::not_yet(),
            presence: Reading::not_yet(),
            gone: Vec::new(),
            records: Reading::not_yet(),
            dead_letters: Reading::not_yet(),
            advisories: Reading::not_yet(),
            faults: Reading::not_yet(),
        }
    }

    /// Whether it is the account of this name.
    pub fn is(&self, account: &str) -> bool {
        self.name.as_deref() == Some(account)
    }

    /// The instances that tell of themselves, fresh or stale, and those that fell silent.
    pub fn instances(&self) -> impl Iterator<Item = &Entry<Presence>> {
        self.presence.value().into_iter().flat_map(|bucket| &bucket.entries).chain(&self.gone)
    }

    /// Its name, or nothing where that is not known.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// `account A`, or by its user where the name is not known.
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.contact.user) {
            (Some(name), _) => write!(f, "account {name}"),
            (None, Some(user)) => write!(f, "the account of user {user}"),
            (None, None) => f.write_str("an account"),
        }
    }
}
