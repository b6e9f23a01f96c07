//! Dead letters as JSON, for programs.

use serde_json::{Value, json};

use super::words::hex;
use crate::{
    consumer::dead_letter::{Listing, Replay},
    dead_letter::{Body, DeadLetter},
    message::Message,
};

/// A list.
pub(super) fn listing(listing: &Listing, earlier: &[Option<Replay>]) -> Value {
    let letters = listing.letters.iter().zip(earlier);
    let letters: Vec<Value> = letters.map(|(letter, earlier)| facts(letter, earlier.as_ref())).collect();
    json!({ "letters": letters, "is_cut": listing.is_cut, "sees_advisories": listing.sees_advisories })
}

/// A letter with its payload: as JSON where it is JSON, as text where it is text, else as hex digits.
pub(super) fn whole(letter: &DeadLetter, earlier: Option<&Replay>) -> Value {
    let mut value = facts(letter, earlier);
    let payload = letter.message.as_ref().map(|message| &message.payload[..]);
    let payload = payload.filter(|_| matches!(letter.body, Body::Copied | Body::InStore | Body::InStream));
    if let (Some(payload), Some(fields)) = (payload, value.as_object_mut()) {
        let (name, payload) = match (serde_json::from_slice::<Value>(payload), std::str::from_utf8(payload)) {
            (Ok(value), _) => ("payload", value),
            (_, Ok(text)) => ("payload_text", json!(text)),
            _ => ("payload_hex", json!(hex(payload))),
        };
        fields.insert(name.to_owned(), payload);
    }
    value
}

fn facts(letter: &DeadLetter, earlier: Option<&Replay>) -> Value {
    let message = letter.message.as_ref();
    let id = |of: fn(&Message) -> Option<String>| message.and_then(of);
    let headers = message.map(|message| message.headers.iter().map(|(name, value)| json!([name, value])).collect());
    let headers: Vec<Value> = headers.unwrap_or_default();
    json!({
        "id": letter.place,
        "stream": letter.place.stream,
        "durable": letter.place.consumer,
        "sequence": letter.place.sequence,
        "kind": letter.kind,
        "is_doubtful": letter.is_doubtful(),
        "reason": letter.death.reason,
        "class": letter.death.class,
        "attempts": letter.death.attempts,
        "deliveries": letter.deliveries,
        "given_up": letter.death.time,
        "published": letter.published,
        "subject": message.map(|message| message.subject.as_str()),
        "message_id": id(|message| message.id.as_ref().map(ToString::to_string)),
        "correlation_id": id(|message| message.correlation.as_ref().map(ToString::to_string)),
        "causation_id": id(|message| message.causation.as_ref().map(ToString::to_string)),
        "schema": id(|message| message.schema.as_ref().map(ToString::to_string)),
        "source": id(|message| message.source.clone()),
        "trace_id": letter.trace.map(|trace| trace.trace_id_text()),
        "headers": headers,
        "body": letter.body,
        "size_bytes": letter.size,
        "repeats": letter.repeat(),
        "replay": earlier,
    })
}
