//! Claim checks: a payload that is too large for a message lies in the object store, and the message says where.

use std::time::Duration;

use async_nats::jetstream::{self, object_store::GetErrorKind, stream::DiscardPolicy};
use bytes::Bytes;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::topology::CLAIMS;
use crate::{
    clock::Age,
    message::{Message, header},
    nats::Connection,
    resilience::Backoff,
};

/// No object larger than this is fetched.
const CLAIM_MOST: usize = 256 << 20;

/// How long putting or fetching an object may take.
const CLAIM_LIMIT: Duration = Duration::from_secs(60);

/// A replica that answers may not have heard of an object yet; so often, and with these waits, it is asked again.
const LOOKS: u32 = 4;
const LOOK_AGAIN: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

/// Bytes that an object takes beside its payload: what the store says of it, and a subject and a record of each piece.
const BESIDE: usize = 2 << 10;
const BESIDE_PIECE: usize = 256;

/// The store cuts an object into pieces of so many bytes (NATS ADR-20).
const PIECE: usize = 128 << 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a payload could not be put into the object store, or taken out of it.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The header does not name an object of ours.
    #[error("the claim check `{claim}` is none of bucket {CLAIMS}: it should be `{CLAIMS}/` and an object's name")]
    Foreign {
        /// What the header says.
        claim: String,
    },
    /// The bucket has no such object: it was deleted, or is older than the bucket keeps objects.
    #[error("bucket {CLAIMS} has no object {object}")]
    Missing {
        /// The object's name.
        object: String,
    },
    /// The object is larger than anything that is fetched.
    #[error("object {object} of bucket {CLAIMS} has {size} bytes; no more than {CLAIM_MOST} are fetched")]
    TooLarge {
        /// The object's name.
        object: String,
        /// Its size in bytes.
        size: usize,
    },
    /// The bucket takes nothing more until something in it is old enough to go, or somebody makes room.
    #[error(
        "bucket {CLAIMS} is full: object {object} of {size} bytes has no room beside the {used} bytes there, of {most} in all; {forgets}; declare \
         more `max_bytes` or a shorter `ttl` for bucket {CLAIMS} and run `streamgauge topology apply --only {CLAIMS}`, or delete what no message needs any more \
         (`nats object ls {CLAIMS}`, `nats object rm {CLAIMS} <object>`)"
    )]
    Full {
        /// The object's name.
        object: String,
        /// Its size in bytes.
        size: usize,
        /// Bytes that lie there.
        used: u64,
        /// Bytes that may lie there.
        most: u64,
        /// When objects go.
        forgets: String,
    },
    /// The object store does not do what it was asked.
    #[error("{doing} object {object} of bucket {CLAIMS}: is the bucket declared, and may this user use it?")]
    Store {
        /// What we were doing.
        doing: &'static str,
        /// The object's name.
        object: String,
        /// What it says.
        #[source]
        source: BoxError,
    },
}

impl ClaimError {
    /// Whether it may succeed later with nothing changed on our side.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store { .. } | Self::Full { .. })
    }
}

/// Puts the payload into the object store, named by what it is and whose, and a claim check in its place. The same message again finds
/// its object there; another payload under the same id gets an object of its own.
pub(crate) async fn check_in(connection: &Connection, message: &mut Message) -> Result<(), ClaimError> {
    let object = object_of(message);
    let put = put(&connection.jetstream, &object, &message.payload);
    tokio::time::timeout(CLAIM_LIMIT, put).await.map_err(|late| unput(&object, late))??;
    message.payload = Bytes::new();
    message.headers.push((header::CLAIM_CHECK.to_owned(), format!("{CLAIMS}/{object}")));
    Ok(())
}

/// Ids are unique within their stream only, and a handler that runs twice may publish something else under the same derived id.
fn object_of(message: &Message) -> String {
    let owner = format!("{} {}", message.subject, message.id.as_ref().map_or("", |id| id.0.as_str()));
    let space = Uuid::new_v5(&Uuid::NAMESPACE_OID, owner.as_bytes());
    Uuid::new_v5(&space, &message.payload).to_string()
}

