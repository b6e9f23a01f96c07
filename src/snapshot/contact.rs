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
