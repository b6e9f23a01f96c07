//! Making what is declared. Nothing is ever deleted.

use async_nats::jetstream;
use serde_json::{Map, Value, json};

use super::{
    Topology,
    actual::{self, Actual},
    api::{Refusal, TopologyError, ask},
    plan::{Action, Plan, overlaid},
    wanted::{self, Kind, Wanted},
};

/// A stream of the name exists and is set up otherwise.
const NAME_IN_USE: u64 = 10_058;

/// Makes what does not exist and changes nothing of what does: for services that need a store and cannot know whether somebody applied a
/// topology before.
///
/// # Errors
/// When the server refuses one of them; those before it stand.
pub async fn ensure(jetstream: &jetstream::Context, topology: &Topology) -> Result<(), TopologyError> {
    for wanted in wanted::all(topology) {
        if actual::read(jetstream, &wanted).await?.is_none() {
            create_unless_there(jetstream, &wanted).await?;
        }
    }
    Ok(())
}

impl Topology {
    /// Compares what is declared with what is there.
    ///
    /// # Errors
    /// When the server does not say what is there.
    pub async fn plan(&self, jetstream: &jetstream::Context) -> Result<Plan, TopologyError> {
        Ok(Plan::new(self, &Actual::read(jetstream, self).await?))
    }

    /// Makes what does not exist and updates what differs. What exists and is not named is left alone, and so is every field of it that
    /// nobody declares.
    ///
    /// # Errors
    /// As [`Topology::plan`] and [`Plan::apply`].
    pub async fn apply(&self, jetstream: &jetstream::Context) -> Result<(), TopologyError> {
        self.plan(jetstream).await?.apply(jetstream).await
    }
}

impl Plan {
    /// Does what it says. What others did meanwhile to a thing that is updated is read once more just before, so that their fields stay.
    ///
    /// # Errors
    /// When something in it is impossible, with nothing changed; when the server refuses one of them, with those before it done.
    pub async fn apply(&self, jetstream: &jetstream::Context) -> Result<(), TopologyError> {
        if let Some(first) = self.steps.iter().find(|step| step.action == Action::Impossible) {
            return Err(TopologyError::Impossible {
                count: self.count(Action::Impossible),
                what: first.to_string(),
                obstacle: first.obstacles.join("; "),
            });
        }
        for step in &self.steps {
            match step.action {
                Action::Create if create_unless_there(jetstream, &step.wanted).await? => {}
                Action::Create | Action::Update => update(jetstream, &step.wanted).await?,
                Action::Unchanged | Action::Impossible => {}
            }
        }
        Ok(())
    }
}

/// `false` where another program made it meanwhile, and otherwise.
async fn create_unless_there(jetstream: &jetstream::Context, wanted: &Wanted) -> Result<bool, TopologyError> {
    let made = match wanted.kind {
        Kind::Consumer => ask(jetstream, &consumer_subject(wanted), &consumer_request(wanted, &wanted.config)).await,
        Kind::Stream | Kind::Bucket => {
            ask(jetstream, &format!("STREAM.CREATE.{}", wanted.stream), &wanted.config).await
        }
    };
    match made {
        Ok(_) => Ok(true),
        Err(Refusal::Api(error)) if error.error_code().0 == NAME_IN_USE => Ok(false),
        Err(refusal) => Err(refusal.explained("making", wanted.to_string())),
    }
}

async fn update(jetstream: &jetstream::Context, wanted: &Wanted) -> Result<(), TopologyError> {
    let found = actual::read(jetstream, wanted).await?.unwrap_or_default();
    let config = overlaid(found, wanted);
    let updated = match wanted.kind {
        Kind::Consumer => ask(jetstream, &consumer_subject(wanted), &consumer_request(wanted, &config)).await,
        Kind::Stream | Kind::Bucket => ask(jetstream, &format!("STREAM.UPDATE.{}", wanted.stream), &config).await,
    };
    updated.map(drop).map_err(|refusal| refusal.explained("updating", wanted.to_string()))
}

fn consumer_subject(wanted: &Wanted) -> String {
    format!("CONSUMER.CREATE.{}.{}", wanted.stream, wanted.name)
}

fn consumer_request(wanted: &Wanted, config: &Map<String, Value>) -> Value {
    json!({ "stream_name": wanted.stream, "config": config })
}
