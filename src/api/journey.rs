//! The journey of a message, or of all that belongs together.

mod step;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Failure, Parameter, Route, json,
    known::{self, Moment, seconds},
    parameter,
};
use step::StepAnswer;

use crate::{
    journey::{Facts, How, Journey, Looked, Passage, Place, Standing, Where},
    peek::End,
    views::{Follow, Read},
};

/// The journey of a message, or of all that belongs together.
pub(super) const ROUTE: Route = Route {
    path: "/journey",
    summary: "The journey of a message, of what messages belong to, or of a trace: what streams hold, spans tell, servers told and \
              workers left, in one time line. Messages are read without a consumer.",
    query: &[
        Parameter::text("id", "The id of a message, of what messages belong to, or of a trace."),
        Parameter::word(
            "from",
            "`newest`: streams are searched from their newest message on, whatever is known of the time.",
            || vec!["newest"],
        ),
    ],
    schema: |generator| generator.subschema_for::<JourneyAnswer>(),
    answer: |ask| {
        let facts = facts(ask)?;
        json(&JourneyAnswer::of(&Journey::of(facts, ask.snapshot), facts))
    },
};

/// What a question at `path`, below [`crate::views::API_PREFIX`], follows.
pub fn followed(path: &str, query: &str) -> Option<Follow> {
    (path == ROUTE.path && parameter::check(ROUTE.query, query).is_ok()).then(|| Follow::of_query(query))
}

fn facts<'a>(ask: &Ask<'a>) -> Result<&'a Facts, Failure> {
    match ask.read {
        Read::Journey(facts) if !facts.id.is_empty() => Ok(facts),
        _ => {
            let message =
                "say what to follow: ?id= with the id of a message, of what messages belong to, or of a trace";
            Err(Failure { status: 400, code: "unclear", message: message.to_owned() })
        }
    }
}

/// A journey, and where was looked for it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Journey")]
struct JourneyAnswer {
    id: String,
    /// Whether it is the id of a message.
    is_message: bool,
    /// Whether it is what messages belong to.
    is_correlation: bool,
    /// The trace that it is the id of; null where it is none.
    trace_id: Option<String>,
    /// Whether spans tell of it; else it is from headers and from what consumers and servers say.
    has_spans: bool,
    /// Its messages, in the order in which they were stored.
    messages: Vec<PassageAnswer>,
    /// What happened, in order.
    steps: Vec<StepAnswer>,
    /// Steps that were left out, the last of all.
    left_out: usize,
    /// Consumers that are not done with a message, and those of which no span tells.
    consumers: Vec<StandingAnswer>,
    /// Clocks that differ from the servers'.
    clocks: Vec<ClockAnswer>,
    /// The traces that it is part of.
    traces: Vec<String>,
    /// Where was looked.
    looked: Vec<LookedAnswer>,
    /// Streams that were not searched.
    streams_left_out: usize,
    traces_searched: usize,
    /// Traces that there were to search.
    traces_kept: usize,
}

/// A message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyMessage")]
struct PassageAnswer {
    message_id: Option<String>,
    /// What it is, such as `OrderPlaced`.
    kind: Option<String>,
    subject: String,
    /// The service that published it.
    publisher: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    /// The message of this journey that it follows from, by its place in `messages`.
    cause: Option<usize>,
    trace_id: Option<String>,
    /// The id of the message that it repeats, where it is a replay.
    replay_of: Option<String>,
    /// The durable that a replay is for.
    replay_for: Option<String>,
    /// Where it lies; empty where nobody says.
    places: Vec<PlaceAnswer>,
}

/// Where a message lies.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyPlace")]
struct PlaceAnswer {
    account: Option<String>,
    stream: String,
    sequence: u64,
    /// When the stream took it; null where a span alone tells of it.
    stored: Option<Moment>,
    /// Bytes of its payload.
    size: Option<u64>,
}

/// How far a consumer is with a message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyConsumer")]
struct StandingAnswer {
    /// The message, by its place in `messages`.
    message: usize,
    account: String,
    stream: String,
    consumer: String,
    state: WhereAnswer,
    /// When that was so.
    seen: Option<Moment>,
}

/// How far a consumer is with a message.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JourneyWhere")]
enum WhereAnswer {
    /// Its ack floor is past the message.
    Past,
    /// It was delivered, and not all up to it is acked.
    Delivered,
    /// It was not delivered yet.
    Waiting,
    Unknown,
}

