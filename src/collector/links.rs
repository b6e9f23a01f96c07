//! The connections of the collector: one to each account that it was given a user for, one to the system account at the most.

use std::{sync::Arc, time::Duration};

use futures_util::future::{join_all, select_all};
use tokio::sync::watch;

use super::line::Line;
use crate::{
    broker::{self, Answers, Broker, First, FirstFrom, Reader, Source, System, Told},
    clock::Clock,
    config::NatsConfig,
    errors::ErrorChain,
    nats::{self, ConnectError, Link, Login},
    snapshot::{Contact, Reading, Snapshot, Why, user_in_words},
};

/// The name under which servers list our connections.
pub(super) const CLIENT_NAME: &str = "streamgauge observer";

/// The connections, as far as they are open yet.
#[derive(Debug)]
pub(super) struct Links {
    /// To the accounts, that of `--nats` first.
    lines: Vec<Line>,
    system: Option<NatsConfig>,
    system_open: Option<System>,
    /// Who readers of messages ask.
    sources: watch::Sender<Vec<Source>>,
    system_reason: String,
    clock: Clock,
    opened: watch::Sender<Option<Link>>,
}

impl Links {
    /// Reads the logins and opens nothing. Each connection attempt is a single one: the rounds are what tries again.
    pub(super) fn new(
        app: NatsConfig,
        others: Vec<NatsConfig>,
        system: Option<NatsConfig>,
        clock: Clock,
    ) -> Result<Self, ConnectError> {
        let servers = Login::read(&app)?;
        let is_alone = others.is_empty();
        let others = others.into_iter().map(|other| servers.lend_servers(other));
        let configs = std::iter::once(Ok(app)).chain(others);
        let lines = configs.map(|config| Line::new(config?, is_alone, clock.clone()));
        Ok(Self {
            lines: lines.collect::<Result<_, _>>()?,
            system: system.map(once),
            system_open: None,
            sources: watch::Sender::default(),
            system_reason: String::new(),
            clock,
            opened: watch::Sender::new(None),
        })
    }

    /// Opens what is not open yet. A server that does not answer is no error, and a refused login is none as long as there is another.
    pub(super) async fn connect(&mut self) -> Result<(), ConnectError> {
        let failed: Vec<ConnectError> =
            join_all(self.lines.iter_mut().map(Line::connect)).await.into_iter().filter_map(Result::err).collect();
        let has_any = self.lines.iter().any(Line::may_open);
        if let Some(error) = failed.into_iter().find(|error| !has_any || is_setting(error)) {
            return Err(error);
        }
        if self.opened.borrow().is_none()
            && let Some(broker) = self.lines.first().and_then(Line::broker)
        {
            self.opened.send_replace(Some(broker.connection().link.clone()));
        }
        self.no_account_twice()?;
        self.tell_sources();
        self.connect_system().await
    }

    fn tell_sources(&self) {
        let sources: Vec<Source> = self.brokers().filter_map(Broker::source).collect();
        self.sources.send_if_modified(|known| {
            let is_new = !known.iter().map(Source::account).eq(sources.iter().map(Source::account));
            if is_new {
                *known = sources;
            }
            is_new
        });
    }

