//! Typed payloads: what a Rust type is on the wire.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    message::{Message, Schema},
    name::{NameError, Subject, SubjectPattern},
};

/// How payloads are written.
pub const CONTENT_TYPE: &str = "application/json";

/// A type that travels as the payload of a message.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is: an event in the past tense or a command in the imperative.
    const KIND: &'static str;
    /// The version of its schema; a change that old readers cannot read raises it.
    const VERSION: u32 = 1;
    /// The stream that holds it.
    const STREAM: &'static str;
    /// Its subjects: a pattern with one wildcard, which [`Payload::key`] fills.
    const SUBJECT: &'static str;

    /// What it is about, as one token of its subject: `42` makes `orders.placed.42` of `orders.placed.*`.
    fn key(&self) -> String;

    /// The kind and version.
    fn schema() -> Schema {
        Schema { kind: Self::KIND.to_owned(), version: Self::VERSION }
    }
}

/// Why a payload cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The type does not write as JSON.
    #[error("writing {kind} as JSON")]
    Write {
        /// The kind of payload.
        kind: &'static str,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The bytes are not the type.
    #[error("reading {wanted} from the payload")]
    Read {
        /// The kind and version wanted.
        wanted: Schema,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The message is of another version than the type.
    #[error("the message is {found}, this reads {wanted}")]
    Version {
        /// What the message says it is.
        found: Schema,
        /// What the type is.
        wanted: Schema,
    },
    /// The key does not make a subject.
    #[error("the key `{key}` of {kind} does not make a subject")]
    Key {
        /// The kind of payload.
        kind: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
}

/// The pattern of a payload's subjects.
///
/// # Panics
/// When `P::SUBJECT` is not a subject pattern, which a program meets at its first use of the type.
pub fn pattern_of<P: Payload>() -> SubjectPattern {
    match SubjectPattern::try_from(P::SUBJECT) {
        Ok(pattern) => pattern,
        Err(error) => panic!("{}::SUBJECT: {error}", P::KIND),
    }
}

/// The subject of a payload with this key.
///
/// # Errors
/// When the key is not one token.
pub fn subject_of<P: Payload>(key: &str) -> Result<Subject, CodecError> {
    let fail = |source| CodecError::Key { kind: P::KIND, key: key.to_owned(), source };
    pattern_of::<P>().fill(&[key]).map_err(fail)
}

/// Writes a payload.
///
/// # Errors
/// When the type does not write as JSON.
pub fn encode<P: Payload>(payload: &P) -> Result<Bytes, CodecError> {
    serde_json::to_vec(payload).map(Bytes::from).map_err(|source| CodecError::Write { kind: P::KIND, source })
}

/// Reads a payload. A message that does not say its version is read as if it had the right one.
///
/// # Errors
/// When the version is another or the bytes are not the type.
pub fn decode<P: Payload>(message: &Message) -> Result<P, CodecError> {
    let wanted = P::schema();
    if let Some(found) = message.schema.as_ref().filter(|found| **found != wanted) {
        return Err(CodecError::Version { found: found.clone(), wanted });
    }
    serde_json::from_slice(&message.payload).map_err(|source| CodecError::Read { wanted, source })
}
