//! One message from delivery to settlement.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Message as Delivered;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{
    Bulkhead,
    arrival::{self, Arrival},
    attempt::{Next, Work},
    flight::Flight,
    held::Held,
    pull::Shared,
    tally::Tally,
    turns::Turn,
};
use crate::{
    bus::settle::{self, Settlement},
    errors::brief,
    message::header,
    resilience::Phase,
};

/// A held message that waits for a runner.
#[derive(Debug)]
pub(super) struct Waiting {
    reply: async_nats::Subject,
    /// A message that takes turns was read already: turns are in the order of delivery.
    read: Result<(Arrival, Option<Turn>), Delivered>,
    held: Held,
}

/// Takes a delivered message, which is held from here on, and has it wait for a runner.
pub(super) fn take(shared: &Arc<Shared>, delivered: Delivered, flight: &Arc<Flight>) {
    let Some(reply) = delivered.reply.clone() else {
        tracing::warn!(subject = %delivered.subject, "ignored a message that did not come from a stream");
        return;
    };
    let held = Held::take(shared, flight, reply.clone(), shared.is_late(&delivered.subject));
    let read = match &shared.worker.serial {
        None => Err(delivered),
        Some(key_of) => {
            let read = arrival::read(shared, delivered);
            let turn = read.as_ref().ok().map(|(message, ..)| shared.turns.queue(key_of.of(message)));
            Ok((read, turn))
        }
    };
    shared.runners.queue(Waiting { reply, read, held });
}

/// Processes a held message: runs its handler when it may, and settles it.
pub(super) async fn process(shared: &Shared, waiting: Waiting, stop: &CancellationToken) {
    let Waiting { reply, read, held } = waiting;
    let (arrival, turn) = read.unwrap_or_else(|delivered| (arrival::read(shared, delivered), None));
    let arrived = match arrival {
        Ok(arrived) => arrived,
        Err(why) => {
            Box::pin(refuse(shared, &reply, why)).await;
            return drop(held);
        }
    };
    let work = Work::new(shared, &reply, arrived, held, stop);
    match &shared.part {
        None => attempted(work, turn).await,
        Some(part) => Box::pin(part.unless_lost(attempted(work, turn))).await,
    }
}

/// A delivery that does not say where it lies is not a stream's, or not one that we understand: nothing can be copied from it.
async fn refuse(shared: &Shared, reply: &async_nats::Subject, why: String) {
    tracing::error!(consumer = %shared.status.consumer, why, "a delivery cannot be read; it is rejected");
    let settled = shared.settler.settle(reply, &Settlement::Term(brief(why))).await;
    drop(settled);
}

async fn attempted(mut work: Work<'_>, mut turn: Option<Turn>) {
    if is_for_another(&work) {
        return Box::pin(work.settle_unrun()).await;
    }
    let shared = work.shared;
    let counted = shared.attempts.of(&work.delivery).await;
    let known = [work.returned.clone(), counted].into_iter().flatten().max_by_key(|record| record.attempts);
    let mut tally = Tally::new(&work.delivery, known);
    while let Some(admitted) = admitted(shared, turn.as_mut()).await {
        let next = work.attempt(&mut tally).await;
        drop(admitted);
        match next {
            Next::Settled => return,
            Next::Again(wait) if Box::pin(passed(shared, wait)).await => {}
            Next::Again(_) => break,
        }
    }
    Box::pin(hand_back(&work, tally)).await;
}

async fn hand_back(work: &Work<'_>, mut tally: Tally) {
    let shared = work.shared;
    tally.save(&shared.attempts, &work.delivery).await;
    // What the server misses comes again after `ack_wait`.
    drop(settle::hand_back(&shared.connection.client, work.reply).await);
}

/// Whether the message is a replay that another durable is to process.
fn is_for_another(work: &Work<'_>) -> bool {
    let named = work.message.header(header::REPLAY_FOR);
    named.is_some_and(|named| named != work.shared.status.consumer.as_str())
}

/// Waits until a handler may start: its key's turn, a slot of the bulkhead, the gate. `None` if the message is to go back instead.
async fn admitted(shared: &Shared, turn: Option<&mut Turn>) -> Option<[Option<OwnedSemaphorePermit>; 2]> {
    let shares_one_credit = shared.later.is_some() && shared.status.concurrency() == 1;
    let waits = turn.is_some() || shared.worker.bulkhead.is_some() || shared.gate.is_guarded() || shares_one_credit;
    if !waits {
        return Some([None, None]);
    }
    Box::pin(let_in(shared, turn)).await
}

async fn let_in(shared: &Shared, turn: Option<&mut Turn>) -> Option<[Option<OwnedSemaphorePermit>; 2]> {
    if let Some(turn) = turn {
        // None goes back, to run elsewhere, while one before it still runs here.
        turn.comes().await;
        if shared.gate.is_shut() {
            return None;
        }
    }
    // A worker that tries one message may hold one of each stream as well, and the second waits for what the first shows.
    let runs_one = shared.status.concurrency() == 1 || shared.gate.phase(Instant::now()) == Phase::HalfOpen;
    let later = shared.later.as_ref().filter(|_| runs_one);
    let slots = async { [slot(later.map(|later| &later.turn)).await, slot(shared.worker.bulkhead.as_ref()).await] };
    let slots = tokio::select! {
        biased;
        slots = slots => slots,
        () = shared.gate.shut() => return None,
    };
    while let Phase::Open { until } = shared.gate.phase(Instant::now()) {
        tokio::select! {
            () = shared.gate.shut() => return None,
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }
    Some(slots)
}

async fn slot(bulkhead: Option<&Bulkhead>) -> Option<OwnedSemaphorePermit> {
    match bulkhead {
        None => None,
        Some(bulkhead) => Some(bulkhead.slot().await),
    }
}

/// Waits for the next attempt; `false` if the message is to go back before.
async fn passed(shared: &Shared, wait: Duration) -> bool {
    if wait.is_zero() {
        return true;
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = shared.gate.shut() => false,
    }
}
