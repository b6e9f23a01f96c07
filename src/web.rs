//! The web server of the observer: pages, their live updates, and the files that they need.

pub mod access;
mod api;
mod assets;
mod failure;
mod headers;
mod journey;
mod live;
mod messages;
pub mod metrics;
mod pages;
mod patience;
mod records;
mod state;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::{CompressionLevel, compression::CompressionLayer};

pub use state::{Settings, Web};

/// How long open connections may take to finish when the server is asked to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// Bytes of the form that somebody logs in by: a token and what stands around it.
const LOGIN_BYTES_MOST: usize = 4_096;

/// The server cannot listen where it should.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("another program listens on {0}: stop it, or give another address with --listen")]
    InUse(SocketAddr),
    /// It is not ours to listen on.
    #[error("cannot listen on {address}: give another address with --listen")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// Opens the address that pages are served on; port 0 takes a free one.
///
/// # Errors
/// When it is in use or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => BindError::InUse(address),
        _ => BindError::Refused { address, source },
    })
}

/// Every route of the observer. `extra` brings what other modules serve, such as probes; it stands beside the pages and has no fallback.
///
/// Pages that stand below a path are there alone, as every link in them is. What programs ask for answers there and at the root: a proxy
/// hands on the one, and who is beside the observer asks for the other.
pub fn router(web: Web, extra: Router) -> Router {
    let base = web.site().base.clone();
    let extra = if base.is_empty() { extra } else { Router::new().nest(&base, extra.clone()).merge(extra) };
    let at = |path: &str| format!("{}{path}", web.site().base);
    let pages = Router::new()
        .route(&at("/live"), get(live::live))
        .route(&at("/messages/{account}/{stream}/{sequence}/payload"), get(messages::payload))
        .fallback(pages::page)
        .method_not_allowed_fallback(pages::only_read)
        .layer(middleware::from_fn_with_state(web.clone(), access::guard_pages))
        // Whoever has not logged in needs these to do so.
        .route(&at("/assets/{hash}/{name}"), get(assets::asset))
        .route(&at("/login"), get(access::by_link).post(access::by_form).layer(DefaultBodyLimit::max(LOGIN_BYTES_MOST)))
        .route(&at("/api/{*path}"), api::answering(&web));
    let pages = if base.is_empty() { pages } else { pages.route("/api/{*path}", api::answering(&web)) };
    let pages = pages
        // A page is sent once: packing it tighter would take longer than sending it.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(middleware::from_fn(headers::secure))
        .with_state(web);
    pages.merge(extra)
}

/// Serves until `stop` is cancelled, and then for as long as open connections need, within a limit.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    let asked = stop.clone();
    let listener = patience::Patient(listener);
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { asked.cancelled().await });
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        served = serving => served,
        () = overdue => Ok(()),
    }
}
