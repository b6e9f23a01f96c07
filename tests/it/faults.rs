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

use std::{ops::Range, sync::Arc, time::Duration};

use async_nats::jetstream;
use futures_util::{StreamExt, stream};
use rustix::process::Signal;
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
    child, eventually,
    ledger::{self, Ledger},
    nats_server::NatsServer,
    process::Process,
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

/// A number as a payload, which is its own key.
macro_rules! number {
    ($(#[$says:meta])* $name:ident, $stream:literal, $subject:literal) => {
        $(#[$says])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        struct $name {
            number: u32,
        }

        impl Payload for $name {
            const KIND: &'static str = stringify!($name);
            const STREAM: &'static str = $stream;
            const SUBJECT: &'static str = $subject;

            fn key(&self) -> String {
                self.number.to_string()
            }
        }
    };
}

number!(
    /// What is published under load.
    Counted, "COUNTS", "counts.*"
);
number!(
    /// What a handler publishes because of it.
    Echoed, "ECHOES", "echoes.*"
);

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

/// One connection with what runs over it; clones are the same.
#[derive(Clone)]
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

/// A server with both streams and a client of it, what becomes of each number, and a stranger's book of effects.
struct World {
    server: NatsServer,
    client: Client,
    checker: Checker,
    ledger: Ledger,
}

impl World {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let client = Client::of(server.url()).await;
        declare(&client.connection.jetstream, 1).await;
        Self { server, client, checker: Checker::default(), ledger: Ledger::open().await }
    }

    /// The same with one message, which is the number 7.
    async fn with_one() -> Self {
        let world = Self::new().await;
        world.client.load(&world.checker, 7..8).await;
        world
    }

    /// The same with a worker.
    async fn at_work() -> Self {
        let world = Self::new().await;
        world.client.work(world.desk().worker());
        world
    }

    fn desk(&self) -> Desk {
        Desk::new(&self.checker, &self.ledger, &self.client)
    }

    /// A worker of another process, which plays `part` and stops where it is told to.
    fn process(&self, part: &str, url: &str, stop_at: &str) -> Process {
        child::start(part, &[("NATS", url), ("LEDGER", &self.ledger.address()), ("STOP_AT", stop_at)])
    }

    /// Publishes numbers while a fault happens, once so many of them were read.
    async fn load(&self, numbers: Range<u32>, reads: usize, fault: impl Future<Output = ()>) {
        let fault = async {
            self.read_more(reads).await;
            fault.await;
        };
        tokio::join!(self.client.load(&self.checker, numbers), fault);
    }

    /// Waits until so many more were read.
    async fn read_more(&self, more: usize) {
        let before = self.checker.reads();
        eventually(LIMIT, "the load runs", async || self.checker.reads() > before + more).await;
    }

    async fn holds(&self) {
        nothing_lost_nothing_twice(&self.client, &self.checker, &self.ledger).await;
    }

    /// Lets a worker go on that stood still at a point, and waits until it settles like that what is long done.
    async fn comes_back(&self, zombie: &Process, settlement: &[u8]) {
        let client = &self.client.connection.client;
        let mut settlements = client.subscribe("$JS.ACK.>").await.unwrap();
        client.flush().await.unwrap();
        zombie.signal(Signal::CONT);
        zombie.signal(Signal::USR1);
        let late = async { while !settlements.next().await.unwrap().payload.starts_with(settlement) {} };
        tokio::time::timeout(LIMIT, late).await.expect("the zombie settles");
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
