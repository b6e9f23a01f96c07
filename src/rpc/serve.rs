//! The answering side of a request.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{
    HeaderMap, Subscriber,
    service::{self, Request, ServiceExt, endpoint::Endpoint},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    Call, LATE, Refusal, ServeError, cancel_subject,
    running::{Entered, Running},
};
use crate::{
    bus::{Bus, read_message},
    errors::{ErrorChain, brief},
    handler::Context,
    message::{Message, header},
    name::{Subject, SubjectPattern},
    nats::Connection,
    tasks::Tasks,
    telemetry::{events::Processed, messaging::Processing},
};

/// Requests answered at once.
const CONCURRENCY: usize = 64;

/// Requests that may wait for their turn; more are refused at once, so that their senders may ask elsewhere while they still have time.
const WAITING: usize = 64;

/// How long requests that had reached us before we left are looked for; the client knows all of them unless it lost its connection.
const LAST_LIMIT: Duration = Duration::from_millis(500);

/// How long what was begun may take once the service ends.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of a typed error that are sent: it travels in a header, and headers are for short things.
const ERROR_MAX: usize = 16 << 10;

/// Answers requests of type `C` among `tasks`, together with the other instances of the service: each request goes to one of them.
/// Requests whose deadline has passed are not run, and one that its sender no longer waits for is dropped where it stands. When more
/// wait than can be begun soon, they are refused with 503. It ends when `tasks` are cancelled, once what was begun is answered.
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
    Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>> + Send,
{
    let fail = |source| ServeError { subject: C::SUBJECT, source };
    let template = SubjectPattern::try_from(C::SUBJECT).map_err(|error| fail(error.into()))?;
    let cancels = connection.client.subscribe(cancel_subject(C::SUBJECT)).await.map_err(|error| fail(error.into()))?;
    let builder = connection.client.service_builder().queue_group(bus.source());
    let service = builder.start(bus.source(), version).await.map_err(fail)?;
    let endpoint = service.endpoint_builder().name(C::ENDPOINT).add(C::SUBJECT).await.map_err(fail)?;
    // The server takes what we send in order: once it has answered anything, it knows our subscription, and whoever is told that the
    // service runs can ask it.
    drop(connection.jetstream.query_account().await);
    let server = Arc::new(Server {
        answer,
        bus: bus.clone(),
        connection: connection.clone(),
        template,
        room: Arc::new(Semaphore::new(CONCURRENCY + WAITING)),
        slots: Semaphore::new(CONCURRENCY),
        running: Running::default(),
    });
    tasks.spawn(move |stop| async move {
        server.run(endpoint, cancels, stop).await;
        drop(service);
    });
    Ok(())
}

struct Server<F> {
    answer: F,
    bus: Bus,
    connection: Connection,
    template: SubjectPattern,
    room: Arc<Semaphore>,
    slots: Semaphore,
    running: Running,
}

/// Why a request gets no reply, as it travels.
#[derive(Debug, PartialEq, Eq)]
struct No {
    code: usize,
    why: String,
    error: Option<String>,
}

impl No {
    fn own(code: usize, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), error: None }
    }

    fn of<C: Call>(refusal: &Refusal<C::Error>) -> Self {
        let error = serde_json::to_string(&refusal.error).ok().filter(|error| error.len() <= ERROR_MAX);
        Self { code: refusal.code, why: refusal.error.to_string(), error }
    }
}

impl<F> Server<F> {
    async fn run<C, Fut>(self: Arc<Self>, mut endpoint: Endpoint, mut cancels: Subscriber, stop: CancellationToken)
    where
        C: Call,
        F: Fn(Context, C) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>> + Send,
    {
        let handlers = Tasks::default();
        loop {
            tokio::select! {
                Some(request) = endpoint.next() => self.take(request, &handlers).await,
                Some(cancel) = cancels.next() => self.cancel(&cancel),
                () = stop.cancelled() => break,
                else => break,
            }
        }
        // Requests go to the other instances from here on; those that had reached this one are still its to answer.
        if let Err(error) = endpoint.stop().await {
            tracing::debug!(%error, "the client is closed and takes no more requests");
        }
        while let Ok(Some(request)) = tokio::time::timeout(LAST_LIMIT, endpoint.next()).await {
            self.take(request, &handlers).await;
        }
        let heard = async {
            while let Some(cancel) = cancels.next().await {
                self.cancel(&cancel);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = handlers.ended(END_LIMIT) => {}
            () = heard => {}
        }
    }

    /// Begins a request, or refuses it where too many wait.
    async fn take<C, Fut>(self: &Arc<Self>, request: Request, handlers: &Tasks)
    where
        C: Call,
        F: Fn(Context, C) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>> + Send,
    {
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            send(&request, Err(No::own(503, "this instance has as much to do as it takes on"))).await;
            return;
        };
        let Ok(subject) = Subject::try_from(request.message.subject.as_str()) else { return };
        let message = read_message(subject, request.message.headers.as_ref(), request.message.payload.clone());
        let entered = self.running.enter(message.id.as_ref().map(|id| id.0.as_str()));
        let server = self.clone();
        handlers.spawn(move |_| async move {
            server.respond(&request, Arc::new(message), &entered).await;
            drop(room);
        });
    }

