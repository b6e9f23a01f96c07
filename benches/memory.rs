//! Memory of a worker whose handlers hang while a million messages wait.

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use async_nats::jetstream::message::PublishMessage;
use futures_util::{StreamExt, TryStreamExt};
use streamgauge::{
    bus::Bus,
    clock::Clock,
    consumer::{self, Worker},
    handler,
    message::MessageId,
    nats::Connection,
    tasks::Tasks,
    telemetry::Telemetry,
};
use tokio::runtime::Runtime;

use crate::{
    child::{Again, say},
    measured::{self, Measured, STREAM, SUBJECT},
    report::{Bar, Figure, Report},
    support::nats_server::NatsServer,
    usage::peak_megabytes,
};

/// Messages that wait.
const WAITING: usize = 1_000_000;

/// Messages that the worker may hold.
const CREDITS: u32 = 256;

/// How long the worker is watched once it holds all that it may: many pull requests and leases long.
const WATCHED: Duration = Duration::from_secs(40);

/// How long the worker may take to hold all that it may.
const HOLD_LIMIT: Duration = Duration::from_secs(20);

const DURABLE: &str = "hangs";

/// The name under which the bench starts itself again.
pub const CHILD: &str = "hang";

/// Tells the process that hangs where NATS is.
const URL: &str = "STREAMGAUGE_BENCH_URL";

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(NatsServer::start());
    let connection = runtime.block_on(measured::prepare(&server.url(), WAITING))?;
    runtime.block_on(fill(&connection))?;
    // A process of its own: what the filling left behind in this one would hide what a worker needs.
    let child = Again::start(CHILD, &[(URL, &server.url())])?;
    let before: f64 = child.said.parse().context("the worker's process says its memory")?;
    runtime.block_on(until_held(&connection))?;
    std::thread::sleep(WATCHED);
    let growth = peak_megabytes(child.id()).context("the worker's process has ended")? - before;
    let name = format!("growth, {WAITING} wait, {CREDITS} held");
    report.take(Figure { name: &name, value: growth, unit: "MB", against: None, bar: Some(Bar::AtMost(50.0)) })?;
    Ok(())
}

async fn fill(connection: &Connection) -> anyhow::Result<()> {
    let payload = measured::bytes()?;
    let publish = async |_| -> anyhow::Result<()> {
        let message = PublishMessage::build().payload(payload.clone()).message_id(MessageId::new().0);
        connection.jetstream.send_publish(SUBJECT, message).await?.await?;
        Ok(())
    };
    futures_util::stream::iter(0..WAITING).map(publish).buffer_unordered(1_024).try_collect().await
}

async fn until_held(connection: &Connection) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < HOLD_LIMIT {
        let stream = connection.jetstream.get_stream(STREAM).await?;
        if stream.consumer_info(DURABLE).await.is_ok_and(|info| info.num_ack_pending == CREDITS as usize) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the worker does not hold {CREDITS} messages")
}

/// The process that hangs: says its memory once it is connected, then holds messages until it is killed.
pub fn hang() -> anyhow::Result<()> {
    let url = env::var(URL).with_context(|| format!("{URL} is set by the bench `memory`; run that"))?;
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let connection = measured::connected(&url).await?;
        let bus = Bus::new(connection.clone(), "bench", Telemetry::unexported(), Clock::system());
        let tasks = Tasks::default();
        say(&peak_megabytes(std::process::id()).context("/proc says our memory")?.to_string())?;
        let hangs = async |_: handler::Context, _: Measured| std::future::pending::<()>().await;
        consumer::start(Worker::new(DURABLE).concurrency(CREDITS).on(hangs), &bus, &connection, &tasks, WATCHED)?;
        std::future::pending().await
    })
}
