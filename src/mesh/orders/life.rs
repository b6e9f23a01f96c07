//! The life of an order, folded from its facts: a pure function that takes them in any order and any number of times.
//!
//! Three consumers deliver an order's facts, so a later one may come first, and any of them twice. The record keeps each as one step and
//! draws state, reason and times from the set of steps alone.

use crate::{
    bus::Payload,
    clock::Timestamp,
    mesh::events::{
        OrderCancelled, OrderCompleted, OrderCompletedV1, OrderPlaced, PaymentCharged, PaymentRefused, StockRefused,
        StockReleased, StockReserved,
    },
    message::Message,
    record::{Phase, Record, Step},
    words::counted,
};

/// What its record is called.
pub const KIND: &str = "order";

/// What each fact makes of an order; a later row wins over the rows before it.
const STATES: [(&str, &str, Phase); 8] = [
    (OrderPlaced::KIND, "placed", Phase::Open),
    (StockReserved::KIND, "reserved", Phase::Open),
    (PaymentCharged::KIND, "charged", Phase::Open),
    (StockRefused::KIND, "out of stock", Phase::Open),
    (PaymentRefused::KIND, "declined", Phase::Open),
    (StockReleased::KIND, "released", Phase::Open),
    (OrderCompleted::KIND, "completed", Phase::Succeeded),
    (OrderCancelled::KIND, "cancelled", Phase::Failed),
];

/// A fact of an order's life, and what it adds to the record beside a step.
pub trait Fact: Payload {
    /// Why the order is in the state that this fact makes.
    fn reason(&self) -> Option<&str> {
        None
    }

    /// What a person would say the order is.
    fn summary(&self) -> Option<String> {
        None
    }
}

impl Fact for OrderPlaced {
    fn summary(&self) -> Option<String> {
        let items: u64 = self.lines.iter().map(|line| u64::from(line.quantity)).sum();
        let (euros, cents) = (self.total_cents / 100, self.total_cents % 100);
        let items = counted(items, "item");
        Some(format!("{items} for {}, {euros}.{cents:02} EUR", self.customer))
    }
}
impl Fact for OrderCompleted {}
impl Fact for OrderCompletedV1 {}
impl Fact for StockReserved {}
impl Fact for PaymentCharged {}

macro_rules! says_why {
    ($($type:ident),*) => {
        $(impl Fact for $type {
            fn reason(&self) -> Option<&str> {
                Some(&self.reason)
            }
        })*
    };
}
says_why!(OrderCancelled, StockRefused, StockReleased, PaymentRefused);

/// The record with a fact in it that `message` told of and that happened at `at`; `None` if it has that already.
pub fn with_fact<F: Fact>(record: Option<&Record>, fact: &F, message: &Message, at: Timestamp) -> Option<Record> {
    let step = Step {
        name: F::KIND.to_owned(),
        at,
        by: message.source.clone().unwrap_or_default(),
        message: message.id.clone(),
    };
    let mut record = record.cloned().unwrap_or_else(|| unborn(fact.key(), at));
    if record.steps.iter().any(|known| known.name == step.name) {
        return None;
    }
    record.steps.push(step);
    record.steps.sort_by_key(|step| (step.at, rank(&step.name)));
    record.summary = fact.summary().unwrap_or(record.summary);
    record.reason = fact.reason().map(str::to_owned).or(record.reason);
    record.trace_id = record.trace_id.or_else(|| message.trace.map(|trace| trace.trace_id_text()));
    Some(settled(record))
}

fn unborn(id: String, at: Timestamp) -> Record {
    Record {
        kind: KIND.to_owned(),
        id,
        state: String::new(),
        phase: Phase::Open,
        started: at,
        since: at,
        summary: String::new(),
        reason: None,
        trace_id: None,
        steps: Vec::new(),
    }
}

/// Draws what the steps say together.
fn settled(mut record: Record) -> Record {
    if let Some(first) = record.steps.first() {
        record.started = first.at;
    }
    if let Some(decisive) = record.steps.iter().max_by_key(|step| rank(&step.name)) {
        let (_, state, phase) = STATES[rank(&decisive.name)];
        record.since = decisive.at;
        (record.state, record.phase) = (state.to_owned(), phase);
    }
    record
}

