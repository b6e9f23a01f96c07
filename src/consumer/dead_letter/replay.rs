//! Replaying a dead letter: its message is published again, for the consumer that gave it up, once however often that is asked for.
//!
//! Who replays claims the letter in a bucket first, publishes under an id derived from letter and generation, and writes down where it
//! lies. Whoever finds a claim without that, because its owner died, finishes it under the same id.

use std::{collections::HashMap, time::Duration};

use serde_json::json;

use super::{
    claims::{Claim, Replay, Replays, message_id},
    letters::{DeadLetters, LettersError},
    readers::{Reader, ReadersError, pattern_for, readers, strangers},
    stored::{self, StoredError},
};
use crate::{
    bus::{
        Bus, PublishError,
        topology::{self, TopologyError},
    },
    clock::Timestamp,
    dead_letter::{self, Body, DeadLetter, Place, Repeat},
    message::{Cause, CorrelationId, Message, MessageId, header},
    name::{ConsumerName, StreamName, Subject, SubjectPattern},
};

/// Messages on the letter's subject that are looked at for an earlier replay whose owner died; more have come there since than any
/// operator's pause explains.
const LOOKED_AT: usize = 10_000;

/// The clocks of the servers that lead the bucket of claims and the letter's stream may differ by this much.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);

/// Headers that a replay says anew, and one that says until when somebody waited.
const OWN: [&str; 5] = [
    header::REPLAY_OF,
    header::REPLAY_FOR,
    header::DEADLINE,
    dead_letter::header::REPLAY_LETTER,
    dead_letter::header::REPLAY_GENERATION,
];

/// What a replay would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The letter, whole.
    pub letter: DeadLetter,
    /// The message that would be published.
    pub message: Message,
    /// Consumers that are not ours and would see it too: they know nothing of whom it is for.
    pub strangers: Vec<ConsumerName>,
    /// What was replayed of this letter before.
    pub earlier: Option<Replay>,
    /// The pattern that the subject is one of.
    template: SubjectPattern,
}

/// What a replay did.
#[derive(Debug, Clone, PartialEq)]
pub enum Replayed {
    /// It was published.
    Published(Replay),
    /// It had been replayed before, and nothing was done.
    Already(Replay),
}

/// A dead letter was not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is nothing to publish.
    #[error("{letter} cannot be replayed: {why}")]
    NoBody {
        /// The letter.
        letter: Place,
        /// Why not.
        why: String,
    },
    /// Nobody would process it.
    #[error(
        "{letter} is not replayed: consumer {} of stream {} {what}, so nobody would process it; start the service that owns it first",
        .letter.consumer, .letter.stream
    )]
    NoReader {
        /// The letter.
        letter: Place,
        /// What is amiss with the consumer.
        what: &'static str,
    },
    /// The consumers of the stream cannot be listed.
    #[error(transparent)]
    Readers(#[from] ReadersError),
    /// The bucket that knows what was replayed is not there and cannot be made.
    #[error(
        "the bucket that knows what was replayed cannot be made; make it with `streamgauge topology apply --only {}`",
        topology::REPLAYS
    )]
    Bucket(#[from] TopologyError),
    /// That bucket does not do what it should.
    #[error("{doing} the replay of {letter} in bucket {}", topology::REPLAYS)]
    Store {
        /// What was tried.
        doing: &'static str,
        /// The letter.
        letter: String,
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It could not be found out whether an earlier replay had been published.
    #[error("looking for an earlier replay of {letter}")]
    Earlier {
        /// The letter.
        letter: Place,
        /// Why not.
        #[source]
        source: StoredError,
    },
    /// Too much has come since an earlier replay was begun to tell whether it had been published.
    #[error(
        "cannot tell whether an earlier replay of {letter} was published: more than {LOOKED_AT} messages came on {subject} since it was begun; \
         look there for message {message_id} yourself, then replay with --again if it is to be published"
    )]
    Unclear {
        /// The letter.
        letter: Place,
        /// The subject on which it would have been published.
        subject: Subject,
        /// The id that it would have.
        message_id: MessageId,
    },
    /// The stream did not take it.
    #[error("replaying {letter}; replay it again, nothing is done twice")]
    Publish {
        /// The letter.
        letter: Place,
        /// Why not.
        #[source]
        source: Box<PublishError>,
    },
}

