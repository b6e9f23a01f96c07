//! The dead letters of an account: listed newest first, found by their place, read whole.

use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode, context::GetStreamErrorKind, message::StreamMessage};
use serde_json::json;

use super::{
    join::{Join, Met, Record, What},
    replay::ReplayError,
    stored::{self, Backwards, StoredError},
};
use crate::{
    advisory::{self, GivenUp},
    bus,
    clock::Timestamp,
    dead_letter::{self, Body, DeadLetter, Kind, Place},
    message::Message,
    name::{ConsumerName, StreamName, Subject},
    nats::Connection,
};

/// How much later than a copy its advisory may come, beside the time in which a second copy is known as a duplicate.
const PATIENCE: Duration = Duration::from_secs(60);

/// The dead letters of the account that a connection belongs to.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub(super) connection: Connection,
}

/// Which dead letters; what is not said is not asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this stream.
    pub stream: Option<StreamName>,
    /// Of this durable consumer.
    pub consumer: Option<ConsumerName>,
    /// Of this message in its stream.
    pub sequence: Option<u64>,
    /// Given up by whom.
    pub kind: Option<Kind>,
    /// Given up for this kind of failure.
    pub class: Option<String>,
    /// Given up no earlier than this.
    pub since: Option<Timestamp>,
    /// With this text, in any case, in subject, id, reason, headers or payload.
    pub text: Option<String>,
}

/// Dead letters, the newest first. Payloads are left out: [`DeadLetters::whole`] reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// Whether there may be more than were asked for.
    pub is_cut: bool,
    /// Whether messages that only the server gave up on can be seen: the stream of advisories is there.
    pub sees_advisories: bool,
}

