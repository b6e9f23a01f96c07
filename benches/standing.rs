//! What an observer of ten thousand consumers needs while it stands there: its memory with a whole day's history, and the time of `/metrics`.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;

use crate::{
    crowd::Shape,
    observer::{self, Observer},
    report::{Bar, Figure, Report},
    usage::{peak_megabytes, resident_megabytes},
};

const SHAPE: Shape = Shape { streams: 1_000, each: 10 };

/// Seconds between rounds: shorter than usual, so that memory is looked at over many of them.
const INTERVAL: &str = "1";

/// Rounds over which it is watched.
const ROUNDS: u64 = 40;

/// How often `/metrics` is asked for.
const SCRAPES: usize = 40;

const PAUSE: Duration = Duration::from_millis(250);

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    observer::watched(SHAPE, INTERVAL, async |observer| measure(observer, report).await)
}

async fn measure(observer: &mut Observer, report: &mut Report) -> anyhow::Result<()> {
    let mut scrapes = Vec::with_capacity(SCRAPES);
    for _ in 0..SCRAPES {
        let began = Instant::now();
        observer.read("/metrics").await?;
        scrapes.push(began.elapsed().as_secs_f64() * 1e3);
        sleep(PAUSE).await;
    }
    scrapes.sort_by(f64::total_cmp);
    observer.until_round(ROUNDS).await?;
    let mut resident = Vec::new();
    for _ in 0..SCRAPES {
        resident.push(resident_megabytes(observer.id()).context("the observer has ended")?);
        sleep(PAUSE).await;
    }
    resident.sort_by(f64::total_cmp);
    let peak = peak_megabytes(observer.id()).context("the observer has ended")?;
    let figures = [
        ("memory at most, history of 24 h", peak, "MB", Some(Bar::AtMost(200.0))),
        ("memory between rounds", resident[SCRAPES / 2], "MB", None),
        ("/metrics, slowest of 40", scrapes[SCRAPES - 1], "ms", Some(Bar::AtMost(100.0))),
        ("/metrics, median", scrapes[SCRAPES / 2], "ms", None),
    ];
    for (name, value, unit, bar) in figures {
        report.take(Figure { name, value, unit, against: None, bar })?;
    }
    Ok(())
}
