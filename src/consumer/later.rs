//! What is to be tried again much later: published as a scheduled message, so that it holds no place among what is delivered and not
//! settled, and survives whatever server and workers do meanwhile.
//!
//! Convention: NATS ADR-51, message schedules (server 2.12). A later schedule on the same subject replaces the one before.

mod copy;
mod keep;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_nats::{StatusCode, jetstream::stream::ConsumerError};
use tokio::sync::watch;

use super::{Bulkhead, attempts::Record};
use crate::{
    bus::{
        Bus, PublishError,
        topology::{RETRIES, TopologyError},
    },
    clock::Timestamp,
    errors::ErrorChain,
    message::{Cause, CorrelationId, Delivery, Message},
    name::SubjectPattern,
    nats::Connection,
    telemetry::Remote,
};

pub(super) use copy::{Returned, original};
pub(super) use keep::keep;

/// A wait this long is the stream's rather than the server's: what waits so long would not outlive a restart of the server.
pub(super) const SCHEDULED_FROM: Duration = Duration::from_secs(60);

/// No wait is longer than this: the stream lets go of what lies in it for 30 days, and its worker may be away for most of them.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What another worker scheduled is asked for at most so late. Looking costs two small requests.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A worker whose shortest scheduled wait is below this still does not look more often.
const LOOK_AGAIN_SOONEST: Duration = Duration::from_secs(1);

/// How long a stream that takes no schedules is not asked again; messages go back with a delay meanwhile.
const SPARED: Duration = Duration::from_secs(60);

/// Where messages wait, by its name.
pub(super) const STREAM: &str = RETRIES;

/// What the reply of a request for messages that came back ends in, before its id.
pub(super) const MARK: &str = "later-";

/// Whether messages that come back are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// Nothing was ever scheduled, as far as is known.
    Unused,
    /// There may be something, and the consumer has to be seen to first.
    Wanted,
    /// The consumer is there.
    Flows,
}

/// The long waits of one worker.
#[derive(Debug)]
pub(super) struct Later {
    connection: Connection,
    /// The durable consumer of [`RETRIES`].
    pub(super) consumer: String,
    /// The subject of what has come back.
    pub(super) due: String,
    ack_wait: Duration,
    /// How often it is looked whether another worker of the durable has scheduled anything.
    look_again: Duration,
    intake: watch::Sender<Intake>,
    held: AtomicU32,
    /// What a worker with one credit, or one that tries one message, takes turns by: it may hold a message of each stream, and runs one.
    pub(super) turn: Bulkhead,
    spared_until: Mutex<Option<Instant>>,
}

/// Why a message is not scheduled.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaterError {
    #[error("nothing is scheduled for more than {} days", LONGEST.as_secs() / 86_400)]
    TooLong,
    #[error("stream {RETRIES} failed a moment ago")]
    Spared,
    #[error("making stream {RETRIES}")]
    Make(#[source] TopologyError),
    #[error("asking for stream {RETRIES}: may this user see it?")]
    Stream(#[source] async_nats::jetstream::context::GetStreamError),
    #[error("stream {RETRIES} takes no scheduled messages: allow them (`allow_msg_schedules`, server 2.12)")]
    NoSchedules,
    #[error(
        "consumer {consumer} of stream {RETRIES} belongs to another worker, for what comes back on {theirs}: `<stream>-<durable>` is the same \
         for both; rename the durable of one of them"
    )]
    Taken { consumer: String, theirs: String },
    #[error("making consumer {consumer} of stream {RETRIES}")]
    Consumer {
        consumer: String,
        #[source]
        source: ConsumerError,
    },
    #[error("scheduling")]
    Publish(#[from] PublishError),
}

impl Later {
    /// For waits of which the shortest is `shortest`: nothing that is scheduled comes back sooner.
    pub(super) fn new(
        connection: Connection,
        (stream, durable): (&str, &str),
        ack_wait: Duration,
        shortest: Duration,
    ) -> Self {
        Self {
            connection,
            consumer: format!("{stream}-{durable}"),
            due: copy::due(stream, durable),
            ack_wait,
            look_again: shortest.clamp(LOOK_AGAIN_SOONEST, LOOK_AGAIN),
            intake: watch::Sender::new(Intake::Unused),
            held: AtomicU32::new(0),
            turn: Bulkhead::new(1),
            spared_until: Mutex::default(),
        }
    }

