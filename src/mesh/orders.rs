//! Orders: ends every order, and keeps its record from the facts that all services publish.
//!
//! What was delivered becomes a step of the record, then what follows from it is published, then the message is settled: a process that is
//! killed in between leaves a message that is delivered again, and whoever gets it finds the step and publishes the same fact. The record
//! says that an order has ended when the stream does, since that fact is delivered like all others.

mod life;

use std::{ops::RangeInclusive, time::Duration};

pub use life::{Fact, KIND, with_fact};

use super::{
    events::{
        OrderCancelled, OrderCompleted, OrderCompletedV1, OrderPlaced, PaymentCharged, PaymentRefused, StockRefused,
        StockReleased, StockReserved,
    },
    faults::Switch,
    service, worker,
};
use crate::{
    bus::Bus,
    config::ServiceConfig,
    consumer::Worker,
    handler::{Context, with},
    message::Message,
    record::{self, Record},
    service::ServiceError,
    state::{Documents, documents::DocumentError},
};

/// Orders that are worked on at once, from a bucket that is slow to one that has all the time in the world.
const ORDERS_AT_ONCE: RangeInclusive<u32> = 4..=32;

/// How long a fact takes while the bucket is at ease: a read, a write and a publication are a few milliseconds.
const UNHURRIED: Duration = Duration::from_millis(50);

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
    let (service, switch) = Switch::of(service("orders", config).start().await?, "orders");
    let orders = Orders { bus: service.bus().clone(), records: service.documents(record::BUCKET).await? };
    let own = keeping("orders-orders")
        .on(switch.over(with(&orders, Orders::note::<OrderPlaced>)))
        .on(switch.over(with(&orders, Orders::note::<OrderCompleted>)))
        .on(switch.over(with(&orders, Orders::note::<OrderCompletedV1>)))
        .on(switch.over(with(&orders, Orders::note::<OrderCancelled>)));
    let inventory = keeping("orders-inventory")
        .on(switch.over(with(&orders, Orders::note::<StockReserved>)))
        .on(switch.over(with(&orders, Orders::cancel::<StockRefused>)))
        .on(switch.over(with(&orders, Orders::cancel::<StockReleased>)));
    let payments = keeping("orders-payments")
        .on(switch.over(with(&orders, Orders::complete)))
        .on(switch.over(with(&orders, Orders::note::<PaymentRefused>)));
    service.worker(own)?.worker(inventory)?.worker(payments)?.run().await
}

/// A worker that keeps records: one fact of an order after the other, since all of them change one record, and as many orders at once as
/// the bucket bears.
fn keeping(durable: &str) -> Worker {
    worker(durable).serial_by(order_of).adaptive(ORDERS_AT_ONCE, UNHURRIED)
}

/// The order that a fact is about: the last token of its subject.
fn order_of(message: &Message) -> String {
    message.subject.as_str().rsplit('.').next().unwrap_or_default().to_owned()
}

/// The key of an order's record.
pub fn record_key(order_id: &str) -> String {
    format!("{KIND}.{order_id}")
}

impl Orders {
    /// Folds a fact into its order's record.
    async fn note<F: Fact>(self, context: Context, fact: F) -> Result<(), DocumentError> {
        self.fold(&context, &fact).await
    }

    async fn complete(self, context: Context, charged: PaymentCharged) -> anyhow::Result<()> {
        self.fold(&context, &charged).await?;
        let completed = OrderCompleted { order_id: charged.order_id, cents: charged.cents };
        self.bus.publish(&completed).because(context.cause()).once().await?;
        tracing::info!("order completed");
        Ok(())
    }

    async fn cancel<F: Fact>(self, context: Context, refused: F) -> anyhow::Result<()> {
        self.fold(&context, &refused).await?;
        let reason = refused.reason().unwrap_or("no reason was given").to_owned();
        let cancelled = OrderCancelled { order_id: refused.key(), reason };
        self.bus.publish(&cancelled).because(context.cause()).once().await?;
        tracing::info!(reason = cancelled.reason, "order cancelled");
        Ok(())
    }

    async fn fold<F: Fact>(&self, context: &Context, fact: &F) -> Result<(), DocumentError> {
        let message = context.message();
        let stored = context.delivery().map(|delivery| delivery.published);
        let at = message.time.or(stored).unwrap_or_else(|| self.bus.clock().now());
        self.records.change(&record_key(&fact.key()), |record| with_fact(record, fact, message, at)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::testing::{delivered, kinds};

    fn orders() -> Orders {
        Orders { bus: Bus::in_memory(), records: Documents::in_memory() }
    }

    impl Orders {
        async fn state(&self) -> (String, Option<String>) {
            let record = self.records.read("order.7").await.unwrap().value.unwrap();
            (record.state, record.reason)
        }
    }

    #[tokio::test]
    async fn a_charge_that_is_told_twice_completes_the_order_once() {
        let orders = orders();
        let charged = PaymentCharged { order_id: "7".into(), charge_id: "ch".into(), cents: 100 };
        let context = delivered(&charged).await;
        orders.clone().complete(context.clone(), charged.clone()).await.unwrap();
        orders.clone().complete(context.clone(), charged).await.unwrap();
        assert_eq!(kinds(&orders.bus), ["OrderCompleted"]);
        assert_eq!(orders.state().await, ("charged".into(), None), "until the stream says that it is completed");

        let message = orders.bus.published().remove(0);
        assert_eq!(message.causation, context.message().id);
        assert_eq!(message.correlation, context.message().correlation);
        let completed = OrderCompleted { order_id: "7".into(), cents: 100 };
        orders.clone().note(Context::new(message, None), completed).await.unwrap();
        assert_eq!(orders.state().await, ("completed".into(), None));
    }

    #[tokio::test]
    async fn a_refusal_that_is_told_twice_cancels_the_order_once_and_says_why() {
        let orders = orders();
        let refused = StockRefused { order_id: "7".into(), reason: "out of stock: tea".into() };
        let context = delivered(&refused).await;
        orders.clone().cancel(context.clone(), refused.clone()).await.unwrap();
        orders.clone().cancel(context, refused).await.unwrap();
        assert_eq!(kinds(&orders.bus), ["OrderCancelled"]);
        let said = String::from_utf8(orders.bus.published()[0].payload.to_vec()).unwrap();
        assert_eq!(said, r#"{"order_id":"7","reason":"out of stock: tea"}"#);
        assert_eq!(orders.state().await, ("out of stock".into(), Some("out of stock: tea".into())));
    }
}