/// A clock that differs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyClock")]
struct ClockAnswer {
    service: String,
    /// By how much it is ahead at the least; negative where it is behind.
    ahead_seconds: f64,
}

/// A stream that was looked into.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyLooked")]
struct LookedAnswer {
    account: String,
    stream: String,
    /// Why it could not be read; null where it was.
    unread: Option<String>,
    /// Searched from messages stored at this time on; null where the newest came first.
    from: Option<Moment>,
    until: Option<Moment>,
    /// Sequences that were searched.
    searched: Option<u64>,
    /// Sequences that there are.
    sequences: Option<u64>,
    found: Option<usize>,
    /// Whether a limit ended the search before all was searched.
    is_cut_short: bool,
}

/// What somebody wrote, with secrets left out; `None` where that is nothing.
fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| known::said(text))
}

impl JourneyAnswer {
    fn of(journey: &Journey, facts: &Facts) -> Self {
        Self {
            id: facts.id.clone(),
            is_message: journey.scope.is_message,
            is_correlation: journey.scope.is_correlation,
            trace_id: journey.scope.trace.map(|trace| trace.to_string()),
            has_spans: journey.has_spans,
            messages: journey.passages.iter().map(PassageAnswer::of).collect(),
            steps: journey.entries.iter().map(StepAnswer::of).collect(),
            left_out: journey.left_out,
            consumers: journey.standings.iter().map(StandingAnswer::of).collect(),
            clocks: journey
                .clocks
                .iter()
                .map(|skew| ClockAnswer {
                    service: known::said(&skew.service),
                    ahead_seconds: seconds(skew.ahead_nanos.unsigned_abs())
                        * if skew.ahead_nanos < 0 { -1.0 } else { 1.0 },
                })
                .collect(),
            traces: journey.traces.iter().map(ToString::to_string).collect(),
            looked: facts.looked.iter().map(LookedAnswer::of).collect(),
            streams_left_out: facts.unlooked.map_or(0, |unlooked| unlooked.streams),
            traces_searched: facts.traces_searched.0,
            traces_kept: facts.traces_searched.1,
        }
    }
}

impl PassageAnswer {
    fn of(passage: &Passage) -> Self {
        let text = |text: &Option<String>| text.as_deref().and_then(said);
        Self {
            message_id: text(&passage.id),
            kind: text(&passage.kind),
            subject: known::said(&passage.subject),
            publisher: text(&passage.publisher),
            correlation_id: text(&passage.correlation),
            causation_id: text(&passage.causation),
            cause: passage.cause,
            trace_id: passage.trace.map(|trace| trace.to_string()),
            replay_of: passage.replay.as_ref().and_then(|replay| said(&replay.of)),
            replay_for: passage.replay.as_ref().and_then(|replay| text(&replay.durable)),
            places: passage.places.iter().map(PlaceAnswer::of).collect(),
        }
    }
}

impl PlaceAnswer {
    fn of(place: &Place) -> Self {
        let Place { account, stream, sequence, stored, size } = place.clone();
        Self { account, stream, sequence, stored: stored.map(Moment), size }
    }
}

impl StandingAnswer {
    fn of(standing: &Standing) -> Self {
        Self {
            message: standing.passage,
            account: standing.account.clone(),
            stream: standing.stream.clone(),
            consumer: standing.consumer.clone(),
            state: match standing.at {
                Where::Past => WhereAnswer::Past,
                Where::Delivered => WhereAnswer::Delivered,
                Where::Waiting => WhereAnswer::Waiting,
                Where::Unknown => WhereAnswer::Unknown,
            },
            seen: standing.seen.map(Moment),
        }
    }
}

impl LookedAnswer {
    fn of(looked: &Looked) -> Self {
        let answer = Self {
            account: looked.account.clone(),
            stream: looked.stream.to_string(),
            unread: None,
            from: None,
            until: None,
            searched: None,
            sequences: None,
            found: None,
            is_cut_short: false,
        };
        match &looked.how {
            How::Unread(why) => Self { unread: Some(why.clone()), ..answer },
            How::Searched { from, until, searched, of, found, end } => Self {
                from: from.map(Moment),
                until: until.map(Moment),
                searched: Some(*searched),
                sequences: Some(*of),
                found: Some(*found),
                is_cut_short: *end != End::All,
                ..answer
            },
        }
    }
}
