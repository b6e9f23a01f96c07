//! What servers told unasked, the newest first.

use std::sync::Arc;

use crate::{advisory::Advisory, clock::Timestamp};

/// What servers told unasked in the watched account, as far as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisories {
    /// The account that is watched: what is told in others is not heard.
    pub account: Arc<str>,
    /// The newest, the newest first.
    pub rows: Vec<Advisory>,
    /// How many came in all, since then.
    pub total: u64,
    /// Since when all kinds are heard: what was before, or while the connection was away, is not among them.
    pub since: Timestamp,
    /// Since when messages that were given up are known, where a stream keeps what is told of them.
    pub stored_since: Option<Timestamp>,
}
