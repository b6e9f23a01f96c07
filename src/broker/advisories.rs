//! What servers tell unasked: heard while we listen, or read from the stream that keeps it.

use std::{sync::Arc, time::Duration};

use async_nats::{Subscriber, jetstream::message::StreamMessage};
use futures_util::{FutureExt, StreamExt, stream::SelectAll};

use super::{
    AskError, Broker,
    ask::Deadline,
    get::{Batch, Messages},
};
use crate::{
    advisory::{self, Advisory},
    snapshot::Stream,
};

/// What is listened to: all but the protocol of every question to the API, which our own questions fill too.
const SUBJECTS: [&str; 5] = [
    "$JS.EVENT.ADVISORY.CONSUMER.>",
    "$JS.EVENT.ADVISORY.STREAM.>",
    "$JS.EVENT.ADVISORY.SERVER.>",
    "$JS.EVENT.ADVISORY.DOMAIN.>",
    "$JS.EVENT.ADVISORY.API.LIMIT_REACHED",
];

/// Stored advisories read in one round at the most; what is left comes in the next.
const STORED_A_ROUND: usize = 5_000;

/// Of those, where the server or the stream knows no batches and each is a question.
const SINGLE_A_ROUND: usize = 100;

/// What is told while we listen. It says nothing where our user may not listen.
#[derive(Debug, Default)]
pub struct Heard {
    told: SelectAll<Subscriber>,
    account: Arc<str>,
}

impl Heard {
    /// What is told from now on is of `account`.
    pub fn is_of(&mut self, account: &Arc<str>) {
        self.account.clone_from(account);
    }

    /// The next that is told; it waits for as long as nothing is.
    pub async fn next(&mut self) -> Advisory {
        loop {
            let Some(message) = self.told.next().await else { std::future::pending().await };
            if let Some(advisory) = Advisory::parse(&message.payload, &self.account) {
                return advisory;
            }
        }
    }

    /// What was told and not taken yet.
    pub fn next_now(&mut self) -> Option<Advisory> {
        self.next().now_or_never()
    }
}

/// Stored advisories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The advisories, the oldest first.
    pub advisories: Vec<Advisory>,
    /// The last sequence that was looked at.
    pub read_to: u64,
}

impl Broker {
    /// Listens to what is told in the account from now on.
    ///
    /// # Errors
    /// When the connection was closed.
    pub async fn listen(&self) -> Result<Heard, AskError> {
        let mut told = SelectAll::new();
        for subject in SUBJECTS {
            let subscribed = self.connection.client.subscribe(subject).await;
            told.push(
                subscribed.map_err(|error| AskError::Lost { subject: subject.to_owned(), source: Box::new(error) })?,
            );
        }
        Ok(Heard { told, account: self.account().cloned().unwrap_or_default() })
    }

    /// Reads the advisories that `stream` has kept from sequence `from` on, as many as a round has room for.
    ///
    /// # Errors
    /// When they could not be read `within` that time.
    pub async fn stored_advisories(&self, stream: &Stream, from: u64, within: Duration) -> Result<Stored, AskError> {
        let messages = Messages { client: &self.connection.client, stream: stream.name.as_str(), pattern: ">" };
        let read = async {
            if !stream.config.allow_direct {
                return one_by_one(&messages, from, false).await;
            }
            match messages.batches(from, STORED_A_ROUND).await? {
                Batch::Of(read, _) => Ok(read),
                Batch::NotKnown => one_by_one(&messages, from, true).await,
            }
        };
        let read = Deadline::after(within).wait(&format!("the stream `{}`", advisory::STREAM), read).await?;
        let read_to = read.last().map_or(from.saturating_sub(1), |last| last.sequence);
        let account = self.account().cloned().unwrap_or_default();
        let parsed = read.iter().filter_map(|message| Advisory::parse(&message.payload, &account));
        Ok(Stored { advisories: parsed.collect(), read_to })
    }
}

async fn one_by_one(messages: &Messages<'_>, mut from: u64, directly: bool) -> Result<Vec<StreamMessage>, AskError> {
    let mut read = Vec::new();
    while read.len() < SINGLE_A_ROUND {
        let next = if directly { messages.next_direct(from).await? } else { messages.next_stored(from).await? };
        let Some(message) = next else { break };
        from = message.sequence + 1;
        read.push(message);
    }
    Ok(read)
}
