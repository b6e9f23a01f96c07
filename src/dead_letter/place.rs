//! Where a message died: stream, durable and sequence, written `ORDERS.mailer.42`.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::header;
use crate::{
    message::{Delivery, MessageId},
    name::{ConsumerName, NameError, StreamName, Subject},
};

/// Where a message died: what tells a dead letter from every other. Written `ORDERS.mailer.42`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The stream that holds the message.
    pub stream: StreamName,
    /// The durable consumer that gave it up.
    pub consumer: ConsumerName,
    /// Its sequence in the stream.
    pub sequence: u64,
}

impl Place {
    /// The place of a delivered message.
    pub fn of(delivery: &Delivery) -> Self {
        let (stream, consumer) = (delivery.stream.clone(), delivery.consumer.clone());
        Self { stream, consumer, sequence: delivery.stream_sequence }
    }

    /// An id for the place, the same each time.
    pub fn message_id(&self) -> MessageId {
        MessageId(header::PREFIX.to_owned()).derived(&self.to_string())
    }

    /// The subject of the copy.
    ///
    /// # Errors
    /// When the names do not make a subject, which those of a server always do.
    pub fn subject(&self) -> Result<Subject, NameError> {
        Subject::try_from(format!("dead.{}.{}", self.stream, self.consumer))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.stream, self.consumer, self.sequence)
    }
}

/// The text is not the id of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a dead letter: give one as `list` shows it, <stream>.<durable>.<sequence>")]
pub struct PlaceError(String);

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let parse = || {
            let (names, sequence) = text.rsplit_once('.')?;
            let (stream, consumer) = names.split_once('.')?;
            let sequence = sequence.parse().ok()?;
            Some(Self { stream: stream.parse().ok()?, consumer: consumer.parse().ok()?, sequence })
        };
        parse().ok_or_else(|| PlaceError(text.to_owned()))
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_place(text: &str, expected: Option<(&str, &str, u64)>) {
        let place: Option<Place> = text.parse().ok();
        let found = place.as_ref().map(|place| (place.stream.as_str(), place.consumer.as_str(), place.sequence));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn a_place_is_a_stream_a_durable_and_a_sequence() {
        check_place("ORDERS.mailer.42", Some(("ORDERS", "mailer", 42)));
        check_place("ORDERS.mailer", None);
        check_place("ORDERS.a.b.42", None);
        check_place("ORDERS.mailer.x", None);
        check_place("", None);
    }
}
