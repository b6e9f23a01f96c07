//! One message on its way to one stream: sent within the window, and again with the same id until the stream has confirmed it.

use std::{
    borrow::Cow,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, RequestError, RequestErrorKind, header};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{
    PublishError, Receipt, Taken,
    confirmations::{Ack, Answer, CONFIRM_LIMIT},
};
use crate::{
    bus::{Bus, ReadError, Wire, headers},
    message::{Message, MessageId},
    name::Subject,
    resilience::Backoff,
    telemetry::outlet::Departure,
    trace::TraceParent,
};

/// How long it is tried, from the first sending on. A leader that was killed is replaced within seven seconds, and a caller that holds
/// a request open still has its answer in time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a message that should stand on a subject is looked for. A server that still agrees on it refuses others before it can
/// be read.
const LOOKS: u32 = 8;

/// Waits between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

/// The server's code for "no message may stand before this one on its subject, and one does"; the second is what a stream with
/// replicas says while it still agrees on the first.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

/// A message and where it is to lie.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) bus: Bus,
    pub(super) kind: &'static str,
    pub(super) stream: Cow<'static, str>,
    /// Headers of another message of its kind, the stream included; `None` where it is of no kind of ours.
    pub(super) alike: Option<Arc<HeaderMap>>,
    pub(super) message: Message,
    pub(super) is_once: bool,
}

/// A message that was sent; `finish` brings it home.
#[derive(Debug)]
pub(super) struct Underway {
    parcel: Parcel,
    departure: Departure,
    first: Result<Sent, PublishError>,
    turn: Option<OwnedMutexGuard<()>>,
}

#[derive(Debug)]
enum Sent {
    Waiting(oneshot::Receiver<Answer>),
    Answered(Result<Answer, oneshot::error::RecvError>),
    Taken(Taken),
}

impl Underway {
    /// Sends it for the first time, as soon as the window has room.
    pub(super) async fn start(parcel: Parcel, departure: Departure) -> Self {
        let first = parcel.send().await;
        Self { parcel, departure, first, turn: None }
    }

    /// The same when it is its turn on its subject, which it keeps until it is home.
    pub(super) async fn start_in_order(parcel: Parcel, departure: Departure) -> Self {
        let turn = parcel.bus.0.orders.turn(&parcel.message.subject).await;
        match turn {
            Ok(turn) => Self { turn: Some(turn), ..Self::start(parcel, departure).await },
            Err(error) => Self { parcel, departure, first: Err(error), turn: None },
        }
    }

    /// Waits until the first sending is answered, or did not succeed.
    pub(super) fn poll_answered(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Ok(Sent::Waiting(answer)) = &mut self.first {
            self.first = Ok(Sent::Answered(ready!(Pin::new(answer).poll(context))));
        }
        Poll::Ready(())
    }

    /// How it ended, if the stream took it at once: what becomes of nearly all, at little cost.
    pub(super) fn finish_if_stored(self: Box<Self>) -> Result<Receipt, Box<Self>> {
        match &self.first {
            Ok(Sent::Answered(Ok(Answer::Ack(Ack { seq: Some(sequence), duplicate, error: None, .. })))) => {
                let (sequence, is_duplicate) = (*sequence, *duplicate);
                let Self { parcel, departure, .. } = *self;
                departure.confirmed(Some(sequence), is_duplicate);
                Ok(parcel.into_receipt(Some(sequence), is_duplicate))
            }
            _ => Err(self),
        }
    }

    /// Waits for the confirmation, sends again where none came, and tells how it ended.
    pub(super) async fn finish(self) -> Result<Receipt, PublishError> {
        let Self { parcel, departure, first, turn } = self;
        let result = parcel.deliver(first).await;
        drop(turn);
        match &result {
            Ok(receipt) => departure.confirmed(receipt.sequence, receipt.is_duplicate),
            Err(error) => departure.failed(error.kind(), error.to_string()),
        }
        result
    }
}

impl Parcel {
    async fn deliver(self, first: Result<Sent, PublishError>) -> Result<Receipt, PublishError> {
        match self.until_confirmed(first).await? {
            Taken::Stored { sequence, is_duplicate } => Ok(self.into_receipt(Some(sequence), is_duplicate)),
            Taken::SubjectInUse => self.ours_or_conflict().await,
        }
    }

    async fn until_confirmed(&self, first: Result<Sent, PublishError>) -> Result<Taken, PublishError> {
        let began = Instant::now();
        let mut sent = first;
        let mut failures = 0;
        loop {
            let answered = match sent {
                Ok(sent) => self.answered(sent).await,
                Err(error) => Err(error),
            };
            let error = match answered {
                Ok(taken) => return Ok(taken),
                Err(error) => self.explained(error, began),
            };
            failures += 1;
            let wait = BACKOFF.wait(failures, fastrand::f64());
            if !error.may_pass_soon() || began.elapsed() + wait > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            sent = self.send().await;
        }
    }

