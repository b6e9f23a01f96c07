//! Dead letters: messages that nobody will try again, and how a copy of one says where it died and why. Plain data.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::{
    clock::Timestamp,
    message::{self, Delivery, Message, MessageId},
    name::{ConsumerName, NameError, StreamName, Subject},
    trace::TraceParent,
};

/// The stream that keeps copies of dead letters, on subjects `dead.<stream>.<durable>`.
pub const STREAM: &str = "DEAD_LETTERS";

/// A reason may be this long, in characters. A handler's error can carry a whole document, and headers count towards the largest message.
const REASON_MAX: usize = 2_000;

/// Names of the headers of a copy.
pub mod header {
    /// The stream that holds the message.
    pub const STREAM: &str = "dead-letter-stream";
    /// The durable consumer whose worker gave the message up.
    pub const CONSUMER: &str = "dead-letter-consumer";
    /// The message's sequence in its stream.
    pub const SEQUENCE: &str = "dead-letter-sequence";
    /// The message's subject.
    pub const SUBJECT: &str = "dead-letter-subject";
    /// The message's id, if it had one.
    pub const MESSAGE_ID: &str = "dead-letter-message-id";
    /// Why, in words.
    pub const REASON: &str = "dead-letter-reason";
    /// What kind of failure, one of few.
    pub const CLASS: &str = "dead-letter-class";
    /// How often a handler was started on it.
    pub const ATTEMPTS: &str = "dead-letter-attempts";
    /// How often the server delivered it.
    pub const DELIVERIES: &str = "dead-letter-deliveries";
    /// When its stream took it.
    pub const PUBLISHED: &str = "dead-letter-published";
    /// When it was given up.
    pub const TIME: &str = "dead-letter-time";
    /// The message's own `traceparent`; that of the copy is the span that buried it.
    pub const TRACEPARENT: &str = "dead-letter-traceparent";
    /// Bytes of a payload that had no room in the copy. It lies where the copy's claim check says; without one in the message's own stream.
    pub const LEFT_OUT: &str = "dead-letter-left-out";
    /// Put before the name of a header that would tell the server to do something with the copy.
    pub const SET_ASIDE: &str = "dead-letter-header-";
    /// What all of them begin with.
    pub const PREFIX: &str = "dead-letter-";
    /// On a replayed message: the dead letter that was replayed first, such as `ORDERS.mailer.42`.
    pub const REPLAY_LETTER: &str = "replay-letter";
    /// On a replayed message: the how many-th replay of that dead letter it is, from 1 on.
    pub const REPLAY_GENERATION: &str = "replay-generation";
}

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

    /// The id of the copy: the same each time, so that a second burial is a duplicate.
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

/// Why a message was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Why, in words.
    pub reason: String,
    /// What kind of failure, one of few.
    pub class: String,
    /// How often a handler was started on it; `None` where nobody of ours counted.
    pub attempts: Option<u32>,
    /// When.
    pub time: Timestamp,
}

/// Who gave a message up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A worker of ours, which left a copy.
    Buried,
    /// The server, after as many deliveries as the consumer allows. It knows nothing of what became of the last one.
    Exhausted,
    /// A worker that left no copy: it told the server not to deliver the message again.
    Terminated,
}

/// Where the payload of a dead letter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// In the copy.
    Copied,
    /// In the object store: the copy had no room for it.
    InStore,
    /// In the message's own stream.
    InStream,
    /// Nowhere: the stream let go of the message.
    Gone,
    /// In the message's own stream, which could not be read, for this reason.
    Unreadable(String),
}

/// A message that was replayed and died again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// The dead letter that was replayed first.
    pub first: String,
    /// The how many-th replay it was.
    pub generation: u32,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Where it died.
    pub place: Place,
    /// Who gave it up.
    pub kind: Kind,
    /// Why.
    pub death: Death,
    /// How often the server delivered it, where that is known.
    pub deliveries: Option<u64>,
    /// When its stream took it, where that is known.
    pub published: Option<Timestamp>,
    /// The message as it was published; `None` where it is gone from its stream and no copy was left.
    pub message: Option<Message>,
    /// Bytes of its payload.
    pub size: usize,
    /// Where its payload is.
    pub body: Body,
    /// The span that buried it.
    pub trace: Option<TraceParent>,
    /// The sequence of the copy in [`STREAM`]; `None` where there is none.
    pub copy: Option<u64>,
}