    fn cancel(&self, notice: &async_nats::Message) {
        if let Some(id) = notice.headers.as_ref().and_then(|headers| headers.get(header::CANCEL)) {
            self.running.cancel(id.as_str());
        }
    }

    async fn respond<C, Fut>(&self, request: &Request, message: Arc<Message>, entered: &Entered)
    where
        C: Call,
        F: Fn(Context, C) -> Fut,
        Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>>,
    {
        let (bus, template, consumer) = (&self.bus, &self.template, self.bus.source());
        let span =
            bus.telemetry().processing(Processing { message: &message, template, group: consumer, delivery: None });
        let span = span.with_ids(bus.telemetry().ids_of(&message));
        let began = Instant::now();
        let result = span.around(self.result(message, entered)).await;
        let (outcome, reason) = match &result {
            Ok(_) => ("done", ""),
            Err(no) => ("refused", no.why.as_str()),
        };
        if !reason.is_empty() {
            span.fail(outcome, reason.to_owned());
        }
        let took = began.elapsed();
        span.inside(|| {
            let template = template.as_str();
            Processed { consumer, template, outcome, reason, took, delivered: 1, attempt: 1, class: "" }
                .emit(bus.telemetry().metrics());
        });
        send(request, result).await;
        span.end();
    }

    /// Answers one request, for as long as somebody waits for it.
    async fn result<C, Fut>(&self, message: Arc<Message>, entered: &Entered) -> Result<Bytes, No>
    where
        C: Call,
        F: Fn(Context, C) -> Fut,
        Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>>,
    {
        let context = Context::of(message, None);
        let left = context.deadline().map(|deadline| self.bus.clock().now().age(deadline).0);
        let running = AssertUnwindSafe(self.answered(context)).catch_unwind();
        let limited = async {
            match left {
                None => Some(running.await),
                Some(left) if left.is_zero() => None,
                Some(left) => tokio::time::timeout(left, running).await.ok(),
            }
        };
        tokio::select! {
            ended = limited => match ended {
                Some(Ok(answer)) => answer,
                Some(Err(_)) => Err(No::own(500, "the service failed over the request")),
                None => Err(No::own(LATE, "the deadline passed before there was an answer")),
            },
            // Nobody reads it; the code is the one that proxies log for this.
            () = entered.cancelled() => Err(No::own(499, "who asked no longer waits")),
        }
    }

    async fn answered<C, Fut>(&self, context: Context) -> Result<Bytes, No>
    where
        C: Call,
        F: Fn(Context, C) -> Fut,
        Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>>,
    {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let call: C = serde_json::from_slice(&context.message().payload)
            .map_err(|error| No::own(400, format!("the request does not read: {error}")))?;
        let reply = (self.answer)(context, call).await.map_err(|refusal| No::of::<C>(&refusal))?;
        let bytes = serde_json::to_vec(&reply);
        let bytes = bytes.map_err(|error| No::own(500, format!("the reply does not write: {error}")))?;
        let (size, most) = (bytes.len(), self.connection.client.max_payload());
        if size > most {
            return Err(No::own(500, format!("the reply has {size} bytes, and NATS takes no more than {most}")));
        }
        Ok(bytes.into())
    }
}

/// The typed error travels in a header beside the service API's own: that API answers an error with an empty body. What a refusal says
/// does too: a line break there, from a request that it quotes perhaps, would make the client panic.
async fn send(request: &Request, result: Result<Bytes, No>) {
    let mut headers = HeaderMap::new();
    let result = result.map_err(|no| {
        if let Some(error) = no.error {
            headers.insert(header::SERVICE_ERROR, error);
        }
        service::error::Error { code: no.code, status: brief(no.why) }
    });
    if let Err(error) = request.respond_with_headers(result, headers).await {
        tracing::warn!(error = %ErrorChain(&error), "an answer could not be sent");
    }
}
