//! What is connected with what: services, subjects, streams and consumers, and how many messages go which way.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Ask, Failure, Parameter, Route, json, known::Moment};
use crate::{
    snapshot::Span,
    views::{self, Column, Edge, Graph, Kind, Node, Sources, Thing, Wish},
};

/// The map.
pub(super) const ROUTE: Route = Route {
    path: "/map",
    summary: "Which services send what, which streams hold it, who reads it and how far behind they are.",
    query: &[
        Parameter::form(
            "focus",
            "Only what is connected with this: `service:<name>`, `subject:<account>/<subject>`, `stream:<account>/<stream>` or `consumer:<account>/<stream>/<consumer>`, each name percent-encoded.",
            |text| Thing::of_token(text).is_some(),
            "`service:`, `subject:`, `stream:` or `consumer:` and names",
        ),
        Parameter::text("q", "Only what is connected with things that have this in their names."),
        Parameter::word(
            "over",
            "Mean rates and the worst lag and age of the last `10m`, `2h` or `24h`, instead of what is now.",
            || Span::ALL.map(Span::token).to_vec(),
        ),
        Parameter::form(
            "at",
            "Rates, lag and age as they were at this moment of the last day, in UTC, such as `2030-01-31T12:00`. Levels and states are of now.",
            views::is_moment,
            views::MOMENT,
        ),
    ],
    schema: |generator| generator.subschema_for::<MapAnswer>(),
    answer,
};

fn answer(ask: &Ask<'_>) -> Result<String, Failure> {
    if let Some(reason) = ask.snapshot.streams.reason().filter(|_| ask.snapshot.streams.value().is_none()) {
        return Err(Failure::unknown(format!("the streams are not known: {reason}")));
    }
    let sources = Sources { snapshot: ask.snapshot, traces: ask.traces, past: ask.past, now: ask.now };
    json(&MapAnswer::of(&Graph::of(&Wish::of_query(ask.query), sources), ask))
}

/// What is connected with what.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Map")]
struct MapAnswer {
    /// Why not all that there is is freshly known; null where it is.
    reason: Option<String>,
    streams: PartAnswer,
    consumers: PartAnswer,
    /// Subjects, services and lines that found no room.
    left_out: usize,
    /// Since when spans tell who sends and who handles; null where none has.
    traced_since: Option<Moment>,
    /// Over which time messages are counted by spans.
    traced_over_seconds: f64,
    nodes: Vec<NodeAnswer>,
    edges: Vec<EdgeAnswer>,
}

/// How many of what there are were taken.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MapPart")]
struct PartAnswer {
    taken: usize,
    of: usize,
}

/// In which column something stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MapColumn")]
enum ColumnAnswer {
    /// Services that send.
    Senders,
    Subjects,
    Streams,
    Consumers,
    /// Services that handle what is sent.
    Handlers,
}

/// What a connection stands for.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MapKind")]
enum KindAnswer {
    /// A service sends on a subject.
    Sends,
    /// A stream takes a subject.
    Takes,
    /// A stream takes what another holds.
    Copies,
    /// A consumer reads a stream.
    Reads,
    /// A service handles what a consumer delivers, or what comes on a subject that no stream holds.
    Handles,
}

/// Something on the map.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MapNode")]
struct NodeAnswer {
    /// What `focus` takes.
    id: String,
    column: ColumnAnswer,
    name: String,
    /// The account; null where that is not known, and of a service.
    account: Option<String>,
    /// Of a consumer its stream.
    stream: Option<String>,
    /// `ok`, `idle`, `busy`, `unknown`, `warning` or `critical`.
    level: &'static str,
    /// How it is, in a word or two.
    state: String,
    /// Why.
    reason: String,
    /// Messages a second: stored, delivered, or as spans told of them; null where nobody counted.
    messages_per_second: Option<f64>,
    /// Of a consumer: messages that it has not processed.
    lag: Option<u64>,
    /// Of a consumer: the age of the oldest of these; null where it was not read or is an estimate.
    lag_age_seconds: Option<f64>,
    /// When something was last heard of it.
    last: Option<Moment>,
    /// Of a stream: consumers of it that are not told of.
    consumers_left_out: usize,
    /// Of a consumer: the subjects that it takes; none for all.
    filters: Vec<String>,
}

/// A connection.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MapEdge")]
struct EdgeAnswer {
    /// The place of a node in `nodes`, counted from 0.
    from: usize,
    to: usize,
    kind: KindAnswer,
    /// Null where nobody counted.
    messages_per_second: Option<f64>,
    /// When spans last told of it.
    last_traced: Option<Moment>,
    /// Instances that say that they pull.
    pulls: usize,
}

impl MapAnswer {
    fn of(graph: &Graph, ask: &Ask<'_>) -> Self {
        let part = |(taken, of): (usize, usize)| PartAnswer { taken, of };
        Self {
            reason: ask.snapshot.unlisted().map(str::to_owned),
            streams: part(graph.streams),
            consumers: part(graph.consumers),
            left_out: graph.left_out,
            traced_since: graph.since.map(Moment),
            traced_over_seconds: graph.window.as_secs_f64(),
            nodes: graph.nodes.iter().map(NodeAnswer::of).collect(),
            edges: graph.edges.iter().map(EdgeAnswer::of).collect(),
        }
    }
}

impl NodeAnswer {
    fn of(node: &Node) -> Self {
        let is_consumer = node.column == Column::Consumers;
        Self {
            id: node.thing.token(),
            column: match node.column {
                Column::Senders => ColumnAnswer::Senders,
                Column::Subjects => ColumnAnswer::Subjects,
                Column::Streams => ColumnAnswer::Streams,
                Column::Consumers => ColumnAnswer::Consumers,
                Column::Handlers => ColumnAnswer::Handlers,
            },
            name: node.thing.name().to_owned(),
            account: Some(node.thing.account().to_owned()).filter(|account| !account.is_empty()),
            stream: node.thing.stream().filter(|_| is_consumer).map(str::to_owned),
            level: node.level(),
            state: node.word.clone(),
            reason: node.why.clone(),
            messages_per_second: node.rate,
            lag: node.lag,
            lag_age_seconds: node.age.map(|age| age.as_secs_f64()),
            last: node.last.map(Moment),
            consumers_left_out: node.more,
            filters: node.takes.clone(),
        }
    }
}

impl EdgeAnswer {
    fn of(edge: &Edge) -> Self {
        Self {
            from: edge.from,
            to: edge.to,
            kind: match edge.kind {
                Kind::Sends => KindAnswer::Sends,
                Kind::Takes => KindAnswer::Takes,
                Kind::Copies => KindAnswer::Copies,
                Kind::Reads => KindAnswer::Reads,
                Kind::Handles => KindAnswer::Handles,
            },
            messages_per_second: edge.rate,
            last_traced: edge.last.map(Moment),
            pulls: edge.pulls,
        }
    }
}
