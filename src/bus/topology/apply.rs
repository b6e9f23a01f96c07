//! Making what is declared: the requests to the JetStream API, and what its refusals mean.

use async_nats::jetstream::{self, context::RequestErrorKind, response::Response};
use serde_json::{Map, Value, json};

use super::{
    Topology,
    wanted::{self, Kind, Wanted},
};

/// The thing that was asked for is not there.
const NOT_FOUND: usize = 404;

/// A stream of the name exists and is set up otherwise.
const NAME_IN_USE: u64 = 10_058;

/// A stream, bucket or consumer could not be read, made or updated.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {what}: {advice}")]
pub struct TopologyError {
    doing: &'static str,
    what: String,
    advice: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Makes what does not exist and changes nothing of what does: for services that need a store and cannot know whether somebody applied a
/// topology before.
///
/// # Errors
/// When the server refuses one of them; those before it stand.
pub async fn ensure(jetstream: &jetstream::Context, topology: &Topology) -> Result<(), TopologyError> {
    for wanted in wanted::all(topology) {
        if read(jetstream, &wanted).await?.is_none() {
            create_unless_there(jetstream, &wanted).await?;
        }
    }
    Ok(())
}

impl Topology {
    /// Makes what does not exist and updates what differs. What exists and is not named is left alone, and so is every field of it that
    /// nobody declares.
    ///
    /// # Errors
    /// When the server refuses one of them; those before it stand.
    pub async fn apply(&self, jetstream: &jetstream::Context) -> Result<(), TopologyError> {
        for wanted in wanted::all(self) {
            match read(jetstream, &wanted).await? {
                None => create_unless_there(jetstream, &wanted).await?,
                Some(actual) => update(jetstream, &wanted, overlaid(actual, &wanted)).await?,
            }
        }
        Ok(())
    }
}

/// What is there, with what is declared laid over it.
fn overlaid(mut actual: Map<String, Value>, wanted: &Wanted) -> Map<String, Value> {
    for (field, value) in &wanted.config {
        match (actual.get_mut(field), value) {
            (Some(Value::Object(found)), Value::Object(declared)) => found.extend(declared.clone()),
            _ => drop(actual.insert(field.clone(), value.clone())),
        }
    }
    if wanted.kind == Kind::Consumer {
        actual.remove("filter_subject");
    }
    actual
}

/// The configuration that a server has of it, in all its fields.
async fn read(jetstream: &jetstream::Context, wanted: &Wanted) -> Result<Option<Map<String, Value>>, TopologyError> {
    let subject = match wanted.kind {
        Kind::Consumer => format!("CONSUMER.INFO.{}.{}", wanted.stream, wanted.name),
        Kind::Stream | Kind::Bucket => format!("STREAM.INFO.{}", wanted.stream),
    };
    match ask(jetstream, &subject, &json!({})).await {
        Ok(mut info) => match info.remove("config") {
            Some(Value::Object(config)) => Ok(Some(config)),
            _ => Ok(None),
        },
        Err(Refusal::Api(error)) if error.code() == NOT_FOUND && !is_stream_missing(&error, wanted) => Ok(None),
        Err(refusal) => Err(refusal.explained("reading", wanted)),
    }
}

/// Whether it is the stream below a consumer that is missing.
fn is_stream_missing(error: &jetstream::Error, wanted: &Wanted) -> bool {
    wanted.kind == Kind::Consumer && error.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND
}

/// Two programs may make it at once; the other one's is as good.
async fn create_unless_there(jetstream: &jetstream::Context, wanted: &Wanted) -> Result<(), TopologyError> {
    let made = match wanted.kind {
        Kind::Consumer => ask(jetstream, &consumer_subject(wanted), &consumer_request(wanted, &wanted.config)).await,
        Kind::Stream | Kind::Bucket => {
            ask(jetstream, &format!("STREAM.CREATE.{}", wanted.stream), &wanted.config).await
        }
    };
    match made {
        Ok(_) => Ok(()),
        Err(Refusal::Api(error)) if error.error_code().0 == NAME_IN_USE => Ok(()),
        Err(refusal) => Err(refusal.explained("making", wanted)),
    }
}

async fn update(
    jetstream: &jetstream::Context,
    wanted: &Wanted,
    config: Map<String, Value>,
) -> Result<(), TopologyError> {
    let updated = match wanted.kind {
        Kind::Consumer => ask(jetstream, &consumer_subject(wanted), &consumer_request(wanted, &config)).await,
        Kind::Stream | Kind::Bucket => ask(jetstream, &format!("STREAM.UPDATE.{}", wanted.stream), &config).await,
    };
    updated.map(drop).map_err(|refusal| refusal.explained("updating", wanted))
}

fn consumer_subject(wanted: &Wanted) -> String {
    format!("CONSUMER.CREATE.{}.{}", wanted.stream, wanted.name)
}

fn consumer_request(wanted: &Wanted, config: &Map<String, Value>) -> Value {
    json!({ "stream_name": wanted.stream, "config": config })
}

/// Why the API did not do what it was asked to.
#[derive(Debug)]
enum Refusal {
    Api(jetstream::Error),
    Silence(String, jetstream::context::RequestError),
}

async fn ask(
    jetstream: &jetstream::Context,
    subject: &str,
    request: &(impl serde::Serialize + Sync),
) -> Result<Map<String, Value>, Refusal> {
    match jetstream.request(subject.to_owned(), request).await {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) => Err(Refusal::Api(error)),
        Err(error) => Err(Refusal::Silence(subject.to_owned(), error)),
    }
}

impl Refusal {
    fn explained(self, doing: &'static str, wanted: &Wanted) -> TopologyError {
        let what = match wanted.kind {
            Kind::Stream => format!("stream {}", wanted.name),
            Kind::Bucket => format!("bucket {}", wanted.name),
            Kind::Consumer => format!("consumer {} of stream {}", wanted.name, wanted.stream),
        };
        let advice = match &self {
            Self::Api(_) => "check it against what is there and against the account's limits".to_owned(),
            Self::Silence(subject, error) if error.kind() == RequestErrorKind::TimedOut => {
                format!("NATS did not answer; may this user publish on $JS.API.{subject}?")
            }
            Self::Silence(_, error) if error.kind() == RequestErrorKind::NoResponders => {
                "nobody answers for JetStream; is it enabled for the account?".to_owned()
            }
            Self::Silence(..) => "the request failed".to_owned(),
        };
        let source = match self {
            Self::Api(error) => error.into(),
            Self::Silence(_, error) => error.into(),
        };
        TopologyError { doing, what, advice, source }
    }
}
