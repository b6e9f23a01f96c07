//! A batch on its way to its stream.

use std::time::Duration;

use async_nats::{HeaderMap, RequestError, RequestErrorKind, header};
use tokio::sync::oneshot;

use super::{BatchError, known};
use crate::{
    bus::{
        PublishError, headers,
        link::Link,
        publish::{Ack, Answer, Refusal},
    },
    message::{Message, MessageId},
    resilience::Backoff,
};

/// Attempts before giving up, as for a single message.
pub(super) const ATTEMPTS: u32 = 4;

/// Waits between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

/// How long handing a batch to the client may take: longer only where the connection is gone and its buffer full.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(5);

/// Unfinished batches of a bus at once; the server keeps no more for a stream.
pub(crate) const AT_ONCE: usize = 50;

const NOT_ALLOWED: u64 = 10174;
const INCOMPLETE: u64 = 10176;
const DUPLICATE: u64 = 10201;

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// Complete messages for one stream.
pub(super) struct Commit<'a> {
    pub(super) link: &'a Link,
    pub(super) stream: &'static str,
    pub(super) messages: &'a [Message],
    /// Whether they have places in the window already.
    pub(super) is_placed: bool,
}

/// The stream's answers to the first message, which says whether it takes batches, and to the last.
struct Answers {
    first: Option<oneshot::Receiver<Answer>>,
    last: oneshot::Receiver<Answer>,
    /// The id of the batch, which the last answer names.
    batch: String,
}

