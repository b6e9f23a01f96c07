//! The answering side of a request.

use std::{sync::Arc, time::Instant};

use async_nats::service::{self, Request, ServiceExt, endpoint::Endpoint};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Call;
use crate::{
    bus::{Bus, read_message},
    clock::{Clock, Timestamp},
    errors::ErrorChain,
    handler::Context,
    message::{Message, header},
    name::{Subject, SubjectPattern},
    nats::Connection,
    tasks::Tasks,
    telemetry::{events::Processed, messaging::Processing},
};

/// Requests answered at once; more wait in the subscription.
const CONCURRENCY: usize = 64;

/// Characters of a refusal's words that are sent.
const WHY_MAX: usize = 500;

/// Why a request is refused; its sender reads both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} ({code})")]
pub struct Refusal {
    /// What kind of refusal, read like an HTTP status.
    pub code: usize,
    /// Why, in words for whoever asked.
    pub why: String,
}

/// The endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("answering requests on {subject}")]
pub struct ServeError {
    subject: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Answers requests of type `C` among `tasks`, together with the other instances of the service: each request goes to one of them.
/// Requests whose deadline has passed are not run. It ends when `tasks` are cancelled, once what was begun is answered.
///
/// # Errors
/// When the service API refuses the name or the subject.
pub async fn serve<C, F, Fut>(
    connection: &Connection,
    bus: &Bus,
    version: &str,
    tasks: &Tasks,
    answer: F,
) -> Result<(), ServeError>
where
    C: Call,
    F: Fn(Context, C) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<C::Reply, Refusal>> + Send,
{
    let fail = |source| ServeError { subject: C::SUBJECT, source };
    let template = SubjectPattern::try_from(C::SUBJECT).map_err(|error| fail(error.into()))?;
    let builder = connection.client.service_builder().queue_group(bus.source());
    let service = builder.start(bus.source(), version).await.map_err(fail)?;
    let endpoint = service.endpoint_builder().name(C::ENDPOINT).add(C::SUBJECT).await.map_err(fail)?;
    // The server takes what we send in order: once it has answered anything, it knows our subscription, and whoever is told that the
    // service runs can ask it.
    drop(connection.jetstream.query_account().await);
    let server = Server { answer: Arc::new(answer), bus: bus.clone(), template, handlers: Tasks::default() };
    tasks.spawn(move |stop| async move {
        server.run(endpoint, stop).await;
        drop(service);
    });
    Ok(())
}

struct Server<F> {
    answer: Arc<F>,
    bus: Bus,
    template: SubjectPattern,
    handlers: Tasks,
}

impl<F> Server<F> {
    async fn run<C, Fut>(self, mut endpoint: Endpoint, stop: CancellationToken)
    where
        C: Call,
        F: Fn(Context, C) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C::Reply, Refusal>> + Send,
    {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        loop {
            let request = tokio::select! {
                request = endpoint.next() => request,
                () = stop.cancelled() => None,
            };
            let Some(request) = request else { break };
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            let (answer, bus, template) = (self.answer.clone(), self.bus.clone(), self.template.clone());
            self.handlers.spawn(move |_| async move {
                respond(&*answer, &bus, &template, request).await;
                drop(slot);
            });
        }
        self.handlers.ended(std::time::Duration::from_secs(5)).await;
    }
}

async fn respond<C, F, Fut>(answer: &F, bus: &Bus, template: &SubjectPattern, request: Request)
where
    C: Call,
    F: Fn(Context, C) -> Fut,
    Fut: Future<Output = Result<C::Reply, Refusal>>,
{
    let Ok(subject) = Subject::try_from(request.message.subject.as_str()) else { return };
    let message = read_message(subject, request.message.headers.as_ref(), request.message.payload.clone());
    let processing = Processing { message: &message, template, group: bus.source(), delivery: None };
    let span = bus.telemetry().processing(processing);
    let span = span.with_ids(bus.telemetry().ids_of(&message));
    let began = Instant::now();
    let result = span.around(run(answer, message)).await;
    if let Err(refusal) = &result {
        span.fail("refused", refusal.to_string());
    }
    let reason = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let outcome = if result.is_ok() { "done" } else { "refused" };
    let took = began.elapsed();
    let (consumer, template) = (bus.source(), template.as_str());
    span.inside(|| {
        Processed { consumer, template, outcome, reason: &reason, took, delivered: 1 }.emit(bus.telemetry().metrics());
    });
    let refused = |refusal: Refusal| service::error::Error { code: refusal.code, status: one_line(&refusal.why) };
    let result = result.map_err(refused);
    if let Err(error) = request.respond(result).await {
        tracing::warn!(error = %ErrorChain(&error), "an answer could not be sent");
    }
    span.end();
}

/// What a refusal says travels in a header: a line break there, from a request that it quotes perhaps, would make the client panic.
fn one_line(why: &str) -> String {
    why.chars().take(WHY_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn run<C, F, Fut>(answer: &F, message: Message) -> Result<Bytes, Refusal>
where
    C: Call,
    F: Fn(Context, C) -> Fut,
    Fut: Future<Output = Result<C::Reply, Refusal>>,
{
    let refuse = |code, why: String| Refusal { code, why };
    let deadline = message.header(header::DEADLINE).and_then(Timestamp::parse);
    let now = Clock::system().now();
    if deadline.is_some_and(|deadline| deadline < now) {
        return Err(refuse(408, "the deadline had passed before the request was begun".to_owned()));
    }
    let call: C = serde_json::from_slice(&message.payload)
        .map_err(|error| refuse(400, format!("the request does not read: {error}")))?;
    let running = answer(Context::new(message, None), call);
    let reply = match deadline.and_then(|deadline| std::time::Duration::try_from(deadline.0 - now.0).ok()) {
        None => running.await?,
        Some(left) => tokio::time::timeout(left, running)
            .await
            .map_err(|_| refuse(408, "the deadline passed while the request ran".to_owned()))??,
    };
    let bytes =
        serde_json::to_vec(&reply).map_err(|error| refuse(500, format!("the reply does not write: {error}")))?;
    Ok(bytes.into())
}