    async fn connect_system(&mut self) -> Result<(), ConnectError> {
        let Some(system) = self.system.as_ref().filter(|_| self.system_open.is_none()) else { return Ok(()) };
        if self.brokers().next().is_none() {
            return Ok(());
        }
        match nats::connect(system, CLIENT_NAME, &self.clock).await {
            Ok(connection) => self.system_open = Some(System::new(connection, self.clock.clone())),
            Err(error) if error.is_transient() => self.system_reason = ErrorChain(&error).to_string(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Two users of one account would show each of its streams twice.
    fn no_account_twice(&self) -> Result<(), ConnectError> {
        for (place, line) in self.lines.iter().enumerate() {
            let Some(account) = line.account() else { continue };
            if let Some(first) = self.lines[..place].iter().find(|first| first.account() == Some(account)) {
                let (first, second) = (first.user(), line.user());
                return Err(ConnectError::SameAccount { account: account.to_string(), first, second });
            }
        }
        Ok(())
    }

    /// The connection to the account of `--nats`, once it was opened.
    pub(super) fn opened(&self) -> watch::Receiver<Option<Link>> {
        self.opened.subscribe()
    }

    /// A reader of messages of the accounts, of each once a connection to it was opened.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(self.sources.subscribe())
    }

    /// Who asks the system account, where there is a connection to it.
    pub(super) fn system_user(&self) -> Option<&str> {
        Some(user_in_words(self.system_open.as_ref()?.user()))
    }

    /// Whether any connection to an account stands.
    pub(super) fn is_connected(&self) -> bool {
        self.lines.iter().any(Line::is_connected)
    }

    /// The connections to the accounts as they are now, that of `--nats` first.
    pub(super) fn contacts(&self) -> Vec<Contact> {
        self.lines.iter().map(Line::contact).collect()
    }

    /// The same, each with the name of its account if that is known.
    pub(super) fn lines(&self) -> Vec<(Contact, Option<Arc<str>>)> {
        self.lines.iter().map(|line| (line.contact(), line.account().cloned())).collect()
    }

    /// The names of the accounts, as far as they are known.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.lines.iter().filter_map(Line::account).cloned().collect()
    }

    /// Asks everything. Where a connection goes meanwhile, what was asked over it stays unknown.
    pub(super) async fn ask_all(&mut self, last: &Arc<Snapshot>, within: Duration) -> Answers {
        let brokers: Vec<&Broker> = self.lines.iter().filter_map(Line::broker).collect();
        if brokers.is_empty() {
            return nothing(self.lines.len());
        }
        let mut answers = broker::look(self.system_open.as_mut(), &brokers, Some(last), within).await;
        let mut told = answers.accounts.into_iter();
        let of_each = self.lines.iter().map(|line| match line.broker() {
            Some(_) => told.next().unwrap_or_else(|| Told::nothing(NOT_YET)),
            None => Told::nothing(&line.contact().reason),
        });
        let is_of_all = answers.is_of_all;
        let listed = |told: Told| Told { unlisted: told.unlisted.filter(|_| !is_of_all), ..told };
        answers.accounts = of_each.map(listed).collect();
        self.explain_servers(answers)
    }

    /// The open connection to the account at `place`.
    pub(super) fn broker(&self, place: usize) -> Option<&Broker> {
        self.lines.get(place)?.broker()
    }

    /// The open connections to accounts.
    fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.lines.iter().filter_map(Line::broker)
    }

    /// A server told that a stream or consumer was changed.
    pub(super) fn configs_changed(&mut self) {
        if let Some(system) = &mut self.system_open {
            system.configs_changed();
        }
    }

    /// Messages sent, and bytes both ways, since the connections were opened.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let all = self.brokers().map(Broker::traffic).chain(self.system_open.as_ref().map(System::traffic));
        all.fold((0, 0), |(messages, bytes), (sent, moved)| (messages + sent, bytes + moved))
    }

    /// Reads where messages begin, each question over the connection to its account.
    pub(super) async fn first(&self, questions: &[FirstFrom], within: Duration) -> Vec<First> {
        let mut answers = vec![First::Unanswered; questions.len()];
        let of_account = self.brokers().map(async |broker| {
            let is_its = |(_, question): &(usize, &FirstFrom)| broker.account() == Some(&question.account);
            let (places, asked): (Vec<usize>, Vec<FirstFrom>) =
                questions.iter().enumerate().filter(is_its).map(|(place, question)| (place, question.clone())).unzip();
            (places, broker.first(&asked, within).await)
        });
        for (places, told) in join_all(of_account).await {
            places.into_iter().zip(told).for_each(|(place, answer)| answers[place] = answer);
        }
        answers
    }

    /// A system user was given and its connection does not come about: that is another gap than having none.
    fn explain_servers(&self, mut answers: Answers) -> Answers {
        if self.system.is_some() && answers.servers.value().is_none() && !self.system_reason.is_empty() {
            answers.servers = Reading::unknown(Why::Failed, &*self.system_reason);
        }
        answers
    }

    /// Resolves when a connection to an account comes or goes; never before one was opened.
    pub(super) async fn changed(&mut self) {
        select_all(self.lines.iter_mut().map(|line| Box::pin(line.changed()))).await;
    }
}

/// One attempt, and no waiting for another.
pub(super) fn once(config: NatsConfig) -> NatsConfig {
    NatsConfig { nats_wait: 0, ..config }
}

/// Whether somebody has to change a setting before anything else makes sense.
fn is_setting(error: &ConnectError) -> bool {
    matches!(error, ConnectError::File { .. } | ConnectError::Address { .. })
}

const NOT_YET: &str = "NATS has not answered yet";

fn nothing(accounts: usize) -> Answers {
    Answers {
        servers: Reading::unknown(Why::Failed, NOT_YET),
        streams: Reading::unknown(Why::Failed, NOT_YET),
        is_of_all: false,
        accounts: vec![Told::nothing(NOT_YET); accounts],
        stats: crate::snapshot::RoundStats::default(),
    }
}
