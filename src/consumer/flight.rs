//! What came by one subscription and is held.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

use tokio::sync::Notify;

/// The messages that came by one subscription and are held.
#[derive(Debug, Default)]
pub(super) struct Flight {
    held: AtomicU32,
    /// Those of them that came back after a long wait.
    later: AtomicU32,
    /// How many of them were ever freed, around the largest number.
    freed: AtomicU32,
    /// The number of those at which the pull loop has something to do.
    wake_at: AtomicU32,
    wake: Notify,
}

impl Flight {
    pub(super) fn taken(&self, is_late: bool) {
        self.held.fetch_add(1, Relaxed);
        self.later.fetch_add(u32::from(is_late), Relaxed);
    }

    pub(super) fn freed(&self, is_late: bool) {
        self.held.fetch_sub(1, Relaxed);
        self.later.fetch_sub(u32::from(is_late), Relaxed);
        let freed = self.freed.fetch_add(1, SeqCst).wrapping_add(1);
        if has_come(self.wake_at.load(SeqCst), freed) {
            self.wake.notify_one();
        }
    }

    /// How many were ever freed; only the difference between two of these numbers says anything.
    pub(super) fn freed_so_far(&self) -> u32 {
        self.freed.load(SeqCst)
    }

    /// Has [`Flight::changed`] resolve when `more` have been freed since it was so many: waking the pull loop for each would cost as much
    /// as the message.
    pub(super) fn wake_after(&self, so_far: u32, more: u32) {
        let at = so_far.wrapping_add(more);
        self.wake_at.store(at, SeqCst);
        // Whoever freed one before it was stored did not see it.
        if has_come(at, self.freed.load(SeqCst)) {
            self.wake.notify_one();
        }
    }

    /// How many they are.
    pub(super) fn held(&self) -> u32 {
        self.held.load(Relaxed)
    }

    /// How many of them came back after a long wait.
    pub(super) fn held_late(&self) -> u32 {
        self.later.load(Relaxed)
    }

    /// Resolves when as many as were waited for are held no more.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }
}

fn has_come(at: u32, freed: u32) -> bool {
    freed.wrapping_sub(at) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_loop_is_woken_when_enough_are_freed_and_not_before() {
        let flight = Flight { freed: AtomicU32::new(u32::MAX - 1), ..Flight::default() };
        let so_far = flight.freed_so_far();
        for _ in 0..4 {
            flight.taken(false);
        }
        flight.freed(false);
        flight.wake_after(so_far, 3);
        flight.freed(false);
        assert!(flight.changed().now_or_never().is_none());
        flight.freed(false);
        assert!(flight.changed().now_or_never().is_some());
        flight.wake_after(so_far, 3);
        assert!(flight.changed().now_or_never().is_some(), "what was freed meanwhile counts");
        assert_eq!(flight.held(), 1);
    }
}
