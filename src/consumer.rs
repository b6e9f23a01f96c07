//! Workers: pull messages from a durable consumer, run handlers on them, settle what they return.
//!
//! A worker asks the server for exactly as many messages as it has free credits, so that nothing ages in a buffer, and extends the
//! server's `ack_wait` for everything it holds, so that a slow handler is not delivered twice.

mod arrival;
mod attempt;
mod attempts;
mod bulkhead;
mod credits;
pub mod dead_letter;
mod declare;
mod drain;
mod ending;
mod fate;
mod flight;
mod gate;
mod held;
mod later;
mod lease;
mod outstanding;
mod partition;
mod pause;
mod process;
mod pull;
mod route;
mod runners;
mod status;
mod tally;
mod turns;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use crate::{
    bus::{Bus, Payload, codec, ownership, settle::Settler},
    handler::Handler,
    message::Message,
    name::{ConsumerName, NameError, StreamName},
    nats::Connection,
    resilience::{Adaptive, Breaker, KillSwitch, RetryPolicy},
    tasks::Tasks,
};

pub use bulkhead::Bulkhead;
use route::Routes;
pub use status::{PullState, Status};
use turns::KeyOf;

/// Handlers that run at once unless told otherwise.
const CONCURRENCY: u32 = 8;

/// How long the server waits for a word about a delivered message unless told otherwise. Leases extend it, so it says how soon a dead
/// worker's messages go to another rather than how long a handler may take.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// What a worker pulls and how it handles it.
#[derive(Debug)]
pub struct Worker {
    stream: Option<&'static str>,
    durable: String,
    concurrency: u32,
    adaptive: Option<Adaptive>,
    ack_wait: Duration,
    handler_limit: Option<Duration>,
    scheduling_from: Duration,
    retry: RetryPolicy,
    breaker: Option<Breaker>,
    kill_switch: Option<KillSwitch>,
    bulkhead: Option<Bulkhead>,
    serial: Option<KeyOf>,
    routes: Routes,
    is_partitioned: bool,
    hold: Duration,
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
    /// It is to work by partitions, and what it handles has none, or different numbers of them.
    #[error("worker {durable} is partitioned: give all that it handles the same `Payload::PARTITIONS`")]
    Partitions {
        /// The durable name.
        durable: String,
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
            adaptive: None,
            ack_wait: ACK_WAIT,
            handler_limit: None,
            scheduling_from: later::SCHEDULED_FROM,
            retry: RetryPolicy::new(),
            breaker: None,
            kill_switch: None,
            bulkhead: None,
            serial: None,
            routes: Routes::default(),
            is_partitioned: false,
            hold: ownership::HOLD,
        }
    }

    /// Handles payloads of type `P`; the consumer is filtered to the subjects of all such types. Several versions of a payload on one
    /// subject each have a handler of their own; a message of a version that none reads goes to the dead letters.
    ///
    /// A subject that is added to a durable which is there already is read from where the durable stands: what lies before that on the
    /// new subject is not delivered. Give its handler a durable of its own where the past counts.
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

    /// Lets the number of handlers at once follow how long they take: more while they end within `target`, fewer when they do not.
    #[must_use]
    pub fn adaptive(mut self, handlers: RangeInclusive<u32>, target: Duration) -> Self {
        self.adaptive = Some(Adaptive { between: handlers, target });
        self
    }

    /// How long a handler may take. One that takes longer is ended where it waits, and its message is tried again; without a limit it
    /// may take for ever.
    #[must_use]
    pub fn handler_limit(mut self, limit: Duration) -> Self {
        self.handler_limit = Some(limit);
        self
    }

    /// How often and how soon a failed message is tried again. Without a policy it is tried for ever, ever more seldom; a policy that
    /// gives up moves the message to the dead letters.
    #[must_use]
    pub fn retry(mut self, policy: impl Into<RetryPolicy>) -> Self {
        self.retry = policy.into();
        self
    }

    /// How long a wait for the next attempt has to be for the message to wait in stream `RETRIES`; one minute unless told otherwise.
    ///
    /// There it survives whatever the server does and holds no place among what the consumer has delivered; a shorter wait is the
    /// consumer's own, and is cut short when its server restarts. Serial and partitioned workers hold on to their order instead, and a
    /// server before 2.12 takes no scheduled messages: there all waits are the consumer's.
    #[must_use]
    pub fn scheduling_from(mut self, wait: Duration) -> Self {
        self.scheduling_from = wait;
        self
    }

    /// Stops pulling for a while when too many handlers fail, so that what they lean on can recover and no attempt is burnt. Rejected
    /// messages do not count: they are the message's fault.
    #[must_use]
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Stops pulling for a while when too many messages end as dead letters, so that a bad deployment does not move a whole stream there.
    #[must_use]
    pub fn kill_switch(mut self, kill_switch: KillSwitch) -> Self {
        self.kill_switch = Some(kill_switch);
        self
    }

    /// Shares slots for handlers with other workers. A message that waits for one is held, and its handler has not started.
    #[must_use]
    pub fn bulkhead(mut self, bulkhead: &Bulkhead) -> Self {
        self.bulkhead = Some(bulkhead.clone());
        self
    }

    /// Handles the messages of one subject one after the other, in the order of the stream; see [`Worker::serial_by`].
    #[must_use]
    pub fn serial_by_key(self) -> Self {
        self.serial_by(|message| message.subject.to_string())
    }

    /// Handles messages with the same key one after the other, in the order of the stream. One that is to be tried again is held until
    /// then and blocks its key, and only its key; those behind it wait within the worker's credits, so [`Worker::concurrency`] should
    /// leave room for other keys.
    ///
    /// The order holds among what this process holds. What it hands back when it drains or pauses may come again in another order, because
    /// the server does not keep the order of what is handed back; nor is there an order between processes that share a durable.
    #[must_use]
    pub fn serial_by(mut self, key_of: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        self.serial = Some(KeyOf::new(key_of));
        self
    }

    /// Works by partitions, so that all about one key is handled in order, one message at a time, in whichever instance: what fails is
    /// tried again before anything that comes after it in its partition.
    ///
    /// The durable becomes a family, `<durable>-0` to `<durable>-<n - 1>` for the `n` of [`Payload::PARTITIONS`], each with one message
    /// under way; the instances share the partitions fairly among themselves (see [`ownership`]). The concurrency that was set does not
    /// count. Without this a worker may handle partitioned payloads too, in whatever order.
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.is_partitioned = true;
        self
    }

    /// How soon the partitions of an instance that died, or lost NATS, go to the others; 10 s unless told otherwise. An instance that gets
    /// no word through stops working on them by itself after three quarters of it. A message that it had begun is delivered again no later
    /// than this after its end.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
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
/// When the worker has no handler, handlers of two streams, or partitions that do not fit together.
pub fn start(
    mut worker: Worker,
    bus: &Bus,
    connection: &Connection,
    tasks: &Tasks,
    grace: Duration,
) -> Result<Arc<Status>, WorkerError> {
    let (stream, consumer) = worker.names()?;
    if worker.is_partitioned {
        return partition::start(worker, (stream, consumer), bus, connection, tasks, grace);
    }
    let gate = gate::Gate::new(worker.breaker.clone(), worker.kill_switch.clone());
    let credits = credits::Credits::new(worker.concurrency, worker.adaptive.clone());
    let names = (stream.as_str(), consumer.as_str());
    let later = || Arc::new(later::Later::new(connection.clone(), names, worker.ack_wait, worker.scheduling_from));
    let later = worker.serial.is_none().then(later);
    let route_metrics = worker.routes.metrics(bus.telemetry().metrics(), consumer.as_str());
    let status = Arc::new(Status::new(stream, consumer, credits.now(), bus.clock().clone(), gate.clone()));
    let shared = Arc::new(pull::Shared {
        connection: connection.clone(),
        bus: bus.clone(),
        status: status.clone(),
        leases: lease::Leases::new(worker.ack_wait),
        settler: Settler::new(&connection.client),
        attempts: attempts::Attempts::new(connection.clone()),
        turns: turns::Turns::default(),
        gate,
        credits,
        route_metrics,
        asked: declare::Asked::by(&worker),
        part: None,
        later,
        worker: Arc::new(worker),
        runners: runners::Runners::default(),
        handlers: Tasks::default(),
        grace,
    });
    tasks.spawn(move |stop| pull::run(shared, stop));
    Ok(status)
}
