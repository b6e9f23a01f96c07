//! Looks at NATS once a round for everybody who watches, and hands out what it saw as one snapshot.

mod ages;
mod findings;
mod gone;
mod history;
mod judge;
mod ledger;
mod line;
mod links;
mod listener;
mod listeners;
mod merge;
mod probes;
mod seen;
mod silent;
mod told;
mod trend;
mod window;
#[cfg(test)]
mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Reader,
    clock::{Clock, Timestamp},
    config::{NatsConfig, Thresholds},
    errors::ErrorChain,
    nats::{ConnectError, Link},
    probing::Asked,
    snapshot::{Contact, RoundStats, Snapshot, Watched},
    tasks::aside,
};

use ages::AgeReader;
use findings::Findings;
use judge::Judge;
use links::Links;
use listeners::Listeners;
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
    /// A user of the account that is watched always.
    pub app: NatsConfig,
    /// Users of further accounts that are watched, one of each.
    pub others: Vec<NatsConfig>,
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
    listeners: Listeners,
    judge: Judge,
    probes: Probes,
    asked: Option<watch::Receiver<Asked>>,
    history: History,
    /// Why the history was not written the last time, which is said once.
    unwritten: Option<String>,
    findings: Findings,
    interval: Duration,
    clock: Clock,
    snapshots: watch::Sender<Arc<Snapshot>>,
    tried: watch::Sender<bool>,
}

/// A collector that has not looked yet, and the place where its snapshots will appear.
///
/// # Errors
/// When a file that the settings name cannot be read.
pub fn new(settings: Settings, clock: Clock) -> Result<(Collector, Snapshots), ConnectError> {
    let links = Links::new(settings.app, settings.others, settings.system, clock.clone())?;
    let contacts = links.contacts();
    let first = before_the_first(&contacts, settings.interval, clock.now());
    let (sender, snapshots) = watch::channel(Arc::new(first));
    let collector = Collector {
        links,
        ages: AgeReader::default(),
        listeners: Listeners::new(contacts.len()),
        judge: Judge::default(),
        probes: Probes::default(),
        asked: None,
        history: settings.history,
        unwritten: None,
        findings: Findings::new(settings.thresholds),
        interval: settings.interval,
        clock,
        snapshots: sender,
        tried: watch::Sender::new(false),
    };
    Ok((collector, snapshots))
}

fn before_the_first(contacts: &[Contact], interval: Duration, now: Timestamp) -> Snapshot {
    let (app, others) = contacts.split_first().expect("there is a connection to the account of `--nats`, open or not");
    let others = others.iter().cloned().map(Watched::before_the_first).collect();
    Snapshot { others, ..Snapshot::before_the_first(app.clone(), interval, now) }
}

impl Collector {
    /// Where the state of the connection to the account of `--nats` can be followed once it was opened.
    pub fn link(&self) -> watch::Receiver<Option<Link>> {
        self.links.opened()
    }

    /// Whether it was tried to connect for the first time: where a login is refused, this never gets true.
    pub fn tried(&self) -> watch::Receiver<bool> {
        self.tried.subscribe()
    }

    /// Shows what these probes answered, as of each round.
    #[must_use]
    pub fn with_probes(self, asked: watch::Receiver<Asked>) -> Self {
        Self { asked: Some(asked), ..self }
    }

    /// A reader of stored messages over the collector's own connections to the accounts. Its limits hold for its clones.
    pub fn reader(&self) -> Reader {
        self.links.reader()
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
        self.tried.send_replace(true);
        self.listeners.listen(&self.links, &self.clock).await;
        if self.listeners.has_changed() {
            self.links.configs_changed();
        }
        let (began, before) = (Instant::now(), self.links.traffic());
        let last = self.snapshots.borrow().clone();
        let answers = self.links.ask_all(&last, ROUND_LIMIT).await;
        let mut next = aside(|| merge::merge(&last, self.links.lines(), answers, self.clock.now()));
        silent::mark(&mut next);
        self.read_ages(&mut next).await;
        self.listeners.write(&mut next, &self.links).await;
        let after = self.links.traffic();
        next.stats.requests = after.0.saturating_sub(before.0);
        next.stats.bytes = after.1.saturating_sub(before.1);
        aside(|| self.publish(next, began));
        Ok(())
    }

    async fn read_ages(&mut self, next: &mut Snapshot) {
        let plan = self.ages.plan(next, &self.links.names());
        let answers = self.links.first(&plan.questions, AGES_LIMIT).await;
        self.ages.take(next, plan, &answers, self.clock.now());
    }

    fn publish(&mut self, mut next: Snapshot, began: Instant) {
        let waited = began.elapsed();
        let earlier = self.history.earlier(&next);
        self.judge.judge(&mut next, &earlier);
        if let Some(asked) = &self.asked {
            next.asked_probes = asked.borrow().clone();
        }
        self.probes.look(&mut next);
        self.findings.look(&mut next, &earlier);
        next.stats = RoundStats { waited, duration: began.elapsed(), rows_missing: missing(&next), ..next.stats };
        tell_what_it_cost(&next);
        if next.round == 1 || found_anew(&self.snapshots.borrow(), &next) {
            told::tell_what_was_found(&next, self.links.system_user());
        }
        let next = Arc::new(next);
        self.snapshots.send_replace(next.clone());
        self.tell_of_history(self.history.note(&next).err());
    }

    /// Says once that the history is not written, again when the reason is another, and once that it is.
    fn tell_of_history(&mut self, error: Option<StoreError>) {
        let reason = error.map(|error| ErrorChain(&error).to_string());
        match (&reason, &self.unwritten) {
            (Some(reason), told) if told.as_ref() != Some(reason) => {
                tracing::warn!(error = reason, "the history is only in memory until it can be written again");
            }
            (None, Some(_)) => tracing::info!("the history is written again"),
            _ => {}
        }
        self.unwritten = reason;
    }

    async fn wait(&mut self) {
        let interval = if self.links.is_connected() { self.interval } else { self.interval.min(WAIT_WHILE_AWAY) };
        let round = self.snapshots.borrow().round;
        let mut over = std::pin::pin!(tokio::time::sleep(interval));
        loop {
            tokio::select! {
                () = &mut over => return,
                () = self.links.changed() => return tokio::time::sleep(SETTLE).await,
                (place, advisory) = self.listeners.next() => self.listeners.note(place, advisory, round),
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

/// Whether a connection leads to another server than in the round before, or its account has got a name.
fn found_anew(last: &Snapshot, next: &Snapshot) -> bool {
    let what = |watched: &Watched| (watched.contact.server.clone(), watched.name.clone());
    !last.watched().map(what).eq(next.watched().map(what))
}
