//! Handlers: what a service does with one message, as an async function of a context and a typed payload.
//!
//! A handler runs in a unit test with no server. The bus keeps in memory what it publishes:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use streamgauge::{bus::{Bus, Payload, PublishError}, handler::{Context, Handler, Outcome, with}};
//!
//! #[derive(Serialize, Deserialize)]
//! struct OrderPlaced { order: String }
//!
//! #[derive(Serialize, Deserialize)]
//! struct CustomerThanked { order: String }
//! # impl Payload for OrderPlaced {
//! #     const KIND: &'static str = "OrderPlaced";
//! #     const STREAM: &'static str = "ORDERS";
//! #     const SUBJECT: &'static str = "orders.placed.*";
//! #     fn key(&self) -> String { self.order.clone() }
//! # }
//! # impl Payload for CustomerThanked {
//! #     const KIND: &'static str = "CustomerThanked";
//! #     const STREAM: &'static str = "ORDERS";
//! #     const SUBJECT: &'static str = "orders.thanked.*";
//! #     fn key(&self) -> String { self.order.clone() }
//! # }
//!
//! async fn thank(bus: Bus, context: Context, placed: OrderPlaced) -> Result<(), PublishError> {
//!     bus.publish(&CustomerThanked { order: placed.order }).because(context.cause()).await?;
//!     Ok(())
//! }
//!
//! # async fn test() {
//! let placed = Bus::in_memory();
//! placed.publish(&OrderPlaced { order: "42".into() }).await.unwrap();
//! let context = Context::new(placed.published().remove(0), None);
//!
//! let bus = Bus::in_memory();
//! let outcome = with(&bus, thank).handle(context, OrderPlaced { order: "42".into() }).await;
//! assert_eq!(outcome, Outcome::Done);
//! assert_eq!(bus.published()[0].subject.as_str(), "orders.thanked.42");
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test());
//! ```
//!
//! A handler waits, it does not block: whatever keeps its thread for longer belongs into [`tokio::task::spawn_blocking`]. A thread that is
//! blocked serves no connection and no timer meanwhile, and a handler that blocks until another one runs may wait for ever.

pub mod proving;
mod service;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    errors::{self, ErrorChain},
    message::{Cause, CorrelationId, Delivery, Message, header},
    telemetry::Remote,
};

pub use service::{Request, service};

/// What a handler is told beside the payload.
#[derive(Debug, Clone)]
pub struct Context {
    message: Arc<Message>,
    delivery: Option<Arc<Delivery>>,
    fence: Option<u64>,
    attempt: u32,
}

impl Context {
    /// The context of a message that was delivered, or in a unit test of one that was made up.
    pub fn new(message: Message, delivery: Option<Delivery>) -> Self {
        Self::of(Arc::new(message), delivery.map(Arc::new))
    }

    /// The context of a message that others hold too; one of a request was not delivered by a stream.
    pub(crate) fn of(message: Arc<Message>, delivery: Option<Arc<Delivery>>) -> Self {
        Self { message, delivery, fence: None, attempt: 1 }
    }

    /// The same at the attempt of this number, counted from 1.
    #[must_use]
    pub fn at_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Where it lies and how often it was delivered; `None` in a unit test that did not say.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.delivery.as_deref()
    }

    /// The same context behind a fence, as a partitioned worker or an inbox hands it to its handler.
    #[must_use]
    pub fn fenced(mut self, fence: u64) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Behind an inbox, a number that is higher the later the message was claimed; without one, in a partitioned worker, a number that is
    /// higher whenever the message's partition changed hands. A store that keeps the highest one with the effect, and refuses a lower
    /// one, is safe from a process that was frozen, lost its claim and goes on.
    pub fn fence(&self) -> Option<u64> {
        self.fence
    }

    /// Which start of the handler on this message it is, counted from 1. Deliveries that no handler began do not count.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What the message belongs to; a message that does not say belongs to itself.
    pub fn correlation(&self) -> CorrelationId {
        let own = || CorrelationId(self.message.id.as_ref().map_or_else(String::new, |id| id.0.clone()));
        self.message.correlation.clone().unwrap_or_else(own)
    }

    /// When whoever asked stops waiting for the answer; `None` for a message that is no request.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.message.header(header::DEADLINE).and_then(Timestamp::parse)
    }

    /// The cause to publish and to ask with, so that what follows carries on the correlation, the trace and the deadline.
    /// What a replay publishes has the ids that the message which it repeats would have given it.
    pub fn cause(&self) -> Cause {
        let remote = Remote::current().or_else(|| Remote::of(&self.message));
        Cause {
            correlation: self.correlation(),
            message: self.message.original_id(),
            trace: remote.as_ref().map(|remote| remote.parent),
            trace_state: remote.and_then(|remote| remote.state),
            deadline: self.deadline(),
        }
    }
}

/// How a handler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a handler's outcome settles its message"]
pub enum Outcome {
    /// The message is processed.
    Done,
    /// It failed, and may succeed later.
    Retry {
        /// Why, in words.
        reason: String,
        /// What kind of failure, one of few; a retry policy may treat kinds apart.
        class: &'static str,
        /// When to try again; `None` leaves it to the worker.
        after: Option<Duration>,
    },
    /// It cannot succeed, however often it is tried.
    Reject {
        /// Why, in words.
        reason: String,
        /// What kind of failure, one of few.
        class: &'static str,
    },
}

