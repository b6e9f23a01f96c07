//! Why a request is refused, has no answer, or cannot be taken.

use std::{fmt::Debug, time::Duration};

use crate::name::NameError;

/// A service's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error} ({code})")]
pub struct Refusal<E> {
    /// What kind of refusal, read like an HTTP status.
    pub code: usize,
    /// Why, for whoever asked.
    pub error: E,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// No instance of the service listens.
    #[error("nobody answers requests on {subject}: is the service running?")]
    Nobody {
        /// The subject.
        subject: &'static str,
    },
    /// The deadline passed.
    #[error("no answer on {subject} within {} ms", .limit.as_millis())]
    Late {
        /// The subject.
        subject: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The service answered no.
    #[error("{subject} refuses the request ({code}: {error})")]
    Refused {
        /// The subject.
        subject: &'static str,
        /// The service's code, read like an HTTP status.
        code: usize,
        /// The service's reason.
        error: E,
    },
    /// The service could not answer: it has too much to do (503), or could not read the request (400).
    #[error("{subject} cannot answer the request ({code}: {why})")]
    Failed {
        /// The subject.
        subject: &'static str,
        /// The service's code, read like an HTTP status.
        code: usize,
        /// The service's words.
        why: String,
    },
    /// The request or the answer is not what its type says.
    #[error("the payload of a request or reply on {subject}")]
    Payload {
        /// The subject.
        subject: &'static str,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The subject is none.
    #[error("requests on {subject}")]
    Subject {
        /// The text.
        subject: &'static str,
        /// What is wrong.
        #[source]
        source: NameError,
    },
    /// The client could not send it.
    #[error("sending a request on {subject}")]
    Send {
        /// The subject.
        subject: &'static str,
        /// What the client says.
        #[source]
        source: async_nats::RequestError,
    },
}

impl<E> CallError<E> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nobody { .. } => "no_responders",
            Self::Late { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Payload { .. } | Self::Subject { .. } => "payload",
            Self::Send { .. } => "unavailable",
        }
    }
}

/// The endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("answering requests on {subject}")]
pub struct ServeError {
    pub(super) subject: &'static str,
    #[source]
    pub(super) source: Box<dyn std::error::Error + Send + Sync>,
}
