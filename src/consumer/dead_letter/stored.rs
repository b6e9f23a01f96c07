//! Stored messages: one by one from any stream, and a whole stream from its newest message back, a window at a time.
//!
//! Convention: `STREAM.MSG.GET`, which works on every stream and asks its leader; direct get in batches, NATS ADR-31 (server 2.11).

use std::time::Duration;

use async_nats::{
    StatusCode,
    jetstream::{self, ErrorCode, message::StreamMessage, response::Response, stream::RawMessage},
};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a request waits for its answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Sequences of a window: what a reader holds at the most, without payloads.
const WINDOW: u64 = 256;

/// Bytes of one batch at the most; the message that goes over is still sent.
const BATCH_BYTES: usize = 1 << 20;

/// The end of a batch.
const NO_CONTENT: u16 = 204;

/// Stored messages could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading stream {stream}: {what}")]
pub struct StoredError {
    stream: String,
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoredError {
    pub(super) fn new(stream: &str, what: impl Into<String>) -> Self {
        Self { stream: stream.to_owned(), what: what.into(), source: None }
    }

    pub(super) fn because(
        stream: &str,
        what: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { stream: stream.to_owned(), what: what.to_owned(), source: Some(source.into()) }
    }
}

#[derive(Deserialize)]
struct Answer {
    message: RawMessage,
}

/// One message of a stream; `question` says which. `None` if there is none, or no such stream.
pub(super) async fn message(
    jetstream: &jetstream::Context,
    stream: &str,
    question: &Value,
) -> Result<Option<StreamMessage>, StoredError> {
    let answer: Result<Response<Answer>, _> = jetstream.request(format!("STREAM.MSG.GET.{stream}"), question).await;
    match answer {
        Ok(Response::Ok(answer)) => {
            let unreadable = |error| StoredError::because(stream, "the server's answer makes no sense", error);
            StreamMessage::try_from(answer.message).map(Some).map_err(unreadable)
        }
        Ok(Response::Err { error })
            if matches!(error.error_code(), ErrorCode::NO_MESSAGE_FOUND | ErrorCode::STREAM_NOT_FOUND) =>
        {
            Ok(None)
        }
        Ok(Response::Err { error }) => Err(StoredError::because(stream, "the server refuses it", error)),
        Err(error) => {
            let what = format!("no answer; may this user publish on $JS.API.STREAM.MSG.GET.{stream}?");
            Err(StoredError::because(stream, &what, error))
        }
    }
}

/// A stream read from its newest message back, as far as its subjects fit a pattern.
pub(super) struct Backwards<T> {
    jetstream: jetstream::Context,
    stream: &'static str,
    pattern: String,
    first: u64,
    /// All from here on was read.
    read: u64,
    window: Vec<T>,
    parse: fn(StreamMessage) -> Option<T>,
}

impl<T> Backwards<T> {
    /// From the newest message of a stream on, whose sequences now are `first` to `last`. `parse` keeps of each what is needed.
    pub(super) fn new(
        jetstream: &jetstream::Context,
        stream: &'static str,
        pattern: String,
        (first, last): (u64, u64),
        parse: fn(StreamMessage) -> Option<T>,
    ) -> Self {
        let (jetstream, read) = (jetstream.clone(), last + 1);
        Self { jetstream, stream, pattern, first: first.max(1), read, window: Vec::new(), parse }
    }

    /// The newest message that was not taken yet, left where it is.
    pub(super) async fn peek(&mut self) -> Result<Option<&T>, StoredError> {
        while self.window.is_empty() && self.read > self.first {
            let from = self.read.saturating_sub(WINDOW).max(self.first);
            self.window = self.between(from, self.read).await?;
            self.read = from;
        }
        Ok(self.window.last())
    }

    /// Takes the message that [`Backwards::peek`] showed.
    pub(super) fn take(&mut self) -> Option<T> {
        self.window.pop()
    }

    /// Messages from sequence `from` to before `end`, the oldest first.
    async fn between(&self, from: u64, end: u64) -> Result<Vec<T>, StoredError> {
        let (mut found, mut from) = (Vec::new(), from);
        while from < end {
            let batch = self.batch(from, end - from).await?;
            let Some(last) = batch.last().map(|message| message.sequence) else { break };
            from = last + 1;
            found.extend(batch.into_iter().filter(|message| message.sequence < end).filter_map(self.parse));
        }
        Ok(found)
    }

    async fn batch(&self, from: u64, most: u64) -> Result<Vec<StreamMessage>, StoredError> {
        let fail = |error: Box<dyn std::error::Error + Send + Sync>| {
            StoredError::because(self.stream, "the request cannot be sent", error)
        };
        let question = json!({ "seq": from, "next_by_subj": self.pattern, "batch": most, "max_bytes": BATCH_BYTES });
        let client = self.jetstream.client();
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| fail(error.into()))?;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream);
        let sent = client.publish_with_reply(subject, inbox, question.to_string().into()).await;
        sent.map_err(|error| fail(error.into()))?;
        let gather = async {
            let mut messages = Vec::new();
            while let Some(answer) = answers.next().await {
                match answer.status {
                    Some(status) if status.as_u16() == NO_CONTENT || status == StatusCode::NOT_FOUND => break,
                    Some(StatusCode::NO_RESPONDERS) => return Err(self.refused("it does not allow direct gets")),
                    Some(status) => return Err(self.refused(&format!("the server answers {status}"))),
                    None => messages.extend(StreamMessage::try_from(answer)),
                }
            }
            Ok(messages)
        };
        let silent = |_| self.refused("no answer in time; may this user publish on $JS.API.DIRECT.GET.>?");
        tokio::time::timeout(LIMIT, gather).await.map_err(silent)?
    }

    fn refused(&self, what: &str) -> StoredError {
        StoredError::new(
            self.stream,
            format!("{what}; `streamgauge topology apply --only {}` sets the stream up", self.stream),
        )
    }
}
