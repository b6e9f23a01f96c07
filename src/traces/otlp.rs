//! The receiver: spans and the logs of their traces by OTLP, over HTTP as protocol buffers or JSON, and over gRPC; plain or packed by gzip. An address answers both.
//!
//! Convention: <https://opentelemetry.io/docs/specs/otlp/>, 1.x.

mod answer;
mod body;
mod grpc;
mod json;
mod protobuf;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Intake, Store, Tally, event, forward::Forwarder};
use answer::{Form, Refusal};
use body::Packing;

pub(super) use answer::Signal;

/// Bytes of the largest request as it is sent: eight thousand spans of a collector between us and the services take some six million.
const BODY_MOST: usize = 8 * 1_024 * 1_024;

/// Bytes of the largest request once it is unpacked: what is packed may be a trap.
const UNPACKED_MOST: usize = 16 * 1_024 * 1_024;

/// Bytes of the largest request in JSON: read, it takes more room than the same in protocol buffers.
const JSON_MOST: usize = 4 * 1_024 * 1_024;

/// Bytes of all requests that are being received at one moment, in kilobytes; whoever comes then is asked to come again.
const IN_FLIGHT_KB: usize = 32 * 1_024;

/// Requests that are read at once: they share the store, and unpacked they are large.
const READERS: usize = 2;

/// How long the body of a request may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(20);

/// Takes requests and puts their spans into the store; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Receiver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    forwarder: Option<Forwarder>,
    in_flight: Semaphore,
    readers: Semaphore,
    refused: RefusedCounts,
    events: EventCounts,
}

#[derive(Debug, Default)]
struct EventCounts {
    taken: AtomicU64,
    malformed: AtomicU64,
}

/// What brokers told of messages on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// Events that were made spans.
    pub taken: u64,
    /// Events that could not be read.
    pub malformed: u64,
}

#[derive(Debug, Default)]
struct RefusedCounts {
    malformed: AtomicU64,
    too_large: AtomicU64,
    busy: AtomicU64,
}

/// Requests that were refused as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// They could not be read.
    pub malformed: u64,
    /// They were too large.
    pub too_large: u64,
    /// There were too many at once.
    pub busy: u64,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            store: Store::default(),
            forwarder: None,
            in_flight: Semaphore::new(IN_FLIGHT_KB),
            readers: Semaphore::new(READERS),
            refused: RefusedCounts::default(),
            events: EventCounts::default(),
        }
    }
}

impl Receiver {
    /// A receiver that puts spans into `store`.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Inner { store, ..Inner::default() }))
    }

    /// One that lets everything go on besides.
    pub fn forwarding(store: Store, forwarder: Option<Forwarder>) -> Self {
        Self(Arc::new(Inner { store, forwarder, ..Inner::default() }))
    }

    /// Where it puts them.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What came in, and what became of it.
    pub fn intake(&self) -> Intake {
        let forwarded = self.0.forwarder.as_ref().map(Forwarder::state);
        let EventCounts { taken, malformed } = &self.0.events;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let events = Events { taken: count(taken), malformed: count(malformed) };
        Intake { stock: self.0.store.stock(), refused: self.refused(), events, forwarded }
    }

    /// How many requests were refused as a whole.
    pub fn refused(&self) -> Refused {
        let RefusedCounts { malformed, too_large, busy } = &self.0.refused;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Refused { malformed: count(malformed), too_large: count(too_large), busy: count(busy) }
    }

    /// Takes what a broker told of a message on its way, as spans of the trace that the message is part of. They go on as others do.
    pub fn take_event(&self, payload: &[u8]) {
        let Inner { store, forwarder, events: EventCounts { taken, malformed }, .. } = &*self.0;
        let told = event::read(payload, |told| {
            told.store(store);
            if let Some(forwarder) = forwarder {
                forwarder.offer_part(told.request().into(), Form::Protobuf.kind(), told.len());
            }
        });
        let counter = if told.is_ok() { taken } else { malformed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What answers at the address of the receiver.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/traces", post(take_traces))
            .route("/v1/logs", post(take_logs))
            .route("/v1/metrics", post(no_metrics))
            .route(grpc::TRACES, post(grpc::traces))
            .route(grpc::LOGS, post(grpc::logs))
            .fallback(grpc::unknown)
            .with_state(self.clone())
    }

    async fn take(&self, headers: &HeaderMap, body: Body, form: Form, signal: Signal) -> Result<Tally, Refusal> {
        let packing = body::packing(headers.get(header::CONTENT_ENCODING))?;
        let place = self.place(body::length(headers)?.unwrap_or(BODY_MOST))?;
        let body = body::whole(body).await?;
        let tally = self.read(body, packing, form, signal).await;
        drop(place);
        tally
    }

    /// A place for so many bytes among those that are being received.
    fn place(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        let kilobytes = u32::try_from(bytes.div_ceil(1_024)).map_err(|_| Refusal::TooLarge)?;
        self.0.in_flight.try_acquire_many(kilobytes).map_err(|_| Refusal::Busy)
    }

    /// Reads a request that has come whole, and keeps what is in it. It goes on, with what of it is not kept here: others may.
    async fn read(&self, body: Bytes, packing: Packing, form: Form, signal: Signal) -> Result<Tally, Refusal> {
        let reading = self.0.readers.acquire().await.map_err(|_| Refusal::Busy)?;
        let inner = self.0.clone();
        let read = tokio::task::spawn_blocking(move || {
            let body = body::unpacked(&body, packing, form)?;
            let tally = store_all(&inner.store, &body, form, signal)?;
            if let Some(forwarder) = &inner.forwarder {
                forwarder.offer(signal, body, form.kind(), tally.taken + tally.rejected);
            }
            Ok(tally)
        });
        let tally = read.await.map_err(|_| Refusal::Defect)?;
        drop(reading);
        tally
    }

    /// Counts and tells of a request that is refused as a whole.
    fn refuse(&self, refusal: &Refusal) {
        let RefusedCounts { malformed, too_large, busy } = &self.0.refused;
        let counter = match refusal {
            Refusal::TooLarge => too_large,
            Refusal::Busy => busy,
            _ => malformed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%refusal, "a request with spans is refused");
    }
}

