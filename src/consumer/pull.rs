//! The loop of a worker: ask for as many messages as there are free credits, start a handler on each, and find out when the server has
//! forgotten us.
//!
//! Convention: NATS ADR-13 (pull requests and their status messages). One subscription serves the worker's whole life; a batch
//! iterator would open one for each request.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Message as Delivered, StatusCode, Subscriber};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Worker, declare, drain, lease::Leases, outstanding::Outstanding, process, status::Status};
use crate::{
    bus::Bus,
    errors::ErrorChain,
    nats::{Connection, LinkState},
    resilience::Backoff,
    tasks::Tasks,
};

/// How long the server keeps a pull request.
const EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that it still has our requests. Two silences in a row and it has not.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often the loop looks around with nothing to do.
const TICK: Duration = Duration::from_secs(1);

/// A refusal comes at once. A request that was not refused for this long was taken, although the server does not say so.
const TAKEN: Duration = Duration::from_millis(200);

/// Waits while the server refuses to let us pull.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// What the parts of a worker share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) connection: Connection,
    pub(super) bus: Bus,
    pub(super) worker: Arc<Worker>,
    pub(super) status: Arc<Status>,
    pub(super) leases: Leases,
    pub(super) handlers: Tasks,
    pub(super) grace: Duration,
}

/// Why the worker has to begin again with its pull requests.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error("no answer to pull requests for {} s", HEARTBEAT.as_secs() * 2)]
    Silent,
    #[error("the connection was lost")]
    Disconnected,
    #[error("the server says {code} {text}")]
    Refused { code: u16, text: String },
    #[error("the subscription ended")]
    Ended,
    #[error("pulling")]
    Client(#[from] async_nats::PublishError),
}

/// Pulls until `stop`, then drains.
pub(super) async fn run(shared: Shared, stop: CancellationToken) {
    let beats = CancellationToken::new();
    let metrics = shared.bus.telemetry().metrics().clone();
    let keep = shared.leases.clone().keep(
        shared.connection.client.clone(),
        metrics,
        shared.status.consumer.to_string(),
        beats.clone(),
    );
    tokio::join!(keep, async {
        let subscriber = pull_until(&shared, &stop).await;
        drain::drain(&shared, subscriber).await;
        beats.cancel();
    });
}

async fn pull_until(shared: &Shared, stop: &CancellationToken) -> Option<Subscriber> {
    let mut failures = 0;
    loop {
        let begun = tokio::select! {
            begun = Pulling::begin(shared) => begun,
            () = stop.cancelled() => return None,
        };
        let (error, subscriber) = match begun {
            Err(error) => (error, None),
            Ok(mut pulling) => match pulling.until_broken(stop, &mut failures).await {
                None => return Some(pulling.subscriber),
                Some(error) => (ErrorChain(&error).to_string(), Some(pulling.subscriber)),
            },
        };
        // What the broken subscription still held, and what it may yet get, comes again after `ack_wait`.
        drop(subscriber);
        if shared.status.pulled(false, &error) {
            tracing::warn!(consumer = %shared.status.consumer, error, "worker cannot pull; trying again");
        }
        failures += 1;
        tokio::select! {
            () = tokio::time::sleep(BACKOFF.wait(failures, fastrand::f64())) => shared.status.ticked(),
            () = stop.cancelled() => return None,
        }
    }
}

struct Pulling<'a> {
    shared: &'a Shared,
    subscriber: Subscriber,
    inbox: String,
    outstanding: Outstanding,
    freed: Arc<Notify>,
    last_heard: Instant,
}

impl<'a> Pulling<'a> {
    async fn begin(shared: &'a Shared) -> Result<Self, String> {
        let declared = declare::declare(&shared.connection, &shared.worker, &shared.status).await;
        declared.map_err(|error| ErrorChain(&error).to_string())?;
        let client = &shared.connection.client;
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(format!("{inbox}.*")).await;
        let subscriber = subscriber.map_err(|error| ErrorChain(&error).to_string())?;
        Ok(Self {
            shared,
            subscriber,
            inbox,
            outstanding: Outstanding::default(),
            freed: Arc::new(Notify::new()),
            last_heard: Instant::now(),
        })
    }

