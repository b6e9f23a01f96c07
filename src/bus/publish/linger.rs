//! Lingering: what is published to one stream within a moment leaves as one atomic batch, and each publisher has a receipt of its own.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    PublishError, Receipt,
    underway::{Parcel, Underway},
};
use crate::{
    bus::{BATCH_MOST, BatchError, Wire},
    message::Message,
    tasks::Tasks,
    telemetry::outlet::Departure,
};

/// What waits for company, by stream.
#[derive(Debug)]
pub(crate) struct Linger {
    wait: Duration,
    most: usize,
    gathered: Mutex<HashMap<&'static str, Vec<Waiting>>>,
    /// Streams that allow no batches: their messages do not wait.
    singly: Mutex<HashSet<&'static str>>,
    tasks: Tasks,
}

/// A message that waits; it has its place in the window from the start, so that no more wait than the window has places.
#[derive(Debug)]
struct Waiting {
    parcel: Parcel,
    departure: Departure,
    asker: oneshot::Sender<Result<Receipt, PublishError>>,
    place: OwnedSemaphorePermit,
}

impl Linger {
    pub(crate) fn new(wait: Duration, most: usize) -> Self {
        let most = most.clamp(1, BATCH_MOST);
        Self { wait, most, gathered: Mutex::default(), singly: Mutex::default(), tasks: Tasks::default() }
    }

    /// Whether messages of this stream go in batches.
    pub(super) fn gathers(&self, stream: &str) -> bool {
        !lock(&self.singly).contains(stream)
    }

    /// Lets a message wait for company; the first that waits sets the time at which all leave.
    pub(super) async fn gather(
        self: &Arc<Self>,
        stream: &'static str,
        parcel: Parcel,
        departure: Departure,
    ) -> Result<oneshot::Receiver<Result<Receipt, PublishError>>, PublishError> {
        let (asker, receipt) = oneshot::channel();
        let Wire::Nats(link) = &parcel.bus.0.wire else {
            drop(asker.send(Underway::start(parcel, departure).await.finish().await));
            return Ok(receipt);
        };
        let place = link.window.place(&parcel.message.subject).await?;
        let (waiting, full) = {
            let mut gathered = lock(&self.gathered);
            let waiting = gathered.entry(stream).or_default();
            waiting.push(Waiting { parcel, departure, asker, place });
            (waiting.len(), (waiting.len() == self.most).then(|| std::mem::take(waiting)))
        };
        let linger = self.clone();
        match full {
            Some(full) => self.tasks.spawn(move |_| async move { linger.publish(stream, full).await }),
            None if waiting == 1 => self.tasks.spawn(move |_| async move {
                tokio::time::sleep(linger.wait).await;
                // Should the one that set this time have left with a full batch, those behind it leave a little early.
                let waiting = lock(&linger.gathered).remove(stream).unwrap_or_default();
                linger.publish(stream, waiting).await;
            }),
            None => {}
        }
        Ok(receipt)
    }

    async fn publish(&self, stream: &'static str, waiting: Vec<Waiting>) {
        if waiting.len() < 2 || !self.gathers(stream) {
            return alone(waiting).await;
        }
        let messages: Vec<Message> = waiting.iter().map(|waiting| waiting.parcel.message.clone()).collect();
        let bus = waiting[0].parcel.bus.clone();
        match bus.commit_gathered(stream, &messages).await {
            Ok(receipt) => {
                for (Waiting { departure, asker, .. }, receipt) in waiting.into_iter().zip(receipt.receipts()) {
                    departure.confirmed(receipt.sequence, receipt.is_duplicate);
                    drop(asker.send(Ok(receipt)));
                }
            }
            Err(error) => {
                if matches!(error, BatchError::NotAllowed { .. }) {
                    lock(&self.singly).insert(stream);
                }
                alone(waiting).await;
            }
        }
    }
}

/// Each by itself, under the same id: a batch that is refused for one of its messages is no reason to refuse the others, and one whose
/// answer was lost makes each a duplicate.
async fn alone(waiting: Vec<Waiting>) {
    let each = waiting.into_iter().map(|Waiting { parcel, departure, asker, place }| async move {
        drop(place);
        drop(asker.send(Underway::start(parcel, departure).await.finish().await));
    });
    join_all(each).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
