//! A message that is held: its lease and its credit.

use std::sync::Arc;

use async_nats::Subject;

use super::{flight::Flight, lease::Lease, pull::Shared};

/// Dropping it, however the message ended, ends the lease, gives the credit back and tells the pull loop.
#[derive(Debug)]
pub(super) struct Held {
    shared: Arc<Shared>,
    flight: Arc<Flight>,
    is_late: bool,
    _lease: Lease,
}

impl Held {
    /// Holds the message whose reply subject is `reply`. It came by `flight`.
    pub(super) fn take(shared: &Arc<Shared>, flight: &Arc<Flight>, reply: Subject, is_late: bool) -> Self {
        let lease = shared.leases.hold(reply);
        shared.status.taken();
        flight.taken(is_late);
        if let Some(later) = shared.later.as_ref().filter(|_| is_late) {
            later.taken();
        }
        Self { shared: shared.clone(), flight: flight.clone(), is_late, _lease: lease }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(later) = self.shared.later.as_ref().filter(|_| self.is_late) {
            later.freed();
        }
        self.shared.status.freed();
        self.flight.freed(self.is_late);
    }
}
