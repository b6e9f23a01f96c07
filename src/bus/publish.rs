//! Publishing: a message is out when its stream has confirmed it, and a retry cannot store it twice.

use std::{
    borrow::Cow,
    future::IntoFuture,
    pin::Pin,
    time::{Duration, Instant},
};

use async_nats::{
    Client, HeaderMap, Request, RequestErrorKind,
    jetstream::{self, publish::PublishAck, response::Response},
};

use super::{
    Bus, Inner, ReadError, Wire,
    codec::{self, CodecError, Payload},
    headers,
};
use crate::{
    message::{Cause, CorrelationId, Message, MessageId},
    name::{Subject, SubjectPattern},
    resilience::Backoff,
    telemetry::{Span, events::Sent, messaging::Sending},
};

/// How long one attempt waits for the stream's confirmation.
const CONFIRM_LIMIT: Duration = Duration::from_secs(2);

/// Attempts before giving up. With the waits between them a server that restarts or elects a leader is outlived, and a caller that
/// holds a request open has its answer in time.
const ATTEMPTS: u32 = 4;

/// Waits between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

/// The server's code for "no message may stand before this one on its subject, and one does"; the second is what a stream with
/// replicas says while it still agrees on the first.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

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

/// Why a message was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The payload does not write, or its key makes no subject.
    #[error("publishing {kind}")]
    Payload {
        /// The kind of payload.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: CodecError,
    },
    /// The server takes no message this large.
    #[error(
        "publishing on {subject}: {size} bytes are more than the server takes ({most}); send less, or raise max_payload"
    )]
    TooLarge {
        /// The subject.
        subject: Subject,
        /// Bytes of payload.
        size: usize,
        /// Bytes that the server takes.
        most: usize,
    },
    /// No stream answered: none listens on the subject, or its leader is away.
    #[error("publishing on {subject}: no stream took it; is stream {stream} declared and NATS reachable?")]
    Unavailable {
        /// The subject.
        subject: Subject,
        /// The stream that should have taken it.
        stream: Cow<'static, str>,
        /// What the last attempt met.
        #[source]
        source: async_nats::RequestError,
    },
    /// The stream answered no.
    #[error("publishing on {subject}: the stream refuses it ({code}: {why})")]
    Refused {
        /// The subject.
        subject: Subject,
        /// The server's error code.
        code: u64,
        /// The server's words.
        why: String,
    },
    /// The stream's answer makes no sense.
    #[error("publishing on {subject}: the answer is not that of a stream; does something else listen there?")]
    Answer {
        /// The subject.
        subject: Subject,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Asked for once, and another message stands on the subject already.
    #[error("publishing on {subject}: message {holder} stands there already, and it may hold only one")]
    Conflict {
        /// The subject.
        subject: Subject,
        /// The id of the message that stands there.
        holder: String,
    },
    /// It could not be found out whether an earlier attempt had succeeded.
    #[error("publishing on {subject}")]
    Unclear {
        /// The subject.
        subject: Subject,
        /// Why not.
        #[source]
        source: ReadError,
    },
}

impl PublishError {
    /// Whether the same message may be taken later with nothing changed on our side.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unclear { .. } => true,
            // 503 with a code of its own: no leader, no room on the disk.
            Self::Refused { code, .. } => matches!(code, 10008 | 10023 | 10047 | 10074 | 10077),
            Self::Payload { .. } | Self::TooLarge { .. } | Self::Answer { .. } | Self::Conflict { .. } => false,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Payload { .. } => "payload",
            Self::TooLarge { .. } => "too_large",
            Self::Unavailable { .. } | Self::Unclear { .. } => "unavailable",
            Self::Refused { .. } | Self::Answer { .. } => "refused",
            Self::Conflict { .. } => "conflict",
        }
    }
}

/// What a stream did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Stored { sequence: u64, is_duplicate: bool },
    SubjectInUse,
}

