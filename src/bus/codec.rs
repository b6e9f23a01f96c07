//! Typed payloads: what a Rust type is on the wire.

pub(super) mod compress;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::partition;
use crate::{
    message::{Message, Schema, header},
    name::{NameError, Subject, SubjectPattern},
};

/// How a payload is written where its type does not say otherwise.
pub const CONTENT_TYPE: &str = "application/json";

/// What stands in the way of writing or reading.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A way to write payloads, open for any format that serde knows. The header `content-type` says which one a message was written in.
pub trait Codec {
    /// The media type.
    fn content_type(&self) -> &'static str;

    /// Writes a value.
    ///
    /// # Errors
    /// When the value does not write in this format.
    fn write<T: Serialize>(&self, value: &T) -> Result<Bytes, BoxError>;

    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are no such value.
    fn read<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, BoxError>;
}

/// JSON, as serde writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json;

impl Codec for Json {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    fn write<T: Serialize>(&self, value: &T) -> Result<Bytes, BoxError> {
        Ok(serde_json::to_vec(value)?.into())
    }

    fn read<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

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
    /// How many partitions its stream has; `None` has none. With partitions the subject gets one token more before the wildcard:
    /// `readings.*` is published on `readings.<partition>.<key>`, and all that is about one key stays in one partition, in order (see
    /// [`partition::of`] and [`Worker::partitioned`](crate::consumer::Worker::partitioned)). Another number sends keys elsewhere, so
    /// it is chosen once, for more members than there will ever be.
    const PARTITIONS: Option<u32> = None;

    /// What it is about, as one token of its subject: `42` makes `orders.placed.42` of `orders.placed.*`.
    fn key(&self) -> String;

    /// How it is written: as JSON unless the type says otherwise.
    fn codec() -> impl Codec {
        Json
    }

    /// The kind and version.
    fn schema() -> Schema {
        Schema { kind: Self::KIND.to_owned(), version: Self::VERSION }
    }
}

