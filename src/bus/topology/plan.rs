//! What applying a topology would do, found by comparing what is declared with what is there; a pure function, field by field.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Topology,
    actual::{Actual, names},
    obstacle,
    wanted::{self, Kind, Wanted},
    words,
};
use crate::snapshot::{Configs, ConsumerConfig, StreamConfig, WORKER_METADATA};

/// What applying a topology would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Each thing that is declared.
    pub steps: Vec<Step>,
    /// What is there and not declared; it is left alone.
    pub undeclared: Vec<Undeclared>,
    /// All that will be there once it is applied.
    #[serde(skip)]
    pub after: Configs,
}

/// What happens to one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The stream that it is, or that it reads.
    pub stream: String,
    /// What happens to it.
    pub action: Action,
    /// What it is to be, in a few words.
    pub gist: String,
    /// The fields that change.
    pub changes: Vec<Change>,
    /// Why it cannot come about, and what to do.
    pub obstacles: Vec<String>,
    /// What is there beyond what is declared, and stays.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(super) wanted: Wanted,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It does not exist and is made.
    Create,
    /// It differs and is changed in place.
    Update,
    /// It cannot come about.
    Impossible,
    /// It is as declared.
    Unchanged,
}

/// A field that changes, in the API's name for it, its values in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field.
    pub field: String,
    /// What it is.
    pub from: String,
    /// What it will be.
    pub to: String,
}

/// A thing that is there and not declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undeclared {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The stream that it is, or that it reads.
    pub stream: String,
}

impl Plan {
    /// Compares.
    pub fn new(topology: &Topology, actual: &Actual) -> Self {
        let wanted = wanted::all(topology);
        let after = after(&wanted, actual);
        let mut steps: Vec<Step> = wanted.iter().map(|wanted| step(wanted, actual.of(wanted))).collect();
        for step in &mut steps {
            step.obstacles.extend(obstacle::around(step, &after));
            if !step.obstacles.is_empty() {
                step.action = Action::Impossible;
            }
        }
        Self { steps, undeclared: undeclared(&wanted, actual), after }
    }

    /// Whether everything is there as declared.
    pub fn is_same(&self) -> bool {
        self.count(Action::Unchanged) == self.steps.len()
    }

    /// How many things something happens to.
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wanted.fmt(f)
    }
}

fn step(wanted: &Wanted, actual: Option<&Map<String, Value>>) -> Step {
    let changes = actual.map(|actual| changes(wanted, actual)).unwrap_or_default();
    let action = match actual {
        None => Action::Create,
        Some(_) if changes.is_empty() => Action::Unchanged,
        Some(_) => Action::Update,
    };
    let obstacles = actual.map(|actual| obstacle::in_place(wanted, actual)).unwrap_or_default();
    let notes = actual.and_then(|actual| more_subjects(wanted, actual)).into_iter().collect();
    let (kind, name, stream) = (wanted.kind, wanted.name.clone(), wanted.stream.clone());
    let gist = gist(wanted);
    Step { kind, name, stream, action, gist, changes, obstacles, notes, wanted: wanted.clone() }
}

/// What it takes and keeps.
fn gist(wanted: &Wanted) -> String {
    let in_words = |field| words::of(field, &value(&wanted.config, field));
    let kept = || {
        let limits = ["max_age", "max_bytes"].map(in_words).into_iter().filter(|limit| limit != words::NO_LIMIT);
        let limits: Vec<String> = limits.collect();
        if limits.is_empty() { "keeps everything".to_owned() } else { format!("keeps {}", limits.join(", ")) }
    };
    match wanted.kind {
        Kind::Stream => format!("takes {}; {}", in_words("subjects"), kept()),
        Kind::Bucket => kept(),
        Kind::Consumer if names(wanted.config.get("filter_subjects")).is_empty() => "takes everything".to_owned(),
        Kind::Consumer => format!("takes {}", in_words("filter_subjects")),
    }
}

fn changes(wanted: &Wanted, actual: &Map<String, Value>) -> Vec<Change> {
    let laid_over = overlaid(actual.clone(), wanted);
    let mut changes = Vec::new();
    for field in wanted.config.keys() {
        let (from, to) = (value(actual, field), value(&laid_over, field));
        if from == to {
            continue;
        }
        match (&from, &to) {
            (found, Value::Object(declared)) => changes.extend(declared.iter().filter_map(|(key, to)| {
                let from = found.get(key).unwrap_or(&Value::Null);
                (from != to).then(|| change(&format!("{field}.{key}"), from, to))
            })),
            (from, to) => changes.push(change(field, from, to)),
        }
    }
    changes
}

fn change(field: &str, from: &Value, to: &Value) -> Change {
    Change { field: field.to_owned(), from: words::of(field, from), to: words::of(field, to) }
}

