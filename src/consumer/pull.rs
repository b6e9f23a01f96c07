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
use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    attempts::Attempts,
    credits::Credits,
    declare::{self, Asked},
    drain,
    ending::Ending,
    flight::Flight,
    gate::{Gate, Intake},
    later::{self, Later},
    lease::Leases,
    outstanding::Outstanding,
    partition::Part,
    pause, process,
    runners::{self, Runners},
    status::Status,
    turns::Turns,
};
use crate::{
    bus::{Bus, settle::Settler},
    errors::ErrorChain,
    nats::{Connection, LinkState},
    resilience::{Backoff, Phase},
    tasks::Tasks,
    telemetry::metrics::RouteMetrics,
};

/// How long the server keeps a pull request.
const EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that it still has our requests. Two silences in a row and it has not.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often the loop looks around with nothing to do.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// A refusal comes at once. A request that was not refused for this long was taken, although the server does not say so.
const TAKEN: Duration = Duration::from_millis(200);

/// Waits while the server refuses to let us pull.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// What the parts of a worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connection: Connection,
    pub(super) bus: Bus,
    pub(super) worker: Arc<Worker>,
    pub(super) asked: Asked,
    /// The partition that is worked on; `None` where there are none.
    pub(super) part: Option<Part>,
    /// Long waits; `None` where a message must not be overtaken.
    pub(super) later: Option<Arc<Later>>,
    pub(super) status: Arc<Status>,
    pub(super) leases: Leases,
    pub(super) settler: Settler<Ending>,
    pub(super) attempts: Attempts,
    pub(super) turns: Turns,
    pub(super) gate: Gate,
    pub(super) credits: Credits,
    pub(super) route_metrics: Vec<RouteMetrics>,
    pub(super) runners: Runners,
    pub(super) handlers: Tasks,
    pub(super) grace: Duration,
}

impl Shared {
    /// Whether a message on this subject came back after a long wait.
    pub(super) fn is_late(&self, subject: &str) -> bool {
        self.later.as_ref().is_some_and(|later| later.due == subject)
    }
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

/// Messages that are started in one go when that many have come; then the loop looks at what else has happened.
const STARTED_AT_ONCE: u32 = 64;

/// Why a subscription is given up.
enum Ended {
    Stopped,
    Paused,
    Broken(PullError),
}

/// Pulls until `stop`, then drains.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let beats = CancellationToken::new();
    let metrics = shared.bus.telemetry().metrics().clone();
    let hear = shared.settler.clone().hear(beats.clone());
    let keep = shared.leases.clone().keep(
        shared.connection.client.clone(),
        metrics,
        shared.status.consumer.to_string(),
        beats.clone(),
    );
    tokio::join!(keep, hear, later::keep(shared.later.clone(), stop.clone()), async {
        let subscriber = pull_until(&shared, &stop).await;
        drain::drain(&shared, subscriber).await;
        beats.cancel();
    });
}

