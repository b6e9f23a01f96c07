//! NATS as used: typed messages out, stored messages back, and the streams that hold them.

mod batch;
pub mod codec;
mod headers;
mod link;
mod memory;
pub mod ownership;
pub mod partition;
mod publish;
pub mod settle;
pub mod topology;

use std::{borrow::Cow, sync::Arc};

use async_nats::jetstream;

use crate::{clock::Clock, message::Message, name::Subject, nats::Connection, telemetry::Telemetry};

pub use batch::{BATCH_MOST, Batch, BatchError, BatchReceipt};
pub use codec::{Codec, CodecError, Json, Payload};
pub(crate) use headers::{read as read_message, write as write_headers};
use link::Link;
use memory::Memory;
use publish::{Kinds, Orders};
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
    kinds: Kinds,
    orders: Orders,
}

#[derive(Debug)]
enum Wire {
    Nats(Box<Link>),
    Memory(Memory),
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
        Self::over(Wire::Nats(Box::new(Link::new(connection, WINDOW))), source, telemetry, clock)
    }

    /// A bus that keeps in memory what is published, so that a handler runs in a unit test with no server.
    pub fn in_memory() -> Self {
        Self::over(Wire::Memory(Memory::default()), "test", Telemetry::unexported(), Clock::system())
    }

    fn over(wire: Wire, source: &str, telemetry: Telemetry, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            wire,
            source: source.to_owned(),
            telemetry,
            clock,
            kinds: Kinds::default(),
            orders: Orders::default(),
        }))
    }

    /// The same bus with a window of its own: at most `messages` of it wait for their confirmation at once, and who publishes one more
    /// waits for room. A bus in memory confirms at once and stays as it is.
    #[must_use]
    pub fn with_window(self, messages: usize) -> Self {
        match &self.0.wire {
            Wire::Memory(_) => self,
            Wire::Nats(link) => {
                let wire = Wire::Nats(Box::new(Link::new(link.connection.clone(), messages)));
                Self::over(wire, &self.0.source, self.0.telemetry.clone(), self.0.clock.clone())
            }
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