/// A field as it compares: one that is left out is what the API means by that, and lists of subjects have no order.
pub(super) fn value(config: &Map<String, Value>, field: &str) -> Value {
    let mut value = match (field, config.get(field)) {
        ("filter_subjects", found) => {
            let one = config.get("filter_subject").filter(|one| one.as_str().is_some_and(|one| !one.is_empty()));
            Value::Array(
                one.into_iter().chain(found.and_then(Value::as_array).into_iter().flatten()).cloned().collect(),
            )
        }
        (_, Some(found)) => found.clone(),
        (_, None) => Value::Null,
    };
    match &mut value {
        Value::Array(list) => list.sort_by_key(ToString::to_string),
        Value::Null if field.starts_with("allow_") || field.starts_with("deny_") => value = Value::Bool(false),
        Value::Null if matches!(field, "max_age" | "duplicate_window") => value = 0.into(),
        Value::Null if field.starts_with("max_") => value = (-1).into(),
        Value::Number(number) if field.starts_with("max_") && field != "max_age" && number.as_i64() == Some(0) => {
            value = (-1).into();
        }
        _ => {}
    }
    value
}

/// What is there, with what is declared laid over it. Subjects are added and never taken away: whoever publishes there would find nobody.
pub(super) fn overlaid(mut actual: Map<String, Value>, wanted: &Wanted) -> Map<String, Value> {
    for (field, declared) in &wanted.config {
        match (actual.get_mut(field), declared) {
            (Some(Value::Object(found)), Value::Object(declared)) => found.extend(declared.clone()),
            (Some(Value::Array(found)), Value::Array(declared)) if field == "subjects" => {
                let missing: Vec<Value> = declared.iter().filter(|subject| !found.contains(subject)).cloned().collect();
                found.extend(missing);
            }
            _ => drop(actual.insert(field.clone(), declared.clone())),
        }
    }
    if wanted.kind == Kind::Consumer {
        actual.remove("filter_subject");
    }
    actual
}

fn more_subjects(wanted: &Wanted, actual: &Map<String, Value>) -> Option<String> {
    let declared = names(wanted.config.get("subjects"));
    let more: Vec<&str> = names(actual.get("subjects")).into_iter().filter(|found| !declared.contains(found)).collect();
    (wanted.kind != Kind::Consumer && !more.is_empty())
        .then(|| format!("it also takes {}, which is not declared and stays", more.join(", ")))
}

fn undeclared(wanted: &[Wanted], actual: &Actual) -> Vec<Undeclared> {
    let is_stream = |name: &String| wanted.iter().any(|one| one.kind != Kind::Consumer && one.stream == *name);
    let streams = actual.streams.keys().filter(|name| !is_stream(name)).map(|stream| {
        let bucket = stream.strip_prefix("KV_").or_else(|| stream.strip_prefix("OBJ_"));
        let kind = if bucket.is_some() { Kind::Bucket } else { Kind::Stream };
        Undeclared { kind, name: bucket.unwrap_or(stream).to_owned(), stream: stream.clone() }
    });
    let is_consumer = |stream: &String, name: &String| {
        wanted.iter().any(|one| one.kind == Kind::Consumer && one.stream == *stream && one.name == *name)
    };
    let consumers = actual.consumers.keys().filter(|(stream, name)| !is_consumer(stream, name));
    let consumers =
        consumers.map(|(stream, name)| Undeclared { kind: Kind::Consumer, name: name.clone(), stream: stream.clone() });
    streams.chain(consumers).collect()
}

/// Everything that will be there, declared or not.
fn after(wanted: &[Wanted], actual: &Actual) -> Configs {
    let (mut streams, mut consumers) = (actual.streams.clone(), actual.consumers.clone());
    for one in wanted {
        let config = overlaid(actual.of(one).cloned().unwrap_or_default(), one);
        match one.kind {
            Kind::Consumer => drop(consumers.insert((one.stream.clone(), one.name.clone()), with_worker(config))),
            Kind::Stream | Kind::Bucket => drop(streams.insert(one.stream.clone(), config)),
        }
    }
    Configs {
        streams: streams.into_values().map(stream_config).collect(),
        consumers: consumers.into_iter().map(|((stream, _), config)| consumer_config(stream, config)).collect(),
        is_clustered: actual.is_clustered,
        ..Configs::default()
    }
}

/// A consumer that is declared is one that workers of the library will pull from; the first of them marks it so.
fn with_worker(mut config: Map<String, Value>) -> Map<String, Value> {
    let metadata = config.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.entry(WORKER_METADATA).or_insert_with(|| "".into());
    }
    config
}

fn stream_config(config: Map<String, Value>) -> StreamConfig {
    let name = config.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    serde_json::from_value(Value::Object(config)).unwrap_or_else(|_| StreamConfig { name, ..StreamConfig::default() })
}

fn consumer_config(stream: String, config: Map<String, Value>) -> ConsumerConfig {
    let durable_name = config.get("durable_name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = serde_json::from_value(Value::Object(config));
    ConsumerConfig { stream, ..read.unwrap_or_else(|_| ConsumerConfig { durable_name, ..ConsumerConfig::default() }) }
}

impl Actual {
    /// What is there as facts, for the lints.
    pub fn facts(&self) -> Configs {
        after(&[], self)
    }
}