async fn pull_until(shared: &Arc<Shared>, stop: &CancellationToken) -> Option<Subscriber> {
    let (mut failures, mut has_begun) = (0, false);
    while pause::gate_opens(shared, stop).await {
        let begun = tokio::select! {
            begun = Pulling::begin(shared, has_begun) => begun,
            () = relinked(&shared.connection) => Err("the connection changed under the first requests".to_owned()),
            () = stop.cancelled() => return None,
        };
        has_begun |= begun.is_ok();
        let (error, subscriber) = match begun {
            Err(error) => (error, None),
            Ok(mut pulling) => match pulling.until_ended(stop, &mut failures).await {
                Ended::Stopped => return Some(pulling.subscriber),
                Ended::Paused => {
                    let handed_back = drain::shut(shared, Some(pulling.subscriber)).await;
                    tracing::info!(consumer = %shared.status.consumer, handed_back, "worker pauses");
                    continue;
                }
                Ended::Broken(error) => (ErrorChain(&error).to_string(), Some(pulling.subscriber)),
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
    None
}

/// Resolves when the connection was lost or made anew. A server that ends in order refuses pulls before it closes connections: what it is
/// asked in between is never answered.
async fn relinked(connection: &Connection) {
    let before = connection.link.state().since;
    // The link lives as long as the connection.
    drop(connection.link.watch().wait_for(|link| link.since != before).await);
}

struct Pulling<'a> {
    shared: &'a Arc<Shared>,
    subscriber: Subscriber,
    inbox: String,
    outstanding: Outstanding,
    /// What the consumer of long waits owes.
    outstanding_later: Outstanding,
    flight: Arc<Flight>,
    last_heard: Instant,
}

impl<'a> Pulling<'a> {
    async fn begin(shared: &'a Arc<Shared>, begins_anew: bool) -> Result<Self, String> {
        let declared = declare::declare(&shared.connection, &shared.asked, &shared.status, begins_anew).await;
        declared.map_err(|error| ErrorChain(&error).to_string())?;
        let client = &shared.connection.client;
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(format!("{inbox}.*")).await;
        let subscriber = subscriber.map_err(|error| ErrorChain(&error).to_string())?;
        shared.gate.set_intake(Intake::Flows);
        Ok(Self {
            shared,
            subscriber,
            inbox,
            outstanding: Outstanding::default(),
            outstanding_later: Outstanding::default(),
            flight: Arc::default(),
            last_heard: Instant::now(),
        })
    }

    async fn until_ended(&mut self, stop: &CancellationToken, failures: &mut u32) -> Ended {
        let mut link = self.shared.connection.link.watch();
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TAKEN, TICK);
        let (flight, gate) = (self.flight.clone(), &self.shared.gate);
        let mut intake = self.shared.later.as_ref().map(|later| later.watch());
        loop {
            if let Err(error) = self.ask().await {
                return Ended::Broken(error);
            }
            let turned = tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                message = self.subscriber.next() => self.received_all(message, failures),
                () = flight.changed() => Ok(()),
                () = later::changed(&mut intake) => Ok(()),
                _ = tick.tick() => self.looked_around(failures),
                _ = link.changed() => still_connected(&link.borrow_and_update()),
                () = gate.tripped() => match gate.phase(Instant::now()) {
                    Phase::Open { .. } => return Ended::Paused,
                    Phase::Closed | Phase::HalfOpen => Ok(()),
                },
            };
            if let Err(error) = turned {
                return Ended::Broken(error);
            }
        }
    }

    /// How many messages may be held, and how many are: of all by the credits, or one of this subscription's while one is tried.
    fn credits(&self) -> (u32, u32) {
        let status = &self.shared.status;
        match self.shared.gate.phase(Instant::now()) {
            Phase::Closed => (status.concurrency(), status.held()),
            Phase::HalfOpen => (1, self.flight.held()),
            Phase::Open { .. } => (0, 0),
        }
    }

    /// Asks for what free credits allow: the stream's messages, and those that came back after a long wait.
    async fn ask(&mut self) -> Result<(), PullError> {
        let freed = self.flight.freed_so_far();
        let (credits, held) = self.credits();
        let later = self.shared.later.clone().filter(|later| later.intake() == later::Intake::Flows);
        let Some(later) = later else {
            let more = self.ask_for(credits, held).await?;
            let is_steady = !self.shared.gate.is_guarded() && self.shared.worker.adaptive.is_none();
            self.flight.wake_after(freed, if is_steady { more } else { 1 });
            return Ok(());
        };
        let is_closed = self.shared.gate.phase(Instant::now()) == Phase::Closed;
        let held_late = if is_closed { later.held() } else { self.flight.held_late() };
        let (credits, credits_later) = later::shares(credits);
        self.ask_for_later(&later, credits_later.saturating_sub(held_late)).await?;
        self.ask_for(credits, held.saturating_sub(held_late)).await?;
        self.flight.wake_after(freed, 1);
        Ok(())
    }

    async fn ask_for_later(&mut self, later: &Later, free: u32) -> Result<(), PullError> {
        let wanted = free.saturating_sub(self.outstanding_later.messages());
        if wanted == 0 {
            return Ok(());
        }
        let id = self.outstanding_later.ask(wanted, Instant::now() + EXPIRES + HEARTBEAT);
        self.request(later::STREAM, &later.consumer, wanted, format!("{}.{}{id}", self.inbox, later::MARK)).await
    }

    /// Not for every single free credit while the server still owes us messages: a request for each message would cost as much as the
    /// message. Says how many more credits have to be free for the next request.
    async fn ask_for(&mut self, credits: u32, held: u32) -> Result<u32, PullError> {
        let owed = self.outstanding.messages();
        let wanted = credits.saturating_sub(held.saturating_add(owed));
        let worth_asking = if owed == 0 { 1 } else { credits.div_ceil(2).max(1) };
        if wanted < worth_asking {
            return Ok(worth_asking - wanted);
        }
        if owed == 0 {
            self.last_heard = Instant::now();
        }
        let id = self.outstanding.ask(wanted, Instant::now() + EXPIRES + HEARTBEAT);
        let status = &self.shared.status;
        self.request(status.stream.as_str(), status.consumer.as_str(), wanted, format!("{}.{id}", self.inbox)).await?;
        Ok(credits.div_ceil(2))
    }

    async fn request(&self, stream: &str, consumer: &str, wanted: u32, reply: String) -> Result<(), PullError> {
        let (expires, heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
        let request = format!(r#"{{"batch":{wanted},"expires":{expires},"idle_heartbeat":{heartbeat}}}"#);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        self.shared.connection.client.publish_with_reply(subject, reply, request.into()).await?;
        Ok(())
    }

    /// What came, and what came with it.
    fn received_all(&mut self, first: Option<Delivered>, failures: &mut u32) -> Result<(), PullError> {
        let received = self.received_ready(first, failures);
        runners::see_to(self.shared);
        received
    }

    fn received_ready(&mut self, first: Option<Delivered>, failures: &mut u32) -> Result<(), PullError> {
        self.received(first, failures)?;
        for _ in 1..STARTED_AT_ONCE {
            let Some(message) = self.subscriber.next().now_or_never() else { break };
            self.received(message, failures)?;
        }
        Ok(())
    }

    fn received(&mut self, message: Option<Delivered>, failures: &mut u32) -> Result<(), PullError> {
        let message = message.ok_or(PullError::Ended)?;
        self.last_heard = Instant::now();
        let is_late = self.shared.is_late(&message.subject);
        match message.status {
            None if is_late => self.outstanding_later.received(),
            None => self.outstanding.received(),
            Some(code) => return self.heard(code, &message, failures),
        }
        self.works(failures);
        process::take(self.shared, message, &self.flight);
        Ok(())
    }

    /// A status message: its subject ends in the id of the request that it is about.
    fn heard(&mut self, code: StatusCode, message: &Delivered, failures: &mut u32) -> Result<(), PullError> {
        let text = message.description.clone().unwrap_or_default();
        if let Some((later, id)) = self.shared.later.as_ref().zip(later::request_id(&message.subject)) {
            if code != StatusCode::IDLE_HEARTBEAT {
                self.outstanding_later.ended(id);
            }
            later.heard(code, is_passing(&text));
            return Ok(());
        }
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
        runners::see_to_all(self.shared);
        let metrics = self.shared.bus.telemetry().metrics();
        metrics.set_running(status.consumer.as_str(), status.running(), status.concurrency());
        let now = Instant::now();
        pause::show_gate(self.shared, now);
        self.outstanding.expire(now);
        self.outstanding_later.expire(now);
        if self.outstanding.messages() > 0 && now - self.last_heard > HEARTBEAT * 2 {
            return Err(PullError::Silent);
        }
        self.works(failures);
        Ok(())
    }
}

/// Whether a request may be made anew at once. What the consumer does not allow (`Exceeded MaxRequestBatch`, `Exceeded MaxWaiting` and
/// their like) it would refuse again and again: it is seen to first, and after a wait.
fn is_passing(text: &str) -> bool {
    ["Message Size Exceeds MaxBytes", "Batch Completed", "Exceeded MaxAckPending"]
        .iter()
        .any(|passing| text.starts_with(passing))
}

fn still_connected(link: &LinkState) -> Result<(), PullError> {
    if link.is_connected { Ok(()) } else { Err(PullError::Disconnected) }
}
