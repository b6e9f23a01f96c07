//! What a server has: the configurations of streams and of their consumers, in all their fields.

use std::collections::BTreeMap;

use async_nats::jetstream;
use serde_json::{Map, Value, json};

use super::{
    Topology,
    api::{Refusal, TopologyError, ask},
    wanted::{self, Kind, Wanted},
};

/// The thing that was asked for is not there.
const NOT_FOUND: usize = 404;

/// Pages that are read of one list: 256 entries each, so a quarter of a million.
const PAGES_MAX: usize = 1_000;

/// What a server has, as it says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Actual {
    pub(super) streams: BTreeMap<String, Map<String, Value>>,
    /// By stream and name.
    pub(super) consumers: BTreeMap<(String, String), Map<String, Value>>,
    pub(super) is_clustered: bool,
}

impl Actual {
    /// Reads all streams, and the consumers of those that `topology` names.
    ///
    /// # Errors
    /// When the server refuses, or does not say everything.
    pub async fn read(jetstream: &jetstream::Context, topology: &Topology) -> Result<Self, TopologyError> {
        let mut actual = Self::streams(jetstream).await?;
        let declared: Vec<String> = wanted::all(topology).into_iter().map(|wanted| wanted.stream).collect();
        let named: Vec<String> = actual.streams.keys().filter(|name| declared.contains(name)).cloned().collect();
        actual.read_consumers(jetstream, &named).await?;
        Ok(actual)
    }

    /// Reads all streams and all their consumers.
    ///
    /// # Errors
    /// When the server refuses, or does not say everything.
    pub async fn read_all(jetstream: &jetstream::Context) -> Result<Self, TopologyError> {
        let mut actual = Self::streams(jetstream).await?;
        let names: Vec<String> = actual.streams.keys().cloned().collect();
        actual.read_consumers(jetstream, &names).await?;
        Ok(actual)
    }

    async fn streams(jetstream: &jetstream::Context) -> Result<Self, TopologyError> {
        let configs = list(jetstream, "STREAM.LIST", "streams", "the streams".to_owned()).await?;
        let named = configs.into_iter().filter_map(|config| Some((text(&config, "name")?, config)));
        let is_clustered = jetstream.client().server_info().cluster.is_some();
        Ok(Self { streams: named.collect(), consumers: BTreeMap::new(), is_clustered })
    }

    async fn read_consumers(&mut self, jetstream: &jetstream::Context, of: &[String]) -> Result<(), TopologyError> {
        for stream in of {
            let what = format!("the consumers of stream {stream}");
            let configs = list(jetstream, &format!("CONSUMER.LIST.{stream}"), "consumers", what).await?;
            for config in configs {
                // One that goes with its clients is nobody's to declare.
                if let Some(name) = text(&config, "durable_name") {
                    self.consumers.insert((stream.clone(), name), config);
                }
            }
        }
        Ok(())
    }

    /// The configuration of one thing, if it is there.
    pub(super) fn of(&self, wanted: &Wanted) -> Option<&Map<String, Value>> {
        match wanted.kind {
            Kind::Consumer => self.consumers.get(&(wanted.stream.clone(), wanted.name.clone())),
            Kind::Stream | Kind::Bucket => self.streams.get(&wanted.stream),
        }
    }
}

/// Reads the configuration of one thing, `None` where it is not there.
pub(super) async fn read(
    jetstream: &jetstream::Context,
    wanted: &Wanted,
) -> Result<Option<Map<String, Value>>, TopologyError> {
    let subject = match wanted.kind {
        Kind::Consumer => format!("CONSUMER.INFO.{}.{}", wanted.stream, wanted.name),
        Kind::Stream | Kind::Bucket => format!("STREAM.INFO.{}", wanted.stream),
    };
    match ask(jetstream, &subject, &json!({})).await {
        Ok(mut info) => Ok(config_of(&mut info)),
        Err(Refusal::Api(error)) if error.code() == NOT_FOUND && !is_stream_missing(&error, wanted) => Ok(None),
        Err(refusal) => Err(refusal.explained("reading", wanted.to_string())),
    }
}

/// Whether it is the stream below a consumer that is missing.
fn is_stream_missing(error: &jetstream::Error, wanted: &Wanted) -> bool {
    wanted.kind == Kind::Consumer && error.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND
}

async fn list(
    jetstream: &jetstream::Context,
    subject: &str,
    field: &str,
    what: String,
) -> Result<Vec<Map<String, Value>>, TopologyError> {
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = ask(jetstream, subject, &json!({ "offset": found.len() })).await;
        let mut page = page.map_err(|refusal| refusal.explained("reading", what.clone()))?;
        let missing = names(page.get("missing"));
        if !missing.is_empty() {
            return Err(TopologyError::Incomplete { missing: missing.join(", ") });
        }
        let Some(Value::Array(entries)) = page.remove(field) else { break };
        let is_last = entries.is_empty();
        found.extend(entries.into_iter().filter_map(|entry| match entry {
            Value::Object(mut info) => config_of(&mut info),
            _ => None,
        }));
        let total = page.get("total").and_then(Value::as_u64).and_then(|total| usize::try_from(total).ok());
        if is_last || total.is_none_or(|total| found.len() >= total) {
            break;
        }
    }
    Ok(found)
}

fn config_of(info: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    match info.remove("config") {
        Some(Value::Object(config)) => Some(config),
        _ => None,
    }
}

fn text(config: &Map<String, Value>, field: &str) -> Option<String> {
    config.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The texts of a list.
pub(super) fn names(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
