//! One inbox for the server's words about all that a worker settles: a request of the client's for each would cost a timer and more.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{Client, Message, RequestError, RequestErrorKind, StatusCode, Subject};
use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{CONFIRM_LIMIT, Settlement, Unconfirmed, confirmed};
use crate::bus::slots::{Slots, Ticket};

/// How often those who waited too long are looked for: so much longer than its limit may one wait.
const SWEEP: Duration = Duration::from_millis(100);

/// Words of the server that are taken at once when that many have come.
const TAKEN_AT_ONCE: usize = 256;

/// Settles messages; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Settler(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    inbox: String,
    /// `None` while nobody reads the inbox.
    waiting: Mutex<Option<Slots<Asker>>>,
}

type Asker = oneshot::Sender<Result<(), Unconfirmed>>;

impl Settler {
    pub(crate) fn new(client: &Client) -> Self {
        let inbox = client.new_inbox();
        Self(Arc::new(Inner { client: client.clone(), inbox, waiting: Mutex::default() }))
    }

    /// Opens the inbox and hands out the server's words as they come, until `stop` or the client's end. Before and after it, and where
    /// there can be no inbox, each settlement asks for itself.
    pub(crate) async fn hear(self, stop: CancellationToken) {
        let Ok(subscriber) = self.0.client.subscribe(format!("{}.*", self.0.inbox)).await else { return };
        *self.waiting() = Some(Slots::default());
        let _over = Over(&self);
        let mut chunks = subscriber.ready_chunks(TAKEN_AT_ONCE);
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                chunk = chunks.next() => match chunk {
                    Some(messages) => self.take(&messages),
                    None => return,
                },
                _ = sweep.tick() => self.sweep(Instant::now()),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Settles the message whose reply subject is `reply`, and waits for the server's word.
    ///
    /// # Errors
    /// When the server did not confirm it in time, or nobody listens to `reply`.
    pub(crate) async fn settle(&self, reply: &Subject, settlement: &Settlement) -> Result<(), Unconfirmed> {
        let Some((ticket, word)) = self.expect() else {
            return Box::pin(super::settle(&self.0.client, reply, settlement)).await;
        };
        let inbox = format!("{}.{}", self.0.inbox, ticket.0);
        if let Err(error) = self.0.client.publish_with_reply(reply.clone(), inbox, settlement.payload()).await {
            self.waiting().as_mut().and_then(|waiting| waiting.take(ticket));
            return Err(silent(RequestError::with_source(RequestErrorKind::Other, error)));
        }
        let closed = |closed| Err(silent(RequestError::with_source(RequestErrorKind::Other, closed)));
        word.await.unwrap_or_else(closed)
    }

    fn expect(&self) -> Option<(Ticket, oneshot::Receiver<Result<(), Unconfirmed>>)> {
        let (asker, word) = oneshot::channel();
        let until = Instant::now() + CONFIRM_LIMIT;
        let ticket = self.waiting().as_mut()?.hold(asker, until);
        Some((ticket, word))
    }

    /// Whoever asked may have gone; then nobody is told.
    fn take(&self, messages: &[Message]) {
        let Some(waiting) = &mut *self.waiting() else { return };
        for message in messages {
            let token = message.subject.rsplit('.').next().and_then(|token| token.parse().ok());
            if let Some(asker) = token.and_then(|token| waiting.take(Ticket(token))) {
                drop(asker.send(word_of(message)));
            }
        }
    }

    fn sweep(&self, now: Instant) {
        let expired = self.waiting().as_mut().map(|waiting| waiting.expired(now)).unwrap_or_default();
        for asker in expired {
            drop(asker.send(Err(silent(RequestError::new(RequestErrorKind::TimedOut)))));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Slots<Asker>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However reading ends: nobody is left waiting.
struct Over<'a>(&'a Settler);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let left = self.0.waiting().take();
        drop(left);
    }
}

fn word_of(message: &Message) -> Result<(), Unconfirmed> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(silent(RequestError::new(RequestErrorKind::NoResponders)));
    }
    confirmed(message)
}

fn silent(error: RequestError) -> Unconfirmed {
    Unconfirmed::Silent(error)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn check(status: Option<StatusCode>, payload: &'static str, expected: &str) {
        let payload = Bytes::from_static(payload.as_bytes());
        let (subject, length) = (Subject::from_static("_INBOX.1.0"), payload.len());
        let message = Message { subject, reply: None, payload, headers: None, status, description: None, length };
        let word = match word_of(&message) {
            Ok(()) => "confirmed",
            Err(Unconfirmed::Silent(_)) => "silent",
            Err(Unconfirmed::Foreign(_)) => "foreign",
        };
        assert_eq!(word, expected, "{message:?}");
    }

    #[test]
    fn only_the_servers_empty_answer_confirms_a_settlement() {
        check(None, "", "confirmed");
        check(None, "hello", "foreign");
        check(Some(StatusCode::NO_RESPONDERS), "", "silent");
        check(Some(StatusCode::TIMEOUT), "", "foreign");
    }
}
