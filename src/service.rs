//! A service: connected, told apart from its other instances, with workers, stores and requests that its probes know of, and an orderly
//! end.

mod health;
#[cfg(feature = "probes")]
mod http;
mod presence;
#[cfg(feature = "probes")]
pub mod probes;
#[cfg(feature = "probes")]
mod standalone;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    bus::Bus,
    clock::Clock,
    config::ServiceConfig,
    consumer::{self, Worker, WorkerError},
    handler::Context,
    name::token_of,
    nats::{self, ConnectError, Connection},
    rpc::{self, Call, Refusal, ServeError},
    state::{Documents, Inbox, documents::DocumentError},
    tasks::{self, Tasks},
    telemetry::{self, Telemetry, TelemetryError},
};

pub use health::Health;
#[cfg(feature = "probes")]
pub use standalone::Standalone;

/// How long anything but handlers may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A service that is connected and about to run.
#[derive(Debug)]
pub struct Service {
    identity: Identity,
    config: ServiceConfig,
    connection: Connection,
    bus: Bus,
    health: Arc<Health>,
    work: Tasks,
    upkeep: Tasks,
    #[cfg(feature = "probes")]
    http: http::Server,
    #[cfg(feature = "probes")]
    routes: axum::Router,
}

/// Which instance of which service this is.
#[derive(Debug, Clone)]
struct Identity {
    service: String,
    instance: String,
    version: String,
}

/// Settings of a service before it starts.
#[derive(Debug)]
#[must_use = "nothing starts before `start`"]
pub struct Builder {
    name: String,
    version: String,
    config: ServiceConfig,
    telemetry: Option<Telemetry>,
    correlation_name: Option<&'static str>,
}

/// Why a service cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Telemetry cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its address is taken or not its own.
    #[error("cannot listen on {address}: is another process there? Give another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A worker is wrong.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A bucket is not there.
    #[error(transparent)]
    Documents(#[from] DocumentError),
    /// Requests cannot be answered.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system refuses a signal handler.
    #[error("waiting for the signal to end")]
    Signal(#[source] std::io::Error),
    /// The NATS client has ended by itself, as it does when it is sent what it cannot bear, and does not come back.
    #[error(
        "the NATS client has ended and connects no more: start the service again; what the client said before it ended is on standard error"
    )]
    ClientEnded,
}

impl Builder {
    /// Says which version of the service this is.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Takes settings from flags and environment.
    pub fn config(mut self, config: ServiceConfig) -> Self {
        self.config = config;
        self
    }

    /// Uses telemetry that was set up elsewhere; otherwise `start` sets it up for the process.
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Writes the correlation id of a message into the log lines of its handling under this name, such as `order_id`.
    pub fn log_correlation_as(mut self, name: &'static str) -> Self {
        self.correlation_name = Some(name);
        self
    }

    /// Sets up telemetry, opens the probes, and connects to NATS.
    ///
    /// # Errors
    /// When a setting is wrong, the address is taken, or NATS refuses us or stays away for as long as the settings allow.
    pub async fn start(self) -> Result<Service, ServiceError> {
        let made_up = || format!("{}-{:04x}", self.name, fastrand::u16(..));
        let instance = self.config.instance.clone().unwrap_or_else(made_up);
        let telemetry = match self.telemetry {
            Some(telemetry) => telemetry,
            None => telemetry::init(&self.config.telemetry, &self.name, &instance)?,
        };
        let telemetry = match self.correlation_name {
            Some(name) => telemetry.log_correlation_as(name),
            None => telemetry,
        };
        let clock = Clock::system();
        let health = Arc::new(Health::new(clock.clone()));
        #[cfg(feature = "probes")]
        let http = http::Server::bind(self.config.listen, probes::router(health.clone(), telemetry.metrics().clone()))?;
        let connection = nats::connect(&self.config.nats, &instance, &clock).await?;
        nats::require_jetstream(&connection).await?;
        health.linked(connection.link.clone());
        let identity = Identity { service: self.name.clone(), instance, version: self.version };
        Ok(Service {
            bus: Bus::new(connection.clone(), &self.name, telemetry, clock),
            identity,
            config: self.config,
            connection,
            health,
            work: Tasks::default(),
            upkeep: Tasks::default(),
            #[cfg(feature = "probes")]
            http,
            #[cfg(feature = "probes")]
            routes: axum::Router::new(),
        })
    }
}

