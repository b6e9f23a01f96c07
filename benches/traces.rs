//! The trace store: how fast it takes spans, whether it stays within its bound under more than it can take, and how long one waits for what
//! one looks for.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use prost::Message;
use streamgauge::{
    clock::Clock,
    collector::History,
    snapshot::{Contact, Snapshot},
    traces::{Query, Store, Traces, otlp::Receiver},
    web::{self, Settings, Web},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    child::{Again, say},
    report::{Bar, Figure, Report},
    support::spans::{processing, request},
    usage::peak_megabytes,
};

/// The name under which the bench starts itself again, as the receiver.
pub const CHILD: &str = "traces-receiver";

/// Spans of a request: what SDKs send at once.
const BATCH: u64 = 512;

/// Spans of a trace.
const TRACE: u64 = 16;

/// For how long more is sent than can be taken.
#[derive(Debug, clap::Args)]
pub struct Overload {
    /// Seconds for which `traces` sends more than can be taken: half a minute fills the store many times over, 600 are ten minutes
    #[arg(long, env = "STREAMGAUGE_BENCH_SECONDS", default_value_t = 30)]
    seconds: u64,
}

/// Senders at once.
const SENDERS: usize = 2;

const MB: usize = 1_024 * 1_024;

/// The bound of a store unless it is said otherwise.
const BOUND: usize = 128 * MB;

const SEARCHES: usize = 40;

/// Spans of the trace that is drawn.
const DRAWN: u64 = 1_000;

/// Runs the bench.
pub fn run(overload: &Overload, report: &mut Report) -> anyhow::Result<()> {
    ingest(Duration::from_secs(overload.seconds), report)?;
    search(report)?;
    page(report)
}

fn ingest(seconds: Duration, report: &mut Report) -> anyhow::Result<()> {
    let child = Again::start(CHILD, &[])?;
    let port: u16 = child.said.parse().context("the receiver says its port")?;
    let before = peak_megabytes(child.id()).context("the receiver's process has ended")?;
    let began = Instant::now();
    let senders: Vec<_> =
        (0..SENDERS).map(|sender| std::thread::spawn(move || send_for(seconds, port, sender as u64))).collect();
    let mut spans = 0;
    for sender in senders {
        spans += sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
    }
    let rate = spans as f64 / began.elapsed().as_secs_f64() / 1_000.0;
    let growth = peak_megabytes(child.id()).context("the receiver's process has ended")? - before;
    let name = format!("taken by HTTP, {SENDERS} senders beside it");
    report.take(Figure { name: &name, value: rate, unit: "k/s", against: None, bar: Some(Bar::AtLeast(50.0)) })?;
    let name = format!("growth, {} s of overload, bound {} MB", seconds.as_secs(), BOUND / MB);
    let bar = Some(Bar::AtMost(BOUND as f64 / 1e6 * 1.2));
    report.take(Figure { name: &name, value: growth, unit: "MB", against: None, bar })?;
    Ok(())
}

/// The process that takes spans: says its port, then takes them until it is killed.
pub fn receive() -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Receiver::new(Store::new(BOUND, Clock::system()));
        say(&listener.local_addr()?.port().to_string())?;
        Ok(axum::serve(listener, receiver.router()).await?)
    })
}

/// A request whose traces can be made new ones without writing it again.
struct Batch {
    bytes: Vec<u8>,
    /// Where the ids of traces stand.
    ids: Vec<usize>,
}

impl Batch {
    fn new() -> Self {
        let spans = (0..BATCH).map(|number| processing(number / TRACE, number % TRACE)).collect();
        let bytes = request("inventory", spans).encode_to_vec();
        let is_id = |at: &usize| bytes[*at..].starts_with(&[10, 16, 0, 0, 0, 0, 0, 0, 0, 0]);
        let ids = (0..bytes.len() - 18).filter(is_id).map(|at| at + 2).collect();
        Self { bytes, ids }
    }

    /// The same spans in traces that nobody has seen.
    fn renewed(&mut self, sender: u64, round: u64) -> &[u8] {
        let random = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (sender + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
        for &at in &self.ids {
            self.bytes[at..at + 8].copy_from_slice(&random.to_be_bytes());
        }
        &self.bytes
    }
}

fn send_for(limit: Duration, port: u16, sender: u64) -> anyhow::Result<u64> {
    let mut batch = Batch::new();
    anyhow::ensure!(batch.ids.len() as u64 == BATCH, "{} ids of traces in a batch", batch.ids.len());
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let (mut spans, mut round) = (0, 0);
    let began = Instant::now();
    while began.elapsed() < limit {
        let body = batch.renewed(sender, round);
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        if !answered(&mut stream)? {
            bail!("a request was refused, or not all of it was taken");
        }
        spans += BATCH;
        round += 1;
    }
    Ok(spans)
}

/// Whether all was taken: the answer is then empty.
fn answered(stream: &mut TcpStream) -> anyhow::Result<bool> {
    let (mut answer, mut length) = ([0; 1_024], 0);
    while !answer[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut answer[length..])? {
            0 => bail!("the receiver hung up"),
            read => length += read,
        }
    }
    let head = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
    Ok(head.starts_with("http/1.1 200") && head.contains("content-length: 0"))
}

