//! Whether a stream that refuses a batch for an id that it knows has the very same messages: the leader is asked, not a replica that
//! may lag.

use std::borrow::Cow;

use async_nats::jetstream::{
    message::StreamMessage,
    stream::{RawMessageError, RawMessageErrorKind, Stream},
};

use super::BatchError;
use crate::{
    bus::{ReadError, headers},
    message::Message,
    name::Subject,
    nats::Connection,
};

/// So many sequences back from its subject's last message a message is looked for. An id is known to the stream only within its
/// duplicate window.
const LOOKED_BACK: u64 = 100_000;

/// So many messages of one subject are looked at.
const LOOKED_AT: usize = 1_000;

/// Where the messages lie, if the stream has all of them as they are.
pub(super) async fn sequences(
    connection: &Connection,
    stream: &'static str,
    messages: &[Message],
) -> Result<Vec<u64>, BatchError> {
    let unclear = |subject: &Subject, source: RawMessageError| {
        BatchError::Unclear(ReadError::new("message", subject.to_string(), Cow::Borrowed(stream), source.into()))
    };
    let handle = match connection.jetstream.get_stream_no_info(stream).await {
        Ok(handle) => handle,
        Err(error) => {
            let error = RawMessageError::with_source(RawMessageErrorKind::Other, error);
            return Err(unclear(&messages[0].subject, error));
        }
    };
    let mut sequences: Vec<u64> = Vec::with_capacity(messages.len());
    for message in messages {
        // A batch lies in one piece, so the next is most likely behind the one before.
        let guess = sequences.last().map(|last| last + 1);
        let found = find(&handle, message, guess).await.map_err(|error| unclear(&message.subject, error))?;
        match found {
            Some(sequence) => sequences.push(sequence),
            None => return Err(BatchError::Conflict { stream, id: message.id.clone().unwrap_or_default() }),
        }
    }
    Ok(sequences)
}

async fn find<I>(stream: &Stream<I>, message: &Message, guess: Option<u64>) -> Result<Option<u64>, RawMessageError> {
    if let Some(guess) = guess
        && let Some(stored) = if_any(stream.get_raw_message(guess).await)?.filter(|stored| is_same(stored, message))
    {
        return Ok(Some(stored.sequence));
    }
    let subject = message.subject.as_str();
    let Some(last) = if_any(stream.get_last_raw_message_by_subject(subject).await)? else { return Ok(None) };
    if is_same(&last, message) {
        return Ok(Some(last.sequence));
    }
    let mut from = last.sequence.saturating_sub(LOOKED_BACK).max(1);
    for _ in 0..LOOKED_AT {
        let Some(stored) = if_any(stream.get_first_raw_message_by_subject(subject, from).await)? else { break };
        if is_same(&stored, message) {
            return Ok(Some(stored.sequence));
        }
        from = stored.sequence + 1;
    }
    Ok(None)
}

fn if_any(stored: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, RawMessageError> {
    match stored {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Id, subject, kind and payload; times and traces differ from one attempt to the next.
fn is_same(stored: &StreamMessage, message: &Message) -> bool {
    let read = headers::read(message.subject.clone(), Some(&stored.headers), stored.payload.clone());
    stored.subject.as_str() == message.subject.as_str()
        && read.id == message.id
        && read.schema == message.schema
        && read.payload == message.payload
}
