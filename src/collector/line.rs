//! The connection to one account: opened once, looked after by the client from then on.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::links::{CLIENT_NAME, once};
use crate::{
    broker::Broker,
    clock::Clock,
    config::NatsConfig,
    errors::ErrorChain,
    nats::{self, ConnectError, LinkState, Login},
    snapshot::Contact,
};

/// How long nobody tries again whose login was refused: servers log each attempt, and somebody has to change something first.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// After an attempt nobody tries again for so many times as long as it took, so that an account whose server cannot be reached holds up the
/// rounds of the others now and then, and not all the time.
const PAUSE: u32 = 3;

/// The connection to one account, as far as it is open yet.
#[derive(Debug)]
pub(super) struct Line {
    config: NatsConfig,
    /// Whether it is the only one.
    is_alone: bool,
    clock: Clock,
    broker: Option<Broker>,
    link: Option<watch::Receiver<LinkState>>,
    /// What is said of the connection before it has ever stood.
    before: Contact,
    is_refused: bool,
    again: Option<Instant>,
}

impl Line {
    /// Reads the login and opens nothing.
    pub(super) fn new(config: NatsConfig, is_alone: bool, clock: Clock) -> Result<Self, ConnectError> {
        let login = Login::read(&config)?;
        let before = Contact {
            is_connected: false,
            since: clock.now(),
            reason: "connecting for the first time".to_owned(),
            url: login.shown_url(),
            user: login.shown_user(),
            server: None,
        };
        let config = once(config);
        Ok(Self { config, is_alone, clock, broker: None, link: None, before, is_refused: false, again: None })
    }

    /// Opens it if it is not open and it makes sense to try, and asks for the account's name. A server that does not answer is no error.
    pub(super) async fn connect(&mut self) -> Result<(), ConnectError> {
        if self.broker.is_none() && self.again.is_none_or(|again| Instant::now() >= again) {
            self.attempt().await?;
        }
        if let Some(broker) = &mut self.broker {
            broker.learn_account().await;
        }
        Ok(())
    }

    async fn attempt(&mut self) -> Result<(), ConnectError> {
        let began = Instant::now();
        let attempt = nats::connect(&self.config, CLIENT_NAME, &self.clock).await;
        self.is_refused = attempt.as_ref().is_err_and(|error| !error.is_transient());
        match attempt {
            Ok(connection) => {
                self.link = Some(connection.link.watch());
                let open = if self.is_alone { Broker::new } else { Broker::one_of_several };
                self.broker = Some(open(connection, self.clock.clone()));
                Ok(())
            }
            Err(error) => {
                self.again = match self.is_alone {
                    true => None,
                    false if self.is_refused => Some(Instant::now() + REFUSED_FOR),
                    false => Some(Instant::now() + began.elapsed() * PAUSE),
                };
                self.before.reason = ErrorChain(&error).to_string();
                if self.is_refused { Err(error) } else { Ok(()) }
            }
        }
    }

    /// Whether it is open, or may be yet with nothing changed on our side.
    pub(super) fn may_open(&self) -> bool {
        !self.is_refused
    }

    /// Who asks, once it was opened.
    pub(super) fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// The account, if its name is known.
    pub(super) fn account(&self) -> Option<&Arc<str>> {
        self.broker.as_ref()?.account()
    }

    /// The user, or what stands for one.
    pub(super) fn user(&self) -> String {
        self.before.user_in_words().to_owned()
    }

    /// Whether it stands.
    pub(super) fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.borrow().is_connected)
    }

    /// The connection as it is now.
    pub(super) fn contact(&self) -> Contact {
        self.broker.as_ref().map_or_else(|| self.before.clone(), Broker::contact)
    }

    /// Resolves when the connection comes or goes; never before it was opened.
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
