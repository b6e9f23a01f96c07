//! A message as the server sends it, made one as its stream holds it.

use async_nats::jetstream::message::StreamMessage;

use crate::{clock::Timestamp, peek::Stored};

/// What the server adds to the headers of a message that it sends by direct get, the last of their names (NATS ADR-31).
const ADDED: [&str; 7] = [
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
    "Nats-UpTo-Sequence",
];

/// The message as its publisher sent it; with `has_added` the server has added headers to it.
pub(super) fn stored(message: StreamMessage, has_added: bool) -> Stored {
    let mut headers = Vec::new();
    for (name, values) in message.headers.iter() {
        let is_added = has_added && ADDED.contains(&name.as_ref());
        let own = values.len().saturating_sub(usize::from(is_added));
        headers.extend(values.iter().take(own).map(|value| (name.to_string(), value.to_string())));
    }
    // They come in no order.
    headers.sort();
    Stored {
        sequence: message.sequence,
        stored: Timestamp(message.time),
        subject: message.subject.to_string(),
        headers,
        payload: message.payload,
    }
}
