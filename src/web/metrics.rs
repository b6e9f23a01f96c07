//! `/metrics` of the observer: what it knows of NATS, and what it knows of itself, as one text.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::header,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;

use super::access::{self, Access};
use crate::{
    clock::Clock,
    collector::Snapshots,
    exporter,
    tasks::aside,
    telemetry::Metrics,
    traces::{Taking, Traces},
};

/// What is told of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// What the last round saw.
    pub snapshots: Snapshots,
    /// What the process counts of itself.
    pub metrics: Metrics,
    /// The traces that it takes.
    pub traces: Traces,
}

/// Serves `/metrics` to those who may read. At most `consumers_most` durable consumers have series of their own.
pub fn router(sources: Sources, clock: Clock, consumers_most: usize, access: Access) -> Router {
    let answer = move || async move { aside(|| exposition(&sources, &clock, consumers_most)) };
    let guard = middleware::from_fn_with_state(access, access::guard);
    Router::new().route("/metrics", get(answer)).layer(guard)
}

fn exposition(sources: &Sources, clock: &Clock, consumers_most: usize) -> Response {
    let Sources { snapshots, metrics, traces } = sources;
    let snapshot = snapshots.borrow().clone();
    metrics.set_connected(snapshot.app.contact.is_connected);
    let of_traces =
        matches!(traces.taking, Taking::At(_)).then(|| exporter::exposition_of_traces(&traces.receiver.intake()));
    let parts =
        exporter::exposition(snapshot, consumers_most, clock.now()).chain(of_traces).chain([metrics.exposition()]);
    let body = Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}
