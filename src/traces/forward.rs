//! The spans that are taken go on to another receiver of OTLP, so that the observer can stand before whatever else keeps traces, such as
//! Jaeger.
//!
//! Requests with spans go on as they came, spans among them that the store did not keep. Who sends to us never waits for it: what finds no
//! room, or is not taken there in time, is dropped and counted. What brokers tell goes on too, several events in one request where they wait.

mod far;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{config::ForwardConfig, resilience::Backoff};
use far::{Far, Refusal};

pub use far::ForwardError;

/// Kilobytes of requests that wait at most: half a second of as much as can be taken, and minutes of what a usual system sends.
const WAITING_MOST_KB: usize = 16 * 1_024;

/// Requests on their way at once: the wait for one answer does not hold up the others.
const AT_ONCE: usize = 4;

/// Bytes up to which what waits in parts becomes one request: some hundred events of brokers, and less than any receiver refuses.
const JOINED_MOST: usize = 256 * 1_024;

/// How long a request is tried for: a receiver that is started anew is back by then.
const TRIED_MOST: Duration = Duration::from_secs(60);

/// Waits between two tries.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// How long what still waits may take to go when the observer ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Takes what is to go on; clones are the same.
#[derive(Debug, Clone)]
pub struct Forwarder {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Parcel>,
}

/// Sends it on, while it runs.
#[derive(Debug)]
pub struct Forwarding {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Parcel>,
    far: Far,
}

#[derive(Debug)]
struct Shared {
    to: String,
    room: Arc<Semaphore>,
    sent: AtomicU64,
    no_room: AtomicU64,
    not_taken: AtomicU64,
    rejected: AtomicU64,
    /// Something was dropped for want of room since the last request that was taken there.
    is_full: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Nothing is sent before this, as the far end asked.
    pause: Mutex<Option<Instant>>,
}

/// A request that waits, with its place.
#[derive(Debug)]
struct Parcel {
    body: Bytes,
    kind: &'static str,
    spans: u64,
    /// It may go on in one request with others that are parts.
    is_part: bool,
    place: OwnedSemaphorePermit,
}

/// What became of what was to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Where it goes.
    pub to: String,
    /// Spans that were taken there.
    pub spans: u64,
    /// Spans that were dropped because too much waited.
    pub no_room: u64,
    /// Spans that were dropped because they were not taken there.
    pub not_taken: u64,
    /// Spans of requests that were taken there, which were not.
    pub rejected: u64,
    /// Bytes that wait or are on their way, in whole kilobytes for each request.
    pub waiting_bytes: usize,
    /// Why the last request was not taken there, until one is.
    pub trouble: Option<String>,
}

/// What sends everything on to where `config` says.
///
/// # Errors
/// When the address is none, a header is none, the file of headers or that of certificates cannot be read, there are no certificates to go
/// by, or TLS cannot be set up.
pub fn forwarder(config: &ForwardConfig) -> Result<Option<(Forwarder, Forwarding)>, ForwardError> {
    let Some(to) = &config.otlp_forward else { return Ok(None) };
    let far = Far::new(to.url().as_str(), config)?;
    let shared = Arc::new(Shared {
        to: to.url().to_string(),
        room: Arc::new(Semaphore::new(WAITING_MOST_KB)),
        sent: AtomicU64::default(),
        no_room: AtomicU64::default(),
        not_taken: AtomicU64::default(),
        rejected: AtomicU64::default(),
        is_full: AtomicBool::default(),
        trouble: Mutex::default(),
        pause: Mutex::default(),
    });
    // Each takes a kilobyte of the room at least: the queue is never full before the room is.
    let (sender, queue) = mpsc::channel(WAITING_MOST_KB);
    let forwarding = Forwarding { shared: shared.clone(), queue, far };
    Ok(Some((Forwarder { shared, queue: sender }, forwarding)))
}

impl Forwarder {
    /// Lets a request of so many spans go on as it is, where there is room for it. It never waits.
    pub(super) fn offer(&self, body: Bytes, kind: &'static str, spans: u64) {
        self.put(body, kind, spans, false);
    }

    /// The same for one in protocol buffers that may go on as a part of another.
    pub(super) fn offer_part(&self, body: Bytes, kind: &'static str, spans: u64) {
        self.put(body, kind, spans, true);
    }

