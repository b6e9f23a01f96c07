//! Publishing with all that makes it safe and seen, against the plain client: with the same headers but `traceparent`, and with a
//! message id alone. Against the same with a sampled `traceparent` as well, what the server does for such a message is not ours: it
//! takes all its headers apart.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::Context;
use async_nats::{HeaderMap, jetstream::message::PublishMessage};
use streamgauge::{
    bus::Bus,
    clock::Clock,
    message::{MessageId, header},
    nats::Connection,
    telemetry::Telemetry,
    trace::TraceParent,
};
use tokio::{runtime::Runtime, time::MissedTickBehavior};

use crate::{
    child::Again,
    collector,
    measured::{self, Measured, STREAM, SUBJECT},
    pairs::middle_pair,
    report::{Bar, Figure, Report},
    support::nats_server::NatsServer,
};

/// Unconfirmed messages at once.
const WINDOW: usize = 1024;

/// Messages in one run: a second's worth and more.
const MESSAGES: usize = 150_000;

/// Messages in one run that waits for each confirmation.
const SINGLE: usize = 6_000;

/// A rate at which no span may be dropped, in messages a second, and for how many seconds.
const STEADY: (u32, u32) = (5_000, 10);

/// How long the last spans may take to the collector.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// Messages that the stream keeps: older ones go, so that later runs do not meet a fuller stream than earlier ones.
const KEPT: usize = 10_000;

/// What both sides have.
struct Bench {
    runtime: Runtime,
    connection: Connection,
    payload: Measured,
    collector: Again,
    _server: NatsServer,
}

