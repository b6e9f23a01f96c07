//! Reads stored messages for whoever looks at a page. It makes no consumer and acks nothing, so it is safe on every kind of stream.

mod last;
mod search;
mod stored;
mod wanted;
mod windows;

use std::{sync::Arc, time::Duration};

use async_nats::{Client, connection::State};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    AskError,
    ask::ask,
    wire::{StreamInfo, StreamState},
};
use crate::{
    clock::{Age, Clock},
    errors::ErrorChain,
    name::{StreamName, Subject},
    peek::{Begin, Found, Held, One, Question, Stored},
    snapshot::{Reading, Why},
};
use search::Search;

/// Readings at once: what they hold at the most is in memory twice, and the broker has other things to do.
const AT_ONCE: usize = 2;

/// How long a reading waits until another one ends: somebody waits for a page.
const TURN_LIMIT: Duration = Duration::from_secs(1);

/// How long one reading takes at the most, whatever it has found by then.
const LIMIT: Duration = Duration::from_secs(3);

/// Who is asked: a connection, and the account whose messages it sees.
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) client: Client,
    pub(super) account: Arc<str>,
    pub(super) clock: Clock,
}

impl Source {
    /// The account whose messages it sees.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether its connection is there: a question that waits for another one is answered too late.
    fn connected(&self) -> Result<(), ReadError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(ReadError::Lost),
        }
    }
}

/// Reads stored messages within limits: how many readings there are at once, and how much and how long each of them reads. Clones share
/// them. The default one has nobody to ask.
#[derive(Debug, Clone)]
pub struct Reader {
    sources: watch::Receiver<Vec<Source>>,
    turns: Arc<Semaphore>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("NATS has not answered yet")]
    NoSource,
    #[error("reading messages of account {0} needs a user in account {0}; the observer was given one in {1}")]
    OtherAccount(String, String),
    #[error("there is no stream {0} in account {1}")]
    NoStream(StreamName, String),
    #[error("others are reading messages, and they took longer than {within}: try again", within = Age(TURN_LIMIT))]
    Busy,
    #[error("the connection to NATS is lost, and no message can be read until it is back")]
    Lost,
    #[error(
        "nothing of stream {0} was told within {within}: NATS is busy, or our user may not ask `$JS.API.STREAM.INFO.{0}`, \
         `$JS.API.DIRECT.GET.{0}` or `$JS.API.STREAM.MSG.GET.{0}`",
        within = Age(LIMIT)
    )]
    Silence(StreamName),
    #[error(transparent)]
    Ask(AskError),
}

/// What is known of a stream before its messages are read.
struct Facts {
    held: Held,
    bytes: u64,
    is_direct: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(watch::channel(Vec::new()).1)
    }
}

