//! Telling presence: what the instance says of itself, again and again, into a bucket that forgets it when it stops.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Health, Identity};
use crate::{
    clock::{Clock, Timestamp},
    errors::ErrorChain,
    nats::Connection,
    presence::{BUCKET, INTERVAL, Presence},
    state::{Documents, documents::DocumentError},
};

/// How long one telling may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Who tells, and what of.
pub(super) struct Teller {
    pub(super) identity: Identity,
    pub(super) address: Option<String>,
    pub(super) health: Arc<Health>,
    pub(super) connection: Connection,
    pub(super) clock: Clock,
    pub(super) started: Timestamp,
}

impl Teller {
    /// Tells every few seconds until `stop`, and once more after it, so that whoever watches sees the drain. Presence is a courtesy: a
    /// service works without the bucket, and says once that it is missing.
    pub(super) async fn tell_until(self, stop: CancellationToken) {
        let mut beat = tokio::time::interval(INTERVAL);
        let mut was_told = true;
        loop {
            let is_last = tokio::select! {
                _ = beat.tick() => false,
                () = stop.cancelled() => true,
            };
            let told = tokio::time::timeout(LIMIT, self.tell()).await;
            let is_told = matches!(told, Ok(Ok(())));
            if was_told && let Ok(Err(error)) = told {
                tracing::warn!(error = %ErrorChain(&error), "presence cannot be told; watchers will not see this instance");
            }
            was_told = is_told;
            if is_last {
                return;
            }
        }
    }

    async fn tell(&self) -> Result<(), DocumentError> {
        let presence = Presence {
            service: self.identity.service.clone(),
            instance: self.identity.instance.clone(),
            version: self.identity.version.clone(),
            started: self.started,
            written: self.clock.now(),
            address: self.address.clone(),
            probes: self.health.probes(),
            workers: self.health.workers(),
        };
        let bucket = Documents::open(&self.connection, BUCKET).await?;
        bucket.change(&self.identity.key(), |_| Some(presence.clone())).await?;
        Ok(())
    }
}
