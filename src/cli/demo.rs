//! `streamgauge demo`: NATS, the order mesh, the dashboard and a gentle load, each a process of its own, watched over until the end.

mod child;
mod earlier;
mod folder;
mod http;
mod nats_server;
mod plan;
mod screen;
mod supervisor;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    clock::{Clock, Timestamp},
    config::{DemoConfig, NatsConfig, TelemetryConfig},
    mesh, nats,
    record::{Phase, Record},
    tasks, telemetry,
};

use folder::Folder;
use plan::{Plan, Rank};
use screen::Screen;
use supervisor::Supervisor;

/// How long a process may take until it says that it is ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// How long the first order may take; after that the block is printed all the same, saying so.
const FIRST_ORDER_LIMIT: Duration = Duration::from_secs(15);

/// Starts everything, shows where it is, and ends it in order when asked to.
pub(super) async fn run(config: DemoConfig) -> anyhow::Result<()> {
    let quiet = TelemetryConfig { log: "error".to_owned(), ..TelemetryConfig::default() };
    telemetry::init(&quiet, "demo", "demo")?;
    let server = nats_server::find(config.nats_server.as_deref()).await?;
    let folder = Folder::open(config.data.as_deref())?;
    let plan = Plan::new(&config, &server, folder.path())?;
    let screen = Screen::new();
    let supervisor = Supervisor::new(screen.clone());
    let asked = tasks::asked_to_end();
    tokio::pin!(asked);
    let started = tokio::select! {
        started = start(&config, &plan, folder.path(), &supervisor, &screen) => started,
        signal = &mut asked => signal.context("waiting for the signal to end").and_then(|()| anyhow::bail!("ended before everything was up")),
    };
    let ended = match started {
        Ok(()) => asked.await.context("waiting for the signal to end"),
        Err(error) => Err(error),
    };
    screen.say("\nending: load, storefront, services, dashboard, NATS");
    let is_clean = supervisor.end().await;
    if ended.is_err() {
        screen.say(&format!("the logs are kept in {}", folder.keep().display()));
    }
    screen.say(if is_clean { "ended; no process is left" } else { "ended; some processes had to be killed" });
    ended
}

async fn start(
    config: &DemoConfig,
    plan: &Plan,
    folder: &Path,
    supervisor: &Supervisor,
    screen: &Screen,
) -> anyhow::Result<()> {
    let (began, since) = (Instant::now(), Clock::system().now());
    screen.title(&plan.nats_version);
    supervisor.start(plan.nats(folder)?);
    let topology = mesh::topology::topology();
    declare(plan, &topology, folder).await?;
    screen.step(began, &format!("NATS at {}", plan.nats_url()));
    screen.step(began, &format!("{} streams and {} buckets declared", topology.streams.len(), topology.buckets.len()));
    for program in plan.programs(folder)? {
        supervisor.start(program);
    }
    all_ready(plan, supervisor).await?;
    screen.step(began, &plan.services_in_words());
    if config.no_load {
        screen.step(began, "no load, as asked; place an order yourself");
    } else {
        supervisor.start(plan.load(folder, config.rate)?);
        match first_completed_order(plan, since).await {
            Some(id) => screen.step(began, &format!("first order completed: {id}")),
            None => screen.step(began, "no order has completed yet; the dashboard says why"),
        }
    }
    if let Some(file) = &config.urls_file {
        std::fs::write(file, plan.urls_json())
            .with_context(|| format!("cannot write the addresses to {}", file.display()))?;
    }
    screen.block(plan, folder, config);
    Ok(())
}

/// Connecting waits for the server to be up.
async fn declare(plan: &Plan, topology: &crate::bus::topology::Topology, folder: &Path) -> anyhow::Result<()> {
    let login = NatsConfig {
        url: Some(plan.nats_url()),
        user: Some("topology".to_owned()),
        password: Some(plan.password.clone()),
        inbox_prefix: Some("_INBOX_topology".to_owned()),
        nats_wait: READY_LIMIT.as_secs(),
        ..NatsConfig::default()
    };
    let connection = nats::connect(&login, "demo", &Clock::system()).await?;
    nats::require_jetstream(&connection).await?;
    let planned = topology.plan(&connection.jetstream).await?;
    earlier::check(&planned, folder)?;
    planned.apply(&connection.jetstream).await?;
    Ok(())
}

async fn all_ready(plan: &Plan, supervisor: &Supervisor) -> anyhow::Result<()> {
    let give_up = Instant::now() + READY_LIMIT;
    for (name, port) in plan.probed() {
        loop {
            let answer = http::get(port, "/readyz").await;
            match answer {
                Some(answer) if answer.status == 200 => break,
                _ if Instant::now() < give_up => tokio::time::sleep(Duration::from_millis(50)).await,
                answer => {
                    let why =
                        answer.map_or_else(|| "it does not answer".to_owned(), |answer| answer.body.trim().to_owned());
                    let log = supervisor.log_of(name).unwrap_or_default();
                    anyhow::bail!(
                        "{name} is not ready after {} s: {why}; its log is {}",
                        READY_LIMIT.as_secs(),
                        log.display()
                    );
                }
            }
        }
    }
    Ok(())
}

async fn first_completed_order(plan: &Plan, since: Timestamp) -> Option<String> {
    let give_up = Instant::now() + FIRST_ORDER_LIMIT;
    while Instant::now() < give_up {
        let orders = http::get(plan.port(Rank::Storefront), "/orders").await;
        let found = orders.and_then(|orders| completed_in(&orders.body, since));
        if found.is_some() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

/// The id of an order in the storefront's list that was placed in this run and is `completed`.
fn completed_in(body: &str, since: Timestamp) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct List {
        orders: Vec<Record>,
    }
    let list: List = serde_json::from_str(body).ok()?;
    let done = |order: &Record| order.started >= since && order.phase == Phase::Succeeded;
    list.orders.into_iter().find(done).map(|order| order.id)
}