/// Why a payload cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The payload does not write in its type's format.
    #[error("writing {kind} as {content_type}")]
    Write {
        /// The kind of payload.
        kind: &'static str,
        /// The format.
        content_type: &'static str,
        /// What the codec says.
        #[source]
        source: BoxError,
    },
    /// The bytes are not the type.
    #[error("reading {wanted} from the payload")]
    Read {
        /// The kind and version wanted.
        wanted: Schema,
        /// What the codec says.
        #[source]
        source: BoxError,
    },
    /// The message is written in another format than the type's.
    #[error("the message is written as `{found}`, this reads {wanted} as {content_type}")]
    ContentType {
        /// What the message says.
        found: String,
        /// The kind and version wanted.
        wanted: Schema,
        /// What the type is written as.
        content_type: &'static str,
    },
    /// The message is of another version than the type.
    #[error("the message is {found}, this reads {wanted}")]
    Version {
        /// What the message says it is.
        found: Schema,
        /// What the type is.
        wanted: Schema,
    },
    /// The payload is packed in a way that is not known here.
    #[error("the payload is packed as `{found}`; lz4 and identity are known")]
    Encoding {
        /// What the message says.
        found: String,
    },
    /// The payload says that it is packed, and does not unpack.
    #[error("unpacking the payload")]
    Unpack {
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// The payload would be larger than any that is unpacked.
    #[error("the payload of {packed} bytes unpacks to more than {most} bytes")]
    TooLarge {
        /// Its bytes as it is.
        packed: usize,
        /// The bytes that it may have.
        most: usize,
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

/// The pattern of a payload's subjects, as they are on the wire: `readings.*` with partitions is `readings.*.*`.
///
/// # Panics
/// When `P::SUBJECT` is not a subject pattern, which a program meets at its first use of the type.
pub fn pattern_of<P: Payload>() -> SubjectPattern {
    let text = if P::PARTITIONS.is_some() { with_partition(P::SUBJECT, "*") } else { P::SUBJECT.to_owned() };
    match SubjectPattern::try_from(text) {
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
    let pattern = pattern_of::<P>();
    match P::PARTITIONS {
        None => pattern.fill(&[key]),
        Some(partitions) => pattern.fill(&[&partition::of(key, partitions).to_string(), key]),
    }
    .map_err(fail)
}

/// Puts a partition before the first wildcard of `pattern`; a pattern without one stays as it is.
fn with_partition(pattern: &str, partition: &str) -> String {
    let at = pattern.split('.').position(|token| matches!(token, "*" | ">"));
    let mut tokens: Vec<&str> = pattern.split('.').collect();
    if let Some(at) = at {
        tokens.insert(at, partition);
    }
    tokens.join(".")
}

/// Writes a payload.
///
/// # Errors
/// When the payload does not write in its type's format.
pub fn encode<P: Payload>(payload: &P) -> Result<Bytes, CodecError> {
    let codec = P::codec();
    let fail = |source| CodecError::Write { kind: P::KIND, content_type: codec.content_type(), source };
    codec.write(payload).map_err(fail)
}

/// The headers that say how a payload is written; none where it is JSON, which a message is unless it says otherwise.
pub(super) fn headers_of<P: Payload>() -> Vec<(String, String)> {
    match P::codec().content_type() {
        CONTENT_TYPE => Vec::new(),
        other => vec![(header::CONTENT_TYPE.to_owned(), other.to_owned())],
    }
}

/// Reads a payload. A message that does not say its version or its format is read as if it had the right one.
///
/// # Errors
/// When the version or the format is another, or the bytes are not the type.
pub fn decode<P: Payload>(message: &Message) -> Result<P, CodecError> {
    let (wanted, codec) = (P::schema(), P::codec());
    if let Some(found) = message.schema.as_ref().filter(|found| **found != wanted) {
        return Err(CodecError::Version { found: found.clone(), wanted });
    }
    let content_type = codec.content_type();
    if let Some(found) = message.header(header::CONTENT_TYPE).filter(|found| !is_same(found, content_type)) {
        return Err(CodecError::ContentType { found: found.to_owned(), wanted, content_type });
    }
    codec.read(&compress::unpacked(message)?).map_err(|source| CodecError::Read { wanted, source })
}

/// Media types compare in any case and without their parameters, such as `charset=utf-8` (RFC 9110, 8.3.1).
fn is_same(found: &str, wanted: &str) -> bool {
    let essence = found.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Bus;

    /// A format that is not JSON: a list with the value in it.
    #[derive(Debug)]
    struct Listed;

    impl Codec for Listed {
        fn content_type(&self) -> &'static str {
            "application/vnd.listed"
        }

        fn write<T: Serialize>(&self, value: &T) -> Result<Bytes, BoxError> {
            Ok(serde_json::to_vec(&[value])?.into())
        }

        fn read<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, BoxError> {
            let [value] = serde_json::from_slice::<[T; 1]>(bytes)?;
            Ok(value)
        }
    }

    macro_rules! weighed {
        ($type:ident, $codec:expr) => {
            #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
            struct $type(u32);

            impl Payload for $type {
                const KIND: &'static str = "Weighed";
                const STREAM: &'static str = "SCALES";
                const SUBJECT: &'static str = "scales.*";

                fn codec() -> impl Codec {
                    $codec
                }

                fn key(&self) -> String {
                    "1".to_owned()
                }
            }
        };
    }

    weighed!(Weighed, Json);
    weighed!(WeighedInList, Listed);

    #[tokio::test]
    async fn a_payload_travels_in_the_format_of_its_type_and_says_so() {
        let bus = Bus::in_memory();
        bus.publish(&WeighedInList(7)).await.unwrap();
        let message = bus.published().remove(0);
        assert_eq!(
            (message.header("content-type"), &message.payload[..]),
            (Some("application/vnd.listed"), &b"[7]"[..])
        );
        assert_eq!(decode::<WeighedInList>(&message).unwrap(), WeighedInList(7));
        let refused = decode::<Weighed>(&message).unwrap_err();
        let why = "the message is written as `application/vnd.listed`, this reads Weighed/1 as application/json";
        assert_eq!(refused.to_string(), why);
    }

    #[test]
    fn media_types_compare_as_the_standard_says() {
        let check = |found, expected| assert_eq!(is_same(found, CONTENT_TYPE), expected, "{found}");
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/json-seq", false);
        check("", false);
    }

    #[test]
    fn a_partition_stands_before_the_key() {
        let check = |pattern, expected: &str| assert_eq!(with_partition(pattern, "7"), expected);
        check("readings.*", "readings.7.*");
        check("readings.*.taken", "readings.7.*.taken");
        check("readings.>", "readings.7.>");
        check("readings", "readings");
    }
}
