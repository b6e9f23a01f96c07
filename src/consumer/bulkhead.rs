//! A bulkhead: slots that several workers share, so that together they run no more handlers than what they all lean on can bear.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Shared slots for handlers; clones share them.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Semaphore>);

impl Bulkhead {
    /// Slots for so many handlers at once, over all workers that are given this bulkhead.
    pub fn new(slots: u32) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(slots.max(1)).unwrap_or(Semaphore::MAX_PERMITS))))
    }

    /// Slots that are free.
    pub fn free(&self) -> usize {
        self.0.available_permits()
    }

    /// Waits for a slot; first come, first served. Dropping it gives it back.
    pub(super) async fn slot(&self) -> OwnedSemaphorePermit {
        self.0.clone().acquire_owned().await.expect("it is never closed")
    }
}
