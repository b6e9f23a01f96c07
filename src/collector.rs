//! Looks at NATS once a round for everybody who watches, and hands out what it saw as one snapshot.

mod ages;
mod findings;
mod gone;
mod history;
mod judge;
mod ledger;
mod links;
mod listener;
mod merge;
mod probes;
mod seen;
mod trend;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{NatsConfig, Thresholds},
    errors::ErrorChain,
    nats::{ConnectError, Link},
    probing::Asked,
    snapshot::{RoundStats, Snapshot},
};

use ages::AgeReader;
use findings::Findings;
use judge::Judge;
use links::Links;
use listener::Listener;
use probes::Probes;

pub use history::{History, StoreError, Whose};

/// The newest snapshot; clones see the same one.
pub type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// A round ends after this long, whatever has been answered by then.
const ROUND_LIMIT: Duration = Duration::from_secs(10);

/// What reading ages may add to a round: it takes some 30 ms, and what was not read in time is an estimate.
const AGES_LIMIT: Duration = Duration::from_secs(2);

/// The wait for the next round while there is no connection: whoever has just started NATS looks at the page now.
const WAIT_WHILE_AWAY: Duration = Duration::from_secs(1);

/// The wait before a round that a lost or new connection set off; several such changes make one round.
const SETTLE: Duration = Duration::from_millis(50);

/// What a collector needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From the end of a round to the start of the next.
    pub interval: Duration,
    /// The account that is watched, and a user of it.
    pub app: NatsConfig,
    /// A user of the system account, if there is one.
    pub system: Option<NatsConfig>,
    /// Where what was seen is noted.
    pub history: History,
    /// From when on something is worth a finding.
    pub thresholds: Thresholds,
}

/// Goes round after round until it is asked to stop.
#[derive(Debug)]
pub struct Collector {
    links: Links,
    ages: AgeReader,
    listener: Listener,
    judge: Judge,
    probes: Probes,
    asked: Option<watch::Receiver<Asked>>,
    history: History,
    findings: Findings,
    interval: Duration,
    clock: Clock,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

/// A collector that has not looked yet, and the place where its snapshots will appear.
///
/// # Errors
/// When a file that the settings name cannot be read.
pub fn new(settings: Settings, clock: Clock) -> Result<(Collector, Snapshots), ConnectError> {
    let links = Links::new(settings.app, settings.system, clock.clone())?;
    let first = Snapshot::before_the_first(links.contact(), settings.interval, clock.now());
    let (sender, snapshots) = watch::channel(Arc::new(first));
    let collector = Collector {
        links,
        ages: AgeReader::default(),
        listener: Listener::default(),
        judge: Judge::default(),
        probes: Probes::default(),
        asked: None,
        history: settings.history,
        findings: Findings::new(settings.thresholds),
        interval: settings.interval,
        clock,
        snapshots: sender,
    };
    Ok((collector, snapshots))
}

impl Collector {
    /// Where the state of the connection to the watched account can be followed once it was opened.
    pub fn link(&self) -> watch::Receiver<Option<Link>> {
        self.links.opened()
    }

    /// Shows what these probes answered, as of each round.
    #[must_use]
    pub fn with_probes(self, asked: watch::Receiver<Asked>) -> Self {
        Self { asked: Some(asked), ..self }
    }

    /// Looks until `stop` is cancelled. While no server answers it goes on trying, and its snapshots say so.
    ///
    /// # Errors
    /// When a login is refused or a setting is unusable: nothing would change by trying again.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), ConnectError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = self.round() => ended?,
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.wait() => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), ConnectError> {
        self.links.connect().await?;
        self.listener.listen(&self.links, &self.clock).await;
        if self.listener.has_changed() {
            self.links.configs_changed();
        }
        let (began, before) = (Instant::now(), self.links.traffic());
        let last = self.snapshots.borrow().clone();
        let answers = self.links.ask_all(&last, ROUND_LIMIT).await;
        let mut next = merge::merge(&last, self.links.contact(), answers, self.clock.now());
        self.read_ages(&mut next).await;
        self.listener.write(&mut next, &self.links).await;
        let after = self.links.traffic();
        next.stats.requests = after.0.saturating_sub(before.0);
        next.stats.bytes = after.1.saturating_sub(before.1);
        self.publish(next, began);
        Ok(())
    }

