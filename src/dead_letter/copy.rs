//! The copy of a message that is given up, and a dead letter read from it.

use bytes::Bytes;

use super::{Body, DeadLetter, Death, Kind, Place, header};
use crate::{
    clock::Timestamp,
    errors::one_line,
    message::{self, Delivery, Message, MessageId},
    name::{ConsumerName, NameError, StreamName},
};

/// The value of a header may be this long, in characters: a reason can carry a whole document, and headers count towards the largest message.
const VALUE_MAX: usize = 2_000;

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
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), one_line(value, VALUE_MAX)));
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
    let id = Some(id_of(&place, delivery));
    Ok(Message { subject: place.subject()?, id, headers, ..message.clone() })
}

/// The same each time, so that a second burial is a duplicate. A stream that is made anew counts from 1 again: what lies at a place is told
/// from what lay there before by when it was published.
fn id_of(place: &Place, delivery: &Delivery) -> MessageId {
    place.message_id().derived(&delivery.published.to_string())
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

impl DeadLetter {
    /// Reads a copy that lies at `sequence` of [`STREAM`](super::STREAM). `None` if it does not say which message it is a copy of.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dead_letter::{Repeat, STREAM},
        message::CorrelationId,
    };

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
    fn a_second_burial_is_a_duplicate_and_another_message_at_the_same_place_is_none() {
        let id = |delivery: &Delivery| copy(&message(), delivery, &death("x")).unwrap().id.unwrap();
        let again = Delivery { delivered: 4, consumer_sequence: 60, pending: 1, ..delivery() };
        assert_eq!(id(&again), id(&delivery()));
        let anew = Delivery { published: Timestamp::parse("2030-02-01T12:00:01Z").unwrap(), ..delivery() };
        assert_ne!(id(&anew), id(&delivery()));
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
        assert_eq!(reason(&"x".repeat(5_000)).chars().count(), VALUE_MAX);
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
}