/// A message about to be published; await it.
#[derive(Debug)]
#[must_use = "nothing is published until it is awaited"]
pub struct Publish<'a, P> {
    bus: &'a Bus,
    payload: &'a P,
    cause: Option<Cause>,
    id: Option<MessageId>,
    is_once: bool,
}

impl<'a, P: Payload> Publish<'a, P> {
    pub(super) fn new(bus: &'a Bus, payload: &'a P) -> Self {
        Self { bus, payload, cause: None, id: None, is_once: false }
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

    fn message(&self) -> Result<(Message, Cause), PublishError> {
        let fail = |source| PublishError::Payload { kind: P::KIND, source };
        let subject = codec::subject_of::<P>(&self.payload.key()).map_err(fail)?;
        let own = || Cause::outside(CorrelationId(MessageId::new().0), None);
        let cause = self.cause.clone().unwrap_or_else(own);
        let derived = || cause.message.as_ref().map(|message| message.derived(subject.as_str()));
        let id = self.id.clone().or_else(derived).unwrap_or_default();
        let message = Message {
            subject,
            id: Some(id),
            correlation: Some(cause.correlation.clone()),
            causation: cause.message.clone(),
            schema: Some(P::schema()),
            source: Some(self.bus.0.source.clone()),
            time: Some(self.bus.0.clock.now()),
            trace: None,
            trace_state: None,
            headers: codec::headers_of::<P>(),
            payload: codec::encode(self.payload).map_err(fail)?,
        };
        Ok((message, cause))
    }

    async fn send(self) -> Result<Receipt, PublishError> {
        let template = codec::pattern_of::<P>();
        let (message, cause) = self.message()?;
        self.bus.0.told(&template, message, &cause, async |message| self.store(message).await).await
    }

    async fn store(&self, message: &Message) -> Result<Receipt, PublishError> {
        let id = message.id.clone().unwrap_or_default();
        let taken = match &self.bus.0.wire {
            Wire::Memory(memory) => memory.take(message, self.is_once),
            Wire::Nats(connection) => {
                let headers = self.wire_headers(message);
                let stream = Cow::Borrowed(P::STREAM);
                Attempt { client: &connection.client, stream, message, headers }.until_confirmed().await?
            }
        };
        match taken {
            Taken::Stored { sequence, is_duplicate } => {
                Ok(Receipt { id, stream: P::STREAM.to_owned(), sequence: Some(sequence), is_duplicate })
            }
            Taken::SubjectInUse => self.ours_or_conflict(message, id).await,
        }
    }

    fn wire_headers(&self, message: &Message) -> HeaderMap {
        let mut headers = headers::write(message);
        headers.insert(async_nats::header::NATS_EXPECTED_STREAM, P::STREAM);
        if self.is_once {
            headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        }
        headers
    }

    /// An earlier attempt of ours may be what stands on the subject, or a replay of it: only another's message there is a conflict.
    async fn ours_or_conflict(&self, message: &Message, id: MessageId) -> Result<Receipt, PublishError> {
        let subject = message.subject.clone();
        let holder = match self.bus.last::<P>(&self.payload.key()).await {
            Ok(holder) => holder.and_then(|holder| holder.original_id()),
            Err(source) => return Err(PublishError::Unclear { subject, source }),
        };
        if holder.as_ref() == Some(&id) {
            return Ok(Receipt { id, stream: P::STREAM.to_owned(), sequence: None, is_duplicate: true });
        }
        let holder = holder.map_or_else(|| "without an id".to_owned(), |holder| holder.0);
        Err(PublishError::Conflict { subject, holder })
    }
}

impl<'a, P: Payload> IntoFuture for Publish<'a, P> {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl Bus {
    /// Publishes a message that is complete but for its trace, such as a copy of another: its id and its headers are the caller's.
    ///
    /// # Errors
    /// When the stream does not confirm it.
    pub async fn forward(
        &self,
        stream: &str,
        template: &SubjectPattern,
        message: Message,
        cause: &Cause,
    ) -> Result<Receipt, PublishError> {
        let store = async |message: &Message| {
            let id = message.id.clone().unwrap_or_default();
            let subject = message.subject.clone();
            let taken = match &self.0.wire {
                Wire::Memory(memory) => memory.take(message, false),
                Wire::Nats(connection) => {
                    let mut headers = headers::write(message);
                    headers.insert(async_nats::header::NATS_EXPECTED_STREAM, stream);
                    let stream = Cow::Owned(stream.to_owned());
                    Attempt { client: &connection.client, stream, message, headers }.until_confirmed().await?
                }
            };
            match taken {
                Taken::Stored { sequence, is_duplicate } => {
                    Ok(Receipt { id, stream: stream.to_owned(), sequence: Some(sequence), is_duplicate })
                }
                Taken::SubjectInUse => Err(PublishError::Conflict { subject, holder: "unknown".to_owned() }),
            }
        };
        self.0.told(template, message, cause, store).await
    }
}

impl Inner {
    /// Gives the message the trace of a span of its own, stores it, and counts how that went.
    async fn told(
        &self,
        template: &SubjectPattern,
        mut message: Message,
        cause: &Cause,
        store: impl AsyncFnOnce(&Message) -> Result<Receipt, PublishError>,
    ) -> Result<Receipt, PublishError> {
        let span = self.send_span(&message, template, cause);
        message.trace = span.trace_parent();
        message.trace_state = span.trace_state();
        let began = Instant::now();
        let result = span.around(store(&message)).await;
        if let Err(error) = &result {
            span.fail(error.kind(), error.to_string());
        }
        span.end();
        let error_type = result.as_ref().err().map_or("", PublishError::kind);
        let sent = Sent { operation: "publish", template: template.as_str(), took: began.elapsed(), error_type };
        sent.emit(self.telemetry.metrics());
        result
    }

