//! Dead letters: a message that is given up is copied before the server is told to forget it.

mod claims;
mod join;
mod letters;
mod readers;
mod replay;
mod stored;

use std::{convert::Infallible, time::Duration};

use async_nats::jetstream;

use crate::{
    bus::{
        self, Bus, PublishError,
        topology::{self, DEAD_LETTERS},
    },
    dead_letter::{self, Death},
    errors::ErrorChain,
    message::{Cause, CorrelationId, Delivery, Message},
    name::SubjectPattern,
    nats::Connection,
    telemetry::Remote,
};

pub use claims::Replay;
pub use letters::{DeadLetters, Filter, LettersError, Listing};
pub use readers::ReadersError;
pub use replay::{Plan, ReplayError, Replayed, Replayer};
pub use stored::StoredError;

/// The server's code for "this message is larger than the stream takes".
const TOO_LARGE_FOR_STREAM: u64 = 10_054;

/// A stream confirms within milliseconds; a copy that waits longer than this may wait for one that is not there.
const SEEN_TO_AFTER: Duration = Duration::from_millis(200);

/// Room for the headers that the bus adds to a copy when it is on its way.
const HEADERS_OF_THE_BUS: usize = 1_024;

/// Why a message has no copy among the dead letters.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuryError {
    /// It takes no more.
    #[error(
        "stream {DEAD_LETTERS} is full: replay its letters and remove those that nobody needs (`streamgauge dlq list`, `nats stream purge \
         {DEAD_LETTERS} --subject <subject>`), or declare more for it and run `streamgauge topology apply --only \
         {DEAD_LETTERS}`"
    )]
    Full(#[source] PublishError),
    /// Something else is amiss.
    #[error(transparent)]
    Publish(PublishError),
}

impl From<PublishError> for BuryError {
    fn from(error: PublishError) -> Self {
        match &error {
            PublishError::Full { .. } => Self::Full(error),
            _ => Self::Publish(error),
        }
    }
}

/// Copies a message that is given up into the stream of dead letters, and returns when that has confirmed it. A second burial of the same
/// message is a duplicate. Only then may the message be terminated; where this fails it has to come back.
///
/// A payload that has no room in the copy lies in the object store, and the copy has a claim check for it: the message's own stream may
/// let go of a message that is terminated.
///
/// # Errors
/// When the stream does not confirm the copy, or the object store does not take a payload.
pub(super) async fn bury(
    bus: &Bus,
    connection: &Connection,
    message: &Message,
    delivery: &Delivery,
    death: &Death,
) -> Result<(), BuryError> {
    let mut copy = dead_letter::copy(message, delivery, death).expect("a server's names make a subject");
    if size(&copy) > connection.client.max_payload() {
        copy = lightened(connection, copy).await?;
    }
    lay(bus, connection, copy).await?;
    bus.telemetry().metrics().count_dead_letter(delivery.consumer.as_str(), &death.class);
    Ok(())
}

/// Forwards a copy. A stream that is missing is made meanwhile, and the payload of a copy that is too large for it goes into the object
/// store.
async fn lay(bus: &Bus, connection: &Connection, copy: Message) -> Result<(), PublishError> {
    let laid = tokio::select! {
        laid = forward(bus, copy.clone()) => laid,
        never = see_to_stream(&connection.jetstream) => match never {},
    };
    let Err(error) = laid else { return Ok(()) };
    match &error {
        PublishError::TooLarge { .. } | PublishError::Refused { code: TOO_LARGE_FOR_STREAM, .. } => {
            forward(bus, lightened(connection, copy).await?).await
        }
        _ => Err(error),
    }
}

/// A copy with a claim check for its payload. The bucket is made if it is missing.
async fn lightened(connection: &Connection, mut copy: Message) -> Result<Message, PublishError> {
    let size = copy.payload.len();
    if let Err(error) = bus::check_in(connection, &mut copy).await {
        let claims = topology::library().only(&[topology::CLAIMS]);
        if let Err(why) = topology::ensure(&connection.jetstream, &claims).await {
            tracing::warn!(error = %ErrorChain(&why), "cannot make the bucket of claims");
            return Err(PublishError::Claim { subject: copy.subject, source: error });
        }
        let again = bus::check_in(connection, &mut copy).await;
        again.map_err(|source| PublishError::Claim { subject: copy.subject.clone(), source })?;
    }
    Ok(dead_letter::left_out(copy, size))
}

async fn forward(bus: &Bus, copy: Message) -> Result<(), PublishError> {
    let template = SubjectPattern::try_from(copy.subject.as_str()).expect("a subject is a pattern without wildcards");
    let trace = Remote::current().or_else(|| Remote::of(&copy));
    let cause = Cause {
        correlation: copy.correlation.clone().unwrap_or_else(|| CorrelationId(String::new())),
        message: copy.causation.clone(),
        trace: trace.as_ref().map(|remote| remote.parent),
        trace_state: trace.and_then(|remote| remote.state),
        deadline: None,
    };
    bus.forward(dead_letter::STREAM, &template, copy, &cause).await.map(drop)
}

/// Makes the stream of dead letters if it is missing and leaves it as it is if it is there, once a copy waits for longer than a stream
/// takes. The publisher, who tries again, finds it then.
async fn see_to_stream(jetstream: &jetstream::Context) -> Infallible {
    tokio::time::sleep(SEEN_TO_AFTER).await;
    let made = topology::ensure(jetstream, &topology::library().only(&[DEAD_LETTERS])).await;
    if let Err(why) = made {
        tracing::warn!(error = %ErrorChain(&why), "cannot make the stream of dead letters");
    }
    std::future::pending().await
}

/// Bytes of a message on the wire, more or less: the server counts its headers too.
fn size(message: &Message) -> usize {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    message.payload.len() + headers + HEADERS_OF_THE_BUS
}
