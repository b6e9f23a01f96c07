//! Streams.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Parameter, Route,
    consumer::{ConsumerAnswer, gone},
    forecast::ForecastAnswer,
    json,
    known::{ClusterAnswer, Known, Moment},
    list::{ACCOUNT, LIMIT, List, PAGE, Q},
};
use crate::{
    clock::Timestamp,
    snapshot::{Held, OriginState, Stream, StreamConfig, StreamState, StreamTrend},
    views,
};

/// Consumers that are told of with their stream; the list of consumers has them all.
const CONSUMERS_MOST: usize = 1_000;

/// The streams of all accounts.
pub(super) const LIST: Route = Route {
    path: "/streams",
    summary: "The streams of all accounts.",
    query: &[
        Q,
        ACCOUNT,
        Parameter::word("sort", "The order: `worst`, `size`, `messages` (most messages), `rate` or `name`.", || {
            vec!["worst", "size", "messages", "rate", "name"]
        }),
        PAGE,
        LIMIT,
    ],
    schema: |generator| generator.subschema_for::<List<StreamAnswer>>(),
    answer: |ask| {
        let rows = views::streams_of(ask.snapshot, &ask.search);
        let missing = ask.snapshot.streams.value().into_iter().flat_map(|list| &list.missing);
        let missing = missing.map(ToString::to_string).collect();
        let list = List::of(ask, rows, |stream| StreamAnswer::of(stream, ask.now))?;
        json(&list.lacking(ask.snapshot.unlisted(), missing))
    },
};

/// One of them.
pub(super) const ONE: Route = Route {
    path: "/streams/{account}/{stream}",
    summary: "One stream, how it is set up, and its consumers.",
    query: &[],
    schema: |generator| generator.subschema_for::<StreamDetail<'_>>(),
    answer: |ask| json(&StreamDetail::of(found(ask).ok_or_else(|| gone(ask.snapshot))?, ask.now)),
};

fn found<'a>(ask: &Ask<'a>) -> Option<&'a Stream> {
    let [account, name] = ask.parts.as_slice() else { return None };
    ask.snapshot.streams.value()?.of(account, name)
}

/// A stream.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Stream")]
struct StreamAnswer {
    account: String,
    name: String,
    description: String,
    holds: HeldAnswer,
    /// The subject patterns that it takes.
    subjects: Vec<String>,
    created: Moment,
    state: Known<StreamStateAnswer>,
    /// What changed since the round before; null until two rounds have read it.
    rates: Option<StreamRatesAnswer>,
}

/// A stream, how it is set up, and its consumers.
#[derive(Serialize, JsonSchema)]
struct StreamDetail<'a> {
    #[serde(flatten)]
    stream: StreamAnswer,
    /// How it is set up, in the words of the JetStream API; durations are nanoseconds.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    config: &'a StreamConfig,
    /// Its consumers, by name; the first 1000 of them.
    consumers: Known<Vec<ConsumerAnswer>>,
    /// What will be lost of its consumers if all goes on as it did, the soonest first.
    forecasts: Vec<ForecastAnswer>,
}

/// What a stream is used as.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Held")]
enum HeldAnswer {
    Messages,
    KeyValue,
    Objects,
}

/// What a stream held at one moment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StreamState")]
struct StreamStateAnswer {
    messages: u64,
    bytes: u64,
    /// Sequence of the oldest message.
    first_sequence: u64,
    /// Sequence of the newest message ever stored.
    last_sequence: u64,
    first_stored: Option<Moment>,
    last_stored: Option<Moment>,
    /// Messages that were deleted from between the oldest and the newest.
    deleted: u64,
    /// Different subjects among its messages.
    subjects: u64,
    consumers: u64,
    /// Who holds it; null on a server without a cluster.
    cluster: Option<ClusterAnswer>,
    /// How it gets on with the streams that it takes its messages from, by its own word.
    origins: Vec<OriginAnswer>,
}

/// How a stream gets on with one that it takes its messages from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Origin")]
struct OriginAnswer {
    name: String,
    /// Messages of it that are still to come, as far as it told.
    lag: u64,
    /// How long ago it was heard of; null where it never was.
    heard_ago_seconds: Option<f64>,
    /// What is wrong, in the server's words.
    error: Option<String>,
}

/// What changed in a stream between two rounds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StreamRates")]
struct StreamRatesAnswer {
    /// The time between them.
    over_seconds: f64,
    /// Messages stored a second.
    stored_per_second: f64,
    /// Sequences by which its oldest message moved on.
    removed: u64,
    /// By how many bytes it grew; negative where it shrank.
    grown_bytes: i64,
}

impl StreamAnswer {
    fn of(stream: &Stream, now: Timestamp) -> Self {
        Self {
            account: stream.account.to_string(),
            name: stream.name.to_string(),
            description: stream.config.description.clone(),
            holds: match stream.held() {
                Held::Messages => HeldAnswer::Messages,
                Held::KeyValue => HeldAnswer::KeyValue,
                Held::Objects => HeldAnswer::Objects,
            },
            subjects: stream.config.subjects.clone(),
            created: Moment(stream.created),
            state: Known::of(&stream.state, now, StreamStateAnswer::of),
            rates: stream.trend.as_ref().map(StreamRatesAnswer::of),
        }
    }
}

impl<'a> StreamDetail<'a> {
    fn of(stream: &'a Stream, now: Timestamp) -> Self {
        Self {
            stream: StreamAnswer::of(stream, now),
            config: &stream.config,
            forecasts: ForecastAnswer::all(stream, now),
            consumers: Known::of(&stream.consumers, now, |list| {
                list.rows.iter().take(CONSUMERS_MOST).map(|consumer| ConsumerAnswer::of(consumer, now)).collect()
            }),
        }
    }
}

impl StreamStateAnswer {
    fn of(state: &StreamState) -> Self {
        Self {
            messages: state.messages,
            bytes: state.bytes,
            first_sequence: state.first_sequence,
            last_sequence: state.last_sequence,
            first_stored: state.first_stored.map(Moment),
            last_stored: state.last_stored.map(Moment),
            deleted: state.deleted,
            subjects: state.subjects,
            consumers: state.consumers,
            cluster: state.cluster.as_ref().map(ClusterAnswer::of),
            origins: state.origins.iter().map(OriginAnswer::of).collect(),
        }
    }
}

impl OriginAnswer {
    fn of(origin: &OriginState) -> Self {
        Self {
            name: origin.name.clone(),
            lag: origin.lag,
            heard_ago_seconds: origin.heard_ago.map(|ago| ago.as_secs_f64()),
            error: origin.error.clone(),
        }
    }
}

impl StreamRatesAnswer {
    fn of(trend: &StreamTrend) -> Self {
        Self {
            over_seconds: trend.over.as_secs_f64(),
            stored_per_second: trend.stored_per_second(),
            removed: trend.removed,
            grown_bytes: trend.grown_bytes,
        }
    }
}
