//! Atomic batches: several messages of one stream, all stored or none.
//!
//! Convention: NATS ADR-50, since nats-server 2.12; the stream must allow it (`allow_atomic`).

mod commit;
mod error;
mod known;

use std::sync::Arc;

use super::{
    Bus, Payload, PublishError, Receipt, Wire,
    publish::{Publish, depart},
};
use crate::{
    message::{Cause, Message, MessageId},
    telemetry::outlet::{Departure, Outlet},
};

pub(super) use commit::AT_ONCE;
use commit::Commit;
pub use error::BatchError;

/// The server takes no more messages in one batch.
pub const BATCH_MOST: usize = 1_000;

/// Messages that are stored together or not at all; [`Batch::commit`] publishes them.
#[derive(Debug)]
#[must_use = "nothing is published until it is committed"]
pub struct Batch<'a> {
    bus: &'a Bus,
    cause: Option<Cause>,
    parts: Vec<Part>,
    fault: Option<BatchError>,
}

#[derive(Debug)]
struct Part {
    stream: &'static str,
    outlet: Arc<Outlet>,
    message: Message,
}

/// Messages that were stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchReceipt {
    /// The stream that holds them.
    pub stream: String,
    /// Their ids, in the order in which they were added.
    pub ids: Vec<MessageId>,
    /// The sequence of each, in the same order.
    pub sequences: Vec<u64>,
    /// Whether an earlier batch had stored the very same messages.
    pub was_applied: bool,
}

impl BatchReceipt {
    /// What each message would have been told alone.
    pub fn receipts(&self) -> impl Iterator<Item = Receipt> {
        self.ids.iter().zip(&self.sequences).map(|(id, sequence)| Receipt {
            id: id.clone(),
            stream: self.stream.clone(),
            sequence: Some(*sequence),
            is_duplicate: self.was_applied,
        })
    }
}

impl Bus {
    /// Begins a batch of messages that are stored together or not at all.
    pub fn batch(&self) -> Batch<'_> {
        Batch { bus: self, cause: None, parts: Vec::new(), fault: None }
    }
}

impl Batch<'_> {
    /// Says what the messages that are added from here on follow from. Their ids are derived from it, so that a handler that runs twice
    /// applies its batch once.
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Adds a message. What is wrong with it is said by [`Batch::commit`].
    pub fn with<P: Payload>(self, payload: &P) -> Self {
        self.add(payload, None)
    }

    /// Adds a message with this id instead of a new or derived one.
    pub fn with_as<P: Payload>(self, payload: &P, id: MessageId) -> Self {
        self.add(payload, Some(id))
    }

    fn add<P: Payload>(mut self, payload: &P, id: Option<MessageId>) -> Self {
        match self.part(payload, id) {
            Ok(part) => self.parts.push(part),
            Err(fault) => {
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    fn part<P: Payload>(&self, payload: &P, id: Option<MessageId>) -> Result<Part, BatchError> {
        let mut publish = Publish::new(self.bus, payload);
        if let Some(cause) = self.cause.clone() {
            publish = publish.because(cause);
        }
        let (outlet, mut message) = publish.part().map_err(BatchError::Message)?;
        let before = self.parts.iter().filter(|part| part.message.subject == message.subject).count();
        if let Some(id) = id {
            message.id = Some(id);
        } else if let Some(cause) = message.causation.as_ref().filter(|_| before > 0) {
            message.id = Some(cause.derived(&format!("{}#{before}", message.subject)));
        }
        match self.parts.first().map(|first| first.stream) {
            Some(one) if one != P::STREAM => Err(BatchError::Streams { one, other: P::STREAM }),
            _ => Ok(Part { stream: P::STREAM, outlet, message }),
        }
    }

    /// Publishes the batch and waits until the stream has all of it. The same batch again changes nothing; one that has a message
    /// of its in the stream already, and is not the same, is a [`BatchError::Conflict`].
    ///
    /// # Errors
    /// When a message cannot be written, there are none or too many, they belong to different streams, the stream does not allow
    /// batches or refuses this one, or it does not answer. Nothing is stored then, or, where it did not answer, all of it may be.
    pub async fn commit(self) -> Result<BatchReceipt, BatchError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Some(stream) = self.parts.first().map(|first| first.stream).filter(|_| self.parts.len() <= BATCH_MOST)
        else {
            return Err(BatchError::Size { messages: self.parts.len() });
        };
        let (departures, messages): (Vec<Departure>, Vec<Message>) = self
            .parts
            .into_iter()
            .map(|Part { outlet, mut message, .. }| (depart(&outlet, &mut message, self.cause.as_ref()), message))
            .unzip();
        let result = self.bus.commit(stream, &messages).await;
        match &result {
            Ok(receipt) => {
                for (index, departure) in departures.into_iter().enumerate() {
                    departure.confirmed(receipt.sequences.get(index).copied(), receipt.was_applied);
                }
            }
            Err(error) => {
                for departure in departures {
                    departure.failed(error.kind(), error.to_string());
                }
            }
        }
        result
    }
}

impl Bus {
    async fn commit(&self, stream: &'static str, messages: &[Message]) -> Result<BatchReceipt, BatchError> {
        self.bring(stream, messages, false, commit::ATTEMPTS).await
    }

    /// Brings messages that have their places in the window into the stream, all or none, and does not try again.
    pub(super) async fn commit_gathered(
        &self,
        stream: &'static str,
        messages: &[Message],
    ) -> Result<BatchReceipt, BatchError> {
        self.bring(stream, messages, true, 1).await
    }

    async fn bring(
        &self,
        stream: &'static str,
        messages: &[Message],
        is_placed: bool,
        attempts: u32,
    ) -> Result<BatchReceipt, BatchError> {
        let (sequences, was_applied) = match &self.0.wire {
            Wire::Memory(memory) => memory.take_all(messages).map_err(|id| BatchError::Conflict { stream, id })?,
            Wire::Nats(link) => Commit { link, stream, messages, is_placed }.applied(attempts).await?,
        };
        Ok(receipt(stream, messages, sequences, was_applied))
    }
}

fn receipt(stream: &str, messages: &[Message], sequences: Vec<u64>, was_applied: bool) -> BatchReceipt {
    let ids = messages.iter().map(|message| message.id.clone().unwrap_or_default()).collect();
    BatchReceipt { stream: stream.to_owned(), ids, sequences, was_applied }
}

impl From<PublishError> for BatchError {
    fn from(error: PublishError) -> Self {
        Self::Message(error)
    }
}