impl Service {
    /// Begins to describe the service `name`, whose instances share work under that name.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: ServiceConfig::default(),
            telemetry: None,
            correlation_name: None,
        }
    }

    /// What to publish with.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The connection to NATS.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What to ask other services with.
    pub fn client(&self) -> rpc::Client {
        rpc::Client::new(&self.connection, &self.bus)
    }

    /// What the probes know.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Opens a bucket of documents; the service is ready only while it answers.
    ///
    /// # Errors
    /// When the bucket is not there.
    pub async fn documents<T>(&self, bucket: &str) -> Result<Documents<T>, ServiceError>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let documents = Documents::open(&self.connection, bucket).await?;
        let (probed, health) = (documents.clone(), self.health.clone());
        self.upkeep.spawn(move |stop| health::watch_store(health, probed, stop));
        Ok(documents)
    }

    /// Opens an inbox in a bucket; the service is ready only while the bucket answers. `inbox.guard(handler)` is a handler that runs once
    /// for each message.
    ///
    /// # Errors
    /// When the bucket is not there.
    pub async fn inbox(&self, bucket: &str) -> Result<Inbox, ServiceError> {
        Ok(Inbox::over(self.documents(bucket).await?, &self.bus))
    }

    /// Adds a worker; it pulls as soon as the service runs.
    ///
    /// # Errors
    /// When the worker has no handler, or handlers of two streams.
    pub fn worker(self, worker: Worker) -> Result<Self, ServiceError> {
        let grace = Duration::from_secs(self.config.grace);
        let status = consumer::start(worker, &self.bus, &self.connection, &self.work, grace)?;
        self.health.works(status);
        Ok(self)
    }

    /// Answers requests of type `C`, together with the other instances.
    ///
    /// # Errors
    /// When the service API refuses the name or the subject.
    pub async fn answers<C, F, Fut>(self, answer: F) -> Result<Self, ServiceError>
    where
        C: Call,
        F: Fn(Context, C) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>> + Send,
    {
        rpc::serve(&self.connection, &self.bus, &self.identity.version, &self.work, answer).await?;
        Ok(self)
    }

    /// Runs `task` beside the workers; it is asked to stop with them.
    #[must_use]
    pub fn task<F>(self, task: impl FnOnce(tokio_util::sync::CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.work.spawn(task);
        self
    }

    /// Answers HTTP requests of its own beside the probes. Each is a span, by the pattern of its route.
    #[cfg(feature = "probes")]
    #[must_use]
    pub fn routes(mut self, routes: axum::Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Where probes, metrics and routes answer.
    #[cfg(feature = "probes")]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Runs until the process is asked to end (Ctrl-C or SIGTERM), then ends in order: readiness off, no new messages, time for what
    /// runs, the rest handed back, gone.
    ///
    /// # Errors
    /// When the system refuses a signal handler, or the NATS client has ended by itself.
    pub async fn run(self) -> Result<(), ServiceError> {
        self.run_until(async { tasks::asked_to_end().await.map_err(ServiceError::Signal) }).await
    }

    /// Runs until `asked_to_end`, then ends as [`Service::run`] does.
    ///
    /// # Errors
    /// When `asked_to_end` fails, or the NATS client has ended by itself; the service ends in order all the same.
    #[cfg_attr(not(feature = "probes"), expect(unused_mut, reason = "only the HTTP server is started here"))]
    pub async fn run_until(
        mut self,
        asked_to_end: impl Future<Output = Result<(), ServiceError>>,
    ) -> Result<(), ServiceError> {
        #[cfg(feature = "probes")]
        self.http.serve_with(std::mem::take(&mut self.routes), self.bus.telemetry().clone()).await;
        self.keep_up();
        self.health.started();
        tracing::info!(version = self.identity.version, address = self.shown_address(), "service runs");
        let link = self.connection.link.clone();
        let asked = tokio::select! {
            asked = asked_to_end => asked,
            () = link.ended() => Err(ServiceError::ClientEnded),
        };
        self.end().await;
        asked
    }

    fn keep_up(&self) {
        let teller = presence::Teller {
            identity: self.identity.clone(),
            address: self.shown_address(),
            health: self.health.clone(),
            connection: self.connection.clone(),
            clock: self.bus.clock().clone(),
            started: self.bus.clock().now(),
        };
        self.upkeep.spawn(move |stop| teller.tell_until(stop));
    }

    async fn end(self) {
        self.health.drains();
        tracing::info!("service drains");
        let limit = Duration::from_secs(self.config.grace) + STOP_LIMIT;
        if !self.work.stop(limit).await {
            tracing::warn!(tasks = self.work.len(), "some work did not end in time and is left");
        }
        self.upkeep.stop(STOP_LIMIT).await;
        #[cfg(feature = "probes")]
        self.http.stop(STOP_LIMIT).await;
        // What is still on its way out, settlements above all, is worth a moment.
        if tokio::time::timeout(STOP_LIMIT, self.connection.client.flush()).await.is_err() {
            tracing::warn!("NATS did not take the last messages in time");
        }
        tracing::info!("service ended");
        self.bus.telemetry().shutdown().await;
    }

    fn shown_address(&self) -> Option<String> {
        #[cfg(feature = "probes")]
        return Some(self.http.address().to_string());
        #[cfg(not(feature = "probes"))]
        None
    }
}

impl Identity {
    /// The key under which presence is told.
    fn key(&self) -> String {
        format!("{}.{}", token_of(&self.service), token_of(&self.instance))
    }
}