    fn send_span(&self, message: &Message, template: &SubjectPattern, cause: &Cause) -> Span {
        let sending = Sending {
            operation: "publish",
            subject: &message.subject,
            template,
            id: message.id.as_ref().map_or("", |id| id.0.as_str()),
            correlation: &cause.correlation.0,
            size: message.payload.len(),
        };
        self.telemetry.sending(sending, cause)
    }
}

/// One message on its way to one stream.
struct Attempt<'a> {
    client: &'a Client,
    stream: Cow<'static, str>,
    message: &'a Message,
    headers: HeaderMap,
}

impl Attempt<'_> {
    /// Tries until the stream has confirmed the message, always with the same id.
    async fn until_confirmed(self) -> Result<Taken, PublishError> {
        let mut failures = 0;
        loop {
            let error = match self.once().await {
                Ok(taken) => return Ok(taken),
                Err(error) => error,
            };
            failures += 1;
            if !error.is_transient() || failures == ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(BACKOFF.wait(failures, fastrand::f64())).await;
        }
    }

    async fn once(&self) -> Result<Taken, PublishError> {
        let subject = self.message.subject.clone();
        let request = Request::new()
            .payload(self.message.payload.clone())
            .headers(self.headers.clone())
            .timeout(Some(CONFIRM_LIMIT));
        let answer = match self.client.send_request(subject.to_string(), request).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                let (size, most) = (self.message.payload.len(), self.client.max_payload());
                return Err(PublishError::TooLarge { subject, size, most });
            }
            Err(source) => return Err(PublishError::Unavailable { subject, stream: self.stream.clone(), source }),
        };
        match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
            Err(source) => Err(PublishError::Answer { subject, source }),
            Ok(Response::Ok(ack)) => Ok(Taken::Stored { sequence: ack.sequence, is_duplicate: ack.duplicate }),
            Ok(Response::Err { error }) => refused(subject, &error),
        }
    }
}

fn refused(subject: Subject, error: &jetstream::Error) -> Result<Taken, PublishError> {
    let code = error.error_code().0;
    if WRONG_LAST_SEQUENCE.contains(&code) {
        return Ok(Taken::SubjectInUse);
    }
    Err(PublishError::Refused { subject, code, why: error.to_string() })
}
