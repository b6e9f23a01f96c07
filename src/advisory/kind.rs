//! What an advisory is about, in one word or two.

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message was delivered as often as its consumer allows.
    Exhausted,
    /// A worker said that a message is not to be delivered again.
    Terminated,
    /// A stream removed a message that was in flight.
    Removed,
    /// A worker handed a message back.
    Nak,
    /// A stream or consumer was made.
    Created,
    /// A stream was changed.
    Updated,
    /// A stream or consumer was deleted.
    Deleted,
    /// Another server leads now.
    LeaderElected,
    /// Too few replicas are there to go on.
    QuorumLost,
    /// The API dropped questions.
    ApiLimit,
    /// A consumer was paused.
    Paused,
    /// A consumer goes on.
    Resumed,
    /// A group of clients has one that is served alone.
    Pinned,
    /// That one is it no more.
    Unpinned,
    /// A server has no room left.
    OutOfStorage,
    /// Something else.
    Other,
}

impl Kind {
    /// All of them, what hurts first.
    pub const ALL: [Self; 16] = [
        Self::Exhausted,
        Self::Removed,
        Self::QuorumLost,
        Self::OutOfStorage,
        Self::Terminated,
        Self::ApiLimit,
        Self::Nak,
        Self::LeaderElected,
        Self::Paused,
        Self::Resumed,
        Self::Pinned,
        Self::Unpinned,
        Self::Created,
        Self::Updated,
        Self::Deleted,
        Self::Other,
    ];

    /// As one token, for addresses and programs.
    pub fn token(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Terminated => "terminated",
            Self::Removed => "removed",
            Self::Nak => "nak",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::LeaderElected => "leader_elected",
            Self::QuorumLost => "quorum_lost",
            Self::ApiLimit => "api_limit",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::OutOfStorage => "out_of_storage",
            Self::Other => "other",
        }
    }

    /// In words, as pages say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Exhausted => "gave up",
            Self::Terminated => "terminated",
            Self::Removed => "removed in flight",
            Self::Nak => "handed back",
            Self::Created => "made",
            Self::Updated => "changed",
            Self::Deleted => "deleted",
            Self::LeaderElected => "new leader",
            Self::QuorumLost => "quorum lost",
            Self::ApiLimit => "API limit",
            Self::Paused => "paused",
            Self::Resumed => "goes on",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::OutOfStorage => "no room left",
            Self::Other => "other",
        }
    }
}
