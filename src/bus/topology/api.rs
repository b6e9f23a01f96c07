//! The JetStream API as JSON, so that fields which this program does not know survive an update, and what its refusals mean.

use async_nats::jetstream::{self, context::RequestErrorKind, response::Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// A stream, bucket or consumer could not be read, made or updated.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The server refused it, or did not answer.
    #[error("{doing} {what}: {advice}")]
    Refused {
        /// What was done.
        doing: &'static str,
        /// To what.
        what: String,
        /// What to do.
        advice: String,
        /// What the server or the client says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something that is declared cannot come about; nothing was changed.
    #[error("nothing was changed, since {count} of the declared cannot come about; the first: {what}: {obstacle}")]
    Impossible {
        /// How many things.
        count: usize,
        /// The first of them.
        what: String,
        /// What stands in its way, and what to do.
        obstacle: String,
    },
    /// Some servers were not heard, so that what is there is not known.
    #[error("reading what is there: the servers that hold {missing} did not answer; try again")]
    Incomplete {
        /// What they hold.
        missing: String,
    },
}

/// Why the API did not do what it was asked to.
#[derive(Debug)]
pub(super) enum Refusal {
    Api(jetstream::Error),
    Silence(String, jetstream::context::RequestError),
}

pub(super) async fn ask(
    jetstream: &jetstream::Context,
    subject: &str,
    request: &(impl Serialize + Sync),
) -> Result<Map<String, Value>, Refusal> {
    match jetstream.request(subject.to_owned(), request).await {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) => Err(Refusal::Api(error)),
        Err(error) => Err(Refusal::Silence(subject.to_owned(), error)),
    }
}

impl Refusal {
    /// The error with what was done, to what.
    pub(super) fn explained(self, doing: &'static str, what: String) -> TopologyError {
        let advice = match &self {
            Self::Api(error) => of_code(error.error_code().0).to_owned(),
            Self::Silence(subject, error) if error.kind() == RequestErrorKind::TimedOut => {
                format!("NATS did not answer; may this user publish on $JS.API.{subject}, and hear its own inbox?")
            }
            Self::Silence(_, error) if error.kind() == RequestErrorKind::NoResponders => {
                "nobody answers for JetStream: start nats-server with -js, or enable JetStream for the account"
                    .to_owned()
            }
            Self::Silence(..) => "the request failed".to_owned(),
        };
        let source = match self {
            Self::Api(error) => error.into(),
            Self::Silence(_, error) => error.into(),
        };
        TopologyError::Refused { doing, what, advice, source }
    }
}

/// What to do about an error of the server.
///
/// Convention: the error codes of nats-server, `server/errors.json`.
fn of_code(code: u64) -> &'static str {
    match code {
        10_023 | 10_028 | 10_047 => "declare less (`max_bytes`), or give the account or the server more room",
        10_026 | 10_027 => "the account or the stream allows no more of them; raise its limit, or delete one by hand",
        10_035 | 10_039 | 10_076 => "enable JetStream for the account",
        10_065 => "another stream takes one of its subjects: change the subjects of one of them",
        10_074 => "this server stands alone: declare one replica, or set up a cluster",
        10_005 => "the cluster has not enough servers with room for that many replicas",
        _ => "change what is declared, or what stands in its way",
    }
}