async fn post(router: &axum::Router, body: Vec<u8>) -> anyhow::Result<()> {
    let post = axum::http::Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    let Ok(answer) = tower::ServiceExt::oneshot(router.clone(), post.body(axum::body::Body::from(body))?).await;
    anyhow::ensure!(answer.status().is_success(), "the receiver answers {}", answer.status());
    Ok(())
}

/// A store that is full.
fn full() -> anyhow::Result<Store> {
    let store = Store::new(BOUND, Clock::system());
    let router = Receiver::new(store.clone()).router();
    Runtime::new()?.block_on(async {
        let mut batch = Batch::new();
        for round in 0.. {
            post(&router, batch.renewed(9, round).to_vec()).await?;
            if store.stock().counts.evicted_traces > 0 {
                break;
            }
        }
        anyhow::Ok(())
    })?;
    Ok(store)
}

fn search(report: &mut Report) -> anyhow::Result<()> {
    let store = full()?;
    let stock = store.stock();
    let bytes = stock.bytes as f64 / stock.spans as f64;
    println!("full: {} traces of {} spans, {bytes:.0} bytes a span", stock.traces, stock.spans);
    report.take(Figure { name: "bytes a span", value: bytes, unit: "B", against: None, bar: None })?;
    let oldest = store.search(&Query::default(), usize::MAX).rows.pop().context("the store has traces")?;
    let order = oldest.id.to_string();
    for (name, query) in [
        ("the newest", "status=ok&service=inventory".to_owned()),
        ("an id that is in one trace", format!("q={order}")),
        ("a message id that is nowhere", "message=00000000000000ff00000000000000ff".to_owned()),
        ("a text that is nowhere", "q=nowhere-at-all".to_owned()),
        ("a subject that is nowhere", "subject=orders.placed.nowhere".to_owned()),
        ("an attribute of every span and one of none", "stream=ORDERS&attribute=http.route%3D%2Forders".to_owned()),
    ] {
        let query = Query::of_query(&query);
        let mut runs: Vec<(f64, bool)> = (0..SEARCHES).map(|_| timed(&store, &query)).collect();
        runs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (worst, is_whole) = (runs[SEARCHES - 1].0, runs.iter().all(|(_, is_whole)| *is_whole));
        let name = format!("search: {name}{}", if is_whole { "" } else { ", cut short" });
        report.take(Figure { name: &name, value: worst, unit: "ms", against: None, bar: Some(Bar::AtMost(100.0)) })?;
    }
    Ok(())
}

/// Milliseconds that a search takes, and whether it came to its end.
fn timed(store: &Store, query: &Query) -> (f64, bool) {
    let began = Instant::now();
    let found = std::hint::black_box(store.search(query, 50));
    (began.elapsed().as_secs_f64() * 1_000.0, !found.is_cut_short)
}

fn page(report: &mut Report) -> anyhow::Result<()> {
    let (store, clock) = (Store::new(BOUND, Clock::system()), Clock::system());
    let contact = Contact {
        is_connected: false,
        since: clock.now(),
        reason: String::new(),
        url: "nats://n1:4222".to_owned(),
        user: None,
        server: None,
    };
    let snapshot = Snapshot::before_the_first(contact, Duration::from_secs(10), clock.now());
    let (_sender, snapshots) = watch::channel(std::sync::Arc::new(snapshot));
    let traces = Traces { receiver: Receiver::new(store.clone()), ..Traces::default() };
    let settings = Settings { traces, ..Settings::default() };
    let pages = Web::new(snapshots, History::default(), settings, clock, CancellationToken::new());
    let router = web::router(pages, axum::Router::new());
    let mut runs = Runtime::new()?.block_on(async {
        let spans = (0..DRAWN).map(|number| processing(1, number)).collect();
        post(&Receiver::new(store).router(), request("inventory", spans).encode_to_vec()).await?;
        let mut runs = Vec::new();
        // Another span is looked at each time, so that no drawing serves twice.
        for span in 1..=SEARCHES as u64 {
            let path = format!("/traces/{:032x}?span={span:016x}", 2);
            let get = axum::http::Request::get(path).body(axum::body::Body::empty())?;
            let began = Instant::now();
            let Ok(answer) = tower::ServiceExt::oneshot(router.clone(), get).await;
            anyhow::ensure!(answer.status().is_success(), "the page answers {}", answer.status());
            axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
            runs.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        anyhow::Ok(runs)
    })?;
    runs.sort_by(f64::total_cmp);
    let name = format!("page of a trace of {DRAWN} spans");
    let worst = runs[runs.len() - 1];
    report.take(Figure { name: &name, value: worst, unit: "ms", against: None, bar: Some(Bar::AtMost(30.0)) })?;
    Ok(())
}
