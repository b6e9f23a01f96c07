//! Faults made on purpose: what the library promises while networks, processes and servers fail.
//!
//! Each test counts with a checker what was attempted, confirmed and read, and with a ledger outside our stores what was done.

mod consumer;
mod inbox;
mod limits;
mod memory;
mod network;
mod part;
mod process;
mod replicas;
mod server;
mod telemetry;

use std::{sync::Arc, time::Duration};

use async_nats::jetstream;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{
        Bus, Payload, PublishError,
        topology::{self, StreamSpec, Topology},
    },
    clock::Clock,
    config::NatsConfig,
    consumer::{self as workers, Status, Worker},
    handler::{Context, Outcome, with},
    nats::{self, Connection},
    resilience::Backoff,
    state::{Documents, Inbox},
    tasks::Tasks,
    telemetry::Telemetry,
};

use crate::support::{
    checker::Checker,
    eventually,
    ledger::{self, Ledger},
};

/// Longer than anything here takes on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a worker's handlers may finish after a test.
const GRACE: Duration = Duration::from_secs(5);

/// How soon what a lost worker held goes to another.
const ACK_WAIT: Duration = Duration::from_secs(2);

/// Publishers at once in a load.
const PUBLISHERS: usize = 16;

const SOON: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_millis(200) };

/// What is published under load.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Counted {
    number: u32,
}

impl Payload for Counted {
    const KIND: &'static str = "Counted";
    const STREAM: &'static str = "COUNTS";
    const SUBJECT: &'static str = "counts.*";

    fn key(&self) -> String {
        self.number.to_string()
    }
}

/// What a handler publishes because of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Echoed {
    number: u32,
}

impl Payload for Echoed {
    const KIND: &'static str = "Echoed";
    const STREAM: &'static str = "ECHOES";
    const SUBJECT: &'static str = "echoes.*";

    fn key(&self) -> String {
        self.number.to_string()
    }
}

/// Both streams.
async fn declare(jetstream: &jetstream::Context, replicas: u32) {
    let stream = |name, subject| StreamSpec {
        max_bytes: Some(256 << 20),
        replicas,
        ..StreamSpec::new(name, "test", &[subject])
    };
    let streams = vec![stream("COUNTS", "counts.*"), stream("ECHOES", "echoes.*")];
    Topology { streams, ..Topology::default() }.apply(jetstream).await.unwrap();
}

/// One connection with what runs over it.
struct Client {
    connection: Connection,
    bus: Bus,
    tasks: Tasks,
}

impl Client {
    async fn of(url: String) -> Self {
        Self::named(url, "faults").await
    }

    async fn named(url: String, name: &str) -> Self {
        let config = NatsConfig { url: Some(url), nats_wait: 30, ..NatsConfig::default() };
        let connection = nats::connect(&config, name, &Clock::system()).await.unwrap();
        let bus = Bus::new(connection.clone(), name, Telemetry::unexported(), Clock::system());
        Self { connection, bus, tasks: Tasks::default() }
    }

    /// Starts a worker of the durable `w`.
    fn work(&self, worker: Worker) -> Arc<Status> {
        let worker = worker.ack_wait(ACK_WAIT).retry(SOON);
        workers::start(worker, &self.bus, &self.connection, &self.tasks, GRACE).unwrap()
    }

    async fn stop(self) {
        assert!(self.tasks.stop(LIMIT).await);
    }

    /// Publishes numbers from several tasks at once and notes what becomes of each.
    async fn load(&self, checker: &Checker, numbers: impl Iterator<Item = u32>) {
        let publish = |number| async move {
            checker.attempted(number);
            match self.bus.publish(&Counted { number }).await {
                Ok(_) => checker.acked(number),
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
        };
        stream::iter(numbers).for_each_concurrent(PUBLISHERS, publish).await;
    }
}

/// What a worker's handler needs: it notes the number as read, asks a stranger for an effect, and publishes what follows.
#[derive(Debug, Clone)]
struct Desk {
    checker: Checker,
    ledger: String,
    bus: Bus,
}

impl Desk {
    fn new(checker: &Checker, ledger: &Ledger, client: &Client) -> Self {
        Self { checker: checker.clone(), ledger: ledger.address(), bus: client.bus.clone() }
    }

    fn worker(&self) -> Worker {
        Worker::new("w").on(with(self, Self::handle))
    }

    async fn handle(self, context: Context, counted: Counted) -> Outcome {
        self.checker.read(counted.number);
        if let Err(error) = ledger::note(&self.ledger, &counted.key(), context.fence()).await {
            return Outcome::retry(error);
        }
        echo(&self.bus, &context, counted.number).await.map_or_else(Outcome::retry, |()| Outcome::Done)
    }
}

/// An inbox in its bucket, whose claims end as soon as a worker's messages go to another.
async fn inbox(client: &Client) -> Inbox {
    Inbox::over(Documents::open(&client.connection, topology::INBOX).await.unwrap(), &client.bus).hold(ACK_WAIT)
}

async fn echo(bus: &Bus, context: &Context, number: u32) -> Result<(), PublishError> {
    bus.publish(&Echoed { number }).because(context.cause()).await.map(drop)
}

/// Waits until all that was confirmed was read, and all that was read is settled.
async fn all_through(client: &Client, checker: &Checker) {
    eventually(LIMIT, "everything confirmed was read", async || checker.fits().map_err(|faults| faults.to_string()))
        .await;
    eventually(LIMIT, "nothing pending, nothing unsettled", async || {
        let stream = client.connection.jetstream.get_stream("COUNTS").await.map_err(|error| error.to_string())?;
        let info = stream.consumer_info("w").await.map_err(|error| error.to_string())?;
        // A consumer hears of a message a moment after its publisher does, so its own count alone is not enough.
        let beyond = stream.cached_info().state.last_sequence.saturating_sub(info.ack_floor.stream_sequence);
        let left = (info.num_pending, info.num_ack_pending, beyond);
        if left == (0, 0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

/// What must hold of a load of numbers when all is through, whatever happened to it meanwhile.
async fn nothing_lost_nothing_twice(client: &Client, checker: &Checker, ledger: &Ledger) {
    all_through(client, checker).await;
    let stored = messages(client, "COUNTS").await;
    assert_eq!(
        stored,
        checker.reads(),
        "a message that was retried is stored once, and none is read that is not stored"
    );
    assert!(stored >= checker.acks());
    assert_eq!(ledger.all().len(), checker.reads(), "each message that was read had its effect");
    assert_eq!(messages(client, "ECHOES").await, checker.reads(), "and one message follows from each");
}

async fn messages(client: &Client, stream: &str) -> usize {
    let stream = eventually(LIMIT, "the stream answers", async || {
        client.connection.jetstream.get_stream(stream).await.map_err(|error| error.to_string())
    })
    .await;
    stream.cached_info().state.messages.try_into().unwrap()
}
