//! Asks the probes that the operator named. Addresses that services advertise are never asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use reqwest::{Client, redirect::Policy};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, config::ProbeTarget, errors, snapshot::AskedProbe};

/// How long a probe may take: an orchestrator waits a second.
const LIMIT: Duration = Duration::from_secs(2);

/// Probes that are asked at once.
const AT_ONCE: usize = 16;

/// Probes at the most: of more than a page shows at a glance, an orchestrator knows more than we do.
const MOST: usize = 64;

/// The probes to ask.
#[derive(Debug)]
pub struct Prober {
    targets: Vec<ProbeTarget>,
    client: Client,
    clock: Clock,
}

/// What the probes answered last.
pub type Asked = Arc<[AskedProbe]>;

/// The probes cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbingError {
    /// There are too many.
    #[error("{0} probes are more than the {MOST} that are asked; name those that matter")]
    TooMany(usize),
    /// Two have one name.
    #[error("two probes are called `{0}`; give each a name of its own")]
    Twice(String),
    /// There is no client.
    #[error("setting up the HTTP client for probes")]
    Client(#[source] reqwest::Error),
}

impl Prober {
    /// Asks these, and nothing else: it follows no redirect and goes through no proxy.
    ///
    /// # Errors
    /// When there are too many, or two of one name.
    pub fn new(targets: Vec<ProbeTarget>, clock: Clock) -> Result<Self, ProbingError> {
        if targets.len() > MOST {
            return Err(ProbingError::TooMany(targets.len()));
        }
        let mut names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ProbingError::Twice(pair[0].to_owned()));
        }
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(LIMIT).build();
        Ok(Self { targets, client: client.map_err(ProbingError::Client)?, clock })
    }

    /// Asks all of them until `stop`, `every` so often, and tells `asked` what they answered. Rounds of looking at NATS do not wait for it.
    pub async fn run(self, every: Duration, asked: watch::Sender<Asked>, stop: CancellationToken) {
        loop {
            tokio::select! {
                answers = self.ask() => drop(asked.send_replace(answers.into())),
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Asks all of them once; each has an answer, or the reason why not, within a few seconds.
    pub async fn ask(&self) -> Vec<AskedProbe> {
        let asking: Vec<_> = self.targets.iter().map(|target| self.ask_one(target)).collect();
        stream::iter(asking).buffered(AT_ONCE).collect().await
    }

    /// What the body says is not read.
    async fn ask_one(&self, target: &ProbeTarget) -> AskedProbe {
        let (at, began) = (self.clock.now(), Instant::now());
        let answer = match self.client.get(target.url.clone()).send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) if error.is_timeout() => Err(format!("it did not answer within {} s", LIMIT.as_secs())),
            Err(error) => Err(format!("it does not answer: {}", errors::innermost(&error))),
        };
        AskedProbe { name: target.name.clone(), url: target.url.to_string(), answer, took: began.elapsed(), at }
    }
}