/// Replays letters; it asks once who reads a stream.
#[derive(Debug)]
pub struct Replayer {
    letters: DeadLetters,
    /// `None` until there is something to write down in it, or somebody else has.
    replays: Option<Replays>,
    bus: Bus,
    readers: HashMap<StreamName, Vec<Reader>>,
}

impl DeadLetters {
    /// What replays letters over `bus`.
    ///
    /// # Errors
    /// When the bucket that knows what was replayed does not answer.
    pub async fn replayer(&self, bus: &Bus) -> Result<Replayer, LettersError> {
        let replays = Replays::open(&self.connection).await?;
        Ok(Replayer { letters: self.clone(), replays, bus: bus.clone(), readers: HashMap::new() })
    }

    /// What was replayed last of each of these letters.
    ///
    /// # Errors
    /// When the bucket that knows it does not answer.
    pub async fn earlier(&self, letters: &[DeadLetter]) -> Result<Vec<Option<Replay>>, LettersError> {
        let replays = Replays::open(&self.connection).await?;
        let mut earlier = Vec::new();
        for letter in letters {
            earlier.push(read(replays.as_ref(), &letter.place).await?);
        }
        Ok(earlier)
    }
}

impl Replayer {
    /// What replaying a letter would do, which changes nothing anywhere; `again` where it is to be replayed although it was before.
    ///
    /// # Errors
    /// When it cannot be replayed, or something that has to be asked does not answer.
    pub async fn plan(&mut self, letter: DeadLetter, again: bool) -> Result<Plan, LettersError> {
        let letter = self.letters.whole(letter).await?;
        let earlier = read(self.replays.as_ref(), &letter.place).await?;
        let generation = earlier.as_ref().map_or(1, |replay| match replay.published {
            Some(_) if again => replay.generation + 1,
            _ => replay.generation,
        });
        let message = message_of(&letter, generation)?;
        let place = &letter.place;
        let readers = self.readers_of(&place.stream).await?;
        let fail = |what| ReplayError::NoReader { letter: place.clone(), what };
        let target = readers.iter().find(|reader| reader.name == place.consumer);
        let target = target.ok_or_else(|| fail("does not exist"))?;
        let template = pattern_for(target, &message.subject).ok_or_else(|| fail("does not read the subject"))?;
        let strangers = strangers(readers, &place.consumer, &message.subject);
        Ok(Plan { message, strangers, earlier, template, letter })
    }

    /// Does what was planned. A letter that was replayed before is left alone unless `again`.
    ///
    /// # Errors
    /// When it is not certain that the message was published, which doing it again finishes with nothing published twice; when the bucket
    /// that knows what was replayed is not there and cannot be made.
    pub async fn replay(&mut self, plan: &Plan, again: bool) -> Result<Replayed, LettersError> {
        let place = &plan.letter.place;
        let replays = match &self.replays {
            Some(replays) => replays.clone(),
            None => self.replays.insert(Replays::make(&self.letters.connection).await?).clone(),
        };
        let (claim, revision) = match replays.claim(place, again, self.bus.clock().now()).await? {
            Claim::Done(replay) => return Ok(Replayed::Already(replay)),
            Claim::Ours(replay, revision) => (replay, revision),
            Claim::Left(replay, revision) => match self.published_by(&replay, plan).await {
                Ok(Some(sequence)) => {
                    return Ok(Replayed::Published(self.written(&replays, replay, revision, sequence).await?));
                }
                Ok(None) => (replay, revision),
                // Whoever says `again` has looked.
                Err(LettersError::Replay(ReplayError::Unclear { .. })) if again => (replay, revision),
                Err(error) => return Err(error),
            },
        };
        let message = message_of(&plan.letter, claim.generation)?;
        let cause = cause_of(&plan.letter, &message);
        let published = self.bus.forward(place.stream.as_str(), &plan.template, message, &cause).await;
        let receipt =
            published.map_err(|error| ReplayError::Publish { letter: place.clone(), source: error.into() })?;
        Ok(Replayed::Published(self.written(&replays, claim, revision, receipt.sequence).await?))
    }

