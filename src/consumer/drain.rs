//! The end of a worker: nothing new, time for what runs, the rest back to the stream.

use async_nats::Subscriber;
use futures_util::StreamExt;

use super::{gate::Intake, pull::Shared};
use crate::bus::settle;

/// How long emptying the subscription may take, and how long a cancelled handler to settle its message: with the grace between them
/// they fit into what a service gives its work.
const SETTLE_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Empties the subscription before anything is handed back, then lets what waits for its turn go back too, then waits for what runs.
pub(super) async fn drain(shared: &Shared, subscriber: Option<Subscriber>) {
    let consumer = &shared.status.consumer;
    shared.status.pulled(false, "draining");
    let handed_back = shut(shared, subscriber).await;
    tracing::info!(%consumer, handed_back, running = shared.status.running(), "worker drains");
    if !shared.handlers.ended(shared.grace).await {
        tracing::warn!(%consumer, running = shared.status.running(), "handlers outlived the grace; their messages go back");
        shared.handlers.stop(SETTLE_LIMIT).await;
    }
    shared.status.pulled(false, "drained");
}

/// Ends the intake and hands back what it still held: a NAK into a pull that is still open would come straight back to us. What waits in
/// the worker is told that it can go back as well.
pub(super) async fn shut(shared: &Shared, subscriber: Option<Subscriber>) -> usize {
    let handed_back = match subscriber {
        Some(subscriber) => hand_back(shared, subscriber).await,
        None => 0,
    };
    shared.gate.set_intake(Intake::Shut);
    handed_back
}

async fn hand_back(shared: &Shared, mut subscriber: Subscriber) -> usize {
    let client = &shared.connection.client;
    if subscriber.drain().await.is_err() {
        return 0;
    }
    let mut unstarted = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(SETTLE_LIMIT, subscriber.next()).await {
        unstarted.extend(message.reply.filter(|_| message.status.is_none()));
    }
    let mut handed_back = 0;
    for reply in &unstarted {
        handed_back += usize::from(settle::hand_back(client, reply).await.is_ok());
    }
    handed_back
}
