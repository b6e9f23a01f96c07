//! Settling a delivered message, and knowing that the server took the settlement.
//!
//! Any answer but the server's own empty one, and no answer, count as unconfirmed: the message will be delivered again.

mod settler;

use std::time::Duration;

use async_nats::{Client, Message, Request, Subject};
use bytes::Bytes;

pub(crate) use settler::{Ending, Settler};

/// How long a settlement waits for the server's word.
const CONFIRM_LIMIT: Duration = Duration::from_secs(2);

/// So much of a foreign answer is told.
const WORDS_MAX: usize = 200;

/// What becomes of a delivered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It is processed.
    Ack,
    /// It is to be delivered again, after a while if one is given.
    Nak(Option<Duration>),
    /// It is never to be delivered again, for this reason, which reaches the server's advisory.
    Term(String),
}

/// The server did not confirm a settlement.
#[derive(Debug, thiserror::Error)]
pub enum Unconfirmed {
    /// No answer, or nobody there to answer.
    #[error("the server did not confirm it")]
    Silent(#[source] async_nats::RequestError),
    /// An answer that is not the server's empty one.
    #[error("something else than the server answered: {0}")]
    Foreign(String),
}

impl Settlement {
    /// The operation's name in spans and metrics.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Nak(_) => "nak",
            Self::Term(_) => "term",
        }
    }

    /// Convention: NATS ADR-13 and ADR-15, acknowledgements.
    fn payload(&self) -> Bytes {
        match self {
            Self::Ack => Bytes::from_static(b"+ACK"),
            Self::Nak(None) => Bytes::from_static(b"-NAK"),
            Self::Nak(Some(delay)) => format!(r#"-NAK {{"delay":{}}}"#, delay.as_nanos()).into(),
            Self::Term(reason) => format!("+TERM {reason}").into(),
        }
    }
}

/// Settles the message whose reply subject is `reply`, and waits for the server's word.
///
/// # Errors
/// When the server did not confirm it in time, or nobody listens to `reply`.
pub async fn settle(client: &Client, reply: &Subject, settlement: &Settlement) -> Result<(), Unconfirmed> {
    let request = Request::new().payload(settlement.payload()).timeout(Some(CONFIRM_LIMIT));
    let answer = client.send_request(reply.clone(), request).await.map_err(Unconfirmed::Silent)?;
    confirmed(&answer)
}

/// The server's own answer is empty.
fn confirmed(answer: &Message) -> Result<(), Unconfirmed> {
    if answer.payload.is_empty() && answer.status.is_none() {
        return Ok(());
    }
    Err(Unconfirmed::Foreign(String::from_utf8_lossy(&answer.payload).chars().take(WORDS_MAX).collect()))
}

/// Asks the server for another `ack_wait` for a held message. Nothing is confirmed: the next extension follows soon.
///
/// # Errors
/// When the client cannot send.
pub async fn extend(client: &Client, reply: &Subject) -> Result<(), async_nats::PublishError> {
    client.publish(reply.clone(), Bytes::from_static(b"+WPI")).await
}

/// Hands a message back that nobody started to process, so that the next worker has it at once. Nothing is confirmed: what the server
/// misses comes again after `ack_wait`.
///
/// # Errors
/// When the client cannot send.
pub async fn hand_back(client: &Client, reply: &Subject) -> Result<(), async_nats::PublishError> {
    client.publish(reply.clone(), Settlement::Nak(None).payload()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settlement: &Settlement, expected: &str) {
        assert_eq!(settlement.payload(), expected.as_bytes());
    }

    #[test]
    fn settlements_are_written_as_the_server_reads_them() {
        check(&Settlement::Ack, "+ACK");
        check(&Settlement::Nak(None), "-NAK");
        check(&Settlement::Nak(Some(Duration::from_millis(300))), r#"-NAK {"delay":300000000}"#);
        check(&Settlement::Term("no such sku".into()), "+TERM no such sku");
    }
}
