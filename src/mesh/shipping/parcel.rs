//! The life of a parcel, folded from its moves, which come in order.

use crate::{
    clock::Timestamp,
    mesh::events::ParcelMoved,
    message::Message,
    record::{Phase, Record, Step},
};

/// How a move fits to those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// It is the next one.
    Next,
    /// It is known: it was delivered before.
    Known,
    /// Moves are missing between the `known` ones and this one.
    Gap { known: usize },
}

/// How a move fits, and the record with it if it is the next one. A parcel of `of` moves is where it belongs after the last.
pub(super) fn with_move(
    record: Option<&Record>,
    moved: &ParcelMoved,
    of: usize,
    message: &Message,
    at: Timestamp,
) -> (Fold, Option<Record>) {
    let known = record.map_or(0, |record| record.steps.len());
    let number = moved.number as usize;
    if number <= known {
        return (Fold::Known, None);
    }
    if number > known + 1 {
        return (Fold::Gap { known }, None);
    }
    let mut record = record.cloned().unwrap_or_else(|| unborn(moved, message, at));
    record.steps.push(Step {
        name: moved.to.clone(),
        at,
        by: message.source.clone().unwrap_or_default(),
        message: message.id.clone(),
    });
    record.state.clone_from(&moved.to);
    record.since = at;
    record.phase = if number == of { Phase::Succeeded } else { Phase::Open };
    (Fold::Next, Some(record))
}

fn unborn(moved: &ParcelMoved, message: &Message, at: Timestamp) -> Record {
    Record {
        kind: "parcel".to_owned(),
        id: moved.order_id.clone(),
        state: String::new(),
        phase: Phase::Open,
        started: at,
        since: at,
        summary: format!("the parcel of order {}", moved.order_id),
        reason: None,
        trace_id: message.trace.map(|trace| trace.trace_id_text()),
        steps: Vec::new(),
    }
}
