//! The streams, consumers and buckets of the mesh, each with its owner, and the stores of the library below them.

use std::time::Duration;

use super::{
    ACK_WAIT,
    events::{
        OrderCancelled, OrderCompleted, OrderCompletedV1, OrderPlaced, PackingListPrinted, ParcelMoved, PaymentCharged,
        PaymentRefused, StockRefused, StockReleased, StockReserved,
    },
};
use crate::{
    bus::topology::{BucketSpec, ConsumerSpec, StreamSpec, Topology, library},
    fault, record,
};

/// The bucket in which the storefront knows its customers' keys again.
pub const IDEMPOTENCY: &str = "idempotency";

/// The bucket of what the warehouse holds.
pub const STOCK: &str = "stock";

/// How long facts, and what is derived from them, are kept.
const DAY: Duration = Duration::from_secs(24 * 3_600);

const MIB: u64 = 1 << 20;

/// What must be there before the services start, on one server.
pub fn topology() -> Topology {
    Topology { streams: streams(), consumers: consumers(), buckets: buckets() }.joined(library())
}

/// The same, each part held by so many servers.
pub fn replicated(replicas: u32) -> Topology {
    topology().replicated(replicas)
}

fn streams() -> Vec<StreamSpec> {
    let stream = |name, owner, subjects: &str| StreamSpec {
        max_age: Some(DAY),
        max_bytes: Some(256 * MIB),
        ..StreamSpec::new(name, owner, &[subjects])
    };
    vec![
        stream("ORDERS", "orders", "orders.>")
            .carrying::<OrderPlaced>(&["storefront"])
            .looked_up_by(&["notifications", "shipping"])
            .carrying::<OrderCompleted>(&["orders"])
            .carrying::<OrderCompletedV1>(&["orders before version 2"])
            .carrying::<OrderCancelled>(&["orders"]),
        stream("INVENTORY", "inventory", "inventory.>")
            .carrying::<StockReserved>(&["inventory"])
            .carrying::<StockRefused>(&["inventory"])
            .carrying::<StockReleased>(&["inventory"]),
        stream("PAYMENTS", "payments", "payments.>")
            .carrying::<PaymentCharged>(&["payments"])
            .carrying::<PaymentRefused>(&["payments"]),
        StreamSpec { allow_atomic: true, ..stream("SHIPPING", "shipping", "shipping.>") }
            .carrying::<PackingListPrinted>(&["shipping"])
            .looked_up_by(&["storefront"])
            .carrying::<ParcelMoved>(&["shipping"]),
    ]
}

fn consumers() -> Vec<ConsumerSpec> {
    let consumers = [
        ConsumerSpec::reading::<OrderPlaced>("inventory-reserve", "inventory")
            .and::<OrderCompleted>()
            .and::<OrderCompletedV1>(),
        ConsumerSpec::reading::<PaymentRefused>("inventory-release", "inventory"),
        ConsumerSpec::reading::<StockReserved>("payments-charge", "payments"),
        ConsumerSpec::reading::<OrderPlaced>("orders-orders", "orders")
            .and::<OrderCompleted>()
            .and::<OrderCompletedV1>()
            .and::<OrderCancelled>(),
        ConsumerSpec::reading::<StockReserved>("orders-inventory", "orders")
            .and::<StockRefused>()
            .and::<StockReleased>(),
        ConsumerSpec::reading::<PaymentCharged>("orders-payments", "orders").and::<PaymentRefused>(),
        ConsumerSpec::reading::<OrderCompleted>("notifications-orders", "notifications")
            .and::<OrderCompletedV1>()
            .and::<OrderCancelled>(),
        ConsumerSpec::reading::<OrderCompleted>("shipping-send", "shipping").and::<OrderCompletedV1>(),
    ];
    let parcels = ConsumerSpec::partitioned::<ParcelMoved>("shipping-parcels", "shipping");
    consumers.into_iter().chain(parcels).map(|consumer| consumer.ack_wait(ACK_WAIT)).collect()
}

fn buckets() -> Vec<BucketSpec> {
    let bucket =
        |name, owner, ttl, mib: u64| BucketSpec { ttl, max_bytes: Some(mib * MIB), ..BucketSpec::new(name, owner) };
    vec![
        bucket(record::BUCKET, "orders", Some(DAY), 128),
        bucket(STOCK, "inventory", None, 8),
        bucket(fault::BUCKET, "every service", Some(fault::LONGEST), 1),
        bucket(IDEMPOTENCY, "storefront", Some(DAY), 64),
    ]
}