    async fn read_ages(&mut self, next: &mut Snapshot) {
        let plan = self.ages.plan(next, self.links.account());
        let answers = self.links.first(&plan.questions, AGES_LIMIT).await;
        self.ages.take(next, plan, &answers, self.clock.now());
    }

    fn publish(&mut self, mut next: Snapshot, began: Instant) {
        let waited = began.elapsed();
        self.judge.judge(&mut next);
        if let Some(asked) = &self.asked {
            next.asked_probes = asked.borrow().clone();
        }
        self.probes.look(&mut next);
        self.findings.look(&mut next);
        next.stats = RoundStats { waited, duration: began.elapsed(), rows_missing: missing(&next), ..next.stats };
        tell_what_it_cost(&next);
        if next.round == 1 || self.snapshots.borrow().app.server != next.app.server {
            tell_what_was_found(&next, &self.links);
        }
        let next = Arc::new(next);
        self.snapshots.send_replace(next.clone());
        if let Err(error) = self.history.note(&next) {
            tracing::warn!(error = %ErrorChain(&error), "the history of this step is only in memory");
        }
    }

    async fn wait(&mut self) {
        let interval = if self.links.is_connected() { self.interval } else { self.interval.min(WAIT_WHILE_AWAY) };
        let round = self.snapshots.borrow().round;
        let mut over = std::pin::pin!(tokio::time::sleep(interval));
        loop {
            tokio::select! {
                () = &mut over => return,
                () = self.links.changed() => return tokio::time::sleep(SETTLE).await,
                advisory = self.listener.next() => self.listener.note(advisory, round),
            }
        }
    }
}

/// Streams and consumers that nobody gave an account of.
fn missing(snapshot: &Snapshot) -> u64 {
    let streams = snapshot.streams.fresh().map_or(0, |streams| streams.missing.len());
    let lists = snapshot.known_streams().iter().filter_map(|stream| stream.consumers.fresh());
    (streams + lists.map(|list| list.missing.len()).sum::<usize>()) as u64
}

/// The line of a round.
fn tell_what_it_cost(snapshot: &Snapshot) {
    let RoundStats { duration, waited, requests, bytes, servers_answered, rows_dropped, rows_missing, .. } =
        snapshot.stats;
    tracing::debug!(
        round = snapshot.round,
        ?duration,
        ?waited,
        requests,
        bytes,
        servers_expected = snapshot.stats.servers_expected,
        servers_answered,
        rows_dropped,
        rows_missing,
        has_read_configs = snapshot.stats.has_read_configs,
        "looked at NATS"
    );
}

/// The line at start: which connections there are, as whom, and what each sees.
fn tell_what_was_found(snapshot: &Snapshot, links: &Links) {
    let app = &snapshot.app;
    let user = app.user.as_deref().unwrap_or("nobody in particular");
    let Some((server, version)) = app.server.as_ref().filter(|_| app.is_connected) else {
        tracing::warn!(
            reason = app.reason,
            "NATS at {} does not answer; the pages say so, and it is asked again",
            app.url
        );
        return;
    };
    let streams = match snapshot.streams.reason() {
        Some(reason) => format!("streams unknown: {reason}"),
        None => counted(snapshot),
    };
    let servers = match (snapshot.servers.value(), snapshot.servers.reason()) {
        (Some(servers), _) => format!("{} servers", servers.len()),
        (None, reason) => format!("servers unknown: {}", reason.unwrap_or_default()),
    };
    let account = links.account().unwrap_or_default();
    let system = match links.system_user() {
        Some(user) => format!("the system account as {user}"),
        None => "no system account".to_owned(),
    };
    tracing::info!(
        "watching {}: account {account} as {user}, and {system}; server {server} {version}; {streams}; {servers}",
        app.url
    );
}

/// What of which accounts was seen.
fn counted(snapshot: &Snapshot) -> String {
    let streams = snapshot.known_streams();
    let mut accounts: Vec<&str> = streams.iter().map(|stream| &*stream.account).collect();
    accounts.dedup();
    let of = if accounts.len() > 1 { format!(" in {} accounts", accounts.len()) } else { String::new() };
    format!("{} streams, {} consumers{of}", streams.len(), snapshot.known_consumers().count())
}
