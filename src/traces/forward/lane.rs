//! What goes on of one signal: a queue of requests with a room of its own, what sends them, and what became of them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::far::{Far, Refusal};
use crate::{resilience::Backoff, traces::otlp::Signal};

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

/// How long nothing is sent to a far end that takes none of the signal: it may be set up anew, and until then sending is for nothing.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// Takes what is to go on; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Parcel>,
}

/// Sends it on, while it runs.
#[derive(Debug)]
pub(super) struct Sending {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Parcel>,
    far: Far,
}

#[derive(Debug)]
struct Shared {
    signal: Signal,
    to: String,
    room: Arc<Semaphore>,
    sent: AtomicU64,
    no_room: AtomicU64,
    not_taken: AtomicU64,
    rejected: AtomicU64,
    unwanted: AtomicU64,
    /// Something was dropped for want of room since the last request that was taken there.
    is_full: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Nothing is sent before this, as the far end asked.
    pause: Mutex<Option<Instant>>,
    /// The far end takes none of the signal, and is asked again then.
    unwanted_until: Mutex<Option<Instant>>,
}

/// A request that waits, with its place.
#[derive(Debug)]
struct Parcel {
    body: Bytes,
    kind: &'static str,
    items: u64,
    /// It may go on in one request with others that are parts.
    is_part: bool,
    place: OwnedSemaphorePermit,
}

/// What became of what was to go on of one signal: of so many spans, or entries of logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Where it goes.
    pub to: String,
    /// Those that were taken there.
    pub taken: u64,
    /// Those that were dropped because too much waited.
    pub no_room: u64,
    /// Those that were dropped because they were not taken there.
    pub not_taken: u64,
    /// Those of requests that were taken there, which were not.
    pub rejected: u64,
    /// Those that stayed here because nothing of their signal is taken there. It is so with logs alone.
    pub unwanted: u64,
    /// Bytes that wait or are on their way, in whole kilobytes for each request.
    pub waiting_bytes: usize,
    /// Why the last request was not taken there, until one is.
    pub trouble: Option<String>,
}

/// A queue of what goes on to `far` of `signal`, and what sends it.
pub(super) fn lane(signal: Signal, far: Far) -> (Lane, Sending) {
    let shared = Arc::new(Shared {
        signal,
        to: far.to(signal).to_string(),
        room: Arc::new(Semaphore::new(WAITING_MOST_KB)),
        sent: AtomicU64::default(),
        no_room: AtomicU64::default(),
        not_taken: AtomicU64::default(),
        rejected: AtomicU64::default(),
        unwanted: AtomicU64::default(),
        is_full: AtomicBool::default(),
        trouble: Mutex::default(),
        pause: Mutex::default(),
        unwanted_until: Mutex::default(),
    });
    // Each takes a kilobyte of the room at least: the queue is never full before the room is.
    let (sender, queue) = mpsc::channel(WAITING_MOST_KB);
    (Lane { shared: shared.clone(), queue: sender }, Sending { shared, queue, far })
}

impl Lane {
    /// Lets a request of so many items go on, where there is room for it. It never waits.
    pub(super) fn put(&self, body: Bytes, kind: &'static str, items: u64, is_part: bool) {
        let shared = &self.shared;
        if shared.is_unwanted(Instant::now()) {
            shared.unwanted.fetch_add(items, Ordering::Relaxed);
            return;
        }
        let kilobytes = u32::try_from(body.len().div_ceil(1_024).max(1)).unwrap_or(u32::MAX);
        let place = shared.room.clone().try_acquire_many_owned(kilobytes);
        let parcel = place.ok().map(|place| Parcel { body, kind, items, is_part, place });
        if parcel.is_none_or(|parcel| self.queue.try_send(parcel).is_err()) {
            shared.no_room.fetch_add(items, Ordering::Relaxed);
            if !shared.is_full.swap(true, Ordering::Relaxed) {
                let what = shared.signal.name();
                tracing::warn!(to = %shared.to, "{what} are dropped on their way: too many wait to be taken there");
            }
        }
    }

    /// What became of what was to go on.
    pub(super) fn state(&self) -> Passed {
        let Shared { to, room, sent, no_room, not_taken, rejected, unwanted, trouble, .. } = &*self.shared;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Passed {
            to: to.clone(),
            taken: count(sent),
            no_room: count(no_room),
            not_taken: count(not_taken),
            rejected: count(rejected),
            unwanted: count(unwanted),
            waiting_bytes: (WAITING_MOST_KB - room.available_permits()) * 1_024,
            trouble: lock(trouble).clone(),
        }
    }
}