impl DeadLetter {
    /// Reads a copy that lies at `sequence` of [`STREAM`]. `None` if it does not say which message it is a copy of.
    pub fn of_copy(copy: Message, sequence: u64) -> Option<Self> {
        let text = |name| copy.header(name);
        let stream: StreamName = text(header::STREAM)?.parse().ok()?;
        let consumer: ConsumerName = text(header::CONSUMER)?.parse().ok()?;
        let place = Place { stream, consumer, sequence: text(header::SEQUENCE)?.parse().ok()? };
        let death = Death {
            reason: text(header::REASON).unwrap_or_default().to_owned(),
            class: text(header::CLASS).unwrap_or_default().to_owned(),
            attempts: text(header::ATTEMPTS).and_then(|text| text.parse().ok()),
            time: text(header::TIME).and_then(Timestamp::parse)?,
        };
        let left_out = text(header::LEFT_OUT).and_then(|text| text.parse().ok());
        let body = match (left_out, text(message::header::CLAIM_CHECK)) {
            (None, _) => Body::Copied,
            (Some(_), Some(_)) => Body::InStore,
            (Some(_), None) => Body::InStream,
        };
        Some(Self {
            place,
            kind: Kind::Buried,
            death,
            deliveries: text(header::DELIVERIES).and_then(|text| text.parse().ok()),
            published: text(header::PUBLISHED).and_then(Timestamp::parse),
            size: left_out.unwrap_or(copy.payload.len()),
            body,
            trace: copy.trace,
            copy: Some(sequence),
            message: Some(original(copy)?),
        })
    }

    /// Whether it was replayed before and died again.
    pub fn repeat(&self) -> Option<Repeat> {
        let message = self.message.as_ref()?;
        let first = message.header(header::REPLAY_LETTER)?.to_owned();
        let generation = message.header(header::REPLAY_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1);
        Some(Repeat { first, generation })
    }

    /// Whether it may have been processed all the same: the server gives up on a message when its time is over, and a worker that
    /// settles it later leaves no trace of that.
    pub fn is_doubtful(&self) -> bool {
        self.kind == Kind::Exhausted
    }
}

/// The copy of a message that is given up. Headers that tell the server to do something (`Nats-*`) are set aside under another name.
///
/// # Errors
/// When the delivery's names do not make a subject.
pub fn copy(message: &Message, delivery: &Delivery, death: &Death) -> Result<Message, NameError> {
    let place = Place::of(delivery);
    let kept = message.headers.iter().filter(|(name, _)| !begins_with(name, header::PREFIX));
    let kept = kept.map(|(name, value)| match is_instruction(name) {
        true => (format!("{}{name}", header::SET_ASIDE), value.clone()),
        false => (name.clone(), value.clone()),
    });
    let mut headers: Vec<(String, String)> = kept.collect();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), one_line(&value)));
    add(header::STREAM, place.stream.to_string());
    add(header::CONSUMER, place.consumer.to_string());
    add(header::SEQUENCE, place.sequence.to_string());
    add(header::SUBJECT, message.subject.to_string());
    add(header::REASON, death.reason.clone());
    add(header::CLASS, death.class.clone());
    add(header::DELIVERIES, delivery.delivered.to_string());
    add(header::PUBLISHED, delivery.published.to_string());
    add(header::TIME, death.time.to_string());
    let some = [
        (header::ATTEMPTS, death.attempts.map(|attempts| attempts.to_string())),
        (header::MESSAGE_ID, message.id.as_ref().map(ToString::to_string)),
        (header::TRACEPARENT, message.trace.map(|trace| trace.to_string())),
    ];
    for (name, value) in some {
        value.into_iter().for_each(|value| add(name, value));
    }
    Ok(Message { subject: place.subject()?, id: Some(place.message_id()), headers, ..message.clone() })
}

/// A copy that has no room for its payload of `size` bytes.
#[must_use]
pub fn left_out(mut copy: Message, size: usize) -> Message {
    copy.headers.push((header::LEFT_OUT.to_owned(), size.to_string()));
    copy.payload = Bytes::new();
    copy
}

/// Whether a header tells the server to do something with the message that carries it: to expect, to schedule, to roll up, to forget.
pub fn is_instruction(name: &str) -> bool {
    begins_with(name, "nats-")
}

/// The message that a copy was made of.
fn original(copy: Message) -> Option<Message> {
    let subject = copy.header(header::SUBJECT)?.parse().ok()?;
    let id = copy.header(header::MESSAGE_ID).map(|id| MessageId(id.to_owned()));
    let trace = copy.header(header::TRACEPARENT).and_then(|text| text.parse().ok());
    let is_left_out = copy.header(header::LEFT_OUT).is_some();
    let is_for_copy = |name: &str| is_left_out && name.eq_ignore_ascii_case(message::header::CLAIM_CHECK);
    let kept = copy.headers.iter().filter_map(|(name, value)| match name.get(..header::SET_ASIDE.len()) {
        Some(start) if start.eq_ignore_ascii_case(header::SET_ASIDE) => {
            Some((name[header::SET_ASIDE.len()..].to_owned(), value.clone()))
        }
        // What the copy itself told the server is not the message's.
        _ => (!begins_with(name, header::PREFIX) && !is_instruction(name) && !is_for_copy(name))
            .then(|| (name.clone(), value.clone())),
    });
    let headers = kept.collect();
    Some(Message { subject, id, trace, headers, ..copy })
}

