//! Publishing: a message is out when its stream has confirmed it, and a retry cannot store it twice.

mod confirmations;
mod error;
mod kinds;
mod linger;
mod order;
mod underway;
mod window;

use std::{borrow::Cow, fmt, future::IntoFuture, pin::Pin, sync::Arc, task};

use tokio::sync::oneshot;

use super::{
    Bus, Wire, claim,
    codec::{self, Payload, compress},
};
use crate::{
    message::{Cause, CorrelationId, Message, MessageId},
    name::SubjectPattern,
    telemetry::outlet::{Departure, Leaving, Outlet},
};

pub(super) use confirmations::{Ack, Answer, Confirmations, Refusal};
pub use error::PublishError;
pub(super) use error::is_full;
use kinds::Kind;
pub(super) use kinds::Kinds;
pub(super) use linger::Linger;
pub(super) use order::Orders;
use underway::{Parcel, Underway};
pub(super) use window::Window;

/// What was published, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id.
    pub id: MessageId,
    /// The stream that took it.
    pub stream: String,
    /// Its sequence there; `None` where an earlier attempt had stored it and the stream does not say where.
    pub sequence: Option<u64>,
    /// Whether the stream had it already.
    pub is_duplicate: bool,
}

/// What a stream did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Stored { sequence: u64, is_duplicate: bool },
    SubjectInUse,
}

/// A message about to be published; await it for its receipt, or [`Publish::send`] it and wait for that later.
#[derive(Debug)]
#[must_use = "nothing is published until it is awaited"]
pub struct Publish<'a, P> {
    bus: &'a Bus,
    payload: &'a P,
    cause: Option<Cause>,
    id: Option<MessageId>,
    is_once: bool,
    is_in_order: bool,
}

/// A message that was sent and not confirmed yet; await it for its receipt.
///
/// Many may be under way, as many as the bus's window has places, so that a publisher does not wait for each. Awaiting it is what
/// sends it again where no confirmation came: dropped, the message was sent once, may or may not be stored, and counts as abandoned.
#[must_use = "whether a message is stored is known when its receipt is there"]
pub struct Sending(Way);

/// How a receipt comes. What is stored at once, as nearly all is, costs no future of its own.
enum Way {
    Answer(Box<Underway>),
    Later(Pin<Box<dyn Future<Output = Result<Receipt, PublishError>> + Send>>),
    Over,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

impl Future for Sending {
    type Output = Result<Receipt, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Self::Output> {
        if let Way::Answer(underway) = &mut self.0 {
            task::ready!(underway.poll_answered(context));
        }
        if let Way::Later(later) = &mut self.0 {
            return later.as_mut().poll(context);
        }
        let Way::Answer(underway) = std::mem::replace(&mut self.0, Way::Over) else {
            panic!("a message that is home was asked for again");
        };
        match underway.finish_if_stored() {
            Ok(receipt) => task::Poll::Ready(Ok(receipt)),
            Err(underway) => {
                self.0 = Way::Later(Box::pin(underway.finish()));
                self.poll(context)
            }
        }
    }
}

/// A message that was sent, or waits to be sent with others.
enum Begun {
    Alone(Box<Underway>),
    Gathered(oneshot::Receiver<Result<Receipt, PublishError>>),
}

impl Begun {
    async fn finish(self) -> Result<Receipt, PublishError> {
        match self {
            Self::Alone(underway) => underway.finish().await,
            Self::Gathered(receipt) => receipt.await.unwrap_or(Err(PublishError::Forgotten)),
        }
    }
}

impl<'a, P: Payload> Publish<'a, P> {
    pub(super) fn new(bus: &'a Bus, payload: &'a P) -> Self {
        Self { bus, payload, cause: None, id: None, is_once: false, is_in_order: false }
    }

    /// Says what the message follows from: it carries on the correlation and the trace, and its id is derived from the cause's, so
    /// that a handler that runs twice publishes once.
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Gives the message this id instead of a new or derived one.
    pub fn with_id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Lets the subject hold one message for ever, not just one in the stream's duplicate window: publishing the same message again
    /// changes nothing, publishing another there is a [`PublishError::Conflict`].
    pub fn once(mut self) -> Self {
        self.is_once = true;
        self
    }

    /// Keeps the order of this bus's messages on the subject, as far as they are published so: each is sent when the one before is
    /// confirmed or given up, so that none that is sent again lands behind a later one. Messages of other subjects do not wait.
    pub fn in_order(mut self) -> Self {
        self.is_in_order = true;
        self
    }

    /// Sends the message as soon as the bus's window has room, and does not wait for its confirmation, unless it is to keep its order.
    ///
    /// # Errors
    /// When the payload makes no message. All else is told by awaiting what is returned.
    pub async fn send(self) -> Result<Sending, PublishError> {
        let is_in_order = self.is_in_order;
        let begun = self.begin().await?;
        if is_in_order {
            return Ok(Sending(Way::Later(Box::pin(std::future::ready(begun.finish().await)))));
        }
        Ok(Sending(match begun {
            Begun::Alone(underway) => Way::Answer(underway),
            gathered @ Begun::Gathered(_) => Way::Later(Box::pin(gathered.finish())),
        }))
    }

