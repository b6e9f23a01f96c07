//! The streams and buckets of the mesh, each with its owner.

use std::time::Duration;

use crate::{
    bus::topology::{BucketSpec, StreamSpec, Topology},
    presence, record,
};

/// The bucket in which the storefront knows its customers' keys again.
pub const IDEMPOTENCY: &str = "idempotency";

/// The bucket of what the warehouse holds.
pub const STOCK: &str = "stock";

/// How long facts, and what is derived from them, are kept.
const DAY: Duration = Duration::from_secs(24 * 3_600);

const MIB: i64 = 1 << 20;

/// What must be there before the services start, on one server.
pub fn topology() -> Topology {
    replicated(1)
}

/// The same, each part held by so many servers.
pub fn replicated(replicas: usize) -> Topology {
    let stream = |name, owner, subjects| StreamSpec {
        name,
        owner,
        subjects,
        max_age: DAY,
        max_bytes: 256 * MIB,
        duplicate_window: Duration::from_secs(120),
        replicas,
    };
    let bucket = |name, owner, ttl, mib| BucketSpec { name, owner, ttl, max_bytes: mib * MIB, replicas };
    Topology {
        streams: vec![
            stream("ORDERS", "orders", &["orders.>"]),
            stream("INVENTORY", "inventory", &["inventory.>"]),
            stream("PAYMENTS", "payments", &["payments.>"]),
        ],
        buckets: vec![
            bucket(presence::BUCKET, "every service", Some(presence::TTL), 8),
            bucket(record::BUCKET, "orders", Some(DAY), 128),
            bucket(STOCK, "inventory", None, 8),
            bucket(IDEMPOTENCY, "storefront", Some(DAY), 64),
        ],
    }
}
