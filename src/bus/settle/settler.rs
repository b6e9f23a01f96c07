//! One inbox for the server's words about all that a worker settles: a request of the client's for each would cost a timer and more.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{Client, Message, RequestError, RequestErrorKind, StatusCode, Subject};
use futures_util::StreamExt;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{CONFIRM_LIMIT, Settlement, Unconfirmed, confirmed};
use crate::bus::slots::{Slots, Ticket};

/// How often those who waited too long are looked for: so much longer than its limit may one wait.
const SWEEP: Duration = Duration::from_millis(100);

/// Words of the server that are taken at once when that many have come.
const TAKEN_AT_ONCE: usize = 256;

/// What is left to do when the server's word about a settlement is there, and what is let go of only then.
pub(crate) trait Ending: Send + 'static {
    /// Does it. The word came at `now`.
    fn heard(self, word: Result<(), Unconfirmed>, now: Instant);
}

/// Settles messages; clones are the same.
#[derive(Debug)]
pub(crate) struct Settler<E>(Arc<Inner<E>>);

impl<E> Clone for Settler<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Debug)]
struct Inner<E> {
    client: Client,
    inbox: String,
    /// `None` while nobody reads the inbox.
    waiting: Mutex<Option<Slots<Waiting<E>>>>,
    /// Whenever nobody waits any more.
    idle: Notify,
}

/// Who is told the server's word.
#[derive(Debug)]
enum Waiting<E> {
    /// A task that waits for it.
    Asker(oneshot::Sender<Result<(), Unconfirmed>>),
    /// Nobody waits; this is to be done.
    Ending(E),
}

impl<E: Ending> Waiting<E> {
    /// Whoever asked may have gone; then nobody is told.
    fn tell(self, word: Result<(), Unconfirmed>, now: Instant) {
        match self {
            Self::Asker(asker) => drop(asker.send(word)),
            Self::Ending(ending) => ending.heard(word, now),
        }
    }
}

impl<E: Ending> Settler<E> {
    pub(crate) fn new(client: &Client) -> Self {
        let inbox = client.new_inbox();
        Self(Arc::new(Inner { client: client.clone(), inbox, waiting: Mutex::default(), idle: Notify::new() }))
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
        let (asker, word) = oneshot::channel();
        let Ok(ticket) = self.expect(Waiting::Asker(asker), Instant::now()) else {
            return Box::pin(super::settle(&self.0.client, reply, settlement)).await;
        };
        self.send(reply, settlement, ticket).await;
        let closed = |closed| Err(silent(RequestError::with_source(RequestErrorKind::Other, closed)));
        word.await.unwrap_or_else(closed)
    }

    /// Settles the message whose reply subject is `reply` at `now` and goes on: `ending` hears the server's word. It is given back if
    /// nobody reads the inbox; then nothing was sent.
    pub(crate) async fn settle_and_go_on(
        &self,
        reply: &Subject,
        settlement: &Settlement,
        ending: E,
        now: Instant,
    ) -> Result<(), E> {
        match self.expect(Waiting::Ending(ending), now) {
            Ok(ticket) => self.send(reply, settlement, ticket).await,
            Err(Waiting::Ending(ending)) => return Err(ending),
            Err(Waiting::Asker(_)) => {}
        }
        Ok(())
    }

    /// Resolves when nobody waits for a word: each that was settled was confirmed or given up.
    pub(crate) async fn idle(&self) {
        loop {
            let mut idle = pin!(self.0.idle.notified());
            idle.as_mut().enable();
            if self.waiting().as_ref().is_none_or(Slots::is_empty) {
                return;
            }
            idle.await;
        }
    }

    fn expect(&self, who: Waiting<E>, now: Instant) -> Result<Ticket, Waiting<E>> {
        match &mut *self.waiting() {
            Some(waiting) => Ok(waiting.hold(who, now + CONFIRM_LIMIT)),
            None => Err(who),
        }
    }

    async fn send(&self, reply: &Subject, settlement: &Settlement, ticket: Ticket) {
        if let Err(error) =
            self.0.client.publish_with_reply(reply.clone(), self.inbox_of(ticket), settlement.payload()).await
        {
            let who = self.waiting().as_mut().and_then(|waiting| waiting.take(ticket));
            if let Some(who) = who {
                let error = RequestError::with_source(RequestErrorKind::Other, error);
                self.tell([(who, Err(silent(error)))]);
            }
        }
    }

    /// Where the word about one settlement is sent.
    fn inbox_of(&self, ticket: Ticket) -> String {
        let (inbox, mut digits) = (&self.0.inbox, itoa::Buffer::new());
        let digits = digits.format(ticket.0);
        let mut own = String::with_capacity(inbox.len() + 1 + digits.len());
        own.push_str(inbox);
        own.push('.');
        own.push_str(digits);
        own
    }

    fn take(&self, messages: &[Message]) {
        let told: Vec<_> = {
            let mut waiting = self.waiting();
            let Some(waiting) = &mut *waiting else { return };
            let taken = |message| Some((waiting.take(ticket_of(message)?)?, word_of(message)));
            messages.iter().filter_map(taken).collect()
        };
        self.tell(told);
    }

    fn sweep(&self, now: Instant) {
        let expired = self.waiting().as_mut().map(|waiting| waiting.expired(now)).unwrap_or_default();
        let late = |who| (who, Err(silent(RequestError::new(RequestErrorKind::TimedOut))));
        self.tell(expired.into_iter().map(late));
    }

    /// Never with the lock held: an ending does what it likes.
    fn tell(&self, told: impl IntoIterator<Item = (Waiting<E>, Result<(), Unconfirmed>)>) {
        let now = Instant::now();
        for (who, word) in told {
            who.tell(word, now);
        }
        if self.waiting().as_ref().is_none_or(Slots::is_empty) {
            self.0.idle.notify_waiters();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Slots<Waiting<E>>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However reading ends: nobody is left waiting.
struct Over<'a, E: Ending>(&'a Settler<E>);

impl<E: Ending> Drop for Over<'_, E> {
    fn drop(&mut self) {
        let left = self.0.waiting().take().map(|mut left| left.all()).unwrap_or_default();
        let unheard = |who| (who, Err(silent(RequestError::new(RequestErrorKind::Other))));
        self.0.tell(left.into_iter().map(unheard));
    }
}

fn ticket_of(message: &Message) -> Option<Ticket> {
    message.subject.rsplit('.').next()?.parse().ok().map(Ticket)
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
