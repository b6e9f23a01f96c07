//! Workers: pull messages from a durable consumer, run handlers on them, settle what they return.
//!
//! A worker asks the server for exactly as many messages as it has free credits, so that nothing ages in a buffer, and extends the
//! server's `ack_wait` for everything it holds, so that a slow handler is not delivered twice.

mod dead_letter;
mod declare;
mod drain;
mod lease;
mod outstanding;
mod process;
mod pull;
mod route;
mod status;

use std::{sync::Arc, time::Duration};

use crate::{
    bus::{Bus, Payload, codec},
    handler::Handler,
    name::{ConsumerName, NameError, StreamName},
    nats::Connection,
    resilience::Backoff,
    tasks::Tasks,
};

use route::Routes;
pub use status::{PullState, Status};

/// Handlers that run at once unless told otherwise.
const CONCURRENCY: u32 = 8;

/// How long the server waits for a word about a delivered message unless told otherwise. Leases extend it, so it says how soon a dead
/// worker's messages go to another rather than how long a handler may take.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Waits before a failed message is tried again, unless the handler says when.
const RETRY: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(30) };

/// What a worker pulls and how it handles it.
#[derive(Debug)]
pub struct Worker {
    stream: Option<&'static str>,
    durable: String,
    concurrency: u32,
    ack_wait: Duration,
    retry: Backoff,
    routes: Routes,
}

/// Why a worker cannot be started; a mistake in the program, so it is found at the first start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// There is nothing that it could handle.
    #[error("worker {durable} has no handler: give it one with `on`")]
    NoHandler {
        /// The durable name.
        durable: String,
    },
    /// Its handlers read from different streams.
    #[error("worker {durable} has handlers for streams {one} and {other}: a consumer reads one stream")]
    TwoStreams {
        /// The durable name.
        durable: String,
        /// A stream.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// A name is none.
    #[error("worker {durable}")]
    Name {
        /// The durable name.
        durable: String,
        /// What is wrong.
        #[source]
        source: NameError,
    },
}

impl Worker {
    /// A worker that pulls from the durable consumer `durable`, which is made if it does not exist.
    pub fn new(durable: impl Into<String>) -> Self {
        Self {
            stream: None,
            durable: durable.into(),
            concurrency: CONCURRENCY,
            ack_wait: ACK_WAIT,
            retry: RETRY,
            routes: Routes::default(),
        }
    }

    /// Handles payloads of type `P`; the consumer is filtered to the subjects of all such types.
    #[must_use]
    pub fn on<P: Payload>(mut self, handler: impl Handler<P>) -> Self {
        self.routes.add(codec::pattern_of::<P>(), P::STREAM, handler);
        self
    }

    /// How many handlers may run at once.
    #[must_use]
    pub fn concurrency(mut self, handlers: u32) -> Self {
        self.concurrency = handlers.max(1);
        self
    }

    /// How soon the server gives a dead worker's messages to another.
    #[must_use]
    pub fn ack_wait(mut self, ack_wait: Duration) -> Self {
        self.ack_wait = ack_wait;
        self
    }

    /// How long to wait before a failed message is tried again, unless the handler says when.
    #[must_use]
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.retry = retry;
        self
    }

    fn names(&mut self) -> Result<(StreamName, ConsumerName), WorkerError> {
        let durable = self.durable.clone();
        let stream = self.routes.stream(&durable)?;
        self.stream = Some(stream);
        let fail = |source| WorkerError::Name { durable: durable.clone(), source };
        Ok((stream.try_into().map_err(fail)?, durable.as_str().try_into().map_err(fail)?))
    }
}

/// Starts `worker` among `tasks` and returns its status. It outlives broker restarts; it stops pulling when `tasks` are cancelled, gives
/// handlers `grace` to finish, and hands back what was not started.
///
/// # Errors
/// When the worker has no handler, or handlers of two streams.
pub fn start(
    mut worker: Worker,
    bus: &Bus,
    connection: &Connection,
    tasks: &Tasks,
    grace: Duration,
) -> Result<Arc<Status>, WorkerError> {
    let (stream, consumer) = worker.names()?;
    let status = Arc::new(Status::new(stream, consumer, worker.concurrency, bus.clock().clone()));
    let shared = pull::Shared {
        connection: connection.clone(),
        bus: bus.clone(),
        status: status.clone(),
        leases: lease::Leases::new(worker.ack_wait),
        worker: Arc::new(worker),
        handlers: Tasks::default(),
        grace,
    };
    tasks.spawn(move |stop| pull::run(shared, stop));
    Ok(status)
}
