//! The connection to NATS: who we are, how it is opened, whether it stands, and what went wrong in words.

mod context;
mod link;
mod login;

use std::{path::PathBuf, time::Duration};

use async_nats::{
    Client, ConnectErrorKind,
    jetstream::{
        self,
        context::{AccountError, AccountErrorKind},
    },
};
use tokio::time::Instant;

use crate::{clock::Clock, config::NatsConfig, errors::ErrorChain, resilience::Backoff};

pub use link::{Link, LinkState};
pub use login::Login;

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Waits between attempts to connect, at start and later. Two seconds at the most: a server that restarts should not wait for us.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(2) };

/// How often the client asks a silent server whether it is there; two silences and it connects anew.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// An open connection: the client, and whether it is connected now.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// JetStream over the same client.
    pub jetstream: jetstream::Context,
    /// Whether the connection stands, and since when.
    pub link: Link,
    /// The servers asked for, without secrets.
    pub url: String,
    /// The account's user, where the login names one.
    pub user: Option<String>,
}

/// Why there is no connection. Every sentence says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file that the settings name cannot be read or understood.
    #[error("cannot use {what} {}: check the path and its contents", .path.display())]
    File {
        /// What the file is, such as `the credentials file`.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The text is not a server's address.
    #[error("`{url}` is not the address of a NATS server: give one like nats://127.0.0.1:4222")]
    Address {
        /// The text, without secrets.
        url: String,
    },
    /// Nothing answers.
    #[error("no NATS server answers at {url}: start one, or say where it is with --nats")]
    Absent {
        /// The servers that were tried, without secrets.
        url: String,
        /// What the last attempt met.
        #[source]
        source: async_nats::ConnectError,
    },
    /// A server answers and does not let us in.
    #[error("NATS at {url} refuses the login of {user}: check the user, password, credentials or nkey")]
    Refused {
        /// The servers that were tried, without secrets.
        url: String,
        /// The user, or what stands for one.
        user: String,
    },
    /// A server answers, TLS does not come about.
    #[error("no TLS with NATS at {url}: check --tls-ca, --tls-cert and --tls-key")]
    Tls {
        /// The servers that were tried, without secrets.
        url: String,
        /// What went wrong.
        #[source]
        source: async_nats::ConnectError,
    },
    /// Two users were given of one account.
    #[error(
        "{first} and {second} are users of the same account, {account}: give one user for each account that is to be watched (--account)"
    )]
    SameAccount {
        /// The account.
        account: String,
        /// The user given first, or what stands for one.
        first: String,
        /// The other.
        second: String,
    },
    /// The account has no JetStream.
    #[error(
        "NATS at {url} has no JetStream for {user}: start nats-server with -js, or enable JetStream for the account"
    )]
    NoJetStream {
        /// The servers asked for, without secrets.
        url: String,
        /// The user, or what stands for one.
        user: String,
        /// What the server answered.
        #[source]
        source: AccountError,
    },
    /// The server takes questions and the answers do not arrive.
    #[error(
        "NATS at {url} does not answer {user} about JetStream: may this user ask $JS.API, and listen to its inbox \
         (--inbox-prefix)?"
    )]
    Unanswered {
        /// The servers asked, without secrets.
        url: String,
        /// The user, or what stands for one.
        user: String,
        /// What was waited for.
        #[source]
        source: AccountError,
    },
}

impl ConnectError {
    /// Whether another attempt may succeed with nothing changed on our side.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

/// Connects as `config` says, under `name`. While no server answers it tries again for as long as `config.nats_wait` says; a refused
/// login or a bad setting ends it at once.
///
/// # Errors
/// When a setting is unusable, the login refused, or nothing answered in time.
pub async fn connect(config: &NatsConfig, name: &str, clock: &Clock) -> Result<Connection, ConnectError> {
    let login = Login::read(config)?;
    let give_up = Instant::now() + Duration::from_secs(config.nats_wait);
    let mut failures = 0;
    loop {
        let error = match attempt(&login, name, clock).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        failures += 1;
        let wait = BACKOFF.wait(failures, fastrand::f64());
        if !error.is_transient() || Instant::now() + wait > give_up {
            return Err(error);
        }
        if failures == 1 {
            let seconds = config.nats_wait;
            tracing::warn!(error = %ErrorChain(&error), "waiting up to {seconds} s for NATS");
        }
        tokio::time::sleep(wait).await;
    }
}

/// Makes sure that the account has JetStream.
///
/// # Errors
/// When it has none, or JetStream does not answer.
pub async fn require_jetstream(connection: &Connection) -> Result<(), ConnectError> {
    match connection.jetstream.query_account().await {
        Ok(_) => Ok(()),
        Err(source) => Err(without_jetstream(connection, source)),
    }
}

/// A server without JetStream answers that nobody is there; silence has another reason.
fn without_jetstream(connection: &Connection, source: AccountError) -> ConnectError {
    let url = connection.url.clone();
    let user = connection.user.clone().unwrap_or_else(|| "this connection".to_owned());
    match source.kind() {
        AccountErrorKind::TimedOut => ConnectError::Unanswered { url, user, source },
        _ => ConnectError::NoJetStream { url, user, source },
    }
}

async fn attempt(login: &Login, name: &str, clock: &Clock) -> Result<Connection, ConnectError> {
    let (link, link_writer) = link::new(login.shown_user().as_deref(), clock.clone());
    let lives = link::ClientLives::of(link_writer);
    let options = login
        .options()?
        .name(name)
        .connection_timeout(CONNECT_LIMIT)
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(|failures| BACKOFF.wait(u32::try_from(failures).unwrap_or(u32::MAX), fastrand::f64()))
        .event_callback(move |event| {
            let link_writer = lives.link();
            async move { link_writer.heard(&event) }
        });
    let addresses = login.addresses()?;
    match options.connect(addresses).await {
        Ok(client) => {
            let jetstream = jetstream::new(client.clone());
            link.connected();
            Ok(Connection { client, jetstream, link, url: login.shown_url(), user: login.shown_user() })
        }
        Err(source) => Err(explain(login, source)),
    }
}

fn explain(login: &Login, source: async_nats::ConnectError) -> ConnectError {
    let url = login.shown_url();
    match source.kind() {
        ConnectErrorKind::ServerParse => ConnectError::Address { url },
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => ConnectError::Refused {
            url,
            user: login.shown_user().unwrap_or_else(|| "nobody (no user was given)".to_owned()),
        },
        ConnectErrorKind::Tls => ConnectError::Tls { url, source },
        _ => ConnectError::Absent { url, source },
    }
}
