//! A worker with all that makes it safe and seen, against a plain loop of fetches whose acks are confirmed by request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use async_nats::jetstream::{self, AckKind, consumer::pull, message::PublishMessage};
use futures_util::{StreamExt, TryStreamExt};
use streamgauge::{
    bus::Bus,
    clock::Clock,
    consumer::{self, Status, Worker},
    handler,
    message::MessageId,
    nats::Connection,
    tasks::Tasks,
    telemetry::Telemetry,
};
use tokio::runtime::Runtime;

use crate::{
    collector,
    measured::{self, Measured, SUBJECT},
    pairs::middle_pair,
    report::{Bar, Figure, Report},
    support::nats_server::NatsServer,
};

/// Messages in one run: some seconds' worth.
const MESSAGES: usize = 200_000;

/// Messages held at once, and so settlements in flight, on both sides.
const CREDITS: u32 = 256;

/// One trace in so many is sampled.
const SAMPLED: usize = 100;

/// A run takes seconds; one that takes this long is stuck.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(NatsServer::start());
    let connection = runtime.block_on(measured::prepare(&server.url(), MESSAGES))?;
    runtime.block_on(fill(&connection.jetstream))?;
    let collector = collector::start()?;
    let telemetry = Telemetry::exporting_to(&collector.said, 1.0 / SAMPLED as f64)?;
    let bus = Bus::new(connection.clone(), "bench", telemetry, Clock::system());
    let ours = || runtime.block_on(ours(&bus, &connection));
    let theirs = || runtime.block_on(theirs(&connection));
    let (ours, theirs) = middle_pair(ours, theirs)?;
    let bar = Some(Bar::AtLeast(0.90));
    report.take(Figure { name: "empty handler, 1 % sampled", value: ours, unit: "/s", against: Some(theirs), bar })?;
    Ok(())
}

/// Messages as a publisher of ours would have written them, one trace in [`SAMPLED`] sampled.
async fn fill(context: &jetstream::Context) -> anyhow::Result<()> {
    let payload = measured::bytes()?;
    let publish = async |number: usize| -> anyhow::Result<()> {
        let flags = u8::from(number.is_multiple_of(SAMPLED));
        let trace = format!("00-{:032x}-{:016x}-{flags:02x}", number + 1, number + 1);
        let message = PublishMessage::build().payload(payload.clone()).message_id(MessageId::new().0);
        let message = message.header("traceparent", trace.as_str()).header("ce-dataschema", "Measured/1");
        context.send_publish(SUBJECT, message).await?.await?;
        Ok(())
    };
    futures_util::stream::iter(0..MESSAGES).map(publish).buffer_unordered(512).try_collect().await
}

async fn ours(bus: &Bus, connection: &Connection) -> anyhow::Result<f64> {
    let (tasks, handled) = (Tasks::default(), Arc::new(AtomicUsize::new(0)));
    let count = handled.clone();
    let handler = move |_: handler::Context, _: Measured| {
        count.fetch_add(1, Relaxed);
        std::future::ready(())
    };
    let worker = Worker::new(format!("ours-{}", MessageId::new())).concurrency(CREDITS).on(handler);
    let began = Instant::now();
    let status = consumer::start(worker, bus, connection, &tasks, Duration::from_secs(1))?;
    while handled.load(Relaxed) < MESSAGES || !is_settled(connection, &status).await? {
        anyhow::ensure!(began.elapsed() < RUN_LIMIT, "{} of {MESSAGES} handled", handled.load(Relaxed));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
    anyhow::ensure!(tasks.stop(Duration::from_secs(5)).await, "the worker does not end");
    connection.jetstream.delete_consumer_from_stream(status.consumer.as_str(), measured::STREAM).await?;
    Ok(rate)
}

/// Whether the server knows of each ack, as the other side does when it ends.
async fn is_settled(connection: &Connection, status: &Status) -> anyhow::Result<bool> {
    let stream = connection.jetstream.get_stream_no_info(measured::STREAM).await?;
    let info = stream.consumer_info(status.consumer.as_str()).await?;
    Ok(info.num_pending == 0 && info.num_ack_pending == 0)
}

async fn theirs(connection: &Connection) -> anyhow::Result<f64> {
    let name = format!("theirs-{}", MessageId::new());
    let stream = connection.jetstream.get_stream(measured::STREAM).await?;
    let began = Instant::now();
    let config = pull::Config { durable_name: Some(name.clone()), max_ack_pending: 10_000, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut handled = 0;
    while handled < MESSAGES {
        anyhow::ensure!(began.elapsed() < RUN_LIMIT, "{handled} of {MESSAGES} handled");
        let fetched = consumer.fetch().max_messages(CREDITS as usize).messages().await?;
        let settled = fetched.map(|message| settle(connection, message));
        handled += settled.buffer_unordered(CREDITS as usize).try_fold(0, async |sum, ()| Ok(sum + 1)).await?;
    }
    let rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
    connection.jetstream.delete_consumer_from_stream(&name, measured::STREAM).await?;
    Ok(rate)
}

async fn settle(connection: &Connection, message: Result<jetstream::Message, async_nats::Error>) -> anyhow::Result<()> {
    let message = message.map_err(anyhow::Error::from_boxed)?;
    let _: Measured = serde_json::from_slice(&message.payload)?;
    let reply = message.message.reply.context("a message of a stream has a reply subject")?;
    connection.client.request(reply, AckKind::Ack.into()).await.context("confirming an ack")?;
    Ok(())
}
