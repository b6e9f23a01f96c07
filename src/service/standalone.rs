//! A process that does its work without NATS and can be seen like the others: probes, metrics, routes whose requests are spans, an orderly
//! end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{Health, ServiceError, http, probes};
use crate::{
    clock::Clock,
    config::TelemetryConfig,
    tasks,
    telemetry::{self, Telemetry},
};

/// How long the last requests may take to be answered.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A process that answers its probes and is about to run.
#[derive(Debug)]
pub struct Standalone {
    telemetry: Telemetry,
    health: Arc<Health>,
    http: http::Server,
}

impl Standalone {
    /// Sets up telemetry and answers probes at `listen`, or at a free port of this machine. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// When a setting is wrong or the address is taken.
    pub fn start(
        name: &str,
        instance: Option<&str>,
        listen: Option<SocketAddr>,
        config: &TelemetryConfig,
    ) -> Result<Self, ServiceError> {
        let telemetry = telemetry::init(config, name, instance.unwrap_or(name))?;
        let health = Arc::new(Health::without_nats(Clock::system()));
        let http = http::Server::bind(listen, probes::router(health.clone(), telemetry.metrics().clone()))?;
        Ok(Self { telemetry, health, http })
    }

    /// What the probes know.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Where probes, metrics and routes answer.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Answers `routes` until the process is asked to end (Ctrl-C or SIGTERM), then ends in order: readiness off, what was asked answered,
    /// gone.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub async fn run(mut self, routes: axum::Router) -> Result<(), ServiceError> {
        self.http.serve_with(routes, self.telemetry.clone()).await;
        self.health.started();
        tracing::info!(address = %self.http.address(), "service runs");
        let asked = tasks::asked_to_end().await.map_err(ServiceError::Signal);
        self.health.drains();
        self.http.stop(STOP_LIMIT).await;
        tracing::info!("service ended");
        self.telemetry.shutdown().await;
        asked
    }
}
