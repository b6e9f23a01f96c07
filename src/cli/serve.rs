//! `streamgauge serve`: the observer alone, against any NATS.

mod receiver;

use std::{
    io::{IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    runtime,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use super::scope::Scope;
use crate::{
    clock::Clock,
    collector::{self, Collector, History, Snapshots},
    config::{ObserverConfig, ProbeTarget, TelemetryConfig, TracesConfig},
    nats::Link,
    probing::{Asked, Prober},
    service::{Health, probes},
    tasks::{self, Tasks},
    telemetry,
    web::{self, access::Access, metrics::Sources},
};

/// How long the collector and open pages may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(4);

/// How far rounds stand back: they get a tenth of what a page gets while both want the same processor, and all of it else.
#[cfg(target_os = "linux")]
const ROUNDS_NICE: i32 = 10;

/// Settings of the observer.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    observer: ObserverConfig,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    traces: TracesConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

/// Looks at NATS and shows what it sees until it is asked to end. NATS need not be there yet: the pages say so until it is.
///
/// # Errors
/// When the address is taken or not ours, a setting is unusable, or NATS refuses the login.
pub(super) async fn run(serve: Serve) -> anyhow::Result<()> {
    let Serve { observer, scope, traces, telemetry } = serve;
    let telemetry = telemetry::init(&telemetry, "observer", "observer")?;
    let clock = Clock::system();
    let listener = web::bind(observer.address()?).await?;
    let address = listener.local_addr().context("asking for our own address")?;
    let access = Access::new(&observer.access, address.port())?;
    let (receiving, taking) = receiver::open(&traces, &observer.access).await?;
    let history = history_in(observer.data.as_deref(), &clock)?;
    let settings = scope.settings(observer.interval, history.clone());
    let (collector, snapshots) = collector::new(settings, clock.clone())?;
    let tasks = Tasks::default();
    let trace_events = traces.trace_events.clone();
    let traces = receiver::taking(&traces, taking, &clock, &tasks)?;
    let collector = if observer.probes.is_empty() {
        collector
    } else {
        collector.with_probes(ask_probes(observer.probes, observer.interval, &clock, &tasks)?)
    };

    let health = Arc::new(Health::new(clock.clone()));
    health.started();
    let (told, link, tried) = (health.clone(), collector.link(), collector.tried());
    let followed = snapshots.clone();
    receiver::start(receiving, &traces, &access, &tasks);
    receiver::hear(trace_events, collector.reader().sources(), &traces, &tasks);
    tasks.spawn(move |stop| tell_health(told, link, followed, stop));

    let stop = CancellationToken::new();
    let settings = web::Settings {
        tools: observer.tools,
        base_path: observer.base_path,
        access: access.clone(),
        traces,
        reader: collector.reader(),
    };
    let home = format!("http://{}{}/", reachable(address), settings.base_path);
    let sources =
        Sources { snapshots: snapshots.clone(), metrics: telemetry.metrics().clone(), traces: settings.traces.clone() };
    let pages = web::Web::new(snapshots, history, settings, clock.clone(), stop.clone());
    let taken = sources.traces.clone();
    let metrics = web::metrics::router(sources, clock, observer.metrics_consumers, access.clone());
    let router = web::router(pages, probes::without_metrics(health.clone()).merge(metrics));
    let is_open = observer.access.insecure && !address.ip().to_canonical().is_loopback();
    let tell = move || {
        receiver::tell_where(&taken);
        tell_where(&home, &access, is_open);
    };
    tasks.spawn(move |stop| tell_once_tried(tried, stop, tell));
    let serving = async { web::serve(listener, router, stop.clone()).await.context("serving the pages") };
    let looking = async {
        let ended = tokio::select! {
            ended = go_round(collector, stop.clone()) => ended,
            asked = tasks::asked_to_end() => asked.context("waiting for the signal to end"),
        };
        health.drains();
        stop.cancel();
        ended
    };
    let ended = tokio::try_join!(serving, looking).map(|_| ());
    tasks.stop(STOP_LIMIT).await;
    telemetry.shutdown().await;
    ended
}

fn history_in(folder: Option<&Path>, clock: &Clock) -> anyhow::Result<History> {
    let in_folder = |folder| History::in_folder(folder, clock.now()).context("opening the history");
    folder.map_or_else(|| Ok(History::default()), in_folder)
}

/// Asks the probes for as long as `tasks` run, and says what they answer.
fn ask_probes(
    targets: Vec<ProbeTarget>,
    every: Duration,
    clock: &Clock,
    tasks: &Tasks,
) -> anyhow::Result<watch::Receiver<Asked>> {
    let prober = Prober::new(targets, clock.clone()).context("asking the probes")?;
    let (sender, asked) = watch::channel(Asked::default());
    tasks.spawn(move |stop| prober.run(every, sender, stop));
    Ok(asked)
}

/// Goes round after round on threads of its own, which make way for whoever asks for a page.
async fn go_round(collector: Collector, stop: CancellationToken) -> anyhow::Result<()> {
    let (told, ended) = oneshot::channel();
    let rounds = move || {
        make_way();
        // One thread for the connections beside the one that reckons; both have the priority of this one.
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| Ok(runtime.block_on(collector.run(stop))?));
        // Nobody may wait for it any more.
        drop(told.send(ended));
    };
    thread::Builder::new().name("rounds".to_owned()).spawn(rounds).context("starting the thread of the rounds")?;
    ended.await.context("the thread of the rounds came to grief")?
}

/// Lowers the priority of this thread and of those that it will start. Where the system refuses it, pages wait a little longer.
fn make_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(ROUNDS_NICE) {
        tracing::debug!(%error, "rounds do not make way for pages");
    }
}

/// The address as this machine reaches it: all addresses is none to go to.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, address.port()).into(),
    }
}

/// The lines at start: where the pages are, and who may read them. The token is told to a person at a terminal alone: whoever reads a log
/// need not be somebody who may read the pages.
fn tell_where(home: &str, access: &Access, is_open: bool) {
    match access.token() {
        Some(token) => {
            tracing::info!("the pages are at {home}, for whoever has the token");
            let mut terminal = std::io::stdout();
            if terminal.is_terminal() {
                // Without it the page asks for the token.
                let _written = writeln!(terminal, "log in by opening {}", token.login_link(home));
            }
        }
        None => tracing::info!("the pages are at {home}"),
    }
    if is_open && access.token().is_none() {
        tracing::warn!("--insecure: whoever reaches {home} reads everything; --token-file makes readers log in");
    }
}

/// Tells it once the first attempt to connect is over, and not at all where a login is refused: the pages end with it.
async fn tell_once_tried(mut tried: watch::Receiver<bool>, stop: CancellationToken, tell: impl FnOnce()) {
    tokio::select! {
        () = stop.cancelled() => {}
        tried = tried.wait_for(|tried| *tried) => if tried.is_ok() {
            tell();
        },
    }
}

/// Tells the probes of the connection once it was opened, and of the rounds.
async fn tell_health(
    health: Arc<Health>,
    mut link: watch::Receiver<Option<Link>>,
    mut snapshots: Snapshots,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            opened = link.changed() => match opened {
                Ok(()) => link.borrow_and_update().iter().for_each(|link| health.linked(link.clone())),
                Err(_) => return,
            },
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                let round = snapshots.borrow_and_update().clone();
                match round.streams.reason() {
                    None => health.say("rounds", true, "the streams were read"),
                    Some(reason) => health.say("rounds", false, reason),
                }
            }
        }
    }
}
