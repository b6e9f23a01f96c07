//! Shipping: sends the parcel of each completed order on its way, and keeps its record.
//!
//! In each parcel lies a list of what it holds. That of a large order is too large for a message, so it is checked in at the object store.
//!
//! A parcel's moves are told as one atomic batch, all or none, so that no parcel is packed and then forgotten. They mean something in order
//! only, so the worker that folds them into records works by partitions: whichever instance it is, all about one parcel is handled one
//! after the other, and a move that fails is tried again before the next.

mod packing_list;
mod parcel;

use super::{
    events::{OrderCompleted, OrderCompletedV1, OrderPlaced, ParcelMoved},
    faults::Switch,
    service, worker,
};
use crate::{
    bus::{Bus, Payload, codec},
    config::ServiceConfig,
    handler::{Context, Outcome, with},
    message::MessageId,
    record::{self, Record},
    service::ServiceError,
    state::{Documents, documents::DocumentError},
};
use parcel::Fold;

/// The moves of every parcel. The carrier of this mesh is quick.
const MOVES: [&str; 3] = ["packed", "handed over", "delivered"];

/// Lists of more bytes than this, those of some five hundred lines and more, lie in the object store: whoever only follows parcels is spared
/// them.
const CHECKED_IN_ABOVE: usize = 8 * 1024;

/// What the handlers work with.
#[derive(Debug, Clone)]
struct Shipping {
    bus: Bus,
    records: Documents<Record>,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: ServiceConfig) -> Result<(), ServiceError> {
    let (service, switch) = Switch::of(service("shipping", config).start().await?, "shipping");
    let bus = service.bus().clone().checking_in_above(CHECKED_IN_ABOVE);
    let shipping = Shipping { bus, records: service.documents(record::BUCKET).await? };
    let send = worker("shipping-send")
        .on(switch.over(with(&shipping, Shipping::send::<OrderCompleted>)))
        .on(switch.over(with(&shipping, Shipping::send::<OrderCompletedV1>)));
    let parcels = worker("shipping-parcels").partitioned().on(switch.over(with(&shipping, Shipping::fold)));
    service.worker(send)?.worker(parcels)?.run().await
}

impl Shipping {
    async fn send<F: Payload>(self, context: Context, completed: F) -> anyhow::Result<()> {
        self.print(&context, &completed.key()).await?;
        let mut batch = self.bus.batch().because(context.cause());
        for (number, to) in (1..).zip(MOVES) {
            batch = batch.with(&ParcelMoved { order_id: completed.key(), number, to: to.to_owned() });
        }
        batch.commit().await?;
        tracing::info!(moves = MOVES.len(), "parcel on its way");
        Ok(())
    }

    /// Prints the parcel's list, once. What is in the parcel is on the stream of orders, for as long as that keeps it.
    async fn print(&self, context: &Context, order_id: &str) -> anyhow::Result<()> {
        let Some(mut placed) = self.bus.last::<OrderPlaced>(order_id).await? else {
            tracing::warn!("the parcel has no list: its order is gone from its stream");
            return Ok(());
        };
        self.bus.redeem(&mut placed).await?;
        let list = packing_list::of(&codec::decode::<OrderPlaced>(&placed)?);
        let id = MessageId(order_id.to_owned()).derived("PackingListPrinted");
        self.bus.publish(&list).because(context.cause()).with_id(id).once().await?;
        Ok(())
    }

    async fn fold(self, context: Context, moved: ParcelMoved) -> Result<Outcome, DocumentError> {
        let message = context.message();
        let at = message.time.unwrap_or_else(|| self.bus.clock().now());
        let mut fold = Fold::Known;
        let key = format!("parcel.{}", moved.order_id);
        let change = |record: Option<&Record>| {
            let (found, changed) = parcel::with_move(record, &moved, MOVES.len(), message, at);
            fold = found;
            changed
        };
        self.records.change(&key, change).await?;
        Ok(match fold {
            Fold::Next | Fold::Known => Outcome::Done,
            Fold::Gap { known } => Outcome::reject(format!("move {} came after move {known}", moved.number)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{
        events::PricedLine,
        testing::{delivered, kinds},
    };

    fn shipping() -> Shipping {
        Shipping { bus: Bus::in_memory(), records: Documents::in_memory() }
    }

    #[tokio::test]
    async fn an_order_that_completes_twice_sends_its_parcel_once() {
        let shipping = shipping();
        let completed = OrderCompleted { order_id: "7".into(), cents: 450 };
        let context = delivered(&completed).await;
        let lines = vec![PricedLine { sku: "tea".into(), quantity: 1, unit_cents: 450 }];
        let placed = OrderPlaced { order_id: "7".into(), customer: "ada".into(), lines, total_cents: 450 };
        shipping.bus.publish(&placed).await.unwrap();
        shipping.clone().send(context.clone(), completed.clone()).await.unwrap();
        shipping.clone().send(context, completed).await.unwrap();
        let told = ["OrderPlaced", "PackingListPrinted", "ParcelMoved", "ParcelMoved", "ParcelMoved"];
        assert_eq!(kinds(&shipping.bus), told);
    }

    #[tokio::test]
    async fn a_parcel_whose_order_is_gone_leaves_without_a_list() {
        let shipping = shipping();
        let completed = OrderCompletedV1 { order_id: "7".into() };
        shipping.clone().send(delivered(&completed).await, completed).await.unwrap();
        assert_eq!(kinds(&shipping.bus), ["ParcelMoved"; MOVES.len()]);
    }

    #[tokio::test]
    async fn moves_make_a_record_in_order_however_often_they_come() {
        let shipping = shipping();
        let moved = |number: u32| ParcelMoved { order_id: "7".into(), number, to: MOVES[number as usize - 1].into() };
        for number in [1, 1, 2, 1, 3, 3] {
            let fact = moved(number);
            let outcome = shipping.clone().fold(delivered(&fact).await, fact).await.unwrap();
            assert_eq!(outcome, Outcome::Done);
        }
        let record = shipping.records.read("parcel.7").await.unwrap().value.unwrap();
        let steps: Vec<&str> = record.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!((steps, record.phase), (MOVES.to_vec(), record::Phase::Succeeded));
    }

    #[tokio::test]
    async fn a_move_that_another_one_should_precede_is_refused() {
        let fact = ParcelMoved { order_id: "7".into(), number: 2, to: "handed over".into() };
        let outcome = shipping().fold(delivered(&fact).await, fact).await.unwrap();
        assert_eq!(outcome, Outcome::reject("move 2 came after move 0"));
    }
}