    fn put(&self, body: Bytes, kind: &'static str, spans: u64, is_part: bool) {
        let kilobytes = u32::try_from(body.len().div_ceil(1_024).max(1)).unwrap_or(u32::MAX);
        let place = self.shared.room.clone().try_acquire_many_owned(kilobytes);
        let parcel = place.ok().map(|place| Parcel { body, kind, spans, is_part, place });
        if parcel.is_none_or(|parcel| self.queue.try_send(parcel).is_err()) {
            self.shared.no_room.fetch_add(spans, Ordering::Relaxed);
            if !self.shared.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(to = %self.shared.to, "traces are dropped on their way: too many wait to be taken there");
            }
        }
    }

    /// What became of what was to go on.
    pub fn state(&self) -> Forwarded {
        let Shared { to, room, sent, no_room, not_taken, rejected, trouble, .. } = &*self.shared;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Forwarded {
            to: to.clone(),
            spans: count(sent),
            no_room: count(no_room),
            not_taken: count(not_taken),
            rejected: count(rejected),
            waiting_bytes: (WAITING_MOST_KB - room.available_permits()) * 1_024,
            trouble: trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Forwarding {
    /// Sends on what is offered until `stop`, and then for a moment what still waits.
    pub async fn run(self, stop: CancellationToken) {
        let Self { shared, queue, far } = self;
        let parcels = stream::unfold((queue, None), |(mut queue, next)| async {
            let parcel = match next {
                Some(next) => Some(next),
                None => tokio::select! {
                    parcel = queue.recv() => parcel,
                    () = stop.cancelled() => {
                        queue.close();
                        queue.recv().await
                    }
                },
            };
            let (parcel, next) = parcel?.joined(&mut queue);
            Some((parcel, (queue, next)))
        });
        let sending = parcels.for_each_concurrent(AT_ONCE, |parcel| shared.deliver(&far, parcel, &stop));
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH_LIMIT).await;
        };
        tokio::select! {
            () = sending => {}
            () = overdue => tracing::warn!(to = %shared.to, "traces that waited to go on are lost: the observer ends"),
        }
    }
}

impl Parcel {
    /// The parcel with the parts that wait right behind it, where it is a part itself; and the first behind it that is none.
    ///
    /// Convention: messages of protocol buffers behind each other are one message with the repeated fields of all.
    fn joined(self, queue: &mut mpsc::Receiver<Self>) -> (Self, Option<Self>) {
        if !self.is_part {
            return (self, None);
        }
        let Self { body, kind, mut spans, is_part, mut place } = self;
        let mut body = Vec::from(body);
        let mut next = None;
        while body.len() < JOINED_MOST {
            match queue.try_recv() {
                Ok(part) if part.is_part => {
                    body.extend_from_slice(&part.body);
                    spans += part.spans;
                    place.merge(part.place);
                }
                other => {
                    next = other.ok();
                    break;
                }
            }
        }
        (Self { body: body.into(), kind, spans, is_part, place }, next)
    }
}

impl Shared {
    /// Sends a request until it is taken, is refused for good, has been tried for long enough, or nobody waits any more.
    async fn deliver(&self, far: &Far, parcel: Parcel, stop: &CancellationToken) {
        let began = Instant::now();
        for failures in 1.. {
            self.paused(stop).await;
            let refusal = match far.post(parcel.body.clone(), parcel.kind).await {
                Ok(rejected) => return self.taken(&parcel, rejected),
                Err(refusal) => refusal,
            };
            self.refused(&refusal);
            let wait = BACKOFF.wait(failures, fastrand::f64());
            if !refusal.is_transient || stop.is_cancelled() || began.elapsed() + wait > TRIED_MOST {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        self.not_taken.fetch_add(parcel.spans, Ordering::Relaxed);
    }

    /// Waits for as long as the far end asked all who send to it to wait.
    async fn paused(&self, stop: &CancellationToken) {
        let until = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// A request was taken, but for so many spans of it.
    fn taken(&self, parcel: &Parcel, rejected: u64) {
        let rejected = rejected.min(parcel.spans);
        self.sent.fetch_add(parcel.spans - rejected, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.is_full.store(false, Ordering::Relaxed);
        if self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!(to = %self.to, "traces go on again");
        }
    }

    fn refused(&self, refusal: &Refusal) {
        if let Some(after) = refusal.after {
            let until = Instant::now() + after;
            let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            *pause = (*pause).max(Some(until));
        }
        let told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).replace(refusal.why.clone());
        if told.is_none() {
            tracing::warn!(to = %self.to, error = %refusal.why, "traces do not go on; they wait for a while, and are then dropped");
        }
    }
}
