//! A message on its way through the stream of retries, and back: pure.

use super::super::attempts::Record;
use crate::{
    bus::topology::RETRIES,
    clock::Timestamp,
    dead_letter::{Place, is_instruction},
    errors::brief,
    message::{Delivery, Message, MessageId},
    name::Subject,
};

/// Names of the headers of a message that waits.
mod header {
    /// What all of ours begin with.
    pub(super) const PREFIX: &str = "retry-";
    /// Put before the name of a header that would tell the server to do something, or be taken for one of these.
    pub(super) const SET_ASIDE: &str = "retry-header-";
    pub(super) const SUBJECT: &str = "retry-subject";
    pub(super) const MESSAGE_ID: &str = "retry-message-id";
    pub(super) const TRACEPARENT: &str = "retry-traceparent";
    pub(super) const TRACESTATE: &str = "retry-tracestate";
    pub(super) const SEQUENCE: &str = "retry-sequence";
    pub(super) const DELIVERIES: &str = "retry-deliveries";
    pub(super) const PUBLISHED: &str = "retry-published";
    pub(super) const RECORD: &str = "retry-attempts";
    pub(super) const SCHEDULE: &str = "Nats-Schedule";
    pub(super) const TARGET: &str = "Nats-Schedule-Target";
}

/// A message that has come back, as it was.
#[derive(Debug, PartialEq)]
pub(in crate::consumer) struct Returned {
    pub(in crate::consumer) message: Message,
    /// The original's place; the deliveries are those of both streams.
    pub(in crate::consumer) delivery: Delivery,
    /// The attempts until it was scheduled.
    pub(in crate::consumer) record: Record,
}

/// The subject on which messages of a consumer come back.
pub(super) fn due(stream: &str, durable: &str) -> String {
    format!("retries.due.{stream}.{durable}")
}

/// What is published so that the message comes back at `at`. Its id is that of this attempt, so that a second one is a duplicate.
pub(super) fn copy(message: &Message, delivery: &Delivery, record: &Record, at: Timestamp) -> Message {
    let place = Place::of(delivery);
    let is_ours =
        |name: &str| name.get(..header::PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(header::PREFIX));
    let aside = |(name, value): &(String, String)| match is_instruction(name) || is_ours(name) {
        true => (format!("{}{name}", header::SET_ASIDE), value.clone()),
        false => (name.clone(), value.clone()),
    };
    let mut headers: Vec<_> = message.headers.iter().map(aside).collect();
    let mut add = |name: &str, value: Option<String>| headers.extend(value.map(|value| (name.to_owned(), value)));
    add(header::SCHEDULE, Some(format!("@at {at}")));
    add(header::TARGET, Some(due(delivery.stream.as_str(), delivery.consumer.as_str())));
    add(header::SUBJECT, Some(message.subject.to_string()));
    add(header::MESSAGE_ID, message.id.as_ref().map(ToString::to_string));
    add(header::TRACEPARENT, message.trace.map(|trace| trace.to_string()));
    add(header::TRACESTATE, message.trace_state.clone());
    add(header::SEQUENCE, Some(delivery.stream_sequence.to_string()));
    add(header::DELIVERIES, Some(delivery.delivered.to_string()));
    add(header::PUBLISHED, Some(delivery.published.to_string()));
    // JSON within ASCII: what a reason says must not break the header.
    let reason = brief(record.reason.clone());
    let json = serde_json::to_string(&Record { reason, ..record.clone() }).expect("texts and numbers write as JSON");
    add(header::RECORD, Some(ascii(&json)));
    let subject = Subject::try_from(format!("retries.wait.{place}")).expect("a server's names make a subject");
    let attempt = format!("{place} {} {}", record.first_started, record.attempts);
    let id = MessageId(header::PREFIX.to_owned()).derived(&attempt);
    Message { subject, id: Some(id), headers, ..message.clone() }
}

/// The message that has come back. `came` is where it lies in the stream of retries, `to` where it was before.
///
/// # Errors
/// When it does not say what it was: it is not one of ours.
pub(in crate::consumer) fn original(
    came: Message,
    at: Delivery,
    to: &super::super::Status,
) -> Result<Returned, String> {
    let text = |name| came.header(name).ok_or_else(|| format!("a message in {RETRIES} does not say its {name}"));
    let number = |name| text(name)?.parse::<u64>().map_err(|error| format!("{name}: {error}"));
    let record = serde_json::from_str(text(header::RECORD)?).map_err(|error| error.to_string())?;
    let subject = Subject::try_from(text(header::SUBJECT)?).map_err(|error| error.to_string())?;
    let delivery = Delivery {
        stream: to.stream.clone(),
        consumer: to.consumer.clone(),
        stream_sequence: number(header::SEQUENCE)?,
        delivered: number(header::DELIVERIES)?.saturating_add(at.delivered),
        published: Timestamp::parse(text(header::PUBLISHED)?).ok_or("it does not say when it was published")?,
        ..at
    };
    let id = came.header(header::MESSAGE_ID).map(|id| MessageId(id.to_owned()));
    let own_trace = came.header(header::TRACEPARENT).and_then(|text| text.parse().ok());
    let own_state = came.header(header::TRACESTATE).map(str::to_owned);
    // One without a trace goes on in that of its first attempt.
    let (trace, trace_state) =
        if own_trace.is_some() { (own_trace, own_state) } else { (came.trace, came.trace_state.clone()) };
    let headers = came.headers.iter().filter_map(kept).collect();
    Ok(Returned { message: Message { subject, id, trace, trace_state, headers, ..came }, delivery, record })
}

fn kept((name, value): &(String, String)) -> Option<(String, String)> {
    if let Some(own) = name.strip_prefix(header::SET_ASIDE) {
        return Some((own.to_owned(), value.clone()));
    }
    let is_added = name.starts_with(header::PREFIX) || is_instruction(name);
    (!is_added).then(|| (name.clone(), value.clone()))
}

/// The same JSON without a character that a header cannot carry.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
