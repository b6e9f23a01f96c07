//! The newest dead letters: copies of messages that workers gave up, read by direct get whenever there are others than before.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Client, jetstream::message::StreamMessage};

use super::{
    AskError,
    get::{Batch, Messages},
};
use crate::{
    clock::Timestamp,
    dead_letter::{Place, Repeat, header},
    message,
    snapshot::{Letter, Letters, Stream},
    trace::TraceParent,
};

/// Letters read at the most: what somebody looks through on a page. `streamgauge dlq list` has the others.
const MOST: u64 = 100;

/// Bytes of a payload that are kept: so much is shown of it.
const HEAD: usize = 2_048;

/// Headers kept of one letter, and letters of a value: a page has no room for more.
const HEADERS_MOST: usize = 64;
const VALUE_MOST: usize = 1_024;

/// What was read last, so that nothing is read again while the stream stays as it is. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Option<Read>>>);

/// The letters of a stream as it was then.
#[derive(Debug, Clone)]
struct Read {
    of: Mark,
    letters: Arc<Letters>,
}

/// What the stream was like: its newest message and how many it held.
type Mark = (Timestamp, u64, u64);

impl Kept {
    /// The newest letters of the stream, which has just been listed.
    pub(super) async fn newest(&self, client: &Client, stream: &Stream) -> Result<Arc<Letters>, AskError> {
        let Some(state) = stream.state.value() else { return Ok(Arc::default()) };
        let mark = (stream.created, state.last_sequence, state.messages);
        if let Some(letters) = self.of(mark) {
            return Ok(letters);
        }
        let messages = Messages { client, stream: stream.name.as_str(), pattern: "dead.>" };
        let from = (state.last_sequence + 1).saturating_sub(MOST).max(state.first_sequence).max(1);
        let read =
            if stream.config.allow_direct { messages.batches(from, MOST as usize).await? } else { Batch::NotKnown };
        let read = match read {
            Batch::Of(read, _) => read,
            Batch::NotKnown => one_by_one(&messages, from).await?,
        };
        let letters = Arc::new(understood(&read, state.messages));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Read { of: mark, letters: letters.clone() });
        Ok(letters)
    }

    fn of(&self, mark: Mark) -> Option<Arc<Letters>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|read| read.of == mark).map(|read| read.letters.clone())
    }
}

async fn one_by_one(messages: &Messages<'_>, mut from: u64) -> Result<Vec<StreamMessage>, AskError> {
    let mut read = Vec::new();
    for _ in 0..MOST {
        let Some(message) = messages.next_stored(from).await? else { break };
        from = message.sequence + 1;
        read.push(message);
    }
    Ok(read)
}

fn understood(read: &[StreamMessage], total: u64) -> Letters {
    let rows: Vec<Letter> = read.iter().rev().filter_map(letter).collect();
    Letters { malformed: read.len() - rows.len(), rows, total }
}

/// A letter by its copy; `None` of what does not say which message it is a copy of.
fn letter(copy: &StreamMessage) -> Option<Letter> {
    let all: Vec<(&str, &str)> = copy
        .headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())))
        .collect();
    let text = |wanted: &str| all.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value);
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    let said = |name: &str| cut(text(name).unwrap_or_default());
    let left_out = number(header::LEFT_OUT);
    let is_elsewhere = left_out.is_some() || text(message::header::CLAIM_CHECK).is_some();
    let trace = text(header::TRACEPARENT).or_else(|| text(message::header::TRACEPARENT));
    Some(Letter {
        place: Place {
            stream: text(header::STREAM)?.parse().ok()?,
            consumer: text(header::CONSUMER)?.parse().ok()?,
            sequence: number(header::SEQUENCE)?,
        },
        subject: said(header::SUBJECT),
        message_id: text(header::MESSAGE_ID).map(cut),
        reason: said(header::REASON),
        class: said(header::CLASS),
        attempts: text(header::ATTEMPTS).and_then(|text| text.parse().ok()),
        deliveries: number(header::DELIVERIES),
        published: text(header::PUBLISHED).and_then(Timestamp::parse),
        died: text(header::TIME).and_then(Timestamp::parse).unwrap_or(Timestamp(copy.time)),
        repeat: text(header::REPLAY_LETTER).map(|first| Repeat {
            first: cut(first),
            generation: text(header::REPLAY_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1),
        }),
        trace_id: trace.and_then(|text| text.parse::<TraceParent>().ok()).map(|trace| trace.trace_id_text()),
        headers: all
            .iter()
            .filter(|(name, _)| is_own(name))
            .take(HEADERS_MOST)
            .map(|(name, value)| own(name, value))
            .collect(),
        size: left_out.unwrap_or(copy.payload.len() as u64),
        head: copy.payload[..copy.payload.len().min(HEAD)].to_vec(),
        is_elsewhere,
    })
}