    /// `None` when it was asked to stop.
    async fn until_broken(&mut self, stop: &CancellationToken, failures: &mut u32) -> Option<PullError> {
        let mut link = self.shared.connection.link.watch();
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TAKEN, TICK);
        let freed = self.freed.clone();
        loop {
            if let Err(error) = self.ask().await {
                return Some(error);
            }
            let turned = tokio::select! {
                () = stop.cancelled() => return None,
                message = self.subscriber.next() => self.received(message, failures),
                () = freed.notified() => Ok(()),
                _ = tick.tick() => self.looked_around(failures),
                _ = link.changed() => still_connected(&link.borrow_and_update()),
            };
            if let Err(error) = turned {
                return Some(error);
            }
        }
    }

    /// Asks for what free credits allow, but not for every single one while the server still owes us messages: a request for each
    /// message would cost as much as the message.
    async fn ask(&mut self) -> Result<(), PullError> {
        let status = &self.shared.status;
        let owed = self.outstanding.messages();
        let wanted = status.concurrency().saturating_sub(status.running().saturating_add(owed));
        if wanted == 0 || (owed > 0 && wanted < status.concurrency().div_ceil(2)) {
            return Ok(());
        }
        if owed == 0 {
            self.last_heard = Instant::now();
        }
        let id = self.outstanding.ask(wanted, Instant::now() + EXPIRES + HEARTBEAT);
        let (expires, heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
        let request = format!(r#"{{"batch":{wanted},"expires":{expires},"idle_heartbeat":{heartbeat}}}"#);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", status.stream, status.consumer);
        let reply = format!("{}.{id}", self.inbox);
        self.shared.connection.client.publish_with_reply(subject, reply, request.into()).await?;
        Ok(())
    }

    fn received(&mut self, message: Option<Delivered>, failures: &mut u32) -> Result<(), PullError> {
        let message = message.ok_or(PullError::Ended)?;
        self.last_heard = Instant::now();
        match message.status {
            None => self.outstanding.received(),
            Some(code) => return self.heard(code, &message, failures),
        }
        self.works(failures);
        process::start(self.shared, message, self.freed.clone());
        Ok(())
    }

    /// A status message: its subject ends in the id of the request that it is about.
    fn heard(&mut self, code: StatusCode, message: &Delivered, failures: &mut u32) -> Result<(), PullError> {
        let text = message.description.clone().unwrap_or_default();
        let id = message.subject.rsplit('.').next().and_then(|id| id.parse().ok());
        match code {
            StatusCode::IDLE_HEARTBEAT => self.works(failures),
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => {
                self.works(failures);
                self.outstanding.ended(id.unwrap_or(u64::MAX));
            }
            // Another worker holds what the consumer allows to be held, or the request was cut short: ask again later.
            code if code.as_u16() == 409 && is_passing(&text) => self.outstanding.ended(id.unwrap_or(u64::MAX)),
            code => return Err(PullError::Refused { code: code.as_u16(), text }),
        }
        Ok(())
    }

    fn works(&self, failures: &mut u32) {
        *failures = 0;
        if self.shared.status.pulled(true, "pulling") {
            tracing::info!(consumer = %self.shared.status.consumer, "worker pulls");
        }
    }

    fn looked_around(&mut self, failures: &mut u32) -> Result<(), PullError> {
        let status = &self.shared.status;
        status.ticked();
        let metrics = self.shared.bus.telemetry().metrics();
        metrics.set_running(status.consumer.as_str(), status.running(), status.concurrency());
        let now = Instant::now();
        self.outstanding.expire(now);
        if self.outstanding.messages() > 0 && now - self.last_heard > HEARTBEAT * 2 {
            return Err(PullError::Silent);
        }
        self.works(failures);
        Ok(())
    }
}

fn is_passing(text: &str) -> bool {
    text.starts_with("Message Size Exceeds MaxBytes")
        || text.starts_with("Batch Completed")
        || text.starts_with("Exceeded")
}

fn still_connected(link: &LinkState) -> Result<(), PullError> {
    if link.is_connected { Ok(()) } else { Err(PullError::Disconnected) }
}
