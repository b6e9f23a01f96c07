//! The newest orders, held in memory and followed as they change.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{errors::ErrorChain, mesh::orders, nats::Link, record::Record, resilience::Backoff, state::Documents};

/// How many orders are kept.
const KEPT: usize = 50;

/// How far back to look at the start: an order is written about four times, its parcel three times.
const WRITES_BACK: u64 = 10 * KEPT as u64;

/// Waits before following again.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// The newest orders by id, which sorts them by time; clones are the same list.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest(Arc<watch::Sender<BTreeMap<String, Record>>>);

impl Newest {
    /// The newest first.
    pub(super) fn list(&self) -> Vec<Record> {
        self.0.borrow().values().rev().cloned().collect()
    }

    /// Keeps the list true until `stop`.
    pub(super) async fn follow_until(self, records: Documents<Record>, link: Link, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            failures += 1;
            tokio::select! {
                () = self.follow_once_connected(&records, &link, &mut failures) => {}
                () = stop.cancelled() => return,
            }
            tokio::time::sleep(BACKOFF.wait(failures, fastrand::f64())).await;
        }
    }

    /// What is asked while NATS is away would be asked again by the client when it is back, once for each attempt.
    async fn follow_once_connected(&self, records: &Documents<Record>, link: &Link, failures: &mut u32) {
        if link.watch().wait_for(|state| state.is_connected).await.is_ok() {
            self.follow(records, failures).await;
        }
    }

    /// Returns when the records can be followed no longer.
    async fn follow(&self, records: &Documents<Record>, failures: &mut u32) {
        let changes = match records.follow(WRITES_BACK).await {
            Ok(changes) => changes,
            Err(error) => return tracing::warn!(error = %ErrorChain(&error), "the list of orders stands still"),
        };
        let mut changes = pin!(changes);
        while let Some((_, record)) = changes.next().await {
            *failures = 0;
            if record.kind == orders::KIND {
                self.take(record);
            }
        }
    }

    fn take(&self, record: Record) {
        self.0.send_modify(|orders| {
            orders.insert(record.id.clone(), record);
            if orders.len() > KEPT {
                orders.pop_first();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u32, state: &str) -> Record {
        let (at, kind) = ("2030-01-31T12:00:00Z", "order");
        let id = format!("{id:04}");
        let record =
            serde_json::json!({ "kind": kind, "id": id, "state": state, "phase": "open", "started": at, "since": at });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn the_newest_orders_are_kept_each_as_it_is_now() {
        let newest = Newest::default();
        for id in 0..60 {
            newest.take(record(id, "placed"));
        }
        newest.take(record(59, "completed"));
        newest.take(record(3, "completed"));
        let list = newest.list();
        assert_eq!(list.len(), KEPT);
        assert_eq!((list[0].id.as_str(), list[0].state.as_str()), ("0059", "completed"));
        assert_eq!(list[KEPT - 1].id, "0010", "an old order that changes does not push out a newer one");
    }
}
