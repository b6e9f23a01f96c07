//! A round of the observer: from its first question to the verdicts on all consumers, while messages come and are handled.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use async_nats::{
    ConnectOptions,
    jetstream::{
        self,
        consumer::{PullConsumer, pull},
        stream,
    },
};
use futures_util::{StreamExt, TryStreamExt};
use streamgauge::{
    clock::Clock,
    collector::{self, History, Settings, Snapshots},
    config::{NatsConfig, Thresholds},
    snapshot::{RoundStats, Snapshot},
};
use tokio::{runtime::Runtime, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    report::{Bar, Figure, Report},
    support::nats_server::NatsServer,
};

/// Streams and consumers on each of them.
#[derive(Debug, Clone, Copy)]
struct Shape {
    streams: usize,
    each: usize,
    /// Rounds that are measured.
    rounds: usize,
    /// Milliseconds that a round may take with a system user, and without.
    bars: (f64, f64),
}

const WIDE: Shape = Shape { streams: 1_000, each: 10, rounds: 21, bars: (250.0, 500.0) };
const DEEP: Shape = Shape { streams: 10, each: 1_000, rounds: 21, bars: (250.0, 500.0) };

/// A server takes no more than 1 000 consumers on a stream by default.
const CROWD: Shape = Shape { streams: 100, each: 1_000, rounds: 5, bars: (4_000.0, 4_000.0) };

/// Streams and consumers that are made at once.
const AT_ONCE: usize = 64;

/// From the end of a round to the next: shorter than anybody needs, so that many are measured.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a round may take before the bench gives up.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// Between two messages that are published, delivered and acked while rounds run.
const PACE: Duration = Duration::from_millis(2);

const ACCOUNTS: &str = "
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      APP { jetstream: enabled, users: [{ user: app, password: word }] }
    }
    system_account: SYS
    jetstream {}
";

/// Runs the bench with 10 000 consumers.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    for shape in [WIDE, DEEP] {
        measure(shape, report)?;
    }
    Ok(())
}

/// Runs the bench with 100 000 consumers.
pub fn crowd(report: &mut Report) -> anyhow::Result<()> {
    measure(CROWD, report)
}

fn measure(shape: Shape, report: &mut Report) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let server = NatsServer::start_configured(ACCOUNTS).await;
        let login = ConnectOptions::with_user_and_password("app".to_owned(), "word".to_owned());
        let jetstream = jetstream::new(login.connect(server.url()).await?);
        fill(&jetstream, shape).await?;
        for (who, system, bar) in [("system user", Some("sys"), shape.bars.0), ("lists", None, shape.bars.1)] {
            let name = |what: &str| format!("{} x {}, {who}{what}", shape.streams, shape.each);
            let config = |user: &str| NatsConfig {
                url: Some(server.url()),
                user: Some(user.to_owned()),
                password: Some("word".to_owned()),
                ..NatsConfig::default()
            };
            let history = History::default();
            let settings = Settings {
                interval: INTERVAL,
                app: config("app"),
                system: system.map(config),
                history,
                thresholds: Thresholds::default(),
            };
            let measured = tokio::select! {
                measured = rounds(settings, shape) => measured?,
                worked = work(&jetstream, shape) => bail!("nobody works any more: {worked:?}"),
            };
            let milliseconds =
                |of: fn(&RoundStats) -> Duration| median(&measured, |stats| of(stats).as_secs_f64() * 1e3);
            let total = milliseconds(|stats| stats.duration);
            report.take(figure(&name(""), total, "ms", Some(Bar::AtMost(bar))))?;
            report.take(figure(
                &name(", own work"),
                milliseconds(|stats| stats.duration - stats.waited),
                "ms",
                None,
            ))?;
            report.take(figure(&name(", bytes"), median(&measured, |stats| stats.bytes as f64 / 1e6), "MB", None))?;
            report.take(figure(&name(", requests"), median(&measured, |stats| stats.requests as f64), "", None))?;
        }
        Ok(())
    })
}

