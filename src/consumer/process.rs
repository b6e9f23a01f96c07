//! One message from delivery to settlement.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Message as Delivered, jetstream};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Bulkhead,
    attempt::{Next, Work},
    attempts::Record,
    flight::Flight,
    later::{self, Returned},
    pull::Shared,
    tally::Tally,
    turns::Turn,
};
use crate::{
    bus::{
        self,
        settle::{self, Settlement},
    },
    clock::Timestamp,
    message::{Delivery, Message, header},
    name::{NameError, Subject, token_of},
    resilience::Phase,
};

/// A message in work. Dropping it, however the handler ended, gives the credit back and tells the pull loop.
struct Credit {
    shared: Arc<Shared>,
    flight: Arc<Flight>,
    is_late: bool,
}

impl Credit {
    fn take(shared: &Arc<Shared>, flight: Arc<Flight>, is_late: bool) -> Self {
        shared.status.taken();
        flight.taken(is_late);
        if let Some(later) = shared.later.as_ref().filter(|_| is_late) {
            later.taken();
        }
        Self { shared: shared.clone(), flight, is_late }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if let Some(later) = self.shared.later.as_ref().filter(|_| self.is_late) {
            later.freed();
        }
        self.shared.status.freed();
        self.flight.freed(self.is_late);
    }
}

/// A message, where it lies, and what is known of one that came back after a long wait; or why it cannot be read.
type Read = Result<(Message, Delivery, Option<Record>), String>;

/// Takes a delivered message, which is held from here on, and starts its handler or has it wait for its turn.
pub(super) fn start(shared: &Arc<Shared>, delivered: Delivered, flight: Arc<Flight>) {
    let Some(reply) = delivered.reply.clone() else {
        tracing::warn!(subject = %delivered.subject, "ignored a message that did not come from a stream");
        return;
    };
    let lease = shared.leases.hold(reply.clone());
    let is_late = shared.is_late(&delivered.subject);
    let credit = Credit::take(shared, flight, is_late);
    // Turns are in the order of delivery, so they are taken here and not in the task.
    let arrived = match &shared.worker.serial {
        None => Err(delivered),
        Some(key_of) => {
            let read = read(shared, delivered);
            let turn = read.as_ref().ok().map(|(message, ..)| shared.turns.queue(key_of.of(message)));
            Ok((read, turn))
        }
    };
    shared.handlers.spawn(move |stop| async move {
        let shared = &credit.shared;
        let (read, turn) = arrived.unwrap_or_else(|delivered| (read(shared, delivered), None));
        let work = async {
            match read {
                Ok((message, delivery, returned)) => {
                    let work = Work::new(shared, &reply, (message, delivery, returned), &stop);
                    process(&work, turn).await;
                }
                Err(why) => refuse(shared, &reply, why).await,
            }
        };
        match &shared.part {
            None => work.await,
            Some(part) => part.unless_lost(work).await,
        }
        drop(lease);
        drop(credit);
    });
}

/// A delivery that does not say where it lies is not a stream's, or not one that we understand: nothing can be copied from it.
async fn refuse(shared: &Shared, reply: &async_nats::Subject, why: String) {
    tracing::error!(consumer = %shared.status.consumer, why, "a delivery cannot be read; it is rejected");
    let settled = settle::settle(&shared.connection.client, reply, &Settlement::Term(why)).await;
    drop(settled);
}

async fn process(work: &Work<'_>, mut turn: Option<Turn>) {
    if is_for_another(work) {
        return work.settle_unrun().await;
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
            Next::Again(wait) if passed(shared, wait).await => {}
            Next::Again(_) => break,
        }
    }
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
    if let Some(turn) = turn {
        // None goes back, to run elsewhere, while one before it still runs here.
        turn.comes().await;
        if shared.gate.is_shut() {
            return None;
        }
    }
    let has_one_credit = shared.status.concurrency() == 1;
    let later = shared.later.as_ref().filter(|_| has_one_credit);
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

/// What was delivered as plain data. A subject that is none by our rules becomes one that no handler reads.
fn read(shared: &Shared, message: Delivered) -> Read {
    let delivered = jetstream::Message { message, context: shared.connection.jetstream.clone() };
    let delivery = delivery(&delivered)?;
    let Delivered { subject, headers, payload, .. } = delivered.message;
    let subject = Subject::try_from(subject.as_str()).or_else(|_| Subject::try_from(token_of(&subject)));
    let subject = subject.map_err(|error| error.to_string())?;
    let is_late = shared.is_late(subject.as_str());
    let message = bus::read_message(subject, headers.as_ref(), payload);
    if !is_late {
        return Ok((message, delivery, None));
    }
    let Returned { message, delivery, record } = later::original(message, delivery, &shared.status)?;
    Ok((message, delivery, Some(record)))
}

fn delivery(delivered: &jetstream::Message) -> Result<Delivery, String> {
    let info = delivered.info().map_err(|error| error.to_string())?;
    Ok(Delivery {
        stream: info.stream.try_into().map_err(|error: NameError| error.to_string())?,
        consumer: info.consumer.try_into().map_err(|error: NameError| error.to_string())?,
        stream_sequence: info.stream_sequence,
        consumer_sequence: info.consumer_sequence,
        delivered: info.delivered.try_into().unwrap_or(1),
        pending: info.pending,
        published: Timestamp(info.published),
    })
}