/// Dead letters could not be read or replayed.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// The stream of copies does not exist.
    #[error(
        "there is no stream {0}: make it with `streamgauge topology apply --only {0}`, or wait for the first worker that gives up on a message",
        dead_letter::STREAM
    )]
    Missing,
    /// A stream cannot be asked for.
    #[error("asking for stream {stream}: may this user see it, and does JetStream answer?")]
    Stream {
        /// The stream.
        stream: String,
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Stored messages cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A replay did not come about.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl DeadLetters {
    /// The dead letters of the account that `connection` belongs to.
    ///
    /// # Errors
    /// When there is no stream of dead letters, or JetStream does not answer.
    pub async fn open(connection: &Connection) -> Result<Self, LettersError> {
        let letters = Self { connection: connection.clone() };
        match letters.stream(dead_letter::STREAM).await? {
            Some(_) => Ok(letters),
            None => Err(LettersError::Missing),
        }
    }

    /// Up to `most` dead letters that fit `filter`, the newest first. Copies and advisories of one message are one letter. However large
    /// the streams are, no more is held than what is returned, two windows of messages, and the advisories of one duplicate window.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn list(&self, filter: &Filter, most: usize) -> Result<Listing, LettersError> {
        let Some(copies) = self.stream(dead_letter::STREAM).await? else {
            return Err(LettersError::Missing);
        };
        let advisories = self.stream(advisory::STREAM).await?;
        let mut join = Join::new(copies.config.duplicate_window + PATIENCE);
        let jetstream = &self.connection.jetstream;
        let mut sources = Sources {
            copies: Backwards::new(
                jetstream,
                dead_letter::STREAM,
                filter.copies_pattern(),
                (copies.state.first_sequence, copies.state.last_sequence),
                copy,
            ),
            advisories: advisories.as_ref().map(|info| {
                let sequences = (info.state.first_sequence, info.state.last_sequence);
                Backwards::new(jetstream, advisory::STREAM, filter.advisories_pattern(), sequences, given_up)
            }),
        };
        let mut found: Vec<Record> = Vec::new();
        let is_cut = loop {
            let met = sources.next().await?;
            let met = met.filter(|met| filter.since.is_none_or(|since| met.at >= since));
            let is_over = met.is_none();
            let complete = match met {
                Some(met) => join.meet(met),
                None => join.rest(),
            };
            for (at, letter) in complete {
                if let Some(letter) = self.fitting(letter, filter).await? {
                    join.keep(&letter.place);
                    found.push((at, letter));
                }
            }
            found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            // One more than wanted tells that there are more; of one place there is one letter.
            let enough = if filter.is_one_place() { 1 } else { most.saturating_add(1) };
            let is_full = found.get(enough - 1).is_some_and(|(at, _)| !join.waits_for_newer(*at));
            if is_over || is_full {
                break found.len() > most;
            }
        };
        found.truncate(most);
        let letters = found.into_iter().map(|(_, letter)| letter).collect();
        Ok(Listing { letters, is_cut, sees_advisories: advisories.is_some() })
    }

    /// The dead letter of a place, whole; `None` if there is none.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn find(&self, place: &Place) -> Result<Option<DeadLetter>, LettersError> {
        let filter = Filter {
            stream: Some(place.stream.clone()),
            consumer: Some(place.consumer.clone()),
            sequence: Some(place.sequence),
            ..Filter::default()
        };
        match self.list(&filter, 1).await?.letters.pop() {
            Some(letter) => Ok(Some(self.whole(letter).await?)),
            None => Ok(None),
        }
    }

    /// A listed letter with its payload, where that is to be had.
    ///
    /// # Errors
    /// When the stream of copies cannot be read.
    pub async fn whole(&self, letter: DeadLetter) -> Result<DeadLetter, LettersError> {
        if let (Some(sequence), Body::Copied) = (letter.copy, &letter.body) {
            let question = json!({ "seq": sequence });
            let stored = stored::message(&self.connection.jetstream, dead_letter::STREAM, &question).await?;
            let whole = stored.and_then(read).and_then(|copy| DeadLetter::of_copy(copy, sequence));
            return Ok(whole.unwrap_or(DeadLetter { body: Body::Gone, ..letter }));
        }
        if let (Some(sequence), Body::InStore) = (letter.copy, &letter.body) {
            return self.redeemed(letter, sequence).await;
        }
        Ok(self.with_body(letter).await)
    }

    /// A letter whose payload lies in the object store.
    async fn redeemed(&self, letter: DeadLetter, sequence: u64) -> Result<DeadLetter, LettersError> {
        let question = json!({ "seq": sequence });
        let stored = stored::message(&self.connection.jetstream, dead_letter::STREAM, &question).await?;
        let Some(mut copy) = stored.and_then(read) else { return Ok(DeadLetter { body: Body::Gone, ..letter }) };
        if let Err(error) = bus::redeem(&self.connection, &mut copy).await {
            let why = crate::errors::ErrorChain(&error).to_string();
            return Ok(DeadLetter { body: Body::Unreadable(why), ..letter });
        }
        let whole = DeadLetter::of_copy(copy, sequence).map(|whole| DeadLetter { body: Body::InStore, ..whole });
        Ok(whole.unwrap_or(DeadLetter { body: Body::Gone, ..letter }))
    }

    /// A letter whose payload is not in a copy is read from where the message lies.
    async fn with_body(&self, mut letter: DeadLetter) -> DeadLetter {
        let question = json!({ "seq": letter.place.sequence });
        let stored = stored::message(&self.connection.jetstream, letter.place.stream.as_str(), &question).await;
        match stored {
            Err(error) => letter.body = Body::Unreadable(crate::errors::ErrorChain(&error).to_string()),
            Ok(None) => letter.body = Body::Gone,
            Ok(Some(stored)) => {
                letter.body = Body::InStream;
                letter.size = stored.payload.len();
                letter.published = letter.published.or(Some(Timestamp(stored.time)));
                letter.message = read(stored);
                letter.trace = letter.trace.or_else(|| letter.message.as_ref().and_then(|message| message.trace));
            }
        }
        letter
    }

    /// The letter without its payload, if it fits. What has to be read for that is read only where all else fits.
    async fn fitting(&self, mut letter: DeadLetter, filter: &Filter) -> Result<Option<DeadLetter>, LettersError> {
        if !filter.fits_place(&letter) {
            return Ok(None);
        }
        let payload_is_wanted = filter.text.is_some() && letter.body == Body::InStream;
        if letter.copy.is_none() || payload_is_wanted {
            letter = self.with_body(letter).await;
        } else if filter.text.as_deref().is_some_and(|text| !says(&letter, text)) {
            letter = self.whole(letter).await?;
        }
        let fits = filter.text.as_deref().is_none_or(|text| says(&letter, text));
        if let Some(message) = &mut letter.message {
            message.payload = bytes::Bytes::new();
        }
        Ok(fits.then_some(letter))
    }

    /// What is known of a stream; `None` where there is none.
    async fn stream(&self, name: &'static str) -> Result<Option<jetstream::stream::Info>, LettersError> {
        match self.connection.jetstream.get_stream(name).await {
            Ok(stream) => Ok(Some(stream.cached_info().clone())),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
                _ => Err(LettersError::Stream { stream: name.to_owned(), source: error.into() }),
            },
        }
    }
}

