//! The HTTP server of a process: probes from the first moment, the service's own routes once it runs.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio_util::sync::CancellationToken;

use super::ServiceError;
use crate::{
    message::header,
    tasks::Tasks,
    telemetry::{Remote, Telemetry},
};

/// How long a probe that is being answered may hold up the service's own routes.
const CHANGE_LIMIT: Duration = Duration::from_secs(1);

/// A listening socket and what answers on it.
#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    probes: Router,
    serving: Tasks,
}

impl Server {
    /// Listens at `address`, or at a free port of this machine alone, and answers probes from now on.
    pub(super) fn bind(address: Option<SocketAddr>, probes: Router) -> Result<Self, ServiceError> {
        let address = address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let fail = |source| ServiceError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let server = Self { listener, address, probes, serving: Tasks::default() };
        server.serve(server.probes.clone().fallback(starting), &server.serving);
        Ok(server)
    }

    /// Answers `routes` too from now on, each request within a span. Whoever connects in between waits in the socket's queue: two accept
    /// loops at once would answer some with "not found".
    pub(super) async fn serve_with(&mut self, routes: Router, telemetry: Telemetry) {
        let routes = routes.layer(middleware::from_fn_with_state(telemetry, traced));
        self.serving.stop(CHANGE_LIMIT).await;
        self.serving = Tasks::default();
        self.serve(self.probes.clone().merge(routes), &self.serving);
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends once the requests that it has are answered, or after `limit`.
    pub(super) async fn stop(&self, limit: Duration) {
        self.serving.stop(limit).await;
    }

    fn serve(&self, router: Router, tasks: &Tasks) {
        let listener = self.listener.try_clone().and_then(tokio::net::TcpListener::from_std);
        match listener {
            Ok(listener) => tasks.spawn(|stop| serve_until(listener, router, stop)),
            Err(error) => tracing::error!(%error, address = %self.address, "the HTTP server cannot use its socket"),
        }
    }
}

async fn serve_until(listener: tokio::net::TcpListener, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server ended");
    }
}

/// The answer to everything but probes until the service runs: a 404 would tell a caller that it should not come back.
async fn starting() -> impl IntoResponse {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "the service is starting; try again\n")
}

/// Runs a request within a span that continues the caller's trace. A `traceparent` that is none begins a new trace, as W3C asks.
async fn traced(State(telemetry): State<Telemetry>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("*", MatchedPath::as_str).to_owned();
    let remote = remote_of(request.headers());
    let span = telemetry.serving_http(request.method().as_str(), &route, remote);
    let response = span.around(next.run(request)).await;
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail("server_error", status.to_string());
    }
    span.end();
    response
}

fn remote_of(headers: &HeaderMap) -> Option<Remote> {
    let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let parent = said(header::TRACEPARENT)?.parse().ok()?;
    Some(Remote { parent, state: said(header::TRACESTATE).map(str::to_owned) })
}
