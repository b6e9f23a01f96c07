//! The connections of the collector: one to the account that it watches, one to the system account at the most.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    broker::{Answers, Broker, First, FirstFrom},
    clock::Clock,
    config::NatsConfig,
    errors::ErrorChain,
    nats::{self, ConnectError, Link, LinkState, Login},
    snapshot::{Contact, Reading, RoundStats, Snapshot, Why},
};

/// The name under which servers list our connections.
const CLIENT_NAME: &str = "streamgauge observer";

/// The connections, as far as they are open yet.
#[derive(Debug)]
pub(super) struct Links {
    app: NatsConfig,
    system: Option<NatsConfig>,
    clock: Clock,
    broker: Option<Broker>,
    link: Option<watch::Receiver<LinkState>>,
    opened: watch::Sender<Option<Link>>,
    /// What is said of the connection before it has ever stood.
    before: Contact,
    system_reason: String,
}

impl Links {
    /// Reads the logins and opens nothing. Each connection attempt is a single one: the rounds are what tries again.
    pub(super) fn new(app: NatsConfig, system: Option<NatsConfig>, clock: Clock) -> Result<Self, ConnectError> {
        let login = Login::read(&app)?;
        let before = Contact {
            is_connected: false,
            since: clock.now(),
            reason: "connecting for the first time".to_owned(),
            url: login.shown_url(),
            user: login.shown_user(),
            server: None,
        };
        let once = |config: NatsConfig| NatsConfig { nats_wait: 0, ..config };
        Ok(Self {
            app: once(app),
            system: system.map(once),
            clock,
            broker: None,
            link: None,
            opened: watch::Sender::new(None),
            before,
            system_reason: String::new(),
        })
    }

    /// Opens what is not open yet. A server that does not answer is no error.
    pub(super) async fn connect(&mut self) -> Result<(), ConnectError> {
        if self.broker.is_none() {
            self.broker = self.connect_app().await?;
            if let Some(broker) = &self.broker {
                self.link = Some(broker.app().link.watch());
                self.opened.send_replace(Some(broker.app().link.clone()));
            }
        }
        let Some(broker) = &mut self.broker else { return Ok(()) };
        broker.learn_account().await;
        let Some(system) = &self.system else { return Ok(()) };
        if broker.has_system() {
            return Ok(());
        }
        match nats::connect(system, CLIENT_NAME, &self.clock).await {
            Ok(connection) => broker.set_system(connection),
            Err(error) if error.is_transient() => self.system_reason = ErrorChain(&error).to_string(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn connect_app(&mut self) -> Result<Option<Broker>, ConnectError> {
        match nats::connect(&self.app, CLIENT_NAME, &self.clock).await {
            Ok(connection) => Ok(Some(Broker::new(connection, self.clock.clone()))),
            Err(error) if error.is_transient() => {
                self.before.reason = ErrorChain(&error).to_string();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The connection to the watched account, once it was opened.
    pub(super) fn opened(&self) -> watch::Receiver<Option<Link>> {
        self.opened.subscribe()
    }

    /// Who asks the system account, where there is a connection to it.
    pub(super) fn system_user(&self) -> Option<&str> {
        let broker = self.broker.as_ref().filter(|broker| broker.has_system())?;
        Some(broker.system_user().unwrap_or("nobody in particular"))
    }

    /// Whether the connection to the watched account stands.
    pub(super) fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.borrow().is_connected)
    }

    /// The connection to the watched account as it is now.
    pub(super) fn contact(&self) -> Contact {
        self.broker.as_ref().map_or_else(|| self.before.clone(), Broker::contact)
    }

    /// Asks everything, and stops asking when the connection goes.
    pub(super) async fn ask_all(&mut self, last: &Arc<Snapshot>, within: Duration) -> Answers {
        let (Some(broker), Some(link)) = (&mut self.broker, &self.link) else {
            return nothing("NATS has not answered yet");
        };
        let mut link = link.clone();
        let answers = tokio::select! {
            answers = broker.ask_all(Some(last), within) => answers,
            _ = link.wait_for(|state| !state.is_connected) => return nothing("the connection to NATS is lost"),
        };
        self.explain_servers(answers)
    }

    /// Who asks, once a connection was opened.
    pub(super) fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// A server told that a stream or consumer was changed.
    pub(super) fn configs_changed(&mut self) {
        if let Some(broker) = &mut self.broker {
            broker.configs_changed();
        }
    }

    /// Messages sent, and bytes both ways, since the connections were opened.
    pub(super) fn traffic(&self) -> (u64, u64) {
        self.broker.as_ref().map_or((0, 0), Broker::traffic)
    }

    /// The account that is watched, once a connection to it was opened.
    pub(super) fn account(&self) -> Option<&str> {
        self.broker.as_ref().map(|broker| &**broker.account())
    }

    /// Reads where messages begin, and stops when the connection goes.
    pub(super) async fn first(&self, questions: &[FirstFrom], within: Duration) -> Vec<First> {
        let (Some(broker), Some(link)) = (&self.broker, &self.link) else { return Vec::new() };
        let mut link = link.clone();
        tokio::select! {
            answers = broker.first(questions, within) => answers,
            _ = link.wait_for(|state| !state.is_connected) => Vec::new(),
        }
    }

    /// A system user was given and its connection does not come about: that is another gap than having none.
    fn explain_servers(&self, mut answers: Answers) -> Answers {
        if self.system.is_some() && answers.servers.value().is_none() && !self.system_reason.is_empty() {
            answers.servers = Reading::unknown(Why::Failed, &*self.system_reason);
        }
        answers
    }

    /// Resolves when the connection to the watched account comes or goes; never before it was opened.
    pub(super) async fn changed(&mut self) {
        let heard = match &mut self.link {
            Some(link) => link.changed().await.is_ok(),
            None => false,
        };
        if !heard {
            std::future::pending().await
        }
    }
}

fn nothing(reason: &str) -> Answers {
    Answers {
        account: Reading::unknown(Why::Failed, reason),
        servers: Reading::unknown(Why::Failed, reason),
        streams: Reading::unknown(Why::Failed, reason),
        presence: Reading::unknown(Why::Failed, reason),
        records: Reading::unknown(Why::Failed, reason),
        dead_letters: Reading::unknown(Why::Failed, reason),
        faults: Reading::unknown(Why::Failed, reason),
        stats: RoundStats::default(),
    }
}
