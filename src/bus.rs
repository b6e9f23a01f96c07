//! NATS as used: typed messages out, stored messages back, and the streams that hold them.

mod batch;
mod claim;
pub mod codec;
mod headers;
mod link;
mod memory;
pub mod ownership;
pub mod partition;
mod publish;
pub mod settle;
mod slots;
pub mod topology;

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_nats::jetstream;

use crate::{clock::Clock, message::Message, name::Subject, nats::Connection, telemetry::Telemetry};

pub use batch::{BATCH_MOST, Batch, BatchError, BatchReceipt};
pub use claim::ClaimError;
pub(crate) use claim::{check_in, redeem};
pub use codec::{Codec, CodecError, Json, Payload};
pub(crate) use headers::{read as read_message, write as write_headers};
use link::Link;
use memory::Memory;
use publish::{Kinds, Linger, Orders};
pub use publish::{Publish, PublishError, Receipt, Sending};

/// How many messages of a bus may wait for their confirmation at once, unless told otherwise. At 1024 a stream takes about as many a
/// second as it can; each more costs memory alone.
const WINDOW: usize = 1024;

/// A handle to publish with; clones are the same bus.
#[derive(Debug, Clone)]
pub struct Bus(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wire: Wire,
    source: String,
    telemetry: Telemetry,
    clock: Clock,
    packing: Packing,
    linger: Option<Arc<Linger>>,
    kinds: Kinds,
    orders: Orders,
}

#[derive(Debug, Clone)]
enum Wire {
    Nats(Arc<Link>),
    Memory(Arc<Memory>),
}

/// What becomes of large payloads, in bytes of payload.
#[derive(Debug, Clone, Copy, Default)]
struct Packing {
    compressed_above: Option<usize>,
    checked_in_above: Option<usize>,
}

/// Why a stored message cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("reading the last {kind} of {key} in stream {stream}")]
pub struct ReadError {
    kind: &'static str,
    key: String,
    stream: Cow<'static, str>,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Inner {
    fn over(wire: Wire, source: &str, telemetry: Telemetry, clock: Clock) -> Self {
        Self {
            wire,
            source: source.to_owned(),
            telemetry,
            clock,
            packing: Packing::default(),
            linger: None,
            kinds: Kinds::default(),
            orders: Orders::default(),
        }
    }

    /// The same settings, for a bus that differs in one of them.
    fn again(&self) -> Self {
        let (packing, linger) = (self.packing, self.linger.clone());
        let new = Self::over(self.wire.clone(), &self.source, self.telemetry.clone(), self.clock.clone());
        Self { packing, linger, ..new }
    }
}

impl ReadError {
    fn new(
        kind: &'static str,
        key: String,
        stream: Cow<'static, str>,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Self {
        Self { kind, key, stream, source }
    }
}

impl Bus {
    /// A bus over NATS. `source` is the service that publishes.
    pub fn new(connection: Connection, source: &str, telemetry: Telemetry, clock: Clock) -> Self {
        let wire = Wire::Nats(Arc::new(Link::new(connection, WINDOW)));
        Self(Arc::new(Inner::over(wire, source, telemetry, clock)))
    }

    /// A bus that keeps in memory what is published, so that a handler runs in a unit test with no server.
    pub fn in_memory() -> Self {
        let wire = Wire::Memory(Arc::default());
        Self(Arc::new(Inner::over(wire, "test", Telemetry::unexported(), Clock::system())))
    }

    /// The same bus with a window of its own: at most `messages` of it wait for their confirmation at once, and who publishes one more
    /// waits for room. A bus in memory confirms at once.
    #[must_use]
    pub fn with_window(self, messages: usize) -> Self {
        let wire = match self.0.wire.clone() {
            Wire::Nats(link) => Wire::Nats(Arc::new(Link::new(link.connection.clone(), messages))),
            memory @ Wire::Memory(_) => memory,
        };
        Self(Arc::new(Inner { wire, ..self.0.again() }))
    }