/// The row of [`STATES`]; a step of an unknown name counts as the first.
fn rank(step: &str) -> usize {
    STATES.iter().position(|(name, _, _)| *name == step).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{mesh::events::PricedLine, message::MessageId};

    /// What delivers a fact into a record.
    type Delivery = Box<dyn Fn(Option<&Record>) -> Option<Record>>;

    fn delivery<F: Fact>(fact: F, second: u64) -> Delivery {
        let at = Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second));
        let message = Message {
            subject: "a".try_into().unwrap(),
            id: Some(MessageId(second.to_string())),
            correlation: None,
            causation: None,
            schema: None,
            source: Some("test".into()),
            time: None,
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
            trace_state: None,
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        };
        Box::new(move |record| with_fact(record, &fact, &message, at))
    }

    fn placed() -> OrderPlaced {
        let line = PricedLine { sku: "tea".into(), quantity: 3, unit_cents: 1_990 };
        OrderPlaced { order_id: "7".into(), customer: "ada".into(), lines: vec![line], total_cents: 5_970 }
    }

    fn reserved() -> StockReserved {
        StockReserved { order_id: "7".into(), customer: "ada".into(), total_cents: 5_970 }
    }

    const NO_MONEY: &str = "payment declined: no money";

    fn completed() -> Vec<Delivery> {
        let charged = PaymentCharged { order_id: "7".into(), charge_id: "ch".into(), cents: 5_970 };
        let completed = OrderCompleted { order_id: "7".into(), cents: 5_970 };
        vec![delivery(placed(), 0), delivery(reserved(), 1), delivery(charged, 2), delivery(completed, 3)]
    }

    fn unpaid() -> Vec<Delivery> {
        let (id, reason) = (|| "7".to_owned(), || NO_MONEY.to_owned());
        vec![
            delivery(placed(), 0),
            delivery(reserved(), 1),
            delivery(PaymentRefused { order_id: id(), reason: reason() }, 2),
            delivery(StockReleased { order_id: id(), reason: reason() }, 3),
            delivery(OrderCancelled { order_id: id(), reason: reason() }, 4),
        ]
    }

    fn out_of_stock() -> Vec<Delivery> {
        let (id, reason) = (|| "7".to_owned(), || "out of stock: tea".to_owned());
        vec![
            delivery(placed(), 0),
            delivery(StockRefused { order_id: id(), reason: reason() }, 1),
            delivery(OrderCancelled { order_id: id(), reason: reason() }, 2),
        ]
    }

    fn after(life: &[Delivery], order: impl IntoIterator<Item = usize>) -> Option<Record> {
        order.into_iter().fold(None, |record, at| life[at](record.as_ref()).or(record))
    }

    fn states(life: &[Delivery]) -> Vec<String> {
        (1..=life.len()).map(|facts| after(life, 0..facts).unwrap().state).collect()
    }

    #[test]
    fn each_fact_has_its_state() {
        assert_eq!(states(&completed()), ["placed", "reserved", "charged", "completed"]);
        assert_eq!(states(&unpaid()), ["placed", "reserved", "declined", "released", "cancelled"]);
        assert_eq!(states(&out_of_stock()), ["placed", "out of stock", "cancelled"]);
    }

    #[test]
    fn a_record_says_what_when_and_why() {
        let record = after(&unpaid(), [4, 2, 0]).unwrap();
        assert_eq!((record.kind.as_str(), record.id.as_str()), ("order", "7"));
        assert_eq!(record.summary, "3 items for ada, 59.70 EUR");
        assert_eq!(record.reason.as_deref(), Some(NO_MONEY));
        assert_eq!(record.phase, Phase::Failed);
        assert_eq!(record.started.to_string(), "2030-01-31T12:00:00.000Z");
        assert_eq!(record.since.to_string(), "2030-01-31T12:00:04.000Z");
        assert_eq!(record.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        let steps: Vec<_> = record.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(steps, ["OrderPlaced", "PaymentRefused", "OrderCancelled"]);
    }

    proptest! {
        #[test]
        fn facts_make_the_same_record_in_any_order_and_number(which in 0..3_usize, order in prop::collection::vec(0..5_usize, 0..12)) {
            let life = [completed(), unpaid(), out_of_stock()].into_iter().nth(which).unwrap();
            let order: Vec<usize> = order.into_iter().map(|at| at % life.len()).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(after(&life, order), after(&life, sorted));
        }
    }
}