/// Both streams, read from their newest message back.
struct Sources {
    copies: Backwards<Met>,
    advisories: Option<Backwards<Met>>,
}

impl Sources {
    /// The newest of what was not taken yet.
    async fn next(&mut self) -> Result<Option<Met>, StoredError> {
        let copied = self.copies.peek().await?.map(|met| met.at);
        let Some(advisories) = &mut self.advisories else {
            return Ok(self.copies.take());
        };
        let told = advisories.peek().await?.map(|met| met.at);
        Ok(if told >= copied { advisories.take() } else { self.copies.take() })
    }
}

impl Filter {
    fn copies_pattern(&self) -> String {
        let (stream, consumer) = self.tokens();
        format!("dead.{stream}.{consumer}")
    }

    fn advisories_pattern(&self) -> String {
        let (stream, consumer) = self.tokens();
        format!("$JS.EVENT.ADVISORY.CONSUMER.*.{stream}.{consumer}")
    }

    fn is_one_place(&self) -> bool {
        self.stream.is_some() && self.consumer.is_some() && self.sequence.is_some()
    }

    fn tokens(&self) -> (&str, &str) {
        let stream = self.stream.as_ref().map_or("*", StreamName::as_str);
        (stream, self.consumer.as_ref().map_or("*", ConsumerName::as_str))
    }

    /// Whether all but the text fits.
    fn fits_place(&self, letter: &DeadLetter) -> bool {
        let Place { stream, consumer, sequence } = &letter.place;
        self.stream.as_ref().is_none_or(|wanted| wanted == stream)
            && self.consumer.as_ref().is_none_or(|wanted| wanted == consumer)
            && self.sequence.is_none_or(|wanted| wanted == *sequence)
            && self.kind.is_none_or(|wanted| wanted == letter.kind)
            && self.class.as_ref().is_none_or(|wanted| *wanted == letter.death.class)
    }
}

/// Whether the text is somewhere in a letter, in any case.
fn says(letter: &DeadLetter, text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |words: &str| words.to_lowercase().contains(&text);
    let in_message = |message: &Message| {
        has(message.subject.as_str())
            || message.id.as_ref().is_some_and(|id| has(&id.0))
            || message.correlation.as_ref().is_some_and(|id| has(&id.0))
            || message.trace.is_some_and(|trace| has(&trace.trace_id_text()))
            || message.headers.iter().any(|(name, value)| has(name) || has(value))
            || has(&String::from_utf8_lossy(&message.payload))
    };
    has(&letter.death.reason) || has(&letter.place.to_string()) || letter.message.as_ref().is_some_and(in_message)
}

fn read(stored: StreamMessage) -> Option<Message> {
    let subject = Subject::try_from(stored.subject.as_str()).ok()?;
    Some(bus::read_message(subject, Some(&stored.headers), stored.payload))
}

/// A copy as a list needs it: without its payload, so that a window of large ones takes no room.
fn copy(stored: StreamMessage) -> Option<Met> {
    let (at, sequence) = (Timestamp(stored.time), stored.sequence);
    let mut letter = DeadLetter::of_copy(read(stored)?, sequence)?;
    if let Some(message) = &mut letter.message {
        message.payload = bytes::Bytes::new();
    }
    Some(Met { at, what: What::Copy(Box::new(letter)) })
}

fn given_up(stored: StreamMessage) -> Option<Met> {
    let told = GivenUp::parse(&stored.payload)?;
    Some(Met { at: Timestamp(stored.time), what: What::Advisory(told) })
}
