//! A round of the observer: from its first question to the verdicts on all consumers, while messages come and are handled.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use streamgauge::{
    clock::Clock,
    collector::{self, History, Settings, Snapshots},
    config::Thresholds,
    snapshot::{RoundStats, Snapshot},
};
use tokio::{runtime::Runtime, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    crowd::{Crowd, Shape},
    report::{Bar, Figure, Report},
};

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    shape: Shape,
    /// Rounds that are measured.
    rounds: usize,
    /// Milliseconds that a round may take with a system user, and without.
    bars: (f64, f64),
}

const WIDE: Plan = Plan { shape: Shape { streams: 1_000, each: 10 }, rounds: 21, bars: (250.0, 500.0) };
const DEEP: Plan = Plan { shape: Shape { streams: 10, each: 1_000 }, rounds: 21, bars: (250.0, 500.0) };

/// A server takes no more than 1 000 consumers on a stream by default.
const CROWD: Plan = Plan { shape: Shape { streams: 100, each: 1_000 }, rounds: 5, bars: (4_000.0, 4_000.0) };

/// From the end of a round to the next: shorter than anybody needs, so that many are measured.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a round may take before the bench gives up.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// Runs the bench with 10 000 consumers.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    for plan in [WIDE, DEEP] {
        measure(plan, report)?;
    }
    Ok(())
}

/// Runs the bench with 100 000 consumers.
pub fn crowd(report: &mut Report) -> anyhow::Result<()> {
    measure(CROWD, report)
}

fn measure(plan: Plan, report: &mut Report) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let crowd = Crowd::gathered(plan.shape).await?;
        for (who, system, bar) in [("system user", Some("sys"), plan.bars.0), ("lists", None, plan.bars.1)] {
            let settings = Settings {
                interval: INTERVAL,
                app: crowd.login("app"),
                others: Vec::new(),
                system: system.map(|user| crowd.login(user)),
                history: History::default(),
                thresholds: Thresholds::default(),
            };
            let measured = tokio::select! {
                measured = rounds(settings, plan) => measured?,
                worked = crowd.work() => bail!("nobody works any more: {worked:?}"),
            };
            say(report, &format!("{} x {}, {who}", plan.shape.streams, plan.shape.each), bar, &measured)?;
        }
        Ok(())
    })
}

fn say(report: &mut Report, name: &str, bar: f64, measured: &[RoundStats]) -> anyhow::Result<()> {
    let milliseconds = |of: fn(&RoundStats) -> Duration| median(measured, |stats| of(stats).as_secs_f64() * 1e3);
    let own = milliseconds(|stats| stats.duration - stats.waited);
    let worst = measured.iter().map(|stats| stats.duration).max().unwrap_or_default().as_secs_f64() * 1e3;
    let figures = [
        ("", milliseconds(|stats| stats.duration), "ms", Some(Bar::AtMost(bar))),
        (", slowest", worst, "ms", None),
        (", own work", own, "ms", None),
        (", bytes", median(measured, |stats| stats.bytes as f64 / 1e6), "MB", None),
        (", requests", median(measured, |stats| stats.requests as f64), "", None),
    ];
    for (what, value, unit, bar) in figures {
        report.take(Figure { name: &format!("{name}{what}"), value, unit, against: None, bar })?;
    }
    Ok(())
}

/// What each round cost, the first few left out: they read how everything is set up, and the process warms up.
async fn rounds(settings: Settings, plan: Plan) -> anyhow::Result<Vec<RoundStats>> {
    let (collector, mut snapshots) = collector::new(settings, Clock::system())?;
    let stop = CancellationToken::new();
    let measured = async {
        for _ in 0..2 {
            whole(&mut snapshots, plan.shape).await?;
        }
        let mut measured = Vec::with_capacity(plan.rounds);
        while measured.len() < plan.rounds {
            measured.push(whole(&mut snapshots, plan.shape).await?.stats);
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
