//! A worker that is asked to end hands back what it did not begin: how soon another has it, and what that costs.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::ensure;
use streamgauge::{
    bus::Bus,
    clock::Clock,
    consumer::{self, Worker},
    handler::Context,
    message::MessageId,
    nats::Connection,
    tasks::Tasks,
    telemetry::Telemetry,
};
use tokio::{runtime::Runtime, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    measured::{self, Measured},
    report::{Bar, Figure, Report},
    support::nats_server::NatsServer,
};

/// Messages that the first worker holds; it runs one and has not begun the others.
const HELD: u32 = 32;

/// Times that a worker is drained.
const ROUNDS: usize = 20;

/// Far longer than a hand-back may take: without one the server would wait as long before it delivers again.
const ACK_WAIT: Duration = Duration::from_secs(60);

const LIMIT: Duration = Duration::from_secs(10);

/// What the second worker saw of a message: when, the how many-th delivery, the how many-th attempt.
type Seen = Arc<Mutex<Vec<(Instant, u64, u32)>>>;

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(NatsServer::start());
    let connection = runtime.block_on(measured::prepare(&server.url(), 10_000))?;
    let bus = Bus::new(connection.clone(), "bench", Telemetry::unexported(), Clock::system());
    let mut waits = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        waits.push(runtime.block_on(drained(&bus, &connection))?.as_secs_f64() * 1e3);
    }
    waits.sort_by(f64::total_cmp);
    let figure = |name, value, bar| Figure { name, value, unit: "ms", against: None, bar };
    report.take(figure("hand-back, median of the last message", waits[ROUNDS / 2], None))?;
    report.take(figure("hand-back, worst of the last message", waits[ROUNDS - 1], Some(Bar::AtMost(100.0))))?;
    Ok(())
}

/// How long after the first worker, asked to end, had ended what it ran the second had begun all the rest.
async fn drained(bus: &Bus, connection: &Connection) -> anyhow::Result<Duration> {
    let durable = format!("drained-{}", MessageId::new());
    connection.jetstream.get_stream(measured::STREAM).await?.purge().await?;
    for _ in 0..HELD {
        bus.publish(&measured::one()).await?;
    }
    let (first_tasks, second_tasks) = (Tasks::default(), Tasks::default());
    let (release, seen) = (CancellationToken::new(), Seen::default());
    let released = release.clone();
    let waits = move |_: Context, _: Measured| released.clone().cancelled_owned();
    // All messages have one key, so that this worker begins one and holds the rest.
    let first = Worker::new(&durable).ack_wait(ACK_WAIT).concurrency(HELD).serial_by_key().on(waits);
    let first = consumer::start(first, bus, connection, &first_tasks, LIMIT)?;
    let began = Instant::now();
    while !holds_all(connection, &durable).await {
        ensure!(began.elapsed() < LIMIT, "the first worker does not hold {HELD} messages: {:?}", first.pull());
        sleep(Duration::from_millis(10)).await;
    }
    let noted = seen.clone();
    let notes = move |context: Context, _: Measured| {
        let delivered = context.delivery().map_or(0, |delivery| delivery.delivered);
        noted.lock().expect("no handler panics").push((Instant::now(), delivered, context.attempt()));
        std::future::ready(())
    };
    let second = Worker::new(&durable).ack_wait(ACK_WAIT).concurrency(HELD).on(notes);
    let second = consumer::start(second, bus, connection, &second_tasks, LIMIT)?;
    while !second.pull().is_pulling {
        ensure!(began.elapsed() < LIMIT, "the second worker does not pull");
        sleep(Duration::from_millis(1)).await;
    }
    let (ended, had) = tokio::join!(first_tasks.stop(LIMIT), async {
        while first.pull().is_pulling {
            sleep(Duration::from_millis(1)).await;
        }
        // What waits behind a key goes back when the key's running message has ended, so that its order is kept.
        let released = Instant::now();
        release.cancel();
        all_begun(&seen, released).await
    });
    ensure!(ended & second_tasks.stop(LIMIT).await, "a worker does not end");
    connection.jetstream.delete_consumer_from_stream(&durable, measured::STREAM).await?;
    had
}

async fn holds_all(connection: &Connection, durable: &str) -> bool {
    let Ok(stream) = connection.jetstream.get_stream_no_info(measured::STREAM).await else { return false };
    stream.consumer_info(durable).await.is_ok_and(|info| info.num_ack_pending == HELD as usize)
}

async fn all_begun(seen: &Seen, released: Instant) -> anyhow::Result<Duration> {
    let handed_back = HELD as usize - 1;
    while seen.lock().expect("no handler panics").len() < handed_back {
        let begun = seen.lock().expect("no handler panics").len();
        ensure!(released.elapsed() < LIMIT, "the second worker has begun {begun} of {handed_back} messages");
        sleep(Duration::from_millis(1)).await;
    }
    let seen = seen.lock().expect("no handler panics");
    for (_, delivered, attempt) in seen.iter() {
        ensure!((*delivered, *attempt) == (2, 1), "delivery {delivered} is attempt {attempt}, not the first");
    }
    let last = seen.iter().map(|(at, ..)| *at).max();
    Ok(last.map_or(Duration::ZERO, |last| last.duration_since(released)))
}