/// Which headers the plain client sends.
#[derive(Clone, Copy)]
enum Headers {
    Same,
    Traced,
    IdOnly,
}

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let bench = Bench::new()?;
    let tracing = |share| Telemetry::exporting_to(&bench.collector.said, share);
    let rarely = bench.bus(tracing(0.01)?);
    let always = bench.bus(tracing(1.0)?);

    bench.compare(report, "one after the other, 1 % sampled", &rarely, (SINGLE, 1), None)?;
    bench.compare(report, "window 1024, 1 % sampled", &rarely, (MESSAGES, WINDOW), Some(Bar::AtLeast(0.9)))?;
    bench.compare(report, "window 1024, 100 % sampled", &always, (MESSAGES, WINDOW), Some(Bar::AtLeast(0.8)))?;
    let traced = (Headers::Traced, " (traceparent by hand)");
    bench.against(report, "window 1024, 100 % sampled", &always, (MESSAGES, WINDOW), traced, None)?;
    let (ended, exported) = always.telemetry().metrics().spans();
    let dropped = (ended - exported) as f64 / ended as f64 * 100.0;
    report.take(Figure { name: "spans dropped at that rate", value: dropped, unit: "%", against: None, bar: None })?;
    bench.steady(report, tracing(1.0)?)?;
    for bus in [rarely, always] {
        bench.runtime.block_on(bus.telemetry().shutdown());
    }
    Ok(())
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let server = runtime.block_on(NatsServer::start());
        let connection = runtime.block_on(measured::prepare(&server.url(), KEPT))?;
        let collector = collector::start()?;
        Ok(Self { runtime, connection, payload: measured::one(), collector, _server: server })
    }

    fn bus(&self, telemetry: Telemetry) -> Bus {
        Bus::new(self.connection.clone(), "bench", telemetry, Clock::system()).with_window(WINDOW)
    }

    /// Against the same headers, held to `bar`, and against a message id alone.
    fn compare(
        &self,
        report: &mut Report,
        name: &str,
        bus: &Bus,
        (messages, window): (usize, usize),
        bar: Option<Bar>,
    ) -> anyhow::Result<()> {
        self.against(report, name, bus, (messages, window), (Headers::Same, ""), bar)?;
        self.against(report, name, bus, (messages, window), (Headers::IdOnly, " (id only)"), None)
    }

    fn against(
        &self,
        report: &mut Report,
        name: &str,
        bus: &Bus,
        (messages, window): (usize, usize),
        (headers, words): (Headers, &str),
        bar: Option<Bar>,
    ) -> anyhow::Result<()> {
        let ours = || self.runtime.block_on(self.ours(bus, messages, window));
        let theirs = || self.runtime.block_on(self.theirs(headers, messages, window));
        let (ours, theirs) = middle_pair(ours, theirs)?;
        let name = format!("{name}{words}");
        report.take(Figure { name: &name, value: ours, unit: "/s", against: Some(theirs), bar })?;
        Ok(())
    }

    /// Messages a second with the library.
    async fn ours(&self, bus: &Bus, messages: usize, window: usize) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut under_way = VecDeque::with_capacity(window);
        for _ in 0..messages {
            if under_way.len() == window {
                confirmed(under_way.pop_front()).await?;
            }
            under_way.push_back(bus.publish(&self.payload).send().await?);
        }
        while !under_way.is_empty() {
            confirmed(under_way.pop_front()).await?;
        }
        Ok(messages as f64 / began.elapsed().as_secs_f64())
    }

    /// Messages a second with the client alone.
    async fn theirs(&self, headers: Headers, messages: usize, window: usize) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut under_way = VecDeque::with_capacity(window);
        for _ in 0..messages {
            if under_way.len() == window {
                confirmed(under_way.pop_front()).await?;
            }
            let payload = serde_json::to_vec(&self.payload)?;
            let message = PublishMessage::build().headers(plain(headers)).payload(payload.into());
            let sent = self.connection.jetstream.send_publish(SUBJECT, message).await.context("plain publishing")?;
            under_way.push_back(sent.into_future());
        }
        while !under_way.is_empty() {
            confirmed(under_way.pop_front()).await?;
        }
        Ok(messages as f64 / began.elapsed().as_secs_f64())
    }

    /// No span is dropped at a rate that a busy service has.
    fn steady(&self, report: &mut Report, telemetry: Telemetry) -> anyhow::Result<()> {
        const BURST: u32 = 50;
        let bus = self.bus(telemetry.clone());
        let (rate, seconds) = STEADY;
        self.runtime.block_on(async {
            let mut beat = tokio::time::interval(Duration::from_secs(1) / (rate / BURST));
            beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for _ in 0..seconds * rate / BURST {
                beat.tick().await;
                let burst = (0..BURST).map(|_| async { bus.publish(&self.payload).await });
                futures_util::future::try_join_all(burst).await?;
            }
            anyhow::Ok(())
        })?;
        let began = Instant::now();
        let lost = || {
            let (ended, exported) = telemetry.metrics().spans();
            ended - exported
        };
        while lost() > 0 && began.elapsed() < FLUSH_LIMIT {
            std::thread::sleep(Duration::from_millis(50));
        }
        let bar = Some(Bar::AtMost(0.0));
        let name = format!("spans dropped at {rate}/s");
        report.take(Figure { name: &name, value: lost() as f64, unit: "spans", against: None, bar })?;
        self.runtime.block_on(telemetry.shutdown());
        Ok(())
    }
}

async fn confirmed<T, E>(sent: Option<impl Future<Output = Result<T, E>>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    if let Some(sent) = sent {
        sent.await?;
    }
    Ok(())
}

/// As `streamgauge` writes them, by hand.
fn plain(headers: Headers) -> HeaderMap {
    let id = MessageId::new().0;
    let mut map = HeaderMap::new();
    if matches!(headers, Headers::Traced) {
        let (trace_id, span_id) = (fastrand::u128(1..).to_be_bytes(), fastrand::u64(1..).to_be_bytes());
        map.insert(header::TRACEPARENT, TraceParent { trace_id, span_id, flags: 1 }.text());
    }
    if !matches!(headers, Headers::IdOnly) {
        map.insert(header::CE_SPECVERSION, "1.0");
        map.insert(header::CONTENT_TYPE, "application/json");
        map.insert(header::CE_ID, id.as_str());
        map.insert(header::CORRELATION_ID, id.as_str());
        map.insert(header::CE_TYPE, "Measured");
        map.insert(header::CE_DATASCHEMA, "Measured/1");
        map.insert(header::CE_SOURCE, "bench");
        map.insert(header::CE_TIME, Clock::system().now().to_string());
        map.insert(async_nats::header::NATS_EXPECTED_STREAM, STREAM);
    }
    map.insert(async_nats::header::NATS_MESSAGE_ID, id);
    map
}
