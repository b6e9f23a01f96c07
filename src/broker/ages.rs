//! The first message of a stream from some sequence on, for many streams at once: where it lies and since when.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, jetstream::message::StreamMessage};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{AskError, get::Messages};
use crate::{clock::Timestamp, name::StreamName};

/// Questions underway at once: enough to hide the way there and back, and nothing against what a server answers at a time.
const IN_FLIGHT: usize = 32;

/// Bytes of messages that a round reads for this at the most: the answer is the whole message, and only its time is wanted. What is
/// underway when they are used up still comes.
const BYTES_MOST: usize = 4 << 20;

/// How long one question waits: an answer takes a millisecond, and a round should not end late for one that does not come.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which is the first message of `stream` from sequence `from` on, on a subject of any of `patterns`?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstFrom {
    /// The account that it is in.
    pub account: Arc<str>,
    /// The stream.
    pub stream: StreamName,
    /// The first sequence that counts.
    pub from: u64,
    /// The subject patterns, at least one. Each is asked for by itself.
    pub patterns: Vec<String>,
    /// Whether the stream allows direct get.
    pub is_direct: bool,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// That one.
    Message {
        /// Its sequence.
        sequence: u64,
        /// When the stream stored it.
        stored: Timestamp,
    },
    /// There is none.
    NoMessage,
    /// Nobody said anything: our user may not read messages of this stream, or the server is busy.
    Silence,
    /// It was not asked, or the answer was no help this time.
    Unanswered,
}

/// Asks all `questions` and answers in their order. What would begin after `within` does not begin.
pub(super) async fn first(client: &Client, questions: &[FirstFrom], within: Duration) -> Vec<First> {
    let (until, spent) = (Instant::now() + within, AtomicUsize::new(0));
    let spent = &spent;
    let answer = |question: FirstFrom| async move {
        if Instant::now() >= until || spent.load(Ordering::Relaxed) > BYTES_MOST {
            return First::Unanswered;
        }
        match tokio::time::timeout(PATIENCE, first_of(client, &question, spent)).await {
            Err(_) | Ok(Err(AskError::Silence { .. })) => First::Silence,
            Ok(Err(_)) => First::Unanswered,
            Ok(Ok(None)) => First::NoMessage,
            Ok(Ok(Some((sequence, stored)))) => First::Message { sequence, stored },
        }
    };
    stream::iter(questions.iter().cloned().map(answer)).buffered(IN_FLIGHT).collect().await
}

/// The first on any of the patterns.
async fn first_of(
    client: &Client,
    question: &FirstFrom,
    spent: &AtomicUsize,
) -> Result<Option<(u64, Timestamp)>, AskError> {
    let mut first: Option<(u64, Timestamp)> = None;
    for pattern in &question.patterns {
        let messages = Messages { client, stream: question.stream.as_str(), pattern };
        if let Some(message) = first_on(&messages, question).await? {
            spent.fetch_add(message.payload.len(), Ordering::Relaxed);
            let found = (message.sequence, Timestamp(message.time));
            first = Some(first.map_or(found, |first| first.min(found)));
        }
    }
    Ok(first)
}

/// Any replica answers a direct get, one that lags too: that there is none is believed of the leader alone.
async fn first_on(messages: &Messages<'_>, question: &FirstFrom) -> Result<Option<StreamMessage>, AskError> {
    if question.is_direct {
        match messages.next_direct(question.from).await {
            Ok(Some(message)) => return Ok(Some(message)),
            Ok(None) | Err(AskError::Nobody { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    messages.next_stored(question.from).await
}
