//! Who holds what: members of a group share numbered parts, each held by one of them at a time, agreed upon in a key-value bucket.
//!
//! Every change is written over the revision that its writer saw, so of two that want the same one is refused. A member sits on a seat that
//! it writes five times within its hold time; a part changes hands only when its holder has freed it, or has lost its seat.
//!
//! # Why two never work on one part
//! Let a member's last confirmed word be *sent* at `t`, by its own clock that only moves forward. It stops working by itself at
//! `t + 3/4 hold`. Others saw that word change the seat after `t`, and take the seat away no sooner than `hold` later by their own clocks:
//! at `t + hold` or after. Between the two lies a quarter of the hold time, for clocks that run differently fast and for work that ends
//! slowly; no two machines need to agree on the time of day. Taking a seat away is a write over the revision that was seen: a word that was
//! written, but not yet seen, makes it fail.
//!
//! What no clock can promise: a process or machine that stands still and goes on later does not know that it stood, until it looks. Effects
//! in a store that can compare numbers are safe from it by the [fence](Held::fence): it grows with each acquisition of a part, so the store
//! refuses a writer with a smaller one than it has seen.

mod member;
mod plan;
mod store;
mod view;

use std::{collections::BTreeSet, time::Duration};

use tokio_util::sync::CancellationToken;

use super::topology;
use crate::nats::Connection;

/// The key-value bucket in which groups agree. It is made as [`topology::library`] declares it if it is missing; it must not forget by age.
pub const BUCKET: &str = topology::OWNERSHIP;

/// The hold time unless told otherwise: long enough for a server that restarts, short enough for those who wait for a dead member's parts.
pub const HOLD: Duration = Duration::from_secs(10);

/// What is shared, and how soon a silent member is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Tells it from other groups: tokens of a key, such as `READINGS.averages`.
    pub name: String,
    /// How many parts there are; every member has to say the same.
    pub parts: u32,
    /// How long others wait for a member's next word before its parts are theirs. A member that gets no word through stops working after
    /// three quarters of it.
    pub hold: Duration,
}

/// A part that is held.
#[derive(Debug, Clone)]
pub struct Held {
    /// Which, counted from 0.
    pub part: u32,
    /// Grows with each acquisition of the part, by whomever: the revision of its record in the bucket.
    pub fence: u64,
    /// Cancelled when the part is to go to another member: end what runs, then return.
    pub give_up: CancellationToken,
    /// Cancelled when the part is no longer ours to work on: return at once, and leave alone what others may have begun.
    pub lost: CancellationToken,
}

/// How a member stands in its group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it has a seat and has seen all of the group.
    pub is_member: bool,
    /// The parts that it works on.
    pub parts: BTreeSet<u32>,
    /// What went wrong, where it is no member.
    pub trouble: String,
}

/// What a member does with what it holds.
pub trait Holder {
    /// Works on a part until it is asked to give it up or has lost it. When the future ends, the part is free for others.
    fn hold(&self, held: Held) -> impl Future<Output = ()> + Send + 'static;

    /// Hears how the member stands, several times within each hold time and whenever that changes.
    fn stands(&self, standing: Standing);
}

/// Why a member cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// There is no bucket, and none can be made.
    #[error(
        "bucket {BUCKET} cannot be opened or made: is JetStream there, and may this user use it? Else have it declared"
    )]
    Bucket {
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The group cannot be followed.
    #[error("following {group} in bucket {BUCKET}")]
    Watch {
        /// The group.
        group: String,
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record was not written, because another wrote it first or the server did not confirm it.
    #[error("writing {key} in bucket {BUCKET}")]
    Write {
        /// The record's key.
        key: String,
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing was heard for a hold time, not even what we wrote ourselves.
    #[error("bucket {BUCKET} tells nothing of {group} any more")]
    Silent {
        /// The group.
        group: String,
    },
    /// The connection is away.
    #[error("the connection was lost")]
    Disconnected,
}

/// Takes part in `group` under a name that begins with `member`, until `stop`; then gives up everything in order and returns. What goes
/// wrong on the way is tried again for ever.
pub async fn share(connection: &Connection, group: Group, member: &str, holder: &impl Holder, stop: CancellationToken) {
    let id = format!("{member}-{:08x}", fastrand::u32(..));
    member::Member::new(connection, group, id, holder).run(&stop).await;
}
