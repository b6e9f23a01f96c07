//! What the services of the mesh tell each other: facts, each about one order, named in the past tense.
//!
//! Every order has each of these facts at most once, so each is published with `once()`, and its key is the order's id. Only its parcel
//! moves more often.

use serde::{Deserialize, Serialize};

use crate::bus::Payload;

/// What a customer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The article.
    pub sku: String,
    /// How many of it.
    pub quantity: u32,
}

/// What a customer asks for, at the price that was quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// The article.
    pub sku: String,
    /// How many of it.
    pub quantity: u32,
    /// The price of one, in cents.
    pub unit_cents: u64,
}

/// A customer ordered at the storefront.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The order: a UUID of version 7, so that orders sort by time.
    pub order_id: String,
    /// Who ordered.
    pub customer: String,
    /// What was ordered.
    pub lines: Vec<PricedLine>,
    /// What all of it costs, in cents.
    pub total_cents: u64,
}

/// Everything is reserved and paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompleted {
    /// The order.
    pub order_id: String,
    /// What was paid, in cents.
    pub cents: u64,
}

/// The same as version 1 tells it, which knew nothing of the money. Nobody publishes it any more; it stays for as long as a stream holds
/// some, or an older `orders` runs beside a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompletedV1 {
    /// The order.
    pub order_id: String,
}

/// The order ended without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: String,
    /// Why, in words for the customer.
    pub reason: String,
}

/// The stock holds everything ready that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved {
    /// The order.
    pub order_id: String,
    /// Who is to pay.
    pub customer: String,
    /// What is to be paid, in cents.
    pub total_cents: u64,
}

/// The stock does not hold what was ordered; nothing of it is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRefused {
    /// The order.
    pub order_id: String,
    /// Why, in words for the customer.
    pub reason: String,
}

/// What was reserved is free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReleased {
    /// The order.
    pub order_id: String,
    /// Why, in words for the customer.
    pub reason: String,
}

/// The customer paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCharged {
    /// The order.
    pub order_id: String,
    /// The provider's name for the charge.
    pub charge_id: String,
    /// What was paid, in cents.
    pub cents: u64,
}

/// The customer did not pay, and never will for this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefused {
    /// The order.
    pub order_id: String,
    /// Why, in words for the customer.
    pub reason: String,
}

/// The list that lies in an order's parcel was printed. That of a large order is large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackingListPrinted {
    /// The order, whose parcel has the same name.
    pub order_id: String,
    /// What is printed on it.
    pub text: String,
}

/// A parcel came one step nearer to its customer. Unlike the others a parcel has several of these, which mean something in order only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelMoved {
    /// The order, whose parcel has the same name.
    pub order_id: String,
    /// Which of its moves it is, counted from 1.
    pub number: u32,
    /// What it is now, such as `packed`.
    pub to: String,
}

impl Payload for ParcelMoved {
    const KIND: &'static str = "ParcelMoved";
    const STREAM: &'static str = "SHIPPING";
    const SUBJECT: &'static str = "shipping.moved.*";
    const PARTITIONS: Option<u32> = Some(PARCEL_PARTITIONS);

    fn key(&self) -> String {
        self.order_id.clone()
    }
}

/// Twice as many as the demo has instances of shipping; it is fixed once and for all.
pub const PARCEL_PARTITIONS: u32 = 4;

macro_rules! fact {
    ($type:ident, $stream:literal, $subject:literal) => {
        fact!($type, stringify!($type), 1, $stream, $subject);
    };
    ($type:ident, $kind:expr, $version:literal, $stream:literal, $subject:literal) => {
        impl Payload for $type {
            const KIND: &'static str = $kind;
            const VERSION: u32 = $version;
            const STREAM: &'static str = $stream;
            const SUBJECT: &'static str = $subject;

            fn key(&self) -> String {
                self.order_id.clone()
            }
        }
    };
}

fact!(OrderPlaced, "ORDERS", "orders.placed.*");
fact!(OrderCompleted, "OrderCompleted", 2, "ORDERS", "orders.completed.*");
fact!(OrderCompletedV1, "OrderCompleted", 1, "ORDERS", "orders.completed.*");
fact!(OrderCancelled, "ORDERS", "orders.cancelled.*");
fact!(StockReserved, "INVENTORY", "inventory.reserved.*");
fact!(StockRefused, "INVENTORY", "inventory.refused.*");
fact!(StockReleased, "INVENTORY", "inventory.released.*");
fact!(PaymentCharged, "PAYMENTS", "payments.charged.*");
fact!(PaymentRefused, "PAYMENTS", "payments.refused.*");
fact!(PackingListPrinted, "SHIPPING", "shipping.printed.*");
