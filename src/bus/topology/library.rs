//! The stores of the library itself, which its parts share.

use std::time::Duration;

use super::{BucketKind, BucketSpec, StreamSpec, Topology};
use crate::{
    advisory, dead_letter, presence, record,
    snapshot::{Discard, Retention},
};

/// The stream of messages that were given up, on `dead.<stream>.<durable>`.
pub const DEAD_LETTERS: &str = dead_letter::STREAM;

/// The stream of what servers tell about messages that were given up.
pub const ADVISORIES: &str = advisory::STREAM;

/// The stream of messages that are to be tried again much later.
pub const RETRIES: &str = dead_letter::RETRIES;

/// The bucket of attempts, under `<stream>.<durable>.<stream sequence>`.
pub const ATTEMPTS: &str = "attempts";

/// The bucket of who holds what, such as a partition.
pub const OWNERSHIP: &str = "ownership";

/// The bucket in which effects that were done are known again.
pub const INBOX: &str = "inbox";

/// The bucket in which replays that were done are known again.
pub const REPLAYS: &str = dead_letter::REPLAYS;

/// The object store of payloads that are too large for a message.
pub const CLAIMS: &str = "claims";

/// How long a dead letter waits for somebody to look at it.
pub const DEAD_LETTERS_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Longer than any message is tried.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A dead letter that is buried again, after an acknowledgement was lost, comes within minutes.
const BURIED_AGAIN: Duration = Duration::from_secs(3_600);

const MIB: u64 = 1 << 20;

/// All of them, on one server, with limits that suit a small system. [`Topology::joined`] lets a system say other limits.
pub fn library() -> Topology {
    Topology { streams: streams(), consumers: Vec::new(), buckets: buckets() }
}

fn streams() -> Vec<StreamSpec> {
    const OWNER: &str = "streamgauge";
    vec![
        StreamSpec {
            max_age: Some(DEAD_LETTERS_AGE),
            // A dead letter without room is refused and its message comes again; letting go of an older one would lose that.
            max_bytes: Some(256 * MIB),
            discard: Discard::New,
            duplicate_window: BURIED_AGAIN,
            ..StreamSpec::new(DEAD_LETTERS, OWNER, &["dead.>"])
        },
        StreamSpec {
            max_age: Some(DEAD_LETTERS_AGE),
            max_bytes: Some(16 * MIB),
            ..StreamSpec::new(
                ADVISORIES,
                OWNER,
                &["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"],
            )
        },
        StreamSpec {
            // A stream of schedules cannot refuse what it has no room for (`discard new`): a limit in bytes would let go of what waits.
            // The account's limit does refuse.
            max_age: Some(DEAD_LETTERS_AGE),
            retention: Retention::WorkQueue,
            allow_msg_schedules: true,
            ..StreamSpec::new(RETRIES, OWNER, &["retries.>"])
        },
    ]
}

fn buckets() -> Vec<BucketSpec> {
    let bucket =
        |name, ttl, mib: u64| BucketSpec { ttl, max_bytes: Some(mib * MIB), ..BucketSpec::new(name, "every service") };
    vec![
        bucket(presence::BUCKET, Some(presence::TTL), 8),
        bucket(record::BUCKET, Some(WEEK), 64),
        bucket(ATTEMPTS, Some(WEEK), 16),
        bucket(OWNERSHIP, None, 1),
        bucket(INBOX, Some(WEEK), 64),
        bucket(REPLAYS, Some(DEAD_LETTERS_AGE), 8),
        // No settlement deletes a payload: other consumers may have to read it, and so may who replays a dead letter. It goes by age, once
        // the last dead letter that may refer to it has gone.
        BucketSpec { kind: BucketKind::Objects, ..bucket(CLAIMS, Some(DEAD_LETTERS_AGE + WEEK), 128) },
    ]
}
