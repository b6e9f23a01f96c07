//! The connection to the system account: the servers, and what all of them hold in all accounts.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    AskError,
    health::Checkup,
    holdings::{self, Holdings, Told},
    jsz::{self, Scope},
    servers::Servers,
    traffic,
    wire::JszAnswer,
};
use crate::{
    clock::Clock,
    nats::{Connection, LinkState},
    snapshot::{Listing, Reading, RoundStats, Server, Snapshot, Stream, Why},
};

/// How often it is asked how everything is set up, which makes the answers several times as large. What is new is asked for at once.
const CONFIGS_EVERY: Duration = Duration::from_secs(3 * 60);

/// What is new or changed is asked for at once, unless the last answer took more than this part of the time since: where consumers come
/// and go all the time, they wait.
const CONFIGS_SHARE: u32 = 10;

/// How long a user that was never answered is not asked for again.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Servers that a sentence names.
const NAMED_MOST: usize = 5;

/// Why nobody tells of servers, or of what they hold.
pub(super) const SYSTEM_LOST: &str = "the connection to the system account is lost";

/// The connection to the system account, and what is remembered between rounds.
#[derive(Debug)]
pub struct System {
    connection: Connection,
    servers: Servers,
    checkup: Checkup,
    clock: Clock,
    /// How many servers told what they hold the last time.
    usual: usize,
    /// When it was last asked how everything is set up, and how long that took.
    configs: Option<(Instant, Duration)>,
    /// Whether a server told since then that something was changed.
    has_changed: bool,
    refused: Option<Instant>,
}

impl System {
    /// Asks over `connection`, whose user is one of the system account.
    pub fn new(connection: Connection, clock: Clock) -> Self {
        let servers = Servers::new(connection.client.clone(), clock.clone());
        Self {
            connection,
            servers,
            checkup: Checkup::default(),
            clock,
            usual: 0,
            configs: None,
            has_changed: false,
            refused: None,
        }
    }

    /// The user that asks, where its login names one.
    pub fn user(&self) -> Option<&str> {
        self.connection.user.as_deref()
    }

    /// The state of the connection, as it changes.
    pub(super) fn link(&self) -> watch::Receiver<LinkState> {
        self.connection.link.watch()
    }

    /// Messages sent, and bytes both ways, since the connection was opened.
    pub fn traffic(&self) -> (u64, u64) {
        traffic(&self.connection)
    }

    /// Whether it makes sense to ask what the servers hold.
    pub(super) fn may_know(&self) -> bool {
        let is_refused = self.usual == 0 && self.refused.is_some_and(|at| at.elapsed() < GIVEN_UP);
        self.connection.link.state().is_connected && !is_refused
    }

    /// The servers.
    pub(super) async fn servers(&mut self) -> Reading<Vec<Server>> {
        if !self.connection.link.state().is_connected {
            return Reading::unknown(Why::Failed, SYSTEM_LOST);
        }
        match self.servers.listen().await {
            Ok(()) => Reading::known(self.servers.all(), "each server", self.clock.now()),
            Err(error) => error.into_reading(),
        }
    }

    /// What the servers hold in all accounts.
    pub(super) async fn streams(
        &mut self,
        last: Option<&Arc<Snapshot>>,
        stats: &mut RoundStats,
    ) -> Result<Reading<Listing<Stream>>, AskError> {
        let mut scope = if self.are_configs_due() { Scope::Configs } else { Scope::States };
        let (asked, setups, told) = tokio::join!(
            self.ask(scope),
            self.servers.ask_for_setup(),
            self.checkup.ask(&self.connection.client, self.servers.count(), &self.clock)
        );
        self.servers.set_up(setups);
        if let Some(told) = told {
            self.checkup.was_told(&told);
            self.servers.set_health(told);
        }
        let mut holdings = self.join(scope, asked, last).await?;
        if holdings.lacks_configs && scope == Scope::States && self.may_ask_for_configs() {
            scope = Scope::Configs;
            let asked = self.ask(scope).await;
            holdings = self.join(scope, asked, last).await?;
        }
        stats.servers_expected = Some(self.servers.count() as u64);
        stats.servers_answered = self.usual as u64;
        stats.rows_dropped = holdings.dropped;
        stats.has_read_configs = scope == Scope::Configs;
        Ok(Reading::known(holdings.streams, holdings.source, self.clock.now()))
    }

    /// What came, and since when it was waited for.
    async fn ask(&self, scope: Scope) -> Result<(Vec<JszAnswer>, Instant), AskError> {
        let began = Instant::now();
        let client = &self.connection.client;
        let packed = jsz::ask(client, scope, self.servers.ids(), self.servers.expected(self.usual)).await?;
        let mut answers = off_the_runtime(|| packed.read()).await?;
        for answer in &mut answers {
            jsz::read_on(client, scope, answer).await?;
        }
        Ok((answers, began))
    }

    async fn join(
        &mut self,
        scope: Scope,
        asked: Result<(Vec<JszAnswer>, Instant), AskError>,
        last: Option<&Arc<Snapshot>>,
    ) -> Result<Holdings, AskError> {
        let (answers, began) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                self.refused = Some(Instant::now());
                return Err(error);
            }
        };
        self.usual = answers.len();
        if !answers.iter().any(JszAnswer::tells) {
            return Err(without_jetstream(&answers));
        }
        if scope == Scope::Configs {
            self.configs = Some((Instant::now(), began.elapsed()));
            self.has_changed = false;
        }
        let names: Vec<Arc<str>> = answers.iter().map(|answer| answer.server.name.as_str().into()).collect();
        let silent = self.servers.silent(&names);
        let (last, at) = (last.cloned(), self.clock.now());
        let joined = off_the_runtime(move || {
            let last = last.as_ref().and_then(|last| last.streams.value());
            Ok(holdings::join(Told { answers, silent: &silent, last, at }))
        });
        joined.await
    }

    /// A server told that a stream or consumer was changed: how everything is set up is asked for anew.
    pub fn configs_changed(&mut self) {
        self.has_changed = true;
    }

    fn are_configs_due(&self) -> bool {
        let is_old = self.configs.is_none_or(|(at, _)| at.elapsed() >= CONFIGS_EVERY);
        is_old || (self.has_changed && self.may_ask_for_configs())
    }

    fn may_ask_for_configs(&self) -> bool {
        self.configs.is_none_or(|(at, took)| at.elapsed() >= took * CONFIGS_SHARE)
    }
}

fn without_jetstream(answers: &[JszAnswer]) -> AskError {
    let names: Vec<&str> = answers.iter().map(|answer| answer.server.name.as_str()).take(NAMED_MOST).collect();
    AskError::Off { servers: names.join(", ") }
}

/// Reading many rows takes longer than the pages that are served meanwhile should wait.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AskError> + Send + 'static,
) -> Result<T, AskError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