    async fn written(
        &self,
        replays: &Replays,
        claim: Replay,
        revision: u64,
        sequence: Option<u64>,
    ) -> Result<Replay, LettersError> {
        let published = Replay { published: Some(self.bus.clock().now()), sequence, ..claim };
        replays.write(&published, revision).await?;
        Ok(published)
    }

    /// Where the message lies that somebody published for a claim before dying, if one did. Beyond the stream's duplicate window the
    /// stream would take it a second time.
    async fn published_by(&self, claim: &Replay, plan: &Plan) -> Result<Option<Option<u64>>, LettersError> {
        let place = &plan.letter.place;
        let fail = |source| ReplayError::Earlier { letter: place.clone(), source };
        let since = Timestamp(claim.claimed.0 - CLOCKS_DIFFER);
        let mut question = json!({ "start_time": since.to_string(), "next_by_subj": plan.message.subject.as_str() });
        for _ in 0..LOOKED_AT {
            let stored = stored::message(&self.letters.connection.jetstream, place.stream.as_str(), &question).await;
            let Some(stored) = stored.map_err(fail)? else { return Ok(None) };
            let id = stored.headers.get(header::MESSAGE_ID).map(async_nats::HeaderValue::as_str);
            if id == Some(claim.message_id.0.as_str()) {
                return Ok(Some(Some(stored.sequence)));
            }
            question = json!({ "seq": stored.sequence + 1, "next_by_subj": plan.message.subject.as_str() });
        }
        let (letter, subject, message_id) = (place.clone(), plan.message.subject.clone(), claim.message_id.clone());
        Err(ReplayError::Unclear { letter, subject, message_id }.into())
    }

    async fn readers_of(&mut self, stream: &StreamName) -> Result<&[Reader], LettersError> {
        if !self.readers.contains_key(stream) {
            let found = readers(&self.letters.connection.jetstream, stream).await.map_err(ReplayError::from)?;
            self.readers.insert(stream.clone(), found);
        }
        Ok(&self.readers[stream])
    }
}

/// What was replayed of a letter before.
async fn read(replays: Option<&Replays>, place: &Place) -> Result<Option<Replay>, ReplayError> {
    match replays {
        Some(replays) => Ok(replays.read(place).await?.map(|(replay, _)| replay)),
        None => Ok(None),
    }
}

/// The message that a replay publishes. Of the original's headers those are left out that tell the server to do something (`Nats-*`):
/// what it expected does not hold any more, a roll-up would remove what came since, a schedule would run again, and a time to live would
/// let the message go while somebody waits for it. A deadline has passed, and nobody waits any more.
fn message_of(letter: &DeadLetter, generation: u32) -> Result<Message, ReplayError> {
    let fail = |why: &str| ReplayError::NoBody { letter: letter.place.clone(), why: why.to_owned() };
    let message = match (&letter.message, &letter.body) {
        (Some(message), Body::Copied | Body::InStore | Body::InStream) => message.clone(),
        (_, Body::Unreadable(why)) => return Err(fail(why)),
        _ => return Err(fail("its stream has let go of the message, and no copy was left")),
    };
    let own = |name: &str| OWN.iter().any(|own| name.eq_ignore_ascii_case(own));
    let Repeat { first, generation: before } =
        letter.repeat().unwrap_or_else(|| Repeat { first: letter.place.to_string(), generation: 0 });
    let mut headers = message.headers.clone();
    headers.retain(|(name, _)| !own(name) && !dead_letter::is_instruction(name));
    headers.extend(message.original_id().map(|id| (header::REPLAY_OF.to_owned(), id.0)));
    headers.push((header::REPLAY_FOR.to_owned(), letter.place.consumer.to_string()));
    headers.push((dead_letter::header::REPLAY_LETTER.to_owned(), first));
    headers.push((dead_letter::header::REPLAY_GENERATION.to_owned(), (before + generation).to_string()));
    Ok(Message { id: Some(message_id(&letter.place, generation)), headers, ..message })
}

