//! The asking side of a request.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Request, RequestErrorKind, service};

use super::Call;
use crate::{
    bus::write_headers,
    clock::Clock,
    message::{Cause, Message, MessageId, header},
    name::{NameError, Subject, SubjectPattern},
    nats::Connection,
    telemetry::{Span, Telemetry, events::Sent, messaging::Sending},
};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No instance of the service listens.
    #[error("nobody answers requests on {subject}: is the service running?")]
    Nobody {
        /// The subject.
        subject: &'static str,
    },
    /// The deadline passed.
    #[error("no answer on {subject} within {} ms", .limit.as_millis())]
    Late {
        /// The subject.
        subject: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The service answered no.
    #[error("{subject} refuses the request ({code}: {why})")]
    Refused {
        /// The subject.
        subject: &'static str,
        /// The service's code, read like an HTTP status.
        code: usize,
        /// The service's words.
        why: String,
    },
    /// The request or the answer is not what its type says.
    #[error("the payload of a request or reply on {subject}")]
    Payload {
        /// The subject.
        subject: &'static str,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The subject is none.
    #[error("requests on {subject}")]
    Subject {
        /// The text.
        subject: &'static str,
        /// What is wrong.
        #[source]
        source: NameError,
    },
    /// The client could not send it.
    #[error("sending a request on {subject}")]
    Send {
        /// The subject.
        subject: &'static str,
        /// What the client says.
        #[source]
        source: async_nats::RequestError,
    },
}

impl CallError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Nobody { .. } => "no_responders",
            Self::Late { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::Payload { .. } | Self::Subject { .. } => "payload",
            Self::Send { .. } => "unavailable",
        }
    }
}

/// Sends a request and waits for its answer for no longer than `limit`, which is told to whoever answers.
///
/// # Errors
/// When nobody answers in time, or the answer is a refusal or cannot be read.
pub async fn call<C: Call>(
    connection: &Connection,
    telemetry: &Telemetry,
    request: &C,
    cause: &Cause,
    limit: Duration,
) -> Result<C::Reply, CallError> {
    let fail = |source| CallError::Subject { subject: C::SUBJECT, source };
    let subject = Subject::try_from(C::SUBJECT).map_err(fail)?;
    let template = SubjectPattern::try_from(C::SUBJECT).map_err(fail)?;
    let payload = serde_json::to_vec(request).map_err(|source| CallError::Payload { subject: C::SUBJECT, source })?;
    let id = MessageId::new();
    let sending = Sending {
        operation: "request",
        subject: &subject,
        template: &template,
        id: &id.0,
        correlation: &cause.correlation.0,
        size: payload.len(),
    };
    let span = telemetry.sending(sending, cause);
    let message = message(subject.clone(), id.clone(), cause, &span);
    let began = Instant::now();
    let answer = span.around(ask::<C>(connection, with_deadline(&message, limit), payload, limit)).await;
    if let Err(error) = &answer {
        span.fail(error.kind(), error.to_string());
    }
    span.end();
    let error_type = answer.as_ref().err().map_or("", CallError::kind);
    Sent { operation: "request", template: C::SUBJECT, took: began.elapsed(), error_type }.emit(telemetry.metrics());
    answer
}

fn message(subject: Subject, id: MessageId, cause: &Cause, span: &Span) -> Message {
    Message {
        subject,
        id: Some(id),
        correlation: Some(cause.correlation.clone()),
        causation: cause.message.clone(),
        schema: None,
        source: None,
        time: None,
        trace: span.trace_parent(),
        trace_state: span.trace_state(),
        headers: Vec::new(),
        payload: bytes::Bytes::new(),
    }
}

fn with_deadline(message: &Message, limit: Duration) -> HeaderMap {
    let mut headers = write_headers(message);
    headers.insert(header::DEADLINE, Clock::system().now().after(limit).to_string());
    headers
}

async fn ask<C: Call>(
    connection: &Connection,
    headers: HeaderMap,
    payload: Vec<u8>,
    limit: Duration,
) -> Result<C::Reply, CallError> {
    let subject = C::SUBJECT;
    let request = Request::new().payload(payload.into()).headers(headers).timeout(Some(limit));
    let answer = match connection.client.send_request(subject, request).await {
        Ok(answer) => answer,
        Err(error) if error.kind() == RequestErrorKind::NoResponders => return Err(CallError::Nobody { subject }),
        Err(error) if error.kind() == RequestErrorKind::TimedOut => return Err(CallError::Late { subject, limit }),
        Err(source) => return Err(CallError::Send { subject, source }),
    };
    let said = |name| answer.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
    if let Some(why) = said(service::NATS_SERVICE_ERROR) {
        let code = said(service::NATS_SERVICE_ERROR_CODE).and_then(|code| code.parse().ok()).unwrap_or(500);
        return Err(CallError::Refused { subject, code, why: why.to_owned() });
    }
    serde_json::from_slice(&answer.payload).map_err(|source| CallError::Payload { subject, source })
}
