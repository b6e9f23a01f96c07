//! The order mesh: small services that show how the library is used. Each is a process of its own, several times if wanted.
//!
//! A customer orders at the `storefront`, which asks `pricing` for the price by request and reply and publishes the first fact. From there
//! on every service reacts to facts and publishes its own:
//!
//! | fact | published by | on | and then |
//! |---|---|---|---|
//! | `OrderPlaced` | storefront | | inventory reserves |
//! | `StockReserved` | inventory | `OrderPlaced` | payments charges |
//! | `StockRefused` | inventory | `OrderPlaced` | orders cancels |
//! | `PaymentCharged` | payments | `StockReserved` | orders completes |
//! | `PaymentRefused` | payments | `StockReserved` | inventory releases |
//! | `StockReleased` | inventory | `PaymentRefused` | orders cancels |
//! | `OrderCompleted` | orders | `PaymentCharged` | inventory uses the reservation up, shipping sends the parcel, notifications tells the customer |
//! | `OrderCancelled` | orders | `StockRefused`, `StockReleased` | notifications tells the customer |
//! | `PackingListPrinted` | shipping | `OrderCompleted` | storefront shows it |
//! | `ParcelMoved` | shipping | `OrderCompleted` | shipping keeps the parcel's record |
//!
//! Delivery is at least once, so every handler may run twice, or late, beside another run of itself. What makes that harmless is the same
//! everywhere: an effect is keyed by the order and found again, a fact is published once for each order, and a message is settled only
//! after both. A process that is killed at any point leaves a message unsettled, and whoever gets it next finishes the work.
//!
//! `orders` also folds all facts of an order into its record, which the storefront and the dashboard show.

pub mod catalogue;
pub mod events;
mod faults;
pub mod http;
pub mod inventory;
pub mod load;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod pricing;
pub mod provider;
pub mod shipping;
pub mod storefront;
#[cfg(test)]
mod testing;
pub mod topology;

use std::time::Duration;

use crate::{
    config::ServiceConfig,
    consumer::Worker,
    service::{Builder, Service},
};

/// How soon a killed instance's orders go to another one.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// What the services of the mesh have in common.
fn service(name: &str, config: ServiceConfig) -> Builder {
    Service::builder(name).config(config).log_correlation_as("order_id")
}

/// What their workers have in common.
fn worker(durable: &str) -> Worker {
    Worker::new(durable).concurrency(8).ack_wait(ACK_WAIT)
}
