//! The consumer of what comes back: made before anything is scheduled, and made again when it is gone.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::{ConsumerInfoErrorKind, GetStreamErrorKind},
};
use tokio_util::sync::CancellationToken;

use super::{Intake, Later, LaterError};
use crate::{
    bus::topology::{self, RETRIES},
    errors::ErrorChain,
    resilience::Backoff,
};

/// Waits while the stream of retries cannot be asked.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// Messages that all workers of a consumer may hold together; far above any sum of credits.
const MAX_ACK_PENDING: i64 = 10_000;

/// Makes the stream and the consumer where they are missing.
pub(super) async fn declare(later: &Later) -> Result<(), LaterError> {
    let jetstream = &later.connection.jetstream;
    topology::ensure(jetstream, &topology::library().only(&[RETRIES])).await.map_err(LaterError::Make)?;
    let stream = jetstream.get_stream(RETRIES).await.map_err(LaterError::Stream)?;
    // Without them it would take the message as one like any other, which never comes back.
    if !stream.cached_info().config.allow_message_schedules {
        return Err(LaterError::NoSchedules);
    }
    // The server would change the other's consumer, and what is scheduled for it would come back to nobody.
    if let Ok(found) = stream.consumer_info(&later.consumer).await
        && found.config.filter_subject != later.due
    {
        return Err(LaterError::Taken { consumer: later.consumer.clone(), theirs: found.config.filter_subject });
    }
    let config = pull::Config {
        durable_name: Some(later.consumer.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: later.ack_wait,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        filter_subject: later.due.clone(),
        metadata: [(crate::snapshot::WORKER_METADATA.to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        ..pull::Config::default()
    };
    let made = stream.create_consumer(config).await;
    made.map(drop).map_err(|source| LaterError::Consumer { consumer: later.consumer.clone(), source })
}

/// Sees to it that what was scheduled, by this process, one before it or one beside it, is asked for.
pub(in crate::consumer) async fn keep(later: Option<Arc<Later>>, stop: CancellationToken) {
    let Some(later) = later else { return };
    stop.run_until_cancelled(async {
        let mut intake = later.watch();
        let mut failures = 0;
        // The sender lives as long as the worker, so waiting cannot fail.
        loop {
            match later.intake() {
                Intake::Unused => {
                    let wait = look(&later, &mut failures).await;
                    drop(tokio::time::timeout(wait, intake.changed()).await);
                }
                Intake::Wanted => see_to(&later, &mut failures).await,
                Intake::Flows => drop(intake.changed().await),
            }
        }
    })
    .await;
}

async fn see_to(later: &Later, failures: &mut u32) {
    match declare(later).await {
        Ok(()) => {
            *failures = 0;
            later.set_intake(Intake::Flows);
        }
        Err(error) => {
            *failures += 1;
            tracing::warn!(consumer = later.consumer, error = %ErrorChain(&error), "what was scheduled does not come back; trying again");
            tokio::time::sleep(BACKOFF.wait(*failures, fastrand::f64())).await;
        }
    }
}

/// Looks whether somebody has scheduled anything, and returns when to look again. What is not told for sure is asked sooner.
async fn look(later: &Later, failures: &mut u32) -> Duration {
    match is_there(later).await {
        None => {
            *failures += 1;
            return BACKOFF.wait(*failures, fastrand::f64());
        }
        Some(true) => later.set_intake(Intake::Wanted),
        Some(false) => {}
    }
    *failures = 0;
    later.look_again
}

async fn is_there(later: &Later) -> Option<bool> {
    let stream = match later.connection.jetstream.get_stream(RETRIES).await {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => Some(false),
                _ => None,
            };
        }
    };
    match stream.consumer_info(&later.consumer).await {
        Ok(found) => Some(found.config.filter_subject == later.due),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}
