//! What 500 open tabs cost the observer: its processor time with them, less that without them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::bail;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

use crate::{
    crowd::{Shape, consumer_name, stream_name},
    observer::{self, Observer},
    report::{Bar, Figure, Report},
    usage::processor_seconds,
};

const SHAPE: Shape = Shape { streams: 1_000, each: 10 };

const VIEWERS: usize = 500;

/// Seconds between rounds, as where nobody says otherwise.
const INTERVAL: &str = "10";

/// How long processor time is taken, with viewers and without.
const WATCHED: Duration = Duration::from_secs(50);

/// How long the tabs may take to open and get their first patch.
const OPEN_LIMIT: u32 = 600;

const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Patches and bytes that came.
#[derive(Debug, Default)]
struct Came {
    patches: AtomicU64,
    bytes: AtomicU64,
}

/// Runs the bench.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    observer::watched(SHAPE, INTERVAL, async |observer| measure(observer, report).await)
}

async fn measure(observer: &mut Observer, report: &mut Report) -> anyhow::Result<()> {
    // The rounds before are over: this one begins after two intervals at the most.
    observer.until_round(3).await?;
    let without = used(observer).await;
    let came = Arc::new(Came::default());
    let mut tabs = JoinSet::new();
    for number in 0..VIEWERS {
        let stream = TcpStream::connect(observer.address()).await?;
        tabs.spawn(follow(stream, page(number), came.clone()));
    }
    let mut waited = 0;
    while came.patches.load(Ordering::Relaxed) < VIEWERS as u64 {
        if let Some(ended) = tabs.try_join_next() {
            ended??;
        }
        waited += 1;
        if waited > OPEN_LIMIT {
            bail!("only {came:?} after {:?}", ASK_AGAIN * OPEN_LIMIT);
        }
        sleep(ASK_AGAIN).await;
    }
    let (patches, bytes) = (came.patches.load(Ordering::Relaxed), came.bytes.load(Ordering::Relaxed));
    let with = used(observer).await;
    let patches = came.patches.load(Ordering::Relaxed) - patches;
    let bytes = came.bytes.load(Ordering::Relaxed) - bytes;
    if let Some(ended) = tabs.try_join_next() {
        ended??;
    }
    println!("{patches} patches came, {:.1} KB each", bytes as f64 / patches as f64 / 1e3);
    let figures = [
        ("500 viewers add", with - without, Some(Bar::AtMost(30.0))),
        ("without viewers", without, None),
        ("with viewers", with, None),
    ];
    for (name, value, bar) in figures {
        report.take(Figure { name, value, unit: "% of a core", against: None, bar })?;
    }
    Ok(())
}

/// Per cent of a core.
async fn used(observer: &Observer) -> f64 {
    let before = processor_seconds(observer.id());
    sleep(WATCHED).await;
    (processor_seconds(observer.id()) - before) / WATCHED.as_secs_f64() * 100.0
}

/// What the tab with this number shows. Two of five show what nobody else does.
fn page(number: usize) -> String {
    let (stream, consumer) = (stream_name(number), consumer_name(number % SHAPE.each));
    match number % 5 {
        0 => "/".to_owned(),
        1 => "/consumers".to_owned(),
        2 => "/streams".to_owned(),
        3 => format!("/streams/APP/{stream}"),
        _ => format!("/consumers/APP/{stream}/{consumer}"),
    }
}

/// Reads updates until it is stopped.
async fn follow(mut stream: TcpStream, page: String, came: Arc<Came>) -> anyhow::Result<()> {
    let address = stream.peer_addr()?;
    let request = format!("GET /live?page={page} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 64 * 1024];
    // An event may be cut anywhere: what could be the begin of its name is kept.
    let mut rest = Vec::new();
    const NAME: &[u8] = b"event: patch";
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            bail!("the stream of {page} ended: {}", String::from_utf8_lossy(&rest));
        }
        came.bytes.fetch_add(read as u64, Ordering::Relaxed);
        rest.extend_from_slice(&buffer[..read]);
        let names = rest.windows(NAME.len()).filter(|window| *window == NAME).count();
        came.patches.fetch_add(names as u64, Ordering::Relaxed);
        rest.drain(..rest.len().saturating_sub(NAME.len() - 1));
    }
}
