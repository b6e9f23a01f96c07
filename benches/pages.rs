//! How long pages take that are asked for at a steady 50 a second over HTTP while rounds run. A request that waits for another is late by
//! that: each is timed from the moment at which it was due.

use std::time::Duration;

use anyhow::bail;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    crowd::{Shape, consumer_name, stream_name},
    observer::{self, Observer},
    report::{Bar, Figure, Report},
};

const SHAPES: [Shape; 2] = [Shape { streams: 1_000, each: 10 }, Shape { streams: 10, each: 1_000 }];

/// Seconds between rounds: ten times as often as usual, so that many requests meet one.
const INTERVAL: &str = "1";

/// Between two requests.
const PACE: Duration = Duration::from_millis(20);

/// How long requests are made for.
const TIME: Duration = Duration::from_secs(40);

/// Requests left out at the start: connections are made.
const WARM_UP: usize = 100;

/// A page, by the number of the request that asks for it: no two requests shortly after each other ask for the same drawing.
type Address = fn(Shape, usize) -> String;

const PAGES: &[(&str, Address)] = &[
    ("overview", |_, _| "/".to_owned()),
    ("map", |_, _| "/map".to_owned()),
    ("map of a stream", |shape, turn| format!("/map?focus=stream:APP/{}&over=24h", stream_name(turn % shape.streams))),
    ("streams", |_, turn| format!("/streams?page={}", turn % 20 + 1)),
    ("streams, searched", |_, turn| format!("/streams?q={}&sort=messages", turn % 1_000)),
    ("stream", |shape, turn| format!("/streams/APP/{}?over=24h", stream_name(turn % shape.streams))),
    ("consumers", |_, turn| format!("/consumers?page={}", turn % 200 + 1)),
    ("consumers, searched", |_, turn| format!("/consumers?q={:03}&sort=age", turn % 1_000)),
    ("consumers, by rate", |_, turn| format!("/consumers?sort=rate&page={}", turn % 200 + 1)),
    ("consumer", |shape, turn| {
        let (stream, consumer) = (stream_name(turn % shape.streams), consumer_name(turn % shape.each));
        format!("/consumers/APP/{stream}/{consumer}?over=24h")
    }),
    ("dead letters", |_, _| "/dead-letters".to_owned()),
    ("servers", |_, _| "/servers".to_owned()),
    ("services", |_, _| "/services".to_owned()),
    ("records", |_, _| "/records".to_owned()),
    ("findings", |_, turn| format!("/findings?page={}", turn % 10 + 1)),
];

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    for shape in SHAPES {
        observer::watched(shape, INTERVAL, async |observer| measure(shape, observer, report).await)?;
    }
    Ok(())
}

async fn measure(shape: Shape, observer: &Observer, report: &mut Report) -> anyhow::Result<()> {
    let mut asked: JoinSet<anyhow::Result<(usize, f64)>> = JoinSet::new();
    let began = Instant::now();
    for turn in 0.. {
        let due = began + PACE * turn;
        if due > began + TIME {
            break;
        }
        sleep_until(due).await;
        let (turn, client) = (turn as usize, observer.client.clone());
        let page = turn % PAGES.len();
        let url = format!("http://{}{}", observer.address(), PAGES[page].1(shape, turn / PAGES.len() * 7));
        asked.spawn(async move {
            let answer = client.get(&url).header("Accept-Encoding", "gzip").send().await?;
            let status = answer.status();
            answer.bytes().await?;
            if !status.is_success() {
                bail!("{url} is answered with {status}");
            }
            Ok((page, if turn < WARM_UP { f64::NAN } else { due.elapsed().as_secs_f64() * 1e3 }))
        });
    }
    let mut taken = vec![Vec::new(); PAGES.len()];
    while let Some(answer) = asked.join_next().await {
        let (page, milliseconds) = answer??;
        if !milliseconds.is_nan() {
            taken[page].push(milliseconds);
        }
    }
    say(shape, taken, report)
}

fn say(shape: Shape, taken: Vec<Vec<f64>>, report: &mut Report) -> anyhow::Result<()> {
    let all = taken.concat();
    let kinds = PAGES.iter().map(|(name, _)| *name).zip(taken);
    for (name, mut taken) in kinds.chain([("all pages", all)]) {
        taken.sort_by(f64::total_cmp);
        let at = |share: usize| taken[(taken.len() * share).div_ceil(100) - 1];
        let (p50, p99) = (at(50), at(99));
        println!("{name}: {} requests, half of them within {p50:.1} ms", taken.len());
        let name = format!("{} x {}, {name}, p99", shape.streams, shape.each);
        report.take(Figure { name: &name, value: p99, unit: "ms", against: None, bar: Some(Bar::AtMost(20.0)) })?;
    }
    Ok(())
}