impl Sending {
    /// Sends on what is offered until `stop`, and then for a moment what still waits.
    pub(super) async fn run(self, stop: CancellationToken) {
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
        let what = shared.signal.name();
        tokio::select! {
            () = sending => {}
            () = overdue => tracing::warn!(to = %shared.to, "{what} that waited to go on are lost: the observer ends"),
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
        let Self { body, kind, mut items, is_part, mut place } = self;
        let mut body = Vec::from(body);
        let mut next = None;
        while body.len() < JOINED_MOST {
            match queue.try_recv() {
                Ok(part) if part.is_part => {
                    body.extend_from_slice(&part.body);
                    items += part.items;
                    place.merge(part.place);
                }
                other => {
                    next = other.ok();
                    break;
                }
            }
        }
        (Self { body: body.into(), kind, items, is_part, place }, next)
    }
}

impl Shared {
    /// Sends a request until it is taken, is refused for good, has been tried for long enough, or nobody waits any more.
    async fn deliver(&self, far: &Far, parcel: Parcel, stop: &CancellationToken) {
        let began = Instant::now();
        for failures in 1.. {
            self.paused(stop).await;
            if self.is_unwanted(Instant::now()) {
                self.unwanted.fetch_add(parcel.items, Ordering::Relaxed);
                return;
            }
            let refusal = match far.post(self.signal, parcel.body.clone(), parcel.kind).await {
                Ok(rejected) => return self.taken(&parcel, rejected),
                Err(refusal) => refusal,
            };
            if refusal.takes_none {
                return self.unwanted(&parcel, &refusal);
            }
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
        self.not_taken.fetch_add(parcel.items, Ordering::Relaxed);
    }

    /// Waits for as long as the far end asked all who send to it to wait.
    async fn paused(&self, stop: &CancellationToken) {
        let until = *lock(&self.pause);
        if let Some(until) = until {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// A request was taken, but for so many items of it.
    fn taken(&self, parcel: &Parcel, rejected: u64) {
        let rejected = rejected.min(parcel.items);
        self.sent.fetch_add(parcel.items - rejected, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.is_full.store(false, Ordering::Relaxed);
        let was_unwanted = lock(&self.unwanted_until).take().is_some();
        let was_in_trouble = lock(&self.trouble).take().is_some();
        if was_unwanted || was_in_trouble {
            tracing::info!(to = %self.to, "{} go on again", self.signal.name());
        }
    }

    fn refused(&self, refusal: &Refusal) {
        if let Some(after) = refusal.after {
            let until = Instant::now() + after;
            let mut pause = lock(&self.pause);
            *pause = (*pause).max(Some(until));
        }
        let told = lock(&self.trouble).replace(refusal.why.clone());
        if told.is_none() {
            let what = self.signal.name();
            tracing::warn!(to = %self.to, error = %refusal.why, "{what} do not go on; they wait for a while, and are then dropped");
        }
    }

    /// The far end takes none of the signal, which is no trouble of what it takes: it is said once, and asked again after a while.
    fn unwanted(&self, parcel: &Parcel, refusal: &Refusal) {
        self.unwanted.fetch_add(parcel.items, Ordering::Relaxed);
        *lock(&self.trouble) = None;
        let until = Instant::now() + ASKED_AGAIN_AFTER;
        if lock(&self.unwanted_until).replace(until).is_none() {
            let (what, minutes) = (self.signal.name(), ASKED_AGAIN_AFTER.as_secs() / 60);
            tracing::warn!(to = %self.to, why = %refusal.why, "{what} stay here and do not go on; it is asked again every {minutes} minutes");
        }
    }

    fn is_unwanted(&self, now: Instant) -> bool {
        lock(&self.unwanted_until).is_some_and(|until| now < until)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ForwardConfig;

    fn logs() -> (Lane, Sending) {
        let to = "http://127.0.0.1:4318".parse().unwrap();
        lane(Signal::Logs, Far::new(&to, &ForwardConfig::default()).unwrap())
    }

    #[tokio::test]
    async fn what_is_not_wanted_is_asked_again_after_a_while() {
        let (lane, mut sending) = logs();
        let shared = &lane.shared;
        lane.put(Bytes::from_static(b"a"), "a", 2, false);
        let parcel = sending.queue.recv().await.unwrap();
        shared
            .unwanted(&parcel, &Refusal { why: "none".to_owned(), is_transient: false, takes_none: true, after: None });
        lane.put(Bytes::from_static(b"a"), "a", 3, false);
        assert!(sending.queue.try_recv().is_err(), "nothing is sent for nothing");
        assert_eq!((lane.state().unwanted, lane.state().not_taken), (5, 0));
        *shared.unwanted_until.lock().unwrap() = Some(Instant::now());
        lane.put(Bytes::from_static(b"a"), "a", 1, false);
        assert!(sending.queue.try_recv().is_ok(), "it may be set up anew");
        shared.taken(&parcel, 0);
        assert_eq!((lane.state().taken, *shared.unwanted_until.lock().unwrap()), (2, None));
    }
}
