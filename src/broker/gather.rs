//! One question that many servers answer, each for itself.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::AskError;

/// How long answers are gathered while a server that answered the last time has not. A server that holds much takes seconds to tell it.
const GATHER: Duration = Duration::from_secs(5);

/// How much longer those are waited for that did not answer the last time either: a dead server must not slow down every round.
const LATE: Duration = Duration::from_millis(300);

/// How many answers there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    /// As many as there are servers.
    pub(super) all: usize,
    /// As many as came the last time; 0 where nobody has asked before.
    pub(super) usual: usize,
}

/// A question that is answered more than once.
pub(super) struct Question<'a> {
    pub(super) subject: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Question<'_> {
    /// Asks, and gathers the answers that come in time. `expects` may learn from each of them how many more there should be.
    pub(super) async fn gather(
        self,
        client: &Client,
        mut expects: impl FnMut(&Message) -> Expected,
    ) -> Result<Vec<Message>, AskError> {
        let subject = self.subject;
        let lost = |source| AskError::Lost { subject: subject.to_owned(), source };
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| lost(error.into()))?;
        let sent = client.publish_with_reply_and_headers(subject.to_owned(), inbox, self.headers, self.payload).await;
        sent.map_err(|error| lost(error.into()))?;
        let gathered = take(&mut answers, &mut expects).await;
        match gathered.first() {
            None => Err(AskError::Silence { subject: subject.to_owned() }),
            Some(first) if first.status.is_some() => Err(AskError::Nobody { subject: subject.to_owned() }),
            Some(_) => Ok(gathered),
        }
    }
}

async fn take(answers: &mut Subscriber, expects: &mut impl FnMut(&Message) -> Expected) -> Vec<Message> {
    let mut gathered = Vec::new();
    let mut until = Instant::now() + GATHER;
    while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
        let expected = expects(&answer);
        let is_word_of_nobody = answer.status.is_some();
        gathered.push(answer);
        if is_word_of_nobody || gathered.len() >= expected.all {
            break;
        }
        if expected.usual > 0 && gathered.len() >= expected.usual {
            until = until.min(Instant::now() + LATE);
        }
    }
    gathered
}
