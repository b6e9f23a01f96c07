//! Leases: the server's `ack_wait` is extended for every message that is held, because it runs from delivery, not from the handler's
//! start.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{Client, Subject};
use tokio_util::sync::CancellationToken;

use crate::{bus::settle, telemetry::Metrics};

/// Extensions within one `ack_wait`: two may be lost before the message goes to another worker.
const EXTENSIONS: u32 = 3;

/// The messages that a worker holds.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    held: Arc<Mutex<Held>>,
    every: Duration,
}

#[derive(Debug, Default)]
struct Held {
    leases: Vec<Option<(Subject, Instant)>>,
    /// Where there is room.
    free: Vec<usize>,
}

/// One held message; dropping it ends the lease.
#[derive(Debug)]
pub(super) struct Lease {
    index: usize,
    held: Arc<Mutex<Held>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.leases[self.index] = None;
        held.free.push(self.index);
    }
}

impl Leases {
    pub(super) fn new(ack_wait: Duration) -> Self {
        Self { held: Arc::default(), every: (ack_wait / EXTENSIONS).max(Duration::from_millis(10)) }
    }

    /// Begins to hold the message whose reply subject is `reply`.
    pub(super) fn hold(&self, reply: Subject) -> Lease {
        let lease = Some((reply, Instant::now() + self.every));
        let mut held = lock(&self.held);
        let index = held.free.pop().unwrap_or(held.leases.len());
        match held.leases.get_mut(index) {
            Some(free) => *free = lease,
            None => held.leases.push(lease),
        }
        Lease { index, held: self.held.clone() }
    }

    /// Extends what is due until `stop`. Looks four times in the length between two extensions.
    pub(super) async fn keep(self, client: Client, metrics: Metrics, consumer: String, stop: CancellationToken) {
        let mut beat = tokio::time::interval(self.every / 4);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            let due = self.due(Instant::now());
            let mut extended = 0;
            for reply in &due {
                extended += u64::from(settle::extend(&client, reply).await.is_ok());
            }
            if extended > 0 {
                metrics.count_leases(&consumer, extended);
            }
        }
    }

    fn due(&self, now: Instant) -> Vec<Subject> {
        let mut held = lock(&self.held);
        let due = held.leases.iter_mut().flatten().filter(|(_, at)| *at <= now);
        due.map(|(reply, at)| {
            *at = now + self.every;
            reply.clone()
        })
        .collect()
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_message_is_due_thrice_within_its_ack_wait_and_never_after_it_was_dropped() {
        let leases = Leases::new(Duration::from_secs(3));
        let start = Instant::now();
        let lease = leases.hold("reply".into());
        assert!(leases.due(start).is_empty());
        assert_eq!(leases.due(start + Duration::from_millis(1_001)).len(), 1);
        assert!(leases.due(start + Duration::from_millis(1_900)).is_empty());
        assert_eq!(leases.due(start + Duration::from_millis(2_100)).len(), 1);
        drop(lease);
        assert!(leases.due(start + Duration::from_secs(60)).is_empty());
    }
}
