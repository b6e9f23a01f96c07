//! The life of an order, folded from its facts: a pure function that takes them in any order and any number of times.
//!
//! Three consumers deliver an order's facts, so a later one may come first, and any of them twice. The record keeps each as one step and
//! draws state, reason and times from the set of steps alone.

use crate::{
    bus::Payload,
    clock::Timestamp,
    mesh::events::{
        OrderCancelled, OrderCompleted, OrderPlaced, PaymentCharged, PaymentRefused, StockRefused, StockReleased,
        StockReserved,
    },
    message::Message,
    record::{Phase, Record, Step},
};

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
        let noun = if items == 1 { "item" } else { "items" };
        Some(format!("{items} {noun} for {}, {euros}.{cents:02} EUR", self.customer))
    }
}
impl Fact for OrderCompleted {}
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
        kind: "order".to_owned(),
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
