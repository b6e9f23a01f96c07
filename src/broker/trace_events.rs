//! What servers tell of messages on their way, where an account has message tracing: heard in each account and given on as it comes.
//!
//! Convention: NATS ADR-41. A server publishes one event for each message whose `traceparent` is sampled, on the subject that is
//! the account's `msg_trace.dest`; no user of the account may ask which that is.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::SelectAll};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Source;
use crate::name::Subject;

/// How long the client may take to note a subscription: it waits for no answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Hears what is told on `subject` in each account, once there is a connection to it, and hands it to `take` until `stop` is cancelled.
pub async fn hear(
    mut sources: watch::Receiver<Vec<Source>>,
    subject: Subject,
    take: impl Fn(&[u8]),
    stop: CancellationToken,
) {
    let mut told = SelectAll::new();
    let mut accounts: Vec<Arc<str>> = Vec::new();
    sources.mark_changed();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = sources.changed() => {
                if changed.is_err() {
                    return;
                }
                let known: Vec<Source> = sources.borrow_and_update().clone();
                for source in known {
                    if accounts.contains(&source.account) {
                        continue;
                    }
                    if let Ok(Ok(heard)) = timeout(LIMIT, source.client.subscribe(subject.to_string())).await {
                        told.push(heard);
                        accounts.push(source.account);
                    }
                }
            }
            Some(message) = told.next(), if !told.is_empty() => take(&message.payload),
        }
    }
}
