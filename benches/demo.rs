//! The demo at five orders a second: how soon the first order completes, and what all of it costs.

use std::{thread, time::Duration};

use anyhow::Context;
use serde_json::Value;

use crate::{
    report::{Bar, Figure, Report},
    running_demo::RunningDemo,
    usage::{processor_seconds, proportional_megabytes},
};

/// Memory is looked at after this long, and processor time is taken over it.
const WATCHED: Duration = Duration::from_secs(300);

/// Far above the bars: a demo that needs longer is broken, not slow.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let mut demo = RunningDemo::start("--rate 5")?;
    let urls = demo.urls(START_LIMIT)?;
    let client = Client::new()?;
    demo.eventually(START_LIMIT, "an order completes", || client.has_completed_order(&urls.storefront).then_some(()))?;
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

/// Asks the storefront.
struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

impl Client {
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        Ok(Self { runtime, http })
    }

    fn has_completed_order(&self, storefront: &str) -> bool {
        let orders = self.runtime.block_on(self.orders(storefront)).unwrap_or_default();
        orders.iter().any(|order| order["state"] == "completed")
    }

    async fn orders(&self, storefront: &str) -> anyhow::Result<Vec<Value>> {
        let answer: Value = self.http.get(format!("{storefront}/orders")).send().await?.json().await?;
        let orders = answer.as_array().or_else(|| answer["orders"].as_array());
        Ok(orders.context("`GET /orders` answers with a list")?.clone())
    }
}