impl Commit<'_> {
    /// The sequences of the messages, and whether an earlier batch had stored them. Each attempt is a batch of its own with the same
    /// message ids: one that an earlier attempt has stored is refused as a whole, and then looked for.
    pub(super) async fn applied(&self, attempts: u32) -> Result<(Vec<u64>, bool), BatchError> {
        let mut failures = 0;
        loop {
            let error = match self.once().await {
                Ok(last) => return Ok((self.sequences(last), false)),
                Err(BatchError::Refused { code: DUPLICATE, .. }) => {
                    let sequences = known::sequences(&self.link.connection, self.stream, self.messages).await?;
                    return Ok((sequences, true));
                }
                Err(error) => error,
            };
            failures += 1;
            if !error.may_pass_soon() || failures >= attempts {
                return Err(error);
            }
            tokio::time::sleep(BACKOFF.wait(failures, fastrand::f64())).await;
        }
    }

    fn sequences(&self, last: u64) -> Vec<u64> {
        let others = u64::try_from(self.messages.len()).unwrap_or(u64::MAX).saturating_sub(1);
        (last.saturating_sub(others)..=last).collect()
    }

    /// The sequence of the last message.
    async fn once(&self) -> Result<u64, BatchError> {
        let _turn = self.link.batches.place(&self.messages[0].subject).await?;
        let late = |late| self.unavailable(RequestError::with_source(RequestErrorKind::TimedOut, late));
        let sent = tokio::time::timeout(HAND_OVER_LIMIT, self.send()).await;
        let Answers { first, last, batch } = sent.map_err(late)??;
        match (self.confirmed(last.await, &batch), first) {
            (Err(BatchError::Refused { code: INCOMPLETE, why, .. }), Some(first)) => {
                // Why the batch did not even begin is the better reason.
                self.answer(first.await)?;
                Err(BatchError::Refused { stream: self.stream, code: INCOMPLETE, why })
            }
            (answer, _) => answer,
        }
    }

    async fn send(&self) -> Result<Answers, BatchError> {
        let client = &self.link.connection.client;
        let confirmations = self.link.confirmations().await.map_err(|source| self.unavailable(source))?;
        let batch = MessageId::new().0;
        let (mut first, mut last) = (None, None);
        for (index, message) in self.messages.iter().enumerate() {
            let is_last = index + 1 == self.messages.len();
            let headers = self.headers(message, &batch, index + 1, is_last);
            let (subject, payload) = (message.subject.to_string(), message.payload.clone());
            let sent = if index == 0 || is_last {
                let needs_place = is_last && !self.is_placed;
                let place = if needs_place { Some(self.link.window.place(&message.subject).await?) } else { None };
                let (ticket, answer) = confirmations.expect(place);
                *(if is_last { &mut last } else { &mut first }) = Some(answer);
                client.publish_with_reply_and_headers(subject, confirmations.reply(ticket), headers, payload).await
            } else {
                client.publish_with_headers(subject, headers, payload).await
            };
            sent.map_err(|error| self.unsent(message, error, client.max_payload()))?;
        }
        let none = || self.unavailable(RequestError::new(RequestErrorKind::Other));
        Ok(Answers { first, last: last.ok_or_else(none)?, batch })
    }

    fn headers(&self, message: &Message, batch: &str, sequence: usize, is_last: bool) -> HeaderMap {
        let mut headers = headers::write(message);
        headers.insert(header::NATS_EXPECTED_STREAM, self.stream);
        headers.insert(BATCH_ID, batch);
        headers.insert(BATCH_SEQUENCE, sequence.to_string());
        if is_last {
            headers.insert(BATCH_COMMIT, "1");
        }
        headers
    }

    /// A server that knows no batches confirms the last message as any other.
    fn confirmed(&self, answer: Result<Answer, oneshot::error::RecvError>, batch: &str) -> Result<u64, BatchError> {
        match &answer {
            Ok(Answer::Ack(ack)) if ack.error.is_none() && !confirms(ack, batch, self.messages.len()) => {
                Err(BatchError::NotAtomic { stream: self.stream })
            }
            _ => self.answer(answer),
        }
    }

    fn answer(&self, answer: Result<Answer, oneshot::error::RecvError>) -> Result<u64, BatchError> {
        let stream = self.stream;
        match answer {
            Ok(Answer::Began) => Ok(0),
            Ok(Answer::Ack(ack)) => match ack.error {
                None => Ok(ack.seq.unwrap_or_default()),
                Some(Refusal { err_code: NOT_ALLOWED, .. }) => Err(BatchError::NotAllowed { stream }),
                Some(Refusal { err_code, description }) => {
                    Err(BatchError::Refused { stream, code: err_code, why: description })
                }
            },
            Ok(Answer::Foreign(source)) => Err(BatchError::Answer { stream, source }),
            Ok(Answer::Silence(source)) => Err(self.unavailable(source)),
            Err(gone) => Err(self.unavailable(RequestError::with_source(RequestErrorKind::Other, gone))),
        }
    }

    fn unsent(&self, message: &Message, error: async_nats::PublishError, most: usize) -> BatchError {
        if error.kind() == async_nats::client::PublishErrorKind::MaxPayloadExceeded {
            let (subject, size) = (message.subject.clone(), message.payload.len());
            return BatchError::Message(PublishError::TooLarge { subject, size, most });
        }
        self.unavailable(RequestError::with_source(RequestErrorKind::Other, error))
    }

    fn unavailable(&self, source: RequestError) -> BatchError {
        BatchError::Unavailable { stream: self.stream, source }
    }
}

/// Whether an answer says that so many messages were stored as one.
fn confirms(ack: &Ack, batch: &str, messages: usize) -> bool {
    ack.batch.as_deref() == Some(batch) && ack.count == Some(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ack: &str, expected: bool) {
        assert_eq!(confirms(&serde_json::from_str(ack).unwrap(), "b", 3), expected, "{ack}");
    }

    #[test]
    fn only_an_answer_that_names_the_batch_and_all_of_it_confirms_it() {
        check(r#"{"stream":"A","seq":9,"batch":"b","count":3}"#, true);
        check(r#"{"stream":"A","seq":9,"batch":"b","count":2}"#, false);
        check(r#"{"stream":"A","seq":9,"batch":"c","count":3}"#, false);
        check(r#"{"stream":"A","seq":9}"#, false);
    }
}
