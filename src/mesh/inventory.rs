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
    events::{OrderCompleted, OrderPlaced, PaymentRefused, StockRefused, StockReleased, StockReserved},
    topology, worker,
};
use crate::{
    bus::Bus,
    config::ServiceConfig,
    handler::{Context, with},
    resilience::Backoff,
    service::{Service, ServiceError},
    state::Documents,
};

/// The document's key.
const WAREHOUSE: &str = "warehouse";

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
    let service = Service::builder("inventory").config(config).start().await?;
    let inventory = Inventory { bus: service.bus().clone(), stock: service.documents(topology::STOCK).await? };
    // Revision 0: only the first start fills the warehouse.
    inventory.stock.write(WAREHOUSE, &Stock::opening(), 0).await?;
    let reserve =
        worker("inventory-reserve").on(with(&inventory, Inventory::reserve)).on(with(&inventory, Inventory::use_up));
    let release = worker("inventory-release").on(with(&inventory, Inventory::release));
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

    async fn use_up(self, _: Context, order: OrderCompleted) -> anyhow::Result<()> {
        self.change(|stock| stock.forgotten(&order.order_id)).await?;
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