fn figure<'a>(name: &'a str, value: f64, unit: &'static str, bar: Option<Bar>) -> Figure<'a> {
    Figure { name, value, unit, against: None, bar }
}

/// Makes the streams and consumers; each consumer has something pending and something in flight.
async fn fill(jetstream: &jetstream::Context, shape: Shape) -> anyhow::Result<()> {
    let streams = (0..shape.streams).map(async |number| -> anyhow::Result<stream::Stream> {
        let config = stream::Config { name: name(number), max_messages: 100, ..Default::default() };
        let made = jetstream.create_stream(config).await?;
        for _ in 0..3 {
            jetstream.publish(name(number), "{}".into()).await?.await?;
        }
        Ok(made)
    });
    let streams: Vec<_> = futures_util::stream::iter(streams).buffered(AT_ONCE).try_collect().await?;
    let consumers = streams.iter().flat_map(|stream| (0..shape.each).map(move |number| (stream, number)));
    let consumers = consumers.map(async |(stream, number)| -> anyhow::Result<()> {
        let config = pull::Config {
            durable_name: Some(format!("consumer-{number:04}")),
            filter_subject: stream.cached_info().config.name.clone(),
            ack_wait: Duration::from_secs(3_600),
            ..Default::default()
        };
        let made: PullConsumer = stream.create_consumer(config).await?;
        made.fetch()
            .max_messages(1)
            .messages()
            .await?
            .next()
            .await
            .context("there is a message")?
            .map(drop)
            .map_err(anyhow::Error::from_boxed)
    });
    futures_util::stream::iter(consumers).buffer_unordered(AT_ONCE).try_collect().await
}

fn name(stream: usize) -> String {
    format!("STREAM-{stream:04}")
}

/// Publishes without end, to one stream after the other, and has one of its consumers handle what there is.
async fn work(jetstream: &jetstream::Context, shape: Shape) -> anyhow::Result<()> {
    for turn in 0.. {
        let (stream, number) = (name(turn % shape.streams), turn / shape.streams % shape.each);
        let stored = jetstream.publish(stream.clone(), "{}".into()).await?.await;
        stored.with_context(|| format!("message {turn} is not stored"))?;
        let consumer: PullConsumer =
            jetstream.get_consumer_from_stream(format!("consumer-{number:04}"), stream).await?;
        if let Some(message) = consumer.fetch().max_messages(1).messages().await?.next().await {
            message.map_err(anyhow::Error::from_boxed)?.ack().await.map_err(anyhow::Error::from_boxed)?;
        }
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// What each round cost, the first few left out: they read how everything is set up, and the process warms up.
async fn rounds(settings: Settings, shape: Shape) -> anyhow::Result<Vec<RoundStats>> {
    let (collector, mut snapshots) = collector::new(settings, Clock::system())?;
    let stop = CancellationToken::new();
    let measured = async {
        for _ in 0..2 {
            whole(&mut snapshots, shape).await?;
        }
        let mut measured = Vec::with_capacity(shape.rounds);
        while measured.len() < shape.rounds {
            measured.push(whole(&mut snapshots, shape).await?.stats);
        }
        anyhow::Ok(measured)
    };
    tokio::select! {
        ended = collector.run(stop) => bail!("the collector ended: {ended:?}"),
        measured = measured => measured,
    }
}

/// The next snapshot, in which everything is.
async fn whole(snapshots: &mut Snapshots, shape: Shape) -> anyhow::Result<Arc<Snapshot>> {
    timeout(ROUND_LIMIT, snapshots.changed()).await.context("a round does not end")??;
    let snapshot = snapshots.borrow_and_update().clone();
    let fresh = snapshot.known_consumers().filter(|row| row.state.fresh().is_some()).count();
    if fresh < shape.streams * shape.each {
        bail!("round {} saw {fresh} consumers: {:?}", snapshot.round, snapshot.streams.reason());
    }
    Ok(snapshot)
}

fn median(measured: &[RoundStats], of: impl Fn(&RoundStats) -> f64) -> f64 {
    let mut values: Vec<f64> = measured.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