impl Reader {
    /// Asks over these, as soon as they are there: one for each account.
    pub fn new(sources: watch::Receiver<Vec<Source>>) -> Self {
        Self { sources, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Looks for messages of a stream in `account`.
    pub async fn find(&self, account: &str, question: &Question) -> Reading<Found> {
        self.try_find(account, question).await.unwrap_or_else(ReadError::into_reading)
    }

    /// The message at a sequence of a stream in `account`.
    pub async fn one(&self, account: &str, stream: &StreamName, sequence: u64) -> Reading<One> {
        self.try_one(account, stream, sequence).await.unwrap_or_else(ReadError::into_reading)
    }

    /// Those of the messages at these sequences of a stream in `account` that it still holds.
    pub async fn several(&self, account: &str, stream: &StreamName, sequences: &[u64]) -> Reading<Vec<Stored>> {
        self.try_several(account, stream, sequences).await.unwrap_or_else(ReadError::into_reading)
    }

    /// The newest message on a subject of a stream in `account`; `None` where it holds none.
    pub async fn last(&self, account: &str, stream: &StreamName, subject: &Subject) -> Reading<Option<Stored>> {
        self.try_last(account, stream, subject).await.unwrap_or_else(ReadError::into_reading)
    }

    /// Who is asked, as soon as they are there: one for each account.
    pub fn sources(&self) -> watch::Receiver<Vec<Source>> {
        self.sources.clone()
    }

    /// The accounts in which it may read.
    pub fn accounts(&self) -> Vec<Arc<str>> {
        self.sources.borrow().iter().map(|source| source.account.clone()).collect()
    }

    async fn try_several(
        &self,
        account: &str,
        stream: &StreamName,
        sequences: &[u64],
    ) -> Result<Reading<Vec<Stored>>, ReadError> {
        let mut look = self.begin(account, stream).await?;
        let found = look.search.several(sequences).await?;
        Ok(look.told(found))
    }

    async fn try_last(
        &self,
        account: &str,
        stream: &StreamName,
        subject: &Subject,
    ) -> Result<Reading<Option<Stored>>, ReadError> {
        let look = self.begin(account, stream).await?;
        let last = look.search.last(subject).await?;
        Ok(look.told(last))
    }

    async fn try_find(&self, account: &str, question: &Question) -> Result<Reading<Found>, ReadError> {
        let mut look = self.begin(account, &question.stream).await?;
        look.search.ask_for(question);
        let found = match question.begin {
            Begin::Newest => look.search.older(u64::MAX).await?,
            Begin::Before(sequence) => look.search.older(sequence).await?,
            Begin::From(sequence) => look.search.newer(sequence).await?,
            Begin::At(time) => look.search.since(time).await?,
        };
        Ok(look.told(found))
    }

    async fn try_one(&self, account: &str, stream: &StreamName, sequence: u64) -> Result<Reading<One>, ReadError> {
        let mut look = self.begin(account, stream).await?;
        let one = look.search.one(sequence).await?;
        Ok(look.told(one))
    }

    fn source(&self, account: &str) -> Result<Source, ReadError> {
        let sources = self.sources.borrow();
        if sources.is_empty() {
            return Err(ReadError::NoSource);
        }
        let others = || sources.iter().map(Source::account).collect::<Vec<_>>().join(", ");
        let found = sources.iter().find(|source| *source.account == *account).cloned();
        found.ok_or_else(|| ReadError::OtherAccount(account.to_owned(), others()))
    }

    async fn begin<'a>(&'a self, account: &str, stream: &'a StreamName) -> Result<Look<'a>, ReadError> {
        let source = self.source(account)?;
        source.connected()?;
        let turn = timeout(TURN_LIMIT, self.turns.acquire()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(ReadError::Busy)?;
        let until = Instant::now() + LIMIT;
        let asked = timeout_at(until, facts(&source, stream)).await;
        let silent = |_| source.connected().err().unwrap_or_else(|| ReadError::Silence(stream.clone()));
        let facts = asked.map_err(silent)??;
        let search = Search::new(source.client.clone(), stream, &facts, until);
        Ok(Look { search, source, stream, _turn: turn })
    }
}

/// A reading that is underway.
struct Look<'a> {
    search: Search<'a>,
    source: Source,
    stream: &'a StreamName,
    _turn: SemaphorePermit<'a>,
}

impl Look<'_> {
    fn told<T>(&self, found: T) -> Reading<T> {
        Reading::known(found, format!("stream {}", self.stream), self.source.clock.now())
    }
}

impl From<AskError> for ReadError {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl ReadError {
    fn into_reading<T>(self) -> Reading<T> {
        let why = match self {
            Self::NoSource => Why::NotYet,
            Self::OtherAccount(..) => Why::Hidden,
            Self::NoStream(..) => Why::Absent,
            Self::Busy | Self::Lost | Self::Silence(_) | Self::Ask(_) => Why::Failed,
        };
        Reading::unknown(why, ErrorChain(&self).to_string())
    }
}

/// What the stream holds now: the last round's word of it may be ten seconds old, and the newest message is what is looked for.
async fn facts(source: &Source, stream: &StreamName) -> Result<Facts, ReadError> {
    const STREAM_NOT_FOUND: u64 = 10_059;
    let subject = format!("$JS.API.STREAM.INFO.{stream}");
    let info: StreamInfo = match ask(&source.client, &subject, &"").await {
        Ok(info) => info,
        Err(AskError::Refused { code: STREAM_NOT_FOUND, .. }) => {
            return Err(ReadError::NoStream(stream.clone(), source.account.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let StreamState { messages, bytes, first_seq, last_seq, .. } = info.state;
    let held = Held { first: first_seq, last: last_seq, messages };
    Ok(Facts { held, bytes, is_direct: info.config.allow_direct })
}
