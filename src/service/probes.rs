//! The probes over HTTP, and the metrics: a router that any process can mount.
//!
//! 200 where every part passes, else 503. `?verbose` lists the parts with their reasons and ages; with `Accept: application/json` they
//! come as JSON. Convention: the `/livez` and `/readyz` of the Kubernetes API server.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::Health;
use crate::{
    clock::Age,
    presence::{Probe, ProbePart, Probes},
    telemetry::Metrics,
};

/// Routes `/livez`, `/readyz`, `/startupz` and `/metrics`.
pub fn router(health: Arc<Health>, metrics: Metrics) -> Router {
    let probes = without_metrics(health.clone());
    probes.route("/metrics", get(move || async move { exposition(&health, &metrics) }))
}

/// Routes `/livez`, `/readyz` and `/startupz`, for a process that has more to say at `/metrics`.
pub fn without_metrics(health: Arc<Health>) -> Router {
    let probe = |name: &'static str, pick: fn(Probes) -> Probe| {
        get(move |State(health): State<Arc<Health>>, query: RawQuery, headers: HeaderMap| async move {
            answer(name, &pick(health.probes()), &query, &headers)
        })
    };
    Router::new()
        .route("/livez", probe("live", |probes| probes.live))
        .route("/readyz", probe("ready", |probes| probes.ready))
        .route("/startupz", probe("started", |probes| probes.startup))
        .with_state(health)
}

fn answer(name: &str, probe: &Probe, RawQuery(query): &RawQuery, headers: &HeaderMap) -> Response {
    let status = if probe.passes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        return (status, Json(probe)).into_response();
    }
    let is_verbose = query.as_deref().is_some_and(|query| query.split('&').any(|word| word.starts_with("verbose")));
    let shown = |part: &&ProbePart| is_verbose || !part.passes;
    let mut text = String::new();
    for part in probe.parts.iter().filter(shown) {
        let sign = if part.passes { "[+]" } else { "[-]" };
        let age = Age(Duration::try_from_secs_f64(part.age_seconds).unwrap_or_default());
        // Writing into a text cannot fail.
        let _infallible = writeln!(text, "{sign} {}: {} ({age})", part.name, part.reason);
    }
    let verdict = if probe.passes { "yes" } else { "no" };
    (status, format!("{text}{name}: {verdict}\n")).into_response()
}

fn exposition(health: &Health, metrics: &Metrics) -> impl IntoResponse + use<> {
    if let Some(is_connected) = health.is_connected() {
        metrics.set_connected(is_connected);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.exposition())
}