/// Whether a header is one of the message itself: neither of the letter's own nor one that the server wrote on the copy.
fn is_own(name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    begins(header::SET_ASIDE) || !(begins(header::PREFIX) || begins("nats-") || begins("traceparent"))
}

fn own(name: &str, value: &str) -> (String, String) {
    let name = name.get(header::SET_ASIDE.len()..).filter(|_| name.starts_with(header::SET_ASIDE)).unwrap_or(name);
    (cut(name), cut(value))
}

fn cut(text: &str) -> String {
    text.chars().take(VALUE_MOST).collect()
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::*;

    fn copy(headers: &[(&str, &str)], payload: &str) -> StreamMessage {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        StreamMessage {
            subject: "dead.ORDERS.mailer".into(),
            sequence: 7,
            headers: map,
            payload: payload.to_owned().into(),
            time: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    const PLACE: [(&str, &str); 3] =
        [(header::STREAM, "ORDERS"), (header::CONSUMER, "mailer"), (header::SEQUENCE, "42")];

    #[test]
    fn a_copy_says_which_message_died_and_of_what() {
        let more = [
            (header::REASON, "the mail server refuses"),
            (header::ATTEMPTS, "5"),
            (header::REPLAY_LETTER, "ORDERS.mailer.3"),
            (header::REPLAY_GENERATION, "2"),
            ("dead-letter-header-Nats-Expected-Stream", "ORDERS"),
            ("ce-type", "OrderPlaced"),
            ("Nats-Msg-Id", "of the copy"),
        ];
        let letter = letter(&copy(&[&PLACE[..], &more].concat(), "{}")).unwrap();
        assert_eq!(letter.place.to_string(), "ORDERS.mailer.42");
        assert_eq!(
            (letter.reason.as_str(), letter.attempts, letter.deliveries),
            ("the mail server refuses", Some(5), None)
        );
        assert_eq!(letter.repeat, Some(Repeat { first: "ORDERS.mailer.3".to_owned(), generation: 2 }));
        let mut headers = letter.headers;
        headers.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers,
            [
                pair("Nats-Expected-Stream", "ORDERS"),
                pair("ce-type", "OrderPlaced"),
                pair("replay-generation", "2"),
                pair("replay-letter", "ORDERS.mailer.3")
            ]
        );
    }

    #[test]
    fn what_is_no_copy_is_counted_and_what_is_large_is_cut() {
        let large = "x".repeat(1 << 20);
        let read = [
            copy(&PLACE, "a"),
            copy(&[("a", "b")], "b"),
            copy(&[&PLACE[..], &[(header::REASON, &large)]].concat(), &large),
        ];
        let letters = understood(&read, 9);
        assert_eq!((letters.rows.len(), letters.malformed, letters.total), (2, 1, 9));
        let newest = &letters.rows[0];
        assert_eq!((newest.size, newest.head.len(), newest.reason.len()), (1 << 20, HEAD, VALUE_MOST));
    }
}
