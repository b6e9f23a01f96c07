//! The demo at five orders a second: how soon the first order completes, and what all of it costs.

use std::{thread, time::Duration};

use streamgauge::record::Phase;
use tokio::runtime::Runtime;

use crate::{
    report::{Bar, Figure, Report},
    running_demo::RunningDemo,
    shop::Shop,
    usage::{processor_seconds, proportional_megabytes},
};

/// Memory is looked at after this long, and processor time is taken over it.
const WATCHED: Duration = Duration::from_secs(300);

/// Far above the bars: a demo that needs longer is broken, not slow.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let mut demo = RunningDemo::start("--rate 5")?;
    let shop = Shop::at(&demo.urls(START_LIMIT)?.storefront)?;
    let runtime = Runtime::new()?;
    let has_completed = || {
        let newest = runtime.block_on(shop.newest()).unwrap_or_default();
        newest.iter().any(|order| order.phase == Phase::Succeeded)
    };
    demo.eventually(START_LIMIT, "an order completes", || has_completed().then_some(()))?;
    report.take(figure("first completed order", demo.started.elapsed().as_secs_f64(), "s", 10.0))?;

    let before = processor_seconds(demo.root());
    thread::sleep(WATCHED);
    let used = processor_seconds(demo.root()) - before;
    let percent = used / WATCHED.as_secs_f64() * 100.0;
    report.take(figure("memory of all processes", proportional_megabytes(demo.root()), "MB", 300.0))?;
    report.take(figure("processor time of all processes", percent, "% of a core", 15.0))?;
    report.take(figure("from Ctrl-C to the last process's end", demo.stop()?.as_secs_f64(), "s", 10.0))?;
    Ok(())
}

fn figure<'a>(name: &'a str, value: f64, unit: &'a str, most: f64) -> Figure<'a> {
    Figure { name, value, unit, against: None, bar: Some(Bar::AtMost(most)) }
}