/// Kinds of failure that the library itself tells apart; a handler may name its own.
pub mod class {
    /// An error that the handler returned and did not name.
    pub const ERROR: &str = "error";
    /// The handler panicked.
    pub const PANIC: &str = "panic";
    /// The handler outlived its time.
    pub const TIMEOUT: &str = "timeout";
    /// The service ended before the handler did.
    pub const SHUTDOWN: &str = "shutdown";
    /// The handler has as much to do as it takes on.
    pub const OVERLOADED: &str = "overloaded";
    /// Another process handles the same message and is not done.
    pub const CLAIMED: &str = "claimed";
    /// A failure that was made on purpose, to prove a handler.
    pub const INJECTED: &str = "injected";
    /// The process ended before the handler did, and nobody could say how.
    pub const LOST: &str = "lost";
    /// The handler refuses the message.
    pub const REJECTED: &str = "rejected";
    /// The payload is not what its type says.
    pub const UNREADABLE: &str = "unreadable";
    /// The payload is of a version that this instance does not know.
    pub const VERSION: &str = "unknown_version";
    /// No handler reads the subject.
    pub const NO_HANDLER: &str = "no_handler";
}

impl Outcome {
    /// Try again when the worker thinks fit.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::Retry { reason: reason.to_string(), class: class::ERROR, after: None }
    }

    /// Never try again.
    pub fn reject(reason: impl fmt::Display) -> Self {
        Self::Reject { reason: reason.to_string(), class: class::REJECTED }
    }

    /// The same outcome with its kind of failure named, one of few: `Outcome::retry("no answer").classed("provider_down")`.
    pub fn classed(mut self, kind: &'static str) -> Self {
        if let Self::Retry { class, .. } | Self::Reject { class, .. } = &mut self {
            *class = kind;
        }
        self
    }

    /// The same with a reason that is one line and not long: an error may quote the whole payload.
    pub(crate) fn brief(mut self) -> Self {
        if let Self::Retry { reason, .. } | Self::Reject { reason, .. } = &mut self {
            *reason = errors::brief(std::mem::take(reason));
        }
        self
    }

    /// The outcome in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::Reject { .. } => "reject",
        }
    }

    /// Why, where it was not done.
    pub fn reason(&self) -> &str {
        match self {
            Self::Done => "",
            Self::Retry { reason, .. } | Self::Reject { reason, .. } => reason,
        }
    }

    /// What kind of failure; empty where it was done.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Done => "",
            Self::Retry { class, .. } | Self::Reject { class, .. } => class,
        }
    }
}

/// What a handler may return: an [`Outcome`], or a `Result` whose error means [`Outcome::Retry`].
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: IntoOutcome, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(ended) => ended.into_outcome(),
            Err(error) => Outcome::retry(ErrorChain(error.into().as_ref())),
        }
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

/// Processes messages with a payload of type `T`. Every async function of a [`Context`] and a `T` is one.
pub trait Handler<T>: Send + Sync + 'static {
    /// Processes one message.
    fn handle(&self, context: Context, payload: T) -> impl Future<Output = Outcome> + Send;
}

impl<T, F, Fut> Handler<T> for F
where
    T: Send + 'static,
    F: Fn(Context, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome> + Send,
{
    async fn handle(&self, context: Context, payload: T) -> Outcome {
        self(context, payload).await.into_outcome()
    }
}

/// A handler that has a clone of `state` at hand: `Worker::new("stock").on(with(&stock, Stock::reserve))`.
pub fn with<S, T, F, Fut>(state: &S, handle: F) -> impl Handler<T> + use<S, T, F, Fut>
where
    S: Clone + Send + Sync + 'static,
    T: Send + 'static,
    F: Fn(S, Context, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome> + Send,
{
    let state = state.clone();
    move |context, payload| handle(state.clone(), context, payload)
}

/// What the tests of handlers share.
#[cfg(test)]
pub(crate) mod testing {
    use super::Context;
    use crate::message::{Message, MessageId};

    /// The context of a message that has nothing but an id.
    pub(crate) fn context() -> Context {
        context_of("m-1")
    }

    /// The context of a message with this id.
    pub(crate) fn context_of(id: &str) -> Context {
        let message = Message {
            subject: "tests.1".try_into().unwrap(),
            id: Some(MessageId(id.to_owned())),
            correlation: None,
            causation: None,
            schema: None,
            source: None,
            time: None,
            trace: None,
            trace_state: None,
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        };
        Context::new(message, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ended: impl IntoOutcome, expected: &Outcome) {
        assert_eq!(&ended.into_outcome(), expected);
    }

    #[test]
    fn an_error_means_try_again_and_says_why() {
        check((), &Outcome::Done);
        check(Ok::<_, std::io::Error>(()), &Outcome::Done);
        check(Err::<(), _>(std::io::Error::other("no room")), &Outcome::retry("no room"));
        check(Ok::<_, std::io::Error>(Outcome::reject("no such sku")), &Outcome::reject("no such sku"));
    }
}
