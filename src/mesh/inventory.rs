//! Inventory: reserves what orders ask for, and puts it back when they are not paid.
//!
//! # Why an order is decided once
//! The whole warehouse is one document, written only over the revision that was read. A decision is
//! 1. written into the document,
//! 2. then told on the stream,
//! 3. and leaves the document only after it was told: a refusal at once, a reservation when a fact that follows from it arrives.
//!
//! So at any moment a decision stands in the document, or on the stream, or both, and whoever reads the document first and the stream second
//! cannot miss it. If it finds neither and then writes over the revision that it read, nobody has decided in between. If it finds either,
//! however late it comes, it tells again what was decided or does nothing.

mod stock;

use std::time::Duration;

use anyhow::bail;

pub use stock::{Decision, Quantities, Stock};

use super::{
    events::{
        OrderCompleted, OrderCompletedV1, OrderPlaced, PaymentRefused, StockRefused, StockReleased, StockReserved,
    },
    faults::Switch,
    service, topology, worker,
};
use crate::{
    bus::{Bus, Payload},
    config::ServiceConfig,
    consumer::Bulkhead,
    handler::{Context, with},
    resilience::Backoff,
    service::ServiceError,
    state::Documents,
};

/// The document's key.
const WAREHOUSE: &str = "warehouse";

/// Handlers of both workers that change the one document at once: more would only write over each other's revisions.
const AT_ONCE: u32 = 4;

/// Attempts to write the document before others; what fails then is delivered again.
const ATTEMPTS: u32 = 32;

/// Waits between these attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(2), most: Duration::from_millis(100) };

/// What the handlers work with.
#[derive(Debug, Clone)]
struct Inventory {
    bus: Bus,
    stock: Documents<Stock>,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: ServiceConfig) -> Result<(), ServiceError> {
    let (service, switch) = Switch::of(service("inventory", config).start().await?, "inventory");
    let inventory = Inventory { bus: service.bus().clone(), stock: service.documents(topology::STOCK).await? };
    // Revision 0: only the first start fills the warehouse.
    inventory.stock.write(WAREHOUSE, &Stock::opening(), 0).await?;
    let at_the_gate = Bulkhead::new(AT_ONCE);
    let reserve = worker("inventory-reserve")
        .bulkhead(&at_the_gate)
        .on(switch.over(with(&inventory, Inventory::reserve)))
        .on(switch.over(with(&inventory, Inventory::use_up::<OrderCompleted>)))
        .on(switch.over(with(&inventory, Inventory::use_up::<OrderCompletedV1>)));
    let release =
        worker("inventory-release").bulkhead(&at_the_gate).on(switch.over(with(&inventory, Inventory::release)));
    service.worker(reserve)?.worker(release)?.run().await
}

impl Inventory {
    async fn reserve(self, context: Context, order: OrderPlaced) -> anyhow::Result<()> {
        for attempt in 1..=ATTEMPTS {
            let found = self.stock.read(WAREHOUSE).await?;
            let Some(mut stock) = found.value else { bail!("the warehouse has no document; restart inventory") };
            if let Some(decision) = stock.decided.get(&order.order_id) {
                return self.tell(&context, &order, decision).await;
            }
            if self.is_told(&order.order_id).await? {
                return Ok(());
            }
            let decision = stock.decide(&order.order_id, &order.lines);
            if self.stock.write(WAREHOUSE, &stock, found.revision).await? {
                return self.tell(&context, &order, &decision).await;
            }
            tokio::time::sleep(BACKOFF.wait(attempt, fastrand::f64())).await;
        }
        bail!("others changed the warehouse first, {ATTEMPTS} times in a row")
    }

    async fn is_told(&self, order_id: &str) -> anyhow::Result<bool> {
        let reserved = self.bus.last::<StockReserved>(order_id).await?;
        Ok(reserved.is_some() || self.bus.last::<StockRefused>(order_id).await?.is_some())
    }

    async fn tell(&self, context: &Context, order: &OrderPlaced, decision: &Decision) -> anyhow::Result<()> {
        let order_id = order.order_id.clone();
        match decision {
            Decision::Reserved(taken) => {
                let (customer, total_cents) = (order.customer.clone(), order.total_cents);
                let reserved = StockReserved { order_id, customer, total_cents };
                self.bus.publish(&reserved).because(context.cause()).once().await?;
                tracing::info!(articles = taken.len(), "stock reserved");
            }
            Decision::Refused(reason) => {
                let refused = StockRefused { order_id, reason: reason.clone() };
                self.bus.publish(&refused).because(context.cause()).once().await?;
                self.change(|stock| stock.forgotten(&order.order_id)).await?;
                tracing::info!(reason, "stock refused");
            }
        }
        Ok(())
    }

    async fn use_up<F: Payload>(self, _: Context, completed: F) -> anyhow::Result<()> {
        self.change(|stock| stock.forgotten(&completed.key())).await?;
        tracing::info!("reserved stock used up");
        Ok(())
    }

    async fn release(self, context: Context, refused: PaymentRefused) -> anyhow::Result<()> {
        self.change(|stock| stock.released(&refused.order_id)).await?;
        let released = StockReleased { order_id: refused.order_id, reason: refused.reason };
        self.bus.publish(&released).because(context.cause()).once().await?;
        tracing::info!("stock released");
        Ok(())
    }

