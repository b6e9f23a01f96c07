//! The end of a worker: nothing new, time for what runs, the rest back to the stream.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;

use super::{flight::Flight, gate::Intake, process, pull::Shared, runners};
use crate::bus::settle;

/// How long emptying the subscription may take, and how long a cancelled handler to settle its message: with the grace between them
/// they fit into what a service gives its work.
const SETTLE_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Empties the subscription before anything is handed back, then lets what waits for its turn go back too, then waits for what runs and for
/// what is acked and not confirmed.
pub(super) async fn drain(shared: &Arc<Shared>, subscriber: Option<Subscriber>) {
    let consumer = &shared.status.consumer;
    shared.status.pulled(false, "draining");
    let handed_back = shut(shared, subscriber).await;
    tracing::info!(%consumer, handed_back, running = shared.status.running(), "worker drains");
    if !shared.handlers.ended(shared.grace).await {
        tracing::warn!(%consumer, running = shared.status.running(), "handlers outlived the grace; their messages go back");
        shared.handlers.stop(SETTLE_LIMIT).await;
    }
    // What is not confirmed by then is given up, and said, when the inbox is closed.
    drop(tokio::time::timeout(SETTLE_LIMIT, shared.settler.idle()).await);
    shared.status.pulled(false, "drained");
}

/// Ends the intake and hands back what it still held: a NAK into a pull that is still open would come straight back to us. What waits in
/// the worker is told that it can go back as well.
pub(super) async fn shut(shared: &Arc<Shared>, subscriber: Option<Subscriber>) -> usize {
    let unstarted = match subscriber {
        Some(subscriber) => unstarted(subscriber).await,
        None => Vec::new(),
    };
    shared.gate.set_intake(Intake::Shut);
    let count = unstarted.len();
    let flight = Arc::<Flight>::default();
    for message in unstarted {
        match (&shared.worker.serial, &message.reply) {
            // It goes back behind those of its key that came before it and are still here.
            (Some(_), _) => process::take(shared, message, &flight),
            // What the server misses comes again after `ack_wait`.
            (None, Some(reply)) => drop(settle::hand_back(&shared.connection.client, reply).await),
            (None, None) => {}
        }
    }
    runners::see_to_all(shared);
    count
}

/// Closes a subscription and returns the messages that it still held.
async fn unstarted(mut subscriber: Subscriber) -> Vec<Message> {
    let mut unstarted = Vec::new();
    if subscriber.drain().await.is_err() {
        return unstarted;
    }
    while let Ok(Some(message)) = tokio::time::timeout(SETTLE_LIMIT, subscriber.next()).await {
        if message.status.is_none() && message.reply.is_some() {
            unstarted.push(message);
        }
    }
    unstarted
}
