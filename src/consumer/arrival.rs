//! What was delivered, as plain data.
//!
//! Convention: NATS ADR-15, the reply subject of a delivery:
//! `$JS.ACK.[<domain>.<account hash>.]<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>[.<token>]`.

use std::sync::Arc;

use super::{
    attempts::Record,
    later::{self, Returned},
    pull::Shared,
};
use crate::{
    bus,
    clock::Timestamp,
    message::{Delivery, Message},
    name::{ConsumerName, NameError, StreamName, Subject, token_of},
};

/// Tokens of the reply subject as servers wrote it before domains were in it.
const TOKENS: usize = 9;

/// Tokens of the longest form that is understood.
const TOKENS_MOST: usize = 12;

/// A delivery, or why it cannot be read.
pub(super) type Arrival = Result<Arrived, String>;

/// A message, where it lies, and what is known of one that came back after a long wait.
pub(super) type Arrived = (Arc<Message>, Arc<Delivery>, Option<Record>);

/// Reads what was delivered. A subject that is none by our rules becomes one that no handler reads.
pub(super) fn read(shared: &Shared, delivered: async_nats::Message) -> Arrival {
    let async_nats::Message { subject, reply, headers, payload, .. } = delivered;
    let delivery = delivery(reply.as_deref().unwrap_or_default(), &shared.status.stream, &shared.status.consumer)?;
    let subject = Subject::try_from(subject.as_str()).or_else(|_| Subject::try_from(token_of(&subject)));
    let subject = subject.map_err(words)?;
    let is_late = shared.is_late(subject.as_str());
    let message = bus::read_message(subject, headers.as_ref(), payload);
    if !is_late {
        return Ok((Arc::new(message), Arc::new(delivery), None));
    }
    let Returned { message, delivery, record } = later::original(message, delivery, &shared.status)?;
    Ok((Arc::new(message), Arc::new(delivery), Some(record)))
}

/// Where a message lies: as a rule in `stream`, delivered by `consumer`.
fn delivery(reply: &str, stream: &StreamName, consumer: &ConsumerName) -> Result<Delivery, String> {
    let foreign = || format!("the reply subject `{reply}` is not a stream's");
    let mut tokens = [""; TOKENS_MOST];
    let (mut count, mut begin) = (0, 0);
    // Every message comes by here, and a search for each dot takes longer than a look at each byte.
    for (end, byte) in reply.bytes().chain([b'.']).enumerate() {
        if byte == b'.' && count < TOKENS_MOST {
            tokens[count] = &reply[begin..end];
            (count, begin) = (count + 1, end + 1);
        }
    }
    let first = match count {
        TOKENS => 2,
        11.. => 4,
        _ => return Err(foreign()),
    };
    if tokens[..2] != ["$JS", "ACK"] {
        return Err(foreign());
    }
    let number = |index: usize| tokens[first + index].parse::<u64>().map_err(|_| foreign());
    Ok(Delivery {
        stream: known_or_read(stream, tokens[first])?,
        consumer: known_or_read(consumer, tokens[first + 1])?,
        delivered: number(2)?,
        stream_sequence: number(3)?,
        consumer_sequence: number(4)?,
        published: Timestamp::of_nanos(number(5)?).ok_or_else(foreign)?,
        pending: number(6)?,
    })
}

fn known_or_read<'t, N>(known: &N, token: &'t str) -> Result<N, String>
where
    N: Clone + AsRef<str> + TryFrom<&'t str, Error = NameError>,
{
    if known.as_ref() == token { Ok(known.clone()) } else { token.try_into().map_err(words) }
}

fn words(error: NameError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a worker reads it whose stream is another one.
    fn read_place(reply: &str) -> Result<Delivery, String> {
        delivery(reply, &"ORDERS".parse().unwrap(), &"mailer".parse().unwrap())
    }

    fn check(reply: &str, expected: Option<(&str, &str, [u64; 4])>) {
        let found = read_place(reply);
        let numbers =
            |found: &Delivery| [found.delivered, found.stream_sequence, found.consumer_sequence, found.pending];
        let found = found.as_ref().ok().map(|found| (found.stream.as_str(), found.consumer.as_str(), numbers(found)));
        assert_eq!(found, expected, "{reply}");
    }

    #[test]
    fn a_reply_subject_says_where_a_message_lies_in_each_of_its_forms() {
        let expected = Some(("ORDERS", "stock", [2, 30, 40, 5]));
        check("$JS.ACK.ORDERS.stock.2.30.40.1700000000000000000.5", expected);
        check("$JS.ACK._.hash.ORDERS.stock.2.30.40.1700000000000000000.5", expected);
        check("$JS.ACK.hub.hash.ORDERS.stock.2.30.40.1700000000000000000.5.random", expected);
        check("$JS.ACK.hub.hash.ORDERS.stock.2.30.40.1700000000000000000.5.random.more", expected);
        check("$JS.ACK.ORDERS.stock.2.30.40.1700000000000000000.5.6", None);
        check("$JS.ACK.ORDERS.stock.2.thirty.40.1700000000000000000.5", None);
        check("$JS.ACK.ORDERS.stock.2.30.40.1700000000000000000", None);
        check("$JS.API.ORDERS.stock.2.30.40.1700000000000000000.5", None);
        check("_INBOX.1", None);
        check("", None);
        let published = read_place("$JS.ACK.ORDERS.stock.2.30.40.1700000000000000000.5").unwrap().published;
        assert_eq!(published.to_string(), "2023-11-14T22:13:20.000Z");
    }
}
