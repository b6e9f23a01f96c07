//! How long `/metrics` takes at ten thousand consumers, as Prometheus asks for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use streamgauge::{
    clock::Timestamp,
    exporter,
    snapshot::{
        AgeBy, Ages, Consumer, ConsumerConfig, ConsumerState, Contact, Failures, Listing, Oldest, Reading, Snapshot,
        Stream, StreamConfig, StreamState, Verdict,
    },
};

use crate::report::{Bar, Figure, Report};

const STREAMS: u64 = 1_000;

const CONSUMERS: u64 = 10;

/// Durable consumers with series of their own unless more are asked for.
const USUAL: usize = 2_000;

const RUNS: usize = 30;

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let now = Timestamp::parse("2030-01-31T12:00:00Z").context("a moment")?;
    let snapshot = Arc::new(world(now)?);
    for (name, most, bar) in [
        ("10 000 consumers, 2 000 with series", USUAL, Some(Bar::AtMost(100.0))),
        ("10 000 consumers, all with series", usize::MAX, None),
    ] {
        let mut runs: Vec<f64> = (0..RUNS).map(|_| millis(|| text(&snapshot, most, now))).collect();
        runs.sort_by(f64::total_cmp);
        let size = text(&snapshot, most, now).len();
        println!("{name}: {:.1} MB", size as f64 / 1e6);
        report.take(Figure { name, value: runs[RUNS - 1], unit: "ms", against: None, bar })?;
    }
    Ok(())
}

fn text(snapshot: &Arc<Snapshot>, most: usize, now: Timestamp) -> String {
    exporter::exposition(Arc::clone(snapshot), most, now).collect()
}

fn millis(work: impl FnOnce() -> String) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64() * 1_000.0
}

fn world(now: Timestamp) -> anyhow::Result<Snapshot> {
    let app = Contact {
        is_connected: true,
        since: now,
        reason: String::new(),
        url: "nats://n1:4222".to_owned(),
        user: None,
        server: None,
    };
    let rows = (0..STREAMS).map(|number| stream(number, now)).collect::<anyhow::Result<_>>()?;
    let mut snapshot = Snapshot::before_the_first(app, Duration::from_secs(10), now);
    snapshot.round = 1;
    snapshot.streams = Reading::known(Listing { rows, missing: Vec::new() }, "n1", now);
    Ok(snapshot)
}

fn stream(number: u64, now: Timestamp) -> anyhow::Result<Stream> {
    let name = format!("STREAM_{number:04}");
    let consumers = (0..CONSUMERS).map(|worker| consumer(&name, number * CONSUMERS + worker, now));
    Ok(Stream {
        account: "A".into(),
        name: name.parse()?,
        config: Arc::new(StreamConfig { name: name.clone(), max_bytes: 1_000_000, ..StreamConfig::default() }),
        created: now,
        state: Reading::known(StreamState { messages: number, ..StreamState::default() }, "n1", now),
        trend: None,
        consumers: Reading::known(
            Listing { rows: consumers.collect::<anyhow::Result<_>>()?, missing: Vec::new() },
            "n1",
            now,
        ),
    })
}

fn consumer(stream: &str, number: u64, now: Timestamp) -> anyhow::Result<Consumer> {
    let name = format!("worker-{number:05}");
    let oldest = Some(Oldest { sequence: Some(number), stored: now, by: AgeBy::Message });
    Ok(Consumer {
        account: "A".into(),
        stream: stream.parse()?,
        name: name.parse()?,
        config: Arc::new(ConsumerConfig {
            durable_name: name,
            max_ack_pending: 1_000,
            ack_policy: "explicit".to_owned(),
            ..ConsumerConfig::default()
        }),
        created: now,
        state: Reading::known(ConsumerState { pending: number % 977, ..ConsumerState::default() }, "n1", now),
        trend: None,
        ages: Reading::known(Ages { unprocessed: oldest, undelivered: oldest }, "n1", now),
        failures: Reading::known(Failures::default(), "n1", now),
        verdict: Verdict::unknown("not looked at", now),
        new_leader: None,
    })
}