/// The routes of a receiver behind whatever guards them, so that who calls by gRPC is told in its way why it may not.
pub fn answering_calls(guarded: Router) -> Router {
    guarded.layer(middleware::from_fn(grpc::in_its_way))
}

/// How many spans, or entries of logs, a receiver says in its answer that it did not take; 0 where it does not say so.
pub(super) fn rejected(answer: &[u8], is_json: bool, signal: Signal) -> u64 {
    if is_json { json::rejected(answer, signal.rejected()) } else { protobuf::rejected(answer) }
}

fn store_all(store: &Store, body: &Bytes, form: Form, signal: Signal) -> Result<Tally, Refusal> {
    let (given, tally) = match (form, signal) {
        (Form::Protobuf, Signal::Traces) => whole(store.take(|taker| protobuf::each_span(body, taker))),
        (Form::Protobuf, Signal::Logs) => whole(store.take(|taker| protobuf::each_log(body, taker))),
        (Form::Json, Signal::Traces) => whole(store.take(|taker| json::each_span(body, taker))),
        (Form::Json, Signal::Logs) => whole(store.take(|taker| json::each_log(body, taker))),
    };
    given.map(|()| tally).map_err(Refusal::Malformed)
}

/// What was wrong with a request as a whole, in words.
fn whole<E: ToString>((given, tally): (Result<(), E>, Tally)) -> (Result<(), String>, Tally) {
    (given.map_err(|error| error.to_string()), tally)
}

async fn take_traces(State(receiver): State<Receiver>, headers: HeaderMap, body: Body) -> Response {
    take(&receiver, &headers, body, Signal::Traces).await
}

async fn take_logs(State(receiver): State<Receiver>, headers: HeaderMap, body: Body) -> Response {
    take(&receiver, &headers, body, Signal::Logs).await
}

async fn take(receiver: &Receiver, headers: &HeaderMap, body: Body, signal: Signal) -> Response {
    let form = match Form::of(headers) {
        Ok(form) => form,
        Err(refusal) => {
            receiver.refuse(&refusal);
            return refusal.answer(Form::Json);
        }
    };
    match receiver.take(headers, body, form, signal).await {
        Ok(tally) => answer::taken(&tally, form, signal),
        Err(refusal) => {
            receiver.refuse(&refusal);
            refusal.answer(form)
        }
    }
}

/// What a service is told that sends everything to one address.
const NO_METRICS: &str = "only traces and their logs are taken here: set OTEL_METRICS_EXPORTER to none, or give the other signals an address \
                          of their own";

async fn no_metrics() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, format!("{NO_METRICS}\n"))
}
