//! The connection that the facts came over.

use crate::clock::Timestamp;

/// A connection to NATS as it was when the round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Whether it stood.
    pub is_connected: bool,
    /// Since when that is so.
    pub since: Timestamp,
    /// Why, in words.
    pub reason: String,
    /// The servers asked for, without secrets.
    pub url: String,
    /// The user, where the login names one.
    pub user: Option<String>,
    /// The server at the other end and its version; `None` before the first connection.
    pub server: Option<(String, String)>,
}

/// A user in words: a login may name none.
pub fn user_in_words(user: Option<&str>) -> &str {
    user.unwrap_or("nobody in particular")
}

impl Contact {
    /// The user in words.
    pub fn user_in_words(&self) -> &str {
        user_in_words(self.user.as_deref())
    }
}

#[cfg(all(test, feature = "dashboard"))]
impl Contact {
    /// A connection that has stood since then, with nothing else to tell.
    pub(crate) fn standing_since(since: Timestamp) -> Self {
        Self { is_connected: true, since, reason: String::new(), url: String::new(), user: None, server: None }
    }
}