    /// The same bus, which compresses payloads of more than `bytes` where that makes them smaller. Our readers unpack them; for others
    /// the header `content-encoding: lz4` says what they are.
    #[must_use]
    pub fn compressing_above(self, bytes: usize) -> Self {
        let packing = Packing { compressed_above: Some(bytes), ..self.0.packing };
        Self(Arc::new(Inner { packing, ..self.0.again() }))
    }

    /// The same bus, which puts payloads that are larger than `bytes`, compressed or not, into the object store `claims` and publishes
    /// where they lie. Workers fetch them before the handler runs. Messages of a batch, and of a bus in memory, keep their payload.
    #[must_use]
    pub fn checking_in_above(self, bytes: usize) -> Self {
        let packing = Packing { checked_in_above: Some(bytes), ..self.0.packing };
        Self(Arc::new(Inner { packing, ..self.0.again() }))
    }

    /// The same bus, on which what is published to one stream within `wait` leaves as one atomic batch of no more than `most` messages;
    /// each has its own receipt, and waits that much longer for it. What is to be alone on its subject ([`Publish::once`]) or to keep
    /// its order does not wait for company, nor does what goes to a stream that allows no batches.
    #[must_use]
    pub fn lingering(self, wait: Duration, most: usize) -> Self {
        let linger = Some(Arc::new(Linger::new(wait, most)));
        Self(Arc::new(Inner { linger, ..self.0.again() }))
    }

    /// Fetches the payload of a message that has only a claim check for it; leaves any other message alone. Whoever reads messages by
    /// other means than a worker calls it before [`codec::decode`].
    ///
    /// # Errors
    /// When the object store does not have the payload or does not answer.
    pub async fn redeem(&self, message: &mut Message) -> Result<(), ClaimError> {
        match &self.0.wire {
            Wire::Nats(link) => claim::redeem(&link.connection, message).await,
            Wire::Memory(_) => Ok(()),
        }
    }

    /// What was published on a bus in memory, in order; nothing for a bus over NATS.
    pub fn published(&self) -> Vec<Message> {
        match &self.0.wire {
            Wire::Memory(memory) => memory.all(),
            Wire::Nats(_) => Vec::new(),
        }
    }

    /// Publishes `payload` on its subject; see [`Publish`] for what can be said before awaiting it.
    pub fn publish<'a, P: Payload>(&'a self, payload: &'a P) -> Publish<'a, P> {
        Publish::new(self, payload)
    }

    /// The message of type `P` under `key` that is last on its subject, or `None` where there is none. The stream's leader is asked, not a
    /// replica that may lag: whoever decides by what was told already must not miss it.
    ///
    /// # Errors
    /// When the stream does not answer or the key does not make a subject.
    pub async fn last<P: Payload>(&self, key: &str) -> Result<Option<Message>, ReadError> {
        let subject = codec::subject_of::<P>(key).map_err(|error| ReadError {
            kind: P::KIND,
            key: key.to_owned(),
            stream: Cow::Borrowed(P::STREAM),
            source: error.into(),
        })?;
        self.last_at(P::KIND, Cow::Borrowed(P::STREAM), &subject).await
    }

    async fn last_at(
        &self,
        kind: &'static str,
        stream: Cow<'static, str>,
        subject: &Subject,
    ) -> Result<Option<Message>, ReadError> {
        match &self.0.wire {
            Wire::Memory(memory) => Ok(memory.last(subject)),
            Wire::Nats(link) => last_on(&link.connection.jetstream, &stream, subject)
                .await
                .map_err(|source| ReadError { kind, key: subject.to_string(), stream, source }),
        }
    }

    /// The telemetry that messages are told to.
    pub fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The service that publishes.
    pub fn source(&self) -> &str {
        &self.0.source
    }
}

async fn last_on(
    jetstream: &jetstream::Context,
    stream: &str,
    subject: &Subject,
) -> Result<Option<Message>, Box<dyn std::error::Error + Send + Sync>> {
    use jetstream::stream::LastRawMessageErrorKind;
    let stream = jetstream.get_stream_no_info(stream).await?;
    match stream.get_last_raw_message_by_subject(subject.as_str()).await {
        Ok(stored) => Ok(Some(headers::read(subject.clone(), Some(&stored.headers), stored.payload))),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
