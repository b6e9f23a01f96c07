//! Stored messages, read without a consumer.
//!
//! Convention: direct get and its batches, NATS ADR-31 (batches need a server of 2.11 or later); `STREAM.MSG.GET` where a stream does not
//! allow direct get.

use async_nats::{
    Client, StatusCode,
    jetstream::{message::StreamMessage, stream::RawMessage},
};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;

use super::{
    AskError,
    ask::{LIMIT, ask},
};

/// Bytes of one batch at the most; the message that goes over is still sent.
const BATCH_BYTES: usize = 1 << 20;

/// Batches of one reading at the most: with [`BATCH_BYTES`], what a round spends on a bucket whose values are large.
const BATCHES_MOST: usize = 16;

/// The end of a batch.
const NO_CONTENT: u16 = 204;

/// Messages of one stream on the subjects of one pattern.
pub(super) struct Messages<'a> {
    pub(super) client: &'a Client,
    pub(super) stream: &'a str,
    pub(super) pattern: &'a str,
}

/// What a batch brought.
pub(super) enum Batch {
    /// Messages, the oldest first, and how many more there are behind them.
    Of(Vec<StreamMessage>, u64),
    /// The server knows no batches.
    NotKnown,
}

#[derive(Deserialize)]
struct Stored {
    message: RawMessage,
}

impl Messages<'_> {
    /// Up to `most` messages from sequence `from` on, in one request.
    pub(super) async fn batch(&self, from: u64, most: usize) -> Result<Batch, AskError> {
        let subject = self.direct();
        let question = json!({
            "seq": from, "next_by_subj": self.pattern, "batch": most, "max_bytes": BATCH_BYTES,
        });
        let inbox = self.client.new_inbox();
        let lost = |source| AskError::Lost { subject: subject.clone(), source };
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|error| lost(error.into()))?;
        let sent = self.client.publish_with_reply(subject.clone(), inbox, question.to_string().into()).await;
        sent.map_err(|error| lost(error.into()))?;
        let gather = async {
            let mut messages = Vec::new();
            while let Some(answer) = answers.next().await {
                match answer.status.map(|status| status.as_u16()) {
                    Some(NO_CONTENT) => {
                        return Ok(Batch::Of(messages, number(&answer, "Nats-Num-Pending").unwrap_or(0)));
                    }
                    Some(404) => return Ok(Batch::Of(messages, 0)),
                    Some(status) => return Err(refused(&subject, status, answer.description)),
                    None if number(&answer, "Nats-Num-Pending").is_none() => return Ok(Batch::NotKnown),
                    None => messages.extend(StreamMessage::try_from(answer)),
                }
            }
            Err(AskError::Silence { subject: subject.clone() })
        };
        match tokio::time::timeout(LIMIT, gather).await {
            Ok(gathered) => gathered,
            Err(_) => Err(AskError::Silence { subject: subject.clone() }),
        }
    }

    /// Up to `most` messages from sequence `from` on, in as many batches as it takes, and no more than [`BATCHES_MOST`].
    pub(super) async fn batches(&self, from: u64, most: usize) -> Result<Batch, AskError> {
        let (mut read, mut from) = (Vec::new(), from);
        let mut pending = 0;
        for _ in 0..BATCHES_MOST {
            let Batch::Of(more, behind) = self.batch(from, most - read.len()).await? else {
                return Ok(Batch::NotKnown);
            };
            pending = behind;
            let Some(last) = more.last() else { break };
            from = last.sequence + 1;
            read.extend(more);
            if pending == 0 || read.len() >= most {
                break;
            }
        }
        Ok(Batch::Of(read, pending))
    }

    /// The first message from sequence `from` on, by direct get.
    pub(super) async fn next_direct(&self, from: u64) -> Result<Option<StreamMessage>, AskError> {
        self.get_direct(&json!({ "seq": from, "next_by_subj": self.pattern })).await
    }

    async fn get_direct(&self, question: &serde_json::Value) -> Result<Option<StreamMessage>, AskError> {
        let subject = self.direct();
        let request = async_nats::Request::new().payload(question.to_string().into()).timeout(Some(LIMIT));
        let answer = match self.client.send_request(subject.clone(), request).await {
            Ok(answer) => answer,
            Err(source) => return Err(AskError::of_request(subject, source)),
        };
        match answer.status {
            Some(StatusCode::NOT_FOUND) => Ok(None),
            Some(status) => Err(refused(&subject, status.as_u16(), answer.description)),
            None => Ok(StreamMessage::try_from(answer).ok()),
        }
    }

    /// The first message from sequence `from` on, by the API: works on every stream.
    pub(super) async fn next_stored(&self, from: u64) -> Result<Option<StreamMessage>, AskError> {
        self.get_stored(&json!({ "seq": from, "next_by_subj": self.pattern })).await
    }

    async fn get_stored(&self, question: &serde_json::Value) -> Result<Option<StreamMessage>, AskError> {
        const NO_MESSAGE_FOUND: u64 = 10_037;
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.stream);
        match ask::<Stored>(self.client, &subject, question).await {
            Ok(stored) => Ok(StreamMessage::try_from(stored.message).ok()),
            Err(AskError::Refused { code: NO_MESSAGE_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest message of the pattern, by direct get.
    pub(super) async fn last_direct(&self) -> Result<Option<StreamMessage>, AskError> {
        self.get_direct(&json!({ "last_by_subj": self.pattern })).await
    }

    /// The newest message of the pattern, by the API.
    pub(super) async fn last_stored(&self) -> Result<Option<StreamMessage>, AskError> {
        self.get_stored(&json!({ "last_by_subj": self.pattern })).await
    }

    fn direct(&self) -> String {
        format!("$JS.API.DIRECT.GET.{}", self.stream)
    }
}

fn number(answer: &async_nats::Message, header: &str) -> Option<u64> {
    answer.headers.as_ref()?.get(header)?.as_str().parse().ok()
}

fn refused(subject: &str, status: u16, description: Option<String>) -> AskError {
    if status == StatusCode::NO_RESPONDERS.as_u16() {
        return AskError::Nobody { subject: subject.to_owned() };
    }
    AskError::Refused {
        subject: subject.to_owned(),
        description: description.unwrap_or_default().trim().to_owned(),
        code: status.into(),
    }
}
