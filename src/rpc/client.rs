//! The asking side of a request.

use std::{
    future::IntoFuture,
    pin::Pin,
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, Request, RequestErrorKind, service};

use super::{Call, CallError, cancel_subject, hang_up::HangUp};
use crate::{
    bus::{Bus, write_headers},
    clock::{Clock, Timestamp},
    message::{Cause, CorrelationId, Message, MessageId, header},
    name::{Subject, SubjectPattern},
    nats::Connection,
    telemetry::{Span, Telemetry, events::Sent, messaging::Sending},
};

/// How long an answer is waited for unless the caller says.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks other services; clones are the same client.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    telemetry: Telemetry,
    clock: Clock,
}

impl Client {
    /// A client over a connection, with the telemetry and the clock of a bus.
    pub fn new(connection: &Connection, bus: &Bus) -> Self {
        Self { connection: connection.clone(), telemetry: bus.telemetry().clone(), clock: bus.clock().clone() }
    }

    /// A request to be awaited: `client.call(&quote).because(context.cause()).within(limit).await`.
    pub fn call<'a, C: Call>(&'a self, request: &'a C) -> Calling<'a, C> {
        Calling { client: self, request, cause: None, limit: LIMIT }
    }
}

/// A request about to be sent; await it. Dropping it while it waits tells whoever answers to stop.
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Calling<'a, C> {
    client: &'a Client,
    request: &'a C,
    cause: Option<Cause>,
    limit: Duration,
}

impl<C: Call> Calling<'_, C> {
    /// Says what the request follows from: it carries on the correlation, the trace and the deadline, if the cause has one.
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Waits no longer than this, 5 s unless said otherwise; less if the cause's own deadline comes first.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    async fn send(self) -> Result<C::Reply, CallError<C::Error>> {
        let fail = |source| CallError::Subject { subject: C::SUBJECT, source };
        let subject = Subject::try_from(C::SUBJECT).map_err(fail)?;
        let template = SubjectPattern::try_from(C::SUBJECT).map_err(fail)?;
        let payload =
            serde_json::to_vec(self.request).map_err(|source| CallError::Payload { subject: C::SUBJECT, source })?;
        let id = MessageId::new();
        let own = || Cause::outside(CorrelationId(id.0.clone()), None);
        let cause = self.cause.clone().unwrap_or_else(own);
        let sending = Sending {
            operation: "request",
            subject: &subject,
            template: &template,
            id: &id.0,
            correlation: &cause.correlation.0,
            size: payload.len(),
        };
        let span = self.client.telemetry.sending(sending, &cause);
        let message = message(subject.clone(), id.clone(), &cause, &span);
        let began = Instant::now();
        let answer = span.around(self.ask(&message, payload, self.deadline(&cause))).await;
        if let Err(error) = &answer {
            span.fail(error.kind(), error.to_string());
        }
        span.end();
        let error_type = answer.as_ref().err().map_or("", CallError::kind);
        let sent = Sent { operation: "request", template: C::SUBJECT, took: began.elapsed(), error_type };
        sent.emit(self.client.telemetry.metrics());
        answer
    }

    /// The earlier of our own deadline and that of whoever waits for us.
    fn deadline(&self, cause: &Cause) -> Timestamp {
        let own = self.client.clock.now().after(self.limit);
        cause.deadline.map_or(own, |deadline| deadline.min(own))
    }

    async fn ask(
        &self,
        message: &Message,
        payload: Vec<u8>,
        deadline: Timestamp,
    ) -> Result<C::Reply, CallError<C::Error>> {
        let subject = C::SUBJECT;
        let left = self.client.clock.now().age(deadline).0;
        let late = || CallError::Late { subject, limit: self.limit.min(left) };
        if left.is_zero() {
            return Err(late());
        }
        let request = Request::new().payload(payload.into()).headers(headers(message, deadline)).timeout(Some(left));
        let client = &self.client.connection.client;
        let hang_up = HangUp::new(client, cancel_subject(subject), message.id.as_ref());
        let answer = match client.send_request(subject, request).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == RequestErrorKind::TimedOut => return Err(late()),
            Err(error) => {
                hang_up.not_needed();
                return Err(match error.kind() {
                    RequestErrorKind::NoResponders => CallError::Nobody { subject },
                    _ => CallError::Send { subject, source: error },
                });
            }
        };
        hang_up.not_needed();
        read::<C>(&answer, late)
    }
}

impl<'a, C: Call> IntoFuture for Calling<'a, C> {
    type Output = Result<C::Reply, CallError<C::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What the service said: its reply, its own error, or that it could not answer.
fn read<C: Call>(
    answer: &async_nats::Message,
    late: impl FnOnce() -> CallError<C::Error>,
) -> Result<C::Reply, CallError<C::Error>> {
    let subject = C::SUBJECT;
    let said = |name| answer.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
    let Some(why) = said(service::NATS_SERVICE_ERROR) else {
        return serde_json::from_slice(&answer.payload).map_err(|source| CallError::Payload { subject, source });
    };
    let code = said(service::NATS_SERVICE_ERROR_CODE).and_then(|code| code.parse().ok()).unwrap_or(500);
    match said(header::SERVICE_ERROR).and_then(|error| serde_json::from_str(error).ok()) {
        Some(error) => Err(CallError::Refused { subject, code, error }),
        None if code == super::LATE => Err(late()),
        None => Err(CallError::Failed { subject, code, why: why.to_owned() }),
    }
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

fn headers(message: &Message, deadline: Timestamp) -> HeaderMap {
    let mut headers = write_headers(message);
    headers.insert(header::DEADLINE, deadline.to_string());
    headers
}