    /// Schedules a message that was tried so often; returns when the stream has confirmed it, and only then may the message be let go.
    ///
    /// # Errors
    /// When the stream is missing and cannot be made, takes no schedules, or does not confirm it.
    pub(super) async fn schedule(
        &self,
        bus: &Bus,
        message: &Message,
        delivery: &Delivery,
        record: &Record,
        wait: Duration,
    ) -> Result<(), LaterError> {
        if wait > LONGEST {
            return Err(LaterError::TooLong);
        }
        if self.spared_until().is_some_and(|until| Instant::now() < until) {
            return Err(LaterError::Spared);
        }
        let done = self.scheduled(bus, message, delivery, record, wait).await;
        let is_news = match &done {
            Ok(()) => {
                *self.spared_until() = None;
                false
            }
            // It was this message and not the stream.
            Err(LaterError::Publish(PublishError::TooLarge { .. })) => false,
            Err(_) => self.spared_until().replace(Instant::now() + SPARED).is_none(),
        };
        if let (true, Err(error)) = (is_news, &done) {
            let error = ErrorChain(error);
            tracing::warn!(%error, "long waits are the server's: what waits is delivered too soon after a restart of the server");
        }
        done
    }

    async fn scheduled(
        &self,
        bus: &Bus,
        message: &Message,
        delivery: &Delivery,
        record: &Record,
        wait: Duration,
    ) -> Result<(), LaterError> {
        if self.intake() != Intake::Flows {
            keep::declare(self).await?;
        }
        let at = Timestamp(bus.clock().now().0 + wait);
        let copy = copy::copy(message, delivery, record, at);
        let template = SubjectPattern::try_from("retries.wait.*.*.*").expect("it is a pattern");
        let trace = Remote::current().or_else(|| Remote::of(message));
        let cause = Cause {
            correlation: copy.correlation.clone().unwrap_or_else(|| CorrelationId(String::new())),
            message: copy.causation.clone(),
            trace: trace.as_ref().map(|remote| remote.parent),
            trace_state: trace.and_then(|remote| remote.state),
            deadline: None,
        };
        bus.forward(RETRIES, &template, copy, &cause).await?;
        self.set_intake(Intake::Flows);
        Ok(())
    }

    /// Takes note of what the server says to a request: whatever is wrong with it is seen to beside the worker's own stream.
    pub(super) fn heard(&self, code: StatusCode, is_passing: bool) {
        let is_well = matches!(code, StatusCode::IDLE_HEARTBEAT | StatusCode::TIMEOUT | StatusCode::NOT_FOUND);
        let is_over = code.as_u16() == 409 && is_passing;
        if !(is_well || is_over) {
            self.set_intake(Intake::Wanted);
        }
    }

    pub(super) fn intake(&self) -> Intake {
        *self.intake.borrow()
    }

    pub(super) fn set_intake(&self, intake: Intake) {
        self.intake.send_if_modified(|now| std::mem::replace(now, intake) != intake);
    }

    /// Tells when [`Later::intake`] changes.
    pub(super) fn watch(&self) -> watch::Receiver<Intake> {
        self.intake.subscribe()
    }

    /// Messages that came back and are held.
    pub(super) fn held(&self) -> u32 {
        self.held.load(Relaxed)
    }

    pub(super) fn taken(&self) {
        self.held.fetch_add(1, Relaxed);
    }

    pub(super) fn freed(&self) {
        self.held.fetch_sub(1, Relaxed);
    }

    fn spared_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.spared_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the request that a status message is about, if it was one for messages that came back.
pub(super) fn request_id(reply: &str) -> Option<u64> {
    let (_, last) = reply.rsplit_once('.')?;
    last.strip_prefix(MARK)?.parse().ok()
}

/// Resolves when it is to be asked for, or not any more; never where nothing waits long.
pub(super) async fn changed(intake: &mut Option<watch::Receiver<Intake>>) {
    match intake {
        // The sender lives as long as the worker.
        Some(intake) => drop(intake.changed().await),
        None => std::future::pending().await,
    }
}

/// How a worker's credits are shared out while messages may come back: so many for the stream, so many for those. A quarter, and never
/// none, is enough for what is tried again.
pub(super) fn shares(credits: u32) -> (u32, u32) {
    if credits == 0 {
        return (0, 0);
    }
    let later = (credits / 4).max(1);
    ((credits - later).max(1), later)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(credits: u32, expected: (u32, u32)) {
        assert_eq!(shares(credits), expected, "{credits}");
    }

    #[test]
    fn what_comes_back_has_a_quarter_of_the_credits() {
        check(0, (0, 0));
        check(1, (1, 1));
        check(2, (1, 1));
        check(8, (6, 2));
        check(100, (75, 25));
    }
}