/// Room is looked for before: pieces of an object that was refused in its middle stay, and take the room of others.
async fn put(jetstream: &jetstream::Context, object: &str, payload: &Bytes) -> Result<(), ClaimError> {
    let store = jetstream.get_object_store(CLAIMS).await.map_err(|error| unput(object, error))?;
    if store.info(object).await.is_ok_and(|info| !info.deleted && info.size == payload.len()) {
        return Ok(());
    }
    check_room(jetstream, object, payload.len()).await?;
    let Err(error) = store.put(object, &mut payload.as_ref()).await else { return Ok(()) };
    // Others may have taken the room meanwhile.
    check_room(jetstream, object, payload.len()).await?;
    Err(unput(object, error))
}

fn unput(object: &str, source: impl Into<BoxError>) -> ClaimError {
    ClaimError::Store { doing: "putting", object: object.to_owned(), source: source.into() }
}

async fn check_room(jetstream: &jetstream::Context, object: &str, size: usize) -> Result<(), ClaimError> {
    let stream = jetstream.get_stream(format!("OBJ_{CLAIMS}")).await.map_err(|error| unput(object, error))?;
    let info = stream.cached_info();
    let Some(most) = u64::try_from(info.config.max_bytes).ok().filter(|most| *most > 0) else { return Ok(()) };
    let (used, needed) = (info.state.bytes, size + BESIDE + size.div_ceil(PIECE) * BESIDE_PIECE);
    if info.config.discard != DiscardPolicy::New || used.saturating_add(needed as u64) <= most {
        return Ok(());
    }
    let forgets = match info.config.max_age {
        Duration::ZERO => "nothing in it ever goes by itself".to_owned(),
        age => format!("each object goes {} after it came", Age(age)),
    };
    Err(ClaimError::Full { object: object.to_owned(), size, used, most, forgets })
}

/// Takes the payload out of the object store, if the message has a claim check for it.
pub(crate) async fn redeem(connection: &Connection, message: &mut Message) -> Result<(), ClaimError> {
    let Some(claim) = message.header(header::CLAIM_CHECK) else { return Ok(()) };
    let foreign = || ClaimError::Foreign { claim: claim.to_owned() };
    let object = claim.strip_prefix(CLAIMS).and_then(|rest| rest.strip_prefix('/')).ok_or_else(foreign)?.to_owned();
    let fail = |source| ClaimError::Store { doing: "fetching", object: object.clone(), source };
    let fetched = tokio::time::timeout(CLAIM_LIMIT, fetch(&connection.jetstream, &object)).await;
    message.payload = fetched.map_err(|late| fail(late.into()))??;
    message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header::CLAIM_CHECK));
    Ok(())
}

async fn fetch(jetstream: &jetstream::Context, name: &str) -> Result<Bytes, ClaimError> {
    let fail = |source| ClaimError::Store { doing: "fetching", object: name.to_owned(), source };
    let store = jetstream.get_object_store(CLAIMS).await.map_err(|error| fail(error.into()))?;
    let mut looks = 0;
    let mut object = loop {
        match store.get(name).await {
            Ok(object) => break object,
            Err(error) if error.kind() != GetErrorKind::NotFound => return Err(fail(error.into())),
            Err(_) => {}
        }
        looks += 1;
        if looks == LOOKS {
            return Err(ClaimError::Missing { object: name.to_owned() });
        }
        tokio::time::sleep(LOOK_AGAIN.wait(looks, fastrand::f64())).await;
    };
    let size = object.info.size;
    if size > CLAIM_MOST {
        return Err(ClaimError::TooLarge { object: name.to_owned(), size });
    }
    let mut payload = Vec::with_capacity(size);
    object.read_to_end(&mut payload).await.map_err(|error| fail(error.into()))?;
    Ok(payload.into())
}
