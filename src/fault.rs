//! Faults that somebody switched on in a service, to see what becomes of it: written by a person into a key-value bucket, obeyed by the
//! services of the mesh, shown by the observer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The key-value bucket that holds the switches, under the name of the service.
pub const BUCKET: &str = "faults";

/// The longest that a fault is on: a switch that somebody forgot ends by itself.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every message fails.
    Outage,
    /// Every message takes two seconds longer.
    Slow,
    /// One message in ten fails each time that it is tried.
    Poison,
    /// Messages are taken and not finished.
    Hang,
    /// Every message is handled, and then comes again as though its ack were lost.
    DropAcks,
    /// Ten times as many messages come.
    Burst,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Outage, Self::Slow, Self::Poison, Self::Hang, Self::DropAcks, Self::Burst];

    /// What it does to its service, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Outage => "every message fails",
            Self::Slow => "every message takes two seconds longer",
            Self::Poison => "one message in ten fails each time that it is tried",
            Self::Hang => "messages are taken and not finished",
            Self::DropAcks => "every message is handled, and then comes again as though its ack were lost",
            Self::Burst => "ten times as many messages come",
        }
    }

    /// As one token.
    pub fn token(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Slow => "slow",
            Self::Poison => "poison",
            Self::Hang => "hang",
            Self::DropAcks => "drop-acks",
            Self::Burst => "burst",
        }
    }
}

/// A fault that is on until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The service that it is in.
    pub service: String,
    /// What is wrong.
    pub kind: Kind,
    /// When somebody switched it on.
    pub since: Timestamp,
    /// When it ends by itself; one that was switched off has ended.
    pub until: Timestamp,
}

impl Fault {
    /// Whether it is on.
    pub fn is_on(&self, now: Timestamp) -> bool {
        now < self.until
    }
}