    /// `None` leaves the warehouse as it is, because it was changed so before.
    async fn change(&self, change: impl Fn(&Stock) -> Option<Stock>) -> anyhow::Result<()> {
        self.stock.change(WAREHOUSE, |stock| stock.and_then(&change)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::mesh::{
        catalogue::LIMITED,
        events::PricedLine,
        testing::{delivered, kinds},
    };

    async fn inventory() -> Inventory {
        let inventory = Inventory { bus: Bus::in_memory(), stock: Documents::in_memory() };
        assert!(inventory.stock.write(WAREHOUSE, &Stock::opening(), 0).await.unwrap());
        inventory
    }

    fn order(id: &str, lines: &[(&str, u32)]) -> OrderPlaced {
        let line =
            |(sku, quantity): &(&str, u32)| PricedLine { sku: (*sku).into(), quantity: *quantity, unit_cents: 100 };
        OrderPlaced {
            order_id: id.into(),
            customer: "ada".into(),
            lines: lines.iter().map(line).collect(),
            total_cents: 100,
        }
    }

    impl Inventory {
        async fn document(&self) -> Stock {
            self.stock.read(WAREHOUSE).await.unwrap().value.unwrap()
        }

        async fn left(&self, sku: &str) -> u64 {
            self.document().await.on_hand[sku]
        }
    }

    fn refused(id: &str) -> PaymentRefused {
        PaymentRefused { order_id: id.into(), reason: "payment declined: no money".into() }
    }

    #[tokio::test]
    async fn an_order_that_comes_twice_is_reserved_once() {
        let inventory = inventory().await;
        let order = order("7", &[("tea", 2), ("mug", 1), ("tea", 3)]);
        let context = delivered(&order).await;
        inventory.clone().reserve(context.clone(), order.clone()).await.unwrap();
        inventory.clone().reserve(context, order).await.unwrap();
        assert_eq!((inventory.left("tea").await, inventory.left("mug").await), (999_995, 999_999));
        assert_eq!(kinds(&inventory.bus), ["StockReserved"]);
    }

    #[tokio::test]
    async fn an_order_is_reserved_whole_or_not_at_all() {
        let inventory = inventory().await;
        let order = order("7", &[("tea", 2), (LIMITED, 41)]);
        let context = delivered(&order).await;
        inventory.clone().reserve(context.clone(), order.clone()).await.unwrap();
        inventory.clone().reserve(context, order).await.unwrap();
        assert_eq!(inventory.document().await, Stock::opening());
        assert_eq!(kinds(&inventory.bus), ["StockRefused"]);
    }

    #[tokio::test]
    async fn a_refused_payment_leaves_the_stock_as_before() {
        let inventory = inventory().await;
        let order = order("7", &[("tea", 2)]);
        inventory.clone().reserve(delivered(&order).await, order).await.unwrap();
        let context = delivered(&refused("7")).await;
        inventory.clone().release(context.clone(), refused("7")).await.unwrap();
        inventory.clone().release(context, refused("7")).await.unwrap();
        assert_eq!(inventory.document().await, Stock::opening());
        assert_eq!(kinds(&inventory.bus), ["StockReserved", "StockReleased"]);
    }

    #[tokio::test]
    async fn an_order_that_comes_again_after_its_end_changes_nothing() {
        let inventory = inventory().await;
        let (released, used) = (order("7", &[("tea", 2)]), order("8", &[("mug", 1)]));
        let (first, second) = (delivered(&released).await, delivered(&used).await);
        inventory.clone().reserve(first.clone(), released.clone()).await.unwrap();
        inventory.clone().reserve(second.clone(), used.clone()).await.unwrap();
        inventory.clone().release(delivered(&refused("7")).await, refused("7")).await.unwrap();
        let completed = OrderCompleted { order_id: "8".into(), cents: 100 };
        inventory.clone().use_up(delivered(&completed).await, completed).await.unwrap();

        let (stock, told) = (inventory.document().await, inventory.bus.published().len());
        inventory.clone().reserve(first, released).await.unwrap();
        inventory.clone().reserve(second, used).await.unwrap();
        assert_eq!(inventory.document().await, stock);
        assert_eq!(inventory.bus.published().len(), told);
        assert!(stock.decided.is_empty());
        assert_eq!((stock.on_hand["tea"], stock.on_hand["mug"]), (1_000_000, 999_999));
    }

    /// As a process leaves it that is killed between the two steps; the stock changes before the order is delivered again.
    async fn decided_and_not_told(first: u32, then_left: u64) -> Vec<String> {
        let inventory = inventory().await;
        let order = order("7", &[(LIMITED, first)]);
        let mut stock = Stock::opening();
        stock.decide("7", &order.lines);
        stock.on_hand.insert(LIMITED.into(), then_left);
        assert!(inventory.stock.write(WAREHOUSE, &stock, 1).await.unwrap());
        inventory.clone().reserve(delivered(&order).await, order).await.unwrap();
        assert_eq!(inventory.left(LIMITED).await, then_left);
        kinds(&inventory.bus)
    }

    #[tokio::test]
    async fn what_was_decided_before_a_crash_is_told_after_it() {
        assert_eq!(decided_and_not_told(40, 0).await, ["StockReserved"]);
        assert_eq!(decided_and_not_told(41, 1_000).await, ["StockRefused"]);
    }

    #[tokio::test]
    async fn of_many_who_want_the_limited_edition_as_many_get_it_as_there_are() {
        let inventory = inventory().await;
        let orders: Vec<_> = (0..60).map(|id| order(&id.to_string(), &[(LIMITED, 1)])).collect();
        join_all(orders.into_iter().map(async |order| {
            let context = delivered(&order).await;
            inventory.clone().reserve(context, order).await.unwrap();
        }))
        .await;
        assert_eq!(inventory.left(LIMITED).await, 0);
        let told = kinds(&inventory.bus);
        assert_eq!(told.iter().filter(|kind| *kind == "StockReserved").count(), 40);
        assert_eq!(told.iter().filter(|kind| *kind == "StockRefused").count(), 20);
    }
}