fn begins_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A header's value is one line of bounded length.
fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = spaced.take(REASON_MAX).collect();
    if text.chars().nth(REASON_MAX).is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::CorrelationId;

    const ORIGINAL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const BURIAL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";

    fn message() -> Message {
        Message {
            subject: "orders.placed.7".try_into().unwrap(),
            id: Some(MessageId("m-1".into())),
            correlation: Some(CorrelationId("7".into())),
            causation: Some(MessageId("m-0".into())),
            schema: None,
            source: Some("storefront".into()),
            time: Timestamp::parse("2030-01-31T12:00:00Z"),
            trace: ORIGINAL.parse().ok(),
            trace_state: None,
            headers: vec![
                ("x-tenant".into(), "blue".into()),
                ("Nats-Expected-Last-Subject-Sequence".into(), "0".into()),
            ],
            payload: Bytes::from_static(b"{}"),
        }
    }

    fn delivery() -> Delivery {
        Delivery {
            stream: "ORDERS".try_into().unwrap(),
            consumer: "mailer".try_into().unwrap(),
            stream_sequence: 42,
            consumer_sequence: 50,
            delivered: 3,
            pending: 0,
            published: Timestamp::parse("2030-01-31T12:00:01Z").unwrap(),
        }
    }

    fn death(reason: &str) -> Death {
        let time = Timestamp::parse("2030-01-31T12:05:00Z").unwrap();
        Death { reason: reason.into(), class: "rejected".into(), attempts: Some(2), time }
    }

    #[test]
    fn a_letter_survives_its_copy() {
        let mut copy = copy(&message(), &delivery(), &death("no such sku")).unwrap();
        assert_eq!(copy.subject.as_str(), "dead.ORDERS.mailer");
        assert!(copy.headers.iter().all(|(name, _)| !is_instruction(name)), "{:?}", copy.headers);
        copy.trace = BURIAL.parse().ok();
        let letter = DeadLetter::of_copy(copy, 9).unwrap();
        let expected = DeadLetter {
            place: Place::of(&delivery()),
            kind: Kind::Buried,
            death: death("no such sku"),
            deliveries: Some(3),
            published: Some(delivery().published),
            message: Some(message()),
            size: 2,
            body: Body::Copied,
            trace: BURIAL.parse().ok(),
            copy: Some(9),
        };
        assert_eq!(letter, expected);
    }

    #[test]
    fn a_payload_without_room_leaves_its_size() {
        let mut copy = left_out(copy(&message(), &delivery(), &death("x")).unwrap(), 2);
        assert!(copy.payload.is_empty());
        let letter = DeadLetter::of_copy(copy.clone(), 1).unwrap();
        assert_eq!((letter.size, letter.body), (2, Body::InStream));
        copy.headers.push((message::header::CLAIM_CHECK.to_owned(), "claims/x".to_owned()));
        let letter = DeadLetter::of_copy(copy, 1).unwrap();
        assert_eq!((letter.size, letter.body), (2, Body::InStore));
        assert_eq!(letter.message.unwrap().header(message::header::CLAIM_CHECK), None);
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let reason = |text: &str| {
            let copy = copy(&message(), &delivery(), &death(text)).unwrap();
            copy.header(header::REASON).unwrap().to_owned()
        };
        assert_eq!(reason("no room:\r\nNats-Rollup: all"), "no room:  Nats-Rollup: all");
        assert_eq!(reason(&"x".repeat(5_000)).chars().count(), REASON_MAX + 1);
    }

    #[test]
    fn a_copy_of_a_copy_is_about_the_copy() {
        let first = copy(&message(), &delivery(), &death("first")).unwrap();
        let mut delivery = delivery();
        delivery.stream = STREAM.try_into().unwrap();
        let letter = DeadLetter::of_copy(copy(&first, &delivery, &death("second")).unwrap(), 1).unwrap();
        assert_eq!(letter.place.to_string(), "DEAD_LETTERS.mailer.42");
        assert_eq!(letter.death.reason, "second");
    }

    #[test]
    fn a_repeated_letter_names_the_first() {
        let mut replayed = message();
        replayed.headers.push((header::REPLAY_LETTER.into(), "ORDERS.mailer.42".into()));
        replayed.headers.push((header::REPLAY_GENERATION.into(), "2".into()));
        let letter = DeadLetter::of_copy(copy(&replayed, &delivery(), &death("again")).unwrap(), 1).unwrap();
        assert_eq!(letter.repeat(), Some(Repeat { first: "ORDERS.mailer.42".into(), generation: 2 }));
    }

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
