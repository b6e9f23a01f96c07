//! What came by one subscription and is held.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::sync::Notify;

/// The messages that came by one subscription and are held.
#[derive(Debug, Default)]
pub(super) struct Flight {
    held: AtomicU32,
    /// Those of them that came back after a long wait.
    later: AtomicU32,
    freed: Notify,
}

impl Flight {
    pub(super) fn taken(&self, is_late: bool) {
        self.held.fetch_add(1, Relaxed);
        self.later.fetch_add(u32::from(is_late), Relaxed);
    }

    pub(super) fn freed(&self, is_late: bool) {
        self.held.fetch_sub(1, Relaxed);
        self.later.fetch_sub(u32::from(is_late), Relaxed);
        self.freed.notify_one();
    }

    /// How many they are.
    pub(super) fn held(&self) -> u32 {
        self.held.load(Relaxed)
    }

    /// How many of them came back after a long wait.
    pub(super) fn held_late(&self) -> u32 {
        self.later.load(Relaxed)
    }

    /// Resolves when one of them is held no more.
    pub(super) async fn changed(&self) {
        self.freed.notified().await;
    }
}