/// The replay goes on in the trace in which the letter was buried.
fn cause_of(letter: &DeadLetter, message: &Message) -> Cause {
    let own = || CorrelationId(message.header(header::REPLAY_OF).unwrap_or_default().to_owned());
    Cause {
        correlation: message.correlation.clone().unwrap_or_else(own),
        message: message.causation.clone(),
        trace: letter.trace.or(message.trace),
        trace_state: message.trace_state.clone(),
        deadline: None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::dead_letter::{Death, Kind};

    fn letter(headers: &[(&str, &str)]) -> DeadLetter {
        let time = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let message = Message {
            subject: "orders.placed.7".try_into().unwrap(),
            id: Some(MessageId("m-1".into())),
            correlation: Some(CorrelationId("7".into())),
            causation: Some(MessageId("m-0".into())),
            schema: None,
            source: None,
            time: None,
            trace: None,
            trace_state: None,
            headers: headers.collect(),
            payload: Bytes::from_static(b"{}"),
        };
        DeadLetter {
            place: "ORDERS.mailer.42".parse().unwrap(),
            kind: Kind::Buried,
            death: Death { reason: "x".into(), class: "error".into(), attempts: Some(1), time },
            deliveries: Some(1),
            published: None,
            message: Some(message),
            size: 2,
            body: Body::Copied,
            trace: None,
            copy: Some(1),
        }
    }

    fn check(headers: &[(&str, &str)], generation: u32, expected: &[(&str, &str)]) {
        let message = message_of(&letter(headers), generation).unwrap();
        let found: Vec<_> = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
        let kept = (message.correlation.unwrap().0, message.causation.unwrap().0, message.payload);
        assert_eq!(kept, ("7".to_owned(), "m-0".to_owned(), Bytes::from_static(b"{}")));
    }

    #[test]
    fn a_replay_says_what_it_repeats_and_for_whom_and_tells_the_server_nothing() {
        check(
            &[
                ("x-tenant", "blue"),
                ("Nats-Expected-Last-Subject-Sequence", "0"),
                ("nats-batch-id", "b"),
                ("Nats-Trace-Dest", "t"),
                ("Nats-Rollup", "all"),
                ("Nats-TTL", "1m"),
                ("deadline", "2030-01-31T12:00:00Z"),
                ("Nats-Schedule", "@at 2030-01-31T12:00:00Z"),
            ],
            1,
            &[
                ("x-tenant", "blue"),
                ("replay-of", "m-1"),
                ("replay-for", "mailer"),
                ("replay-letter", "ORDERS.mailer.42"),
                ("replay-generation", "1"),
            ],
        );
    }

    #[test]
    fn a_replay_of_a_replay_goes_on_counting_and_names_the_first() {
        let before = [
            ("Replay-Of", "m-first"),
            ("replay-for", "other"),
            ("replay-letter", "ORDERS.mailer.3"),
            ("replay-generation", "2"),
        ];
        let after = [
            ("replay-of", "m-first"),
            ("replay-for", "mailer"),
            ("replay-letter", "ORDERS.mailer.3"),
            ("replay-generation", "3"),
        ];
        check(&before, 1, &after);
    }

    #[test]
    fn each_generation_has_an_id_of_its_own() {
        let place: Place = "ORDERS.mailer.42".parse().unwrap();
        assert_eq!(message_id(&place, 1), message_id(&place, 1));
        assert_ne!(message_id(&place, 1), message_id(&place, 2));
        assert_ne!(message_id(&place, 1), place.message_id());
    }

    #[test]
    fn what_is_gone_cannot_be_replayed() {
        let gone = DeadLetter { body: Body::Gone, ..letter(&[]) };
        assert!(matches!(message_of(&gone, 1), Err(ReplayError::NoBody { .. })));
    }
}
