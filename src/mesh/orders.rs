//! Orders: ends every order, and keeps its record from the facts that all services publish.
//!
//! A fact that ends an order is published before the record says so, and the message is settled after both: a process that is killed in
//! between leaves a message that is delivered again, and whoever gets it publishes the same fact and folds the same step.

mod life;

pub use life::{Fact, with_fact};

use super::{
    events::{
        OrderCancelled, OrderCompleted, OrderPlaced, PaymentCharged, PaymentRefused, StockRefused, StockReleased,
        StockReserved,
    },
    worker,
};
use crate::{
    bus::Bus,
    config::ServiceConfig,
    handler::{Context, with},
    record::{self, Record},
    service::{Service, ServiceError},
    state::{Documents, documents::DocumentError},
};

/// What the handlers work with.
#[derive(Debug, Clone)]
struct Orders {
    bus: Bus,
    records: Documents<Record>,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: ServiceConfig) -> Result<(), ServiceError> {
    let service = Service::builder("orders").config(config).start().await?;
    let orders = Orders { bus: service.bus().clone(), records: service.documents(record::BUCKET).await? };
    let own = worker("orders-orders")
        .on(with(&orders, Orders::note::<OrderPlaced>))
        .on(with(&orders, Orders::note::<OrderCompleted>))
        .on(with(&orders, Orders::note::<OrderCancelled>));
    let inventory = worker("orders-inventory")
        .on(with(&orders, Orders::note::<StockReserved>))
        .on(with(&orders, Orders::cancel::<StockRefused>))
        .on(with(&orders, Orders::cancel::<StockReleased>));
    let payments =
        worker("orders-payments").on(with(&orders, Orders::complete)).on(with(&orders, Orders::note::<PaymentRefused>));
    service.worker(own)?.worker(inventory)?.worker(payments)?.run().await
}

/// The key of an order's record.
pub fn record_key(order_id: &str) -> String {
    format!("order.{order_id}")
}

impl Orders {
    async fn note<F: Fact>(self, context: Context, fact: F) -> Result<(), DocumentError> {
        let message = context.message();
        let stored = context.delivery().map(|delivery| delivery.published);
        let at = message.time.or(stored).unwrap_or_else(|| self.bus.clock().now());
        self.records.change(&record_key(&fact.key()), |record| with_fact(record, &fact, message, at)).await?;
        Ok(())
    }

    async fn complete(self, context: Context, charged: PaymentCharged) -> anyhow::Result<()> {
        let completed = OrderCompleted { order_id: charged.order_id.clone() };
        self.bus.publish(&completed).because(context.cause()).once().await?;
        tracing::info!("order completed");
        Ok(self.note(context, charged).await?)
    }

    async fn cancel<F: Fact>(self, context: Context, refused: F) -> anyhow::Result<()> {
        let reason = refused.reason().unwrap_or("no reason was given").to_owned();
        let cancelled = OrderCancelled { order_id: refused.key(), reason };
        self.bus.publish(&cancelled).because(context.cause()).once().await?;
        tracing::info!(reason = cancelled.reason, "order cancelled");
        Ok(self.note(context, refused).await?)
    }
}
