//! One question and its answer: a request on a subject of the JetStream API, JSON both ways.

use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    clock::Age,
    errors::ErrorChain,
    snapshot::{Reading, Why},
};

/// How long one question waits for its answer. A cluster gathers a list for up to 4 s before it answers with what it has.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// When a round ends, whatever has been answered by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    within: Duration,
}

impl Deadline {
    /// Now and `within` from now.
    pub(super) fn after(within: Duration) -> Self {
        Self { at: Instant::now() + within, within }
    }

    /// The same, or `within` from now where that is sooner.
    pub(super) fn no_later(self, within: Duration) -> Self {
        let sooner = Self::after(within);
        if sooner.at < self.at { sooner } else { self }
    }

    /// Waits for `read`, which reads `what`, until the round ends. What would begin later does not begin.
    pub(super) async fn wait<T>(
        self,
        what: &str,
        read: impl Future<Output = Result<T, AskError>>,
    ) -> Result<T, AskError> {
        let late = || AskError::Late { what: what.to_owned(), within: self.within };
        if self.at <= Instant::now() {
            return Err(late());
        }
        tokio::time::timeout_at(self.at, read).await.unwrap_or_else(|_| Err(late()))
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Silence.
    #[error("`{subject}` was not answered within {} s: NATS is busy, or our user may not ask that", LIMIT.as_secs())]
    Silence {
        /// What was asked.
        subject: String,
    },
    /// Nobody listens there.
    #[error("nobody answers `{subject}`: JetStream is off, has no leader now, or our user may not ask that")]
    Nobody {
        /// What was asked.
        subject: String,
    },
    /// Every server that answered runs without JetStream.
    #[error("JetStream is off: it runs on none of the servers that answered ({servers})")]
    Off {
        /// Their names.
        servers: String,
    },
    /// The round was over first.
    #[error("reading {what} took longer than {}", Age(*.within))]
    Late {
        /// What was read.
        what: String,
        /// How long a round may take.
        within: Duration,
    },
    /// The server answered with an error.
    #[error("`{subject}` was answered with an error: {description} (code {code})")]
    Refused {
        /// What was asked.
        subject: String,
        /// The server's words.
        description: String,
        /// The server's code: its JetStream code where it gave one.
        code: u64,
    },
    /// The answer is not what such an answer looks like.
    #[error("the answer of `{subject}` makes no sense")]
    Malformed {
        /// What was asked.
        subject: String,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The question did not leave, or the connection went before the answer came.
    #[error("`{subject}` could not be asked")]
    Lost {
        /// What was asked.
        subject: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl AskError {
    /// What went wrong with a request.
    pub(super) fn of_request(subject: String, source: async_nats::RequestError) -> Self {
        match source.kind() {
            RequestErrorKind::TimedOut => Self::Silence { subject },
            RequestErrorKind::NoResponders => Self::Nobody { subject },
            _ => Self::Lost { subject, source: source.into() },
        }
    }

    /// The gap that this leaves.
    pub(super) fn into_reading<T>(self) -> Reading<T> {
        Reading::unknown(Why::Failed, ErrorChain(&self).to_string())
    }
}

/// What every answer of the JetStream API may be instead of itself.
#[derive(Deserialize)]
struct Envelope {
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Asks on `subject` and reads the answer.
pub(super) async fn ask<T: DeserializeOwned>(
    client: &Client,
    subject: &str,
    question: &impl Serialize,
) -> Result<T, AskError> {
    let malformed = |source| AskError::Malformed { subject: subject.to_owned(), source };
    let payload = Bytes::from(serde_json::to_vec(question).map_err(malformed)?);
    let request = Request::new().payload(payload).timeout(Some(LIMIT));
    let answer = match client.send_request(subject.to_owned(), request).await {
        Ok(answer) => answer,
        Err(source) => return Err(AskError::of_request(subject.to_owned(), source)),
    };
    let Envelope { error } = serde_json::from_slice(&answer.payload).map_err(malformed)?;
    match error {
        None => serde_json::from_slice(&answer.payload).map_err(malformed),
        Some(error) => Err(AskError::Refused {
            subject: subject.to_owned(),
            description: error.description,
            code: if error.err_code > 0 { error.err_code } else { error.code },
        }),
    }
}

/// A page of a list.
pub(super) trait Page: DeserializeOwned {
    /// What the list holds.
    type Row;

    /// How many rows the whole list has.
    fn total(&self) -> usize;

    /// The rows of this page, and the names that the cluster left out.
    fn into_rows(self) -> (Vec<Self::Row>, Vec<String>);
}

/// Pages of one list at the most: 256 rows each make 100 000 rows.
const PAGES_MOST: usize = 400;

/// Reads a list page by page.
pub(super) async fn ask_pages<P: Page>(client: &Client, subject: &str) -> Result<(Vec<P::Row>, Vec<String>), AskError> {
    let (mut rows, mut missing) = (Vec::new(), Vec::new());
    for _ in 0..PAGES_MOST {
        // What the cluster left out of a page had its place in it.
        let offset = rows.len() + missing.len();
        let page: P = ask(client, subject, &serde_json::json!({ "offset": offset })).await?;
        let total = page.total();
        let (more, left_out) = page.into_rows();
        let told = more.len() + left_out.len();
        rows.extend(more);
        missing.extend(left_out);
        if told == 0 || offset + told >= total {
            break;
        }
    }
    missing.sort();
    missing.dedup();
    Ok((rows, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_ends_when_it_said_it_would() {
        let began = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(10));
        assert_eq!(deadline.wait("a", async { Ok(1) }).await.unwrap(), 1);
        let late = deadline.wait::<()>("b", std::future::pending()).await.unwrap_err();
        assert_eq!(late.to_string(), "reading b took longer than 10 s");
        let began_late = deadline.wait("c", async { Ok(1) }).await;
        assert!(matches!(began_late, Err(AskError::Late { .. })), "{began_late:?}");
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }
}
