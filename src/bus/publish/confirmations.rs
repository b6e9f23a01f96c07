//! Confirmations: one subscription for all that a bus publishes, and the window of what may wait for one.
//!
//! A request of the client's for each message would cost a timer and an inbox of its own.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_nats::{Client, RequestError, RequestErrorKind, StatusCode, Subscriber};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use crate::bus::slots::{Slots, Ticket};

/// How long one attempt waits for the stream's confirmation.
pub(super) const CONFIRM_LIMIT: Duration = Duration::from_secs(2);

/// How often those who waited too long are looked for: so much longer than its limit may one wait.
const SWEEP: Duration = Duration::from_millis(100);

/// Confirmations that are taken at once when that many have come.
const TAKEN_AT_ONCE: usize = 256;

/// What a stream, or nobody, answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Ack(Ack),
    /// An empty one: a batch has begun.
    Began,
    /// It is not one of a stream.
    Foreign(serde_json::Error),
    /// Nobody answered.
    Silence(RequestError),
}

/// Convention: JetStream's publish acknowledgement, `io.nats.jetstream.api.v1.pub_ack_response`.
#[derive(Debug, Deserialize)]
pub(crate) struct Ack {
    pub(crate) seq: Option<u64>,
    #[serde(default)]
    pub(crate) duplicate: bool,
    pub(crate) error: Option<Refusal>,
    /// The id of the batch that it confirms as one (server 2.12).
    pub(crate) batch: Option<String>,
    /// How many messages that batch has.
    pub(crate) count: Option<usize>,
}

/// Why a stream takes no message, in its own words.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// Those who wait for a confirmation, and the subject below which they wait.
#[derive(Debug)]
pub(crate) struct Confirmations {
    inbox: String,
    waiting: Mutex<Slots<Waiting>>,
    is_over: AtomicBool,
}

/// Dropping it makes room in the window.
#[derive(Debug)]
struct Waiting {
    asker: oneshot::Sender<Answer>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    /// Whoever asked may have gone; then nobody is told.
    fn tell(self, answer: Answer) {
        drop(self.asker.send(answer));
    }
}

impl Confirmations {
    /// Subscribes to an inbox of its own; `read` is to run until the bus ends.
    pub(crate) async fn open(client: &Client) -> Result<(Arc<Self>, Subscriber), RequestError> {
        let inbox = client.new_inbox();
        let subscribed = tokio::time::timeout(CONFIRM_LIMIT, client.subscribe(format!("{inbox}.*"))).await;
        let late = |late| RequestError::with_source(RequestErrorKind::TimedOut, late);
        let refused = |error| RequestError::with_source(RequestErrorKind::Other, error);
        let subscriber = subscribed.map_err(late)?.map_err(refused)?;
        Ok((Arc::new(Self { inbox, waiting: Mutex::default(), is_over: AtomicBool::new(false) }), subscriber))
    }

    /// Whether nobody reads confirmations any more.
    pub(crate) fn are_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Begins to wait for an answer; `place` is kept until it is there.
    pub(crate) fn expect(&self, place: Option<OwnedSemaphorePermit>) -> (Ticket, oneshot::Receiver<Answer>) {
        let (asker, answer) = oneshot::channel();
        let ticket = self.lock().hold(Waiting { asker, _place: place }, Instant::now() + CONFIRM_LIMIT);
        (ticket, answer)
    }

    /// Where to answer whoever waits under `ticket`.
    pub(crate) fn reply(&self, ticket: Ticket) -> String {
        format!("{}.{}", self.inbox, ticket.0)
    }

    /// Waits no longer: nothing was asked.
    pub(crate) fn forget(&self, ticket: Ticket) {
        drop(self.lock().take(ticket));
    }

    /// Hands out confirmations as they come, until `stop` or the client's end.
    pub(crate) async fn read(self: Arc<Self>, subscriber: Subscriber, stop: CancellationToken) {
        let _over = Over(&self);
        let mut chunks = subscriber.ready_chunks(TAKEN_AT_ONCE);
        let mut sweep = tokio::time::interval(SWEEP);
        let mut stopped = pin!(stop.cancelled());
        loop {
            tokio::select! {
                chunk = chunks.next() => match chunk {
                    Some(messages) => self.take(&messages),
                    None => return,
                },
                _ = sweep.tick() => self.sweep(Instant::now()),
                () = &mut stopped => return,
            }
        }
    }

    /// The last is told first: whoever is woken by the first, and waits for them in turn, finds all others told.
    fn take(&self, messages: &[async_nats::Message]) {
        let told: Vec<_> = {
            let mut waiting = self.lock();
            let taken = |message| Some((waiting.take(ticket_of(message)?)?, message));
            messages.iter().rev().filter_map(taken).collect()
        };
        for (waiting, message) in told {
            waiting.tell(answer_of(message));
        }
    }

    fn sweep(&self, now: Instant) {
        let expired = self.lock().expired(now);
        for waiting in expired {
            waiting.tell(Answer::Silence(RequestError::new(RequestErrorKind::TimedOut)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However reading ends: nobody is left waiting, and the next message opens an inbox anew.
struct Over<'a>(&'a Confirmations);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
        drop(self.0.lock().all());
    }
}

fn ticket_of(message: &async_nats::Message) -> Option<Ticket> {
    message.subject.rsplit('.').next()?.parse().ok().map(Ticket)
}

fn answer_of(message: &async_nats::Message) -> Answer {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Answer::Silence(RequestError::new(RequestErrorKind::NoResponders));
    }
    if message.payload.is_empty() {
        return Answer::Began;
    }
    match serde_json::from_slice::<Ack>(&message.payload) {
        Ok(Ack { seq: None, error: None, .. }) => {
            Answer::Foreign(serde::de::Error::custom("neither `seq` nor `error`"))
        }
        Ok(ack) => Answer::Ack(ack),
        Err(error) => Answer::Foreign(error),
    }
}
