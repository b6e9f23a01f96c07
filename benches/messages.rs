//! How long pages of messages take that are asked for over HTTP, one after the other, in a stream of ten million messages.

use anyhow::Context;
use async_nats::{ConnectOptions, jetstream};
use tokio::{runtime::Runtime, time::Instant};

use crate::{
    crowd::{Crowd, PASSWORD, Shape},
    observer::Observer,
    report::{Bar, Figure, Report},
};

const MESSAGES: u64 = 10_000_000;

/// Messages between two that are confirmed: the server drops what it has not stored yet beyond ten thousand.
const UNCONFIRMED: u64 = 5_000;

/// One message in so many is on the rare subject.
const RARE: u64 = 100_000;

/// How often each page is asked for, and how often before that.
const TURNS: u64 = 200;
const WARM_UP: u64 = 10;

/// A page, by the number of the request that asks for it.
type Address = fn(u64) -> String;

const PAGES: &[(&str, Address)] = &[
    ("newest", |_| "/messages/APP/MANY".to_owned()),
    ("before", |turn| format!("/messages/APP/MANY?before={}", turn * 49_999 + 100)),
    ("rare subject", |_| "/messages/APP/MANY?subject=many.rare.*".to_owned()),
    ("one of many subjects", |turn| format!("/messages/APP/MANY?subject=many.usual.{}", turn % 1_000)),
    ("from a time", |_| "/messages/APP/MANY?at=2000-01-01".to_owned()),
    ("one message", |turn| format!("/messages/APP/MANY/{}", turn * 49_999 + 100)),
];

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let crowd = Crowd::gathered(Shape { streams: 1, each: 1 }).await?;
        fill(&crowd.server.url()).await?;
        let observer = Observer::start(&crowd, "10").await?;
        for (name, address) in PAGES {
            let mut taken = Vec::new();
            for turn in 0..WARM_UP + TURNS {
                let began = Instant::now();
                observer.get(&address(turn % TURNS)).await?;
                if turn >= WARM_UP {
                    taken.push(began.elapsed().as_secs_f64() * 1e3);
                }
            }
            taken.sort_by(f64::total_cmp);
            let at = |share: usize| taken[(taken.len() * share).div_ceil(100) - 1];
            println!("{name}: half of {TURNS} requests within {:.1} ms", at(50));
            let name = format!("{name}, p99");
            let bar = Some(Bar::AtMost(50.0));
            report.take(Figure { name: &name, value: at(99), unit: "ms", against: None, bar })?;
        }
        Ok(())
    })
}

async fn fill(url: &str) -> anyhow::Result<()> {
    let login = ConnectOptions::with_user_and_password("app".to_owned(), PASSWORD.to_owned());
    let client = login.connect(url).await?;
    let jetstream = jetstream::new(client.clone());
    let config = jetstream::stream::Config {
        name: "MANY".to_owned(),
        subjects: vec!["many.>".to_owned()],
        allow_direct: true,
        ..Default::default()
    };
    let mut stream = jetstream.create_stream(config).await?;
    for number in 1..=MESSAGES {
        let subject = match number % RARE {
            0 => format!("many.rare.{number}"),
            _ => format!("many.usual.{}", number % 1_000),
        };
        let payload = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(80)).into();
        if number % UNCONFIRMED == 0 {
            jetstream.publish(subject, payload).await?.await?;
        } else {
            client.publish(subject, payload).await?;
        }
    }
    let held = stream.info().await?.state.messages;
    anyhow::ensure!(held == MESSAGES, "{held} of {MESSAGES} messages are stored");
    client.flush().await.context("flushing")
}