    async fn send(&self) -> Result<Sent, PublishError> {
        let link = match &self.bus.0.wire {
            Wire::Memory(memory) => return Ok(Sent::Taken(memory.take(&self.message, self.is_once))),
            Wire::Nats(link) => link,
        };
        let client = &link.connection.client;
        let place = link.window.place(&self.message.subject).await?;
        let confirmations = link.confirmations().await.map_err(|source| self.unavailable(source))?;
        let (ticket, answer) = confirmations.expect(Some(place));
        let reply = confirmations.reply(ticket);
        let subject = self.message.subject.as_str().to_owned();
        let payload = self.message.payload.clone();
        let mut publish = pin!(client.publish_with_reply_and_headers(subject, reply, self.headers(), payload));
        // Mostly the client has room at once, and no timer is needed.
        let published = match futures_util::poll!(publish.as_mut()) {
            Poll::Ready(published) => Ok(published),
            Poll::Pending => tokio::time::timeout(CONFIRM_LIMIT, publish).await,
        };
        let error = match published {
            Ok(Ok(())) => return Ok(Sent::Waiting(answer)),
            Ok(Err(error)) => self.unsent(error, client.max_payload()),
            Err(late) => self.unavailable(RequestError::with_source(RequestErrorKind::TimedOut, late)),
        };
        confirmations.forget(ticket);
        Err(error)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = match &self.alike {
            Some(alike) => headers::write_over(alike, &self.message),
            None => {
                let mut headers = headers::write(&self.message);
                headers.insert(header::NATS_EXPECTED_STREAM, self.stream.as_ref());
                headers
            }
        };
        if self.is_once {
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        }
        headers
    }

    async fn answered(&self, sent: Sent) -> Result<Taken, PublishError> {
        let answer = match sent {
            Sent::Taken(taken) => return Ok(taken),
            Sent::Answered(answer) => answer,
            Sent::Waiting(answer) => answer.await,
        };
        match answer {
            Ok(Answer::Ack(ack)) => self.acked(ack),
            Ok(Answer::Began) => {
                Err(PublishError::Answer { subject: self.subject(), source: serde::de::Error::custom("it is empty") })
            }
            Ok(Answer::Foreign(source)) => Err(PublishError::Answer { subject: self.subject(), source }),
            Ok(Answer::Silence(source)) => Err(self.unavailable(source)),
            Err(gone) => Err(self.unavailable(RequestError::with_source(RequestErrorKind::Other, gone))),
        }
    }

    fn acked(&self, ack: Ack) -> Result<Taken, PublishError> {
        match ack.error {
            None => Ok(Taken::Stored { sequence: ack.seq.unwrap_or_default(), is_duplicate: ack.duplicate }),
            Some(refusal) if WRONG_LAST_SEQUENCE.contains(&refusal.err_code) => Ok(Taken::SubjectInUse),
            Some(refusal) => {
                Err(PublishError::refused(self.subject(), self.stream.clone(), refusal.err_code, refusal.description))
            }
        }
    }

    /// An earlier attempt of ours may be what stands on the subject, or a replay of it: only another's message there is a conflict.
    async fn ours_or_conflict(&self) -> Result<Receipt, PublishError> {
        let subject = self.subject();
        if !self.is_once {
            return Err(PublishError::Conflict { subject, holder: "unknown".to_owned() });
        }
        let holder = match self.holder().await {
            Ok(holder) => holder.map(|holder| holder.original_id()),
            Err(source) => return Err(PublishError::Unclear { subject, source }),
        };
        match holder {
            Some(Some(id)) if self.message.id.as_ref() == Some(&id) => Ok(self.receipt(None, true)),
            Some(Some(id)) => Err(PublishError::Conflict { subject, holder: id.0 }),
            Some(None) => Err(PublishError::Conflict { subject, holder: "without an id".to_owned() }),
            None => Err(PublishError::Conflict { subject, holder: "that cannot be read yet".to_owned() }),
        }
    }

    /// The message that stands on the subject, as soon as it can be read.
    async fn holder(&self) -> Result<Option<Message>, ReadError> {
        for look in 1..=LOOKS {
            let holder = self.bus.last_at(self.kind, self.stream.clone(), &self.message.subject).await?;
            if holder.is_some() {
                return Ok(holder);
            }
            tokio::time::sleep(BACKOFF.wait(look, fastrand::f64())).await;
        }
        Ok(None)
    }

    fn into_receipt(self, sequence: Option<u64>, is_duplicate: bool) -> Receipt {
        let id = self.message.id.unwrap_or_else(|| MessageId(String::new()));
        Receipt { id, stream: self.stream.into_owned(), sequence, is_duplicate }
    }

    fn receipt(&self, sequence: Option<u64>, is_duplicate: bool) -> Receipt {
        let id = self.message.id.clone().unwrap_or_else(|| MessageId(String::new()));
        Receipt { id, stream: self.stream.to_string(), sequence, is_duplicate }
    }

    fn subject(&self) -> Subject {
        self.message.subject.clone()
    }

    fn unavailable(&self, source: RequestError) -> PublishError {
        PublishError::Unavailable { subject: self.subject(), stream: self.stream.clone(), source }
    }

    /// Why no stream answered, where NATS has said that our user may not publish.
    fn explained(&self, error: PublishError, began: Instant) -> PublishError {
        let refused = match &self.bus.0.wire {
            Wire::Nats(link) => link.connection.link.refused_since(began),
            Wire::Memory(_) => None,
        };
        let is_traced = self.message.trace.as_ref().is_some_and(TraceParent::is_sampled);
        match (error, refused) {
            (PublishError::Unavailable { subject, source, .. }, Some(on)) if is_traced || on == subject.as_str() => {
                PublishError::NotAllowed { subject, on, source }
            }
            (error, _) => error,
        }
    }

    fn unsent(&self, error: async_nats::PublishError, most: usize) -> PublishError {
        if error.kind() == async_nats::client::PublishErrorKind::MaxPayloadExceeded {
            return PublishError::TooLarge { subject: self.subject(), size: self.message.payload.len(), most };
        }
        self.unavailable(RequestError::with_source(RequestErrorKind::Other, error))
    }
}