    async fn confirmed(self) -> Result<Receipt, PublishError> {
        self.begin().await?.finish().await
    }

    async fn begin(self) -> Result<Begun, PublishError> {
        let inner = &self.bus.0;
        let kind = inner.kinds.of::<P>(&inner.telemetry);
        let mut message = self.message(&kind)?;
        self.bus.check_in(&mut message).await?;
        let departure = depart(&kind.outlet, &mut message, self.cause.as_ref());
        let (stream, alike) = (Cow::Borrowed(P::STREAM), Some(kind.headers::<P>(&message)));
        let parcel = Parcel { bus: self.bus.clone(), kind: P::KIND, stream, alike, message, is_once: self.is_once };
        if self.is_in_order {
            return Ok(Begun::Alone(Box::new(Underway::start_in_order(parcel, departure).await)));
        }
        match inner.linger.as_ref().filter(|linger| !self.is_once && linger.gathers(P::STREAM)) {
            Some(linger) => Ok(Begun::Gathered(linger.gather(P::STREAM, parcel, departure).await?)),
            None => Ok(Begun::Alone(Box::new(Underway::start(parcel, departure).await))),
        }
    }

    /// What becomes part of a batch.
    pub(super) fn part(self) -> Result<(Arc<Outlet>, Message), PublishError> {
        let kind = self.bus.0.kinds.of::<P>(&self.bus.0.telemetry);
        let message = self.message(&kind)?;
        Ok((kind.outlet.clone(), message))
    }

    fn message(&self, kind: &Kind) -> Result<Message, PublishError> {
        let fail = |source| PublishError::Payload { kind: P::KIND, source };
        let subject = kind.subject::<P>(&self.payload.key()).map_err(fail)?;
        let causation = self.cause.as_ref().and_then(|cause| cause.message.clone());
        let derived = || causation.as_ref().map(|message| message.derived(subject.as_str()));
        let id = self.id.clone().or_else(derived).unwrap_or_default();
        // What nothing caused belongs to itself.
        let correlation =
            self.cause.as_ref().map_or_else(|| CorrelationId(id.0.clone()), |cause| cause.correlation.clone());
        let mut message = Message {
            subject,
            id: Some(id),
            correlation: Some(correlation),
            causation,
            schema: Some(kind.schema.clone()),
            source: Some(self.bus.0.source.clone()),
            time: Some(self.bus.0.clock.now()),
            trace: None,
            trace_state: None,
            headers: codec::headers_of::<P>(),
            payload: codec::encode(self.payload).map_err(fail)?,
        };
        if self.bus.0.packing.compressed_above.is_some_and(|above| message.payload.len() > above) {
            compress::pack(&mut message);
        }
        Ok(message)
    }
}

impl<'a, P: Payload> IntoFuture for Publish<'a, P> {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.confirmed())
    }
}

impl Bus {
    async fn check_in(&self, message: &mut Message) -> Result<(), PublishError> {
        let is_large = self.0.packing.checked_in_above.is_some_and(|above| message.payload.len() > above);
        match &self.0.wire {
            Wire::Nats(link) if is_large => claim::check_in(&link.connection, message)
                .await
                .map_err(|source| PublishError::Claim { subject: message.subject.clone(), source }),
            _ => Ok(()),
        }
    }

    /// Publishes a message that is complete but for its trace, such as a copy of another: its id and its headers are the caller's.
    ///
    /// # Errors
    /// When the stream does not confirm it.
    pub async fn forward(
        &self,
        stream: &str,
        template: &SubjectPattern,
        mut message: Message,
        cause: &Cause,
    ) -> Result<Receipt, PublishError> {
        let outlet = self.0.telemetry.outlet("publish", template, stream);
        let departure = depart(&outlet, &mut message, Some(cause));
        let stream = Cow::Owned(stream.to_owned());
        let parcel = Parcel { bus: self.clone(), kind: "a copy", stream, alike: None, message, is_once: false };
        Underway::start(parcel, departure).await.finish().await
    }
}

/// Gives the message the trace of a span of its own.
pub(super) fn depart(outlet: &Arc<Outlet>, message: &mut Message, cause: Option<&Cause>) -> Departure {
    let leaving = Leaving {
        subject: &message.subject,
        id: message.id.as_ref().map_or("", |id| id.0.as_str()),
        correlation: message.correlation.as_ref().map_or("", |id| id.0.as_str()),
        size: message.payload.len(),
    };
    let departure = outlet.begin(leaving, cause);
    message.trace = Some(departure.trace_parent());
    message.trace_state = departure.trace_state();
    departure
}
