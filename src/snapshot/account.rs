//! What an account has used of what it may use of JetStream.

use std::sync::Arc;

/// An account's use of JetStream, by the word of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountUse {
    /// The account.
    pub name: Arc<str>,
    /// All of it together.
    pub total: TierUse,
    /// Where what it may is told for each number of replicas: such as `R1` and `R3`, and how much of each.
    pub tiers: Vec<(String, TierUse)>,
}

/// What is used of what may be used, of everything or of what has one number of replicas. A limit that is `None` is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TierUse {
    /// Bytes that streams hold in memory.
    pub memory: u64,
    /// Bytes that streams in memory may take by their own limits.
    pub memory_reserved: u64,
    /// Bytes that streams may hold in memory.
    pub memory_limit: Option<u64>,
    /// Bytes that streams hold on disk.
    pub storage: u64,
    /// Bytes that streams on disk may take by their own limits.
    pub storage_reserved: u64,
    /// Bytes that streams may hold on disk.
    pub storage_limit: Option<u64>,
    /// Streams.
    pub streams: u64,
    /// Streams that there may be.
    pub streams_limit: Option<u64>,
    /// Consumers.
    pub consumers: u64,
    /// Consumers that there may be.
    pub consumers_limit: Option<u64>,
}

impl AccountUse {
    /// All of it together, which has no name, and then each tier.
    pub fn parts(&self) -> impl Iterator<Item = (Option<&str>, &TierUse)> {
        let tiers = self.tiers.iter().map(|(name, used)| (Some(name.as_str()), used));
        std::iter::once((None, &self.total)).chain(tiers)
    }
}
