//! Consumers.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Failure, Parameter, Route,
    forecast::ForecastAnswer,
    json,
    known::{ClusterAnswer, Known, Moment},
    list::{ACCOUNT, LIMIT, List, PAGE, Q, STREAM},
};
use crate::{
    clock::Timestamp,
    snapshot::{
        Acks, AgeBy, Ages, Consumer, ConsumerConfig, ConsumerState, ConsumerTrend, Failures, Label, Mode, Oldest,
        Severity, Snapshot, Verdict,
    },
    views,
};

/// The consumers of all accounts.
pub(super) const LIST: Route = Route {
    path: "/consumers",
    summary: "The consumers of all accounts, what needs somebody first.",
    query: &[
        Q,
        Parameter::word("label", "The label of the verdict, such as `no_workers`.", || {
            Label::ALL.map(Label::token).to_vec()
        }),
        ACCOUNT,
        STREAM,
        Parameter::word("sort", "The order: `worst`, `lag`, `ack_pending`, `age`, `rate` or `name`.", || {
            vec!["worst", "lag", "ack_pending", "age", "rate", "name"]
        }),
        PAGE,
        LIMIT,
    ],
    schema: |generator| generator.subschema_for::<List<ConsumerAnswer>>(),
    answer: |ask| {
        let rows = views::consumers_of(ask.snapshot, &ask.search);
        let list = List::of(ask, rows, |consumer| ConsumerAnswer::of(consumer, ask.now))?;
        json(&list.lacking(ask.snapshot.unlisted(), missing(ask.snapshot)))
    },
};

/// One of them.
pub(super) const ONE: Route = Route {
    path: "/consumers/{account}/{stream}/{consumer}",
    summary: "One consumer, and how it is set up.",
    query: &[],
    schema: |generator| generator.subschema_for::<ConsumerDetail<'_>>(),
    answer: |ask| {
        let [account, stream, name] = ask.parts.as_slice() else { return Err(gone(ask.snapshot)) };
        let names = stream.parse().ok().zip(name.parse().ok());
        let found = names.and_then(|(stream, name)| ask.snapshot.consumer(account, &stream, &name));
        let found = found.ok_or_else(|| gone(ask.snapshot))?;
        let stream = ask.snapshot.stream(account, &found.stream);
        json(&ConsumerDetail {
            consumer: ConsumerAnswer::of(found, ask.now),
            config: &found.config,
            forecast: stream.and_then(|stream| ForecastAnswer::of(stream, found, ask.now)),
        })
    },
};

/// Where there is no word of what exists, nobody can say that something does not.
pub(super) fn gone(snapshot: &Snapshot) -> Failure {
    match snapshot.unlisted() {
        None => Failure::not_found("nothing of this name is known; the list says what is"),
        Some(reason) => Failure::unknown(format!("what there is is not known: {reason}")),
    }
}

/// Consumers that exist and of which no leader gave an account, as `stream consumer`.
fn missing(snapshot: &Snapshot) -> Vec<String> {
    let lists = snapshot.known_streams().iter().filter_map(|stream| Some((&stream.name, stream.consumers.value()?)));
    lists.flat_map(|(name, list)| list.missing.iter().map(move |missing| format!("{name} {missing}"))).collect()
}

/// A consumer: the server's view of who reads a stream and how far.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Consumer")]
pub(super) struct ConsumerAnswer {
    account: String,
    stream: String,
    name: String,
    description: String,
    /// Whether it outlives its clients.
    is_durable: bool,
    mode: ModeAnswer,
    acks: AcksAnswer,
    /// The subject patterns that it takes; none for all.
    filters: Vec<String>,
    created: Moment,
    verdict: VerdictAnswer,
    state: Known<StateAnswer>,
    /// What changed since the round before; null until two rounds have read it.
    rates: Option<RatesAnswer>,
    /// The time until nothing is pending, if it goes on as between the last two rounds; null where what is pending does not shrink.
    eta_seconds: Option<f64>,
    /// How old the oldest messages are that it has not processed.
    ages: Known<AgesAnswer>,
    /// What it gave up, as the broker's advisories tell.
    failures: Known<FailuresAnswer>,
}

/// A consumer, and how it is set up.
#[derive(Serialize, JsonSchema)]
struct ConsumerDetail<'a> {
    #[serde(flatten)]
    consumer: ConsumerAnswer,
    /// How it is set up, in the words of the JetStream API; durations are nanoseconds.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    config: &'a ConsumerConfig,
    /// What will be lost of it; null where nothing will be, or too little is known.
    forecast: Option<ForecastAnswer>,
}

/// How messages reach its clients: they ask, or the server sends.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Mode")]
enum ModeAnswer {
    Pull,
    Push,
}

/// What its clients have to ack.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Acks")]
enum AcksAnswer {
    Explicit,
    All,
    None,
}

/// What all that amounts to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verdict")]
struct VerdictAnswer {
    /// In one word.
    #[schemars(with = "String", extend("enum" = Label::ALL.map(Label::token)))]
    label: &'static str,
    severity: SeverityAnswer,
    /// In one plain sentence.
    sentence: String,
    /// What that is read from.
    evidence: Vec<String>,
    /// What to do; empty where nothing is.
    next_step: String,
    /// Since when it is so.
    since: Moment,
    /// How long it has been so.
    for_seconds: f64,
}

/// How much it matters.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Severity")]
pub(super) enum SeverityAnswer {
    Ok,
    Notice,
    Warning,
    Critical,
}

impl From<Severity> for SeverityAnswer {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Ok => Self::Ok,
            Severity::Notice => Self::Notice,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// How far a consumer was at one moment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConsumerState")]
struct StateAnswer {
    /// Messages not processed: those not delivered and those in flight.
    lag: u64,
    /// Messages not yet delivered.
    pending: u64,
    /// Messages delivered and not yet acked.
    ack_pending: u64,
    /// Messages that may be in flight at once; null for any number.
    ack_pending_limit: Option<u64>,
    /// Messages that are being delivered again now.
    redelivered: u64,
    /// Pull requests that wait for messages.
    waiting: u64,
    /// Deliveries ever made.
    delivered: u64,
    /// The last message delivered, by its sequence in the stream.
    delivered_stream_sequence: u64,
    last_delivered: Option<Moment>,
    /// Deliveries up to which all is acked.
    ack_floor: u64,
    /// The message up to which all is acked, by its sequence in the stream.
    ack_floor_stream_sequence: u64,
    last_acked: Option<Moment>,
    is_paused: bool,
    pause_left_seconds: Option<f64>,
    /// Of a push consumer: whether anybody listens.
    has_listener: bool,
    /// The client that a group is pinned to.
    pinned: Option<String>,
    /// Who holds it; null on a server without a cluster.
    cluster: Option<ClusterAnswer>,
}

/// What changed in a consumer between two rounds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConsumerRates")]
struct RatesAnswer {
    /// The time between them.
    over_seconds: f64,
    /// Deliveries a second.
    delivered_per_second: f64,
    /// Deliveries a second by which the ack floor moved.
    acked_per_second: f64,
    /// Messages for it that the stream took, a second.
    arrived_per_second: Option<f64>,
    /// By how many messages a second the pending ones grew less; negative where they grew more.
    drained_per_second: Option<f64>,
}

/// The oldest messages that a consumer has yet to process; null where there is none.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ages")]
struct AgesAnswer {
    /// The oldest that is not acked, delivered or not.
    unprocessed: Option<OldestAnswer>,
    /// The oldest that is not delivered.
    undelivered: Option<OldestAnswer>,
}

/// The oldest of some messages.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Oldest")]
struct OldestAnswer {
    /// Its sequence in the stream; null where the time is an estimate.
    sequence: Option<u64>,
    /// When the stream stored it.
    stored: Moment,
    age_seconds: f64,
    /// Whether that is reckoned from the stream's first and last message, and may be off.
    is_estimate: bool,
}

/// Messages that a consumer gave up.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Failures")]
struct FailuresAnswer {
    /// Delivered as often as the consumer allows, and not acked since.
    exhausted: u64,
    /// Terminated by a worker.
    terminated: u64,
    /// Removed by the stream in the last rounds while they were in flight.
    removed: u64,
    /// Dead letters of it: copies that wait for somebody to look at them; null where they could not be counted.
    dead_letters: Option<u64>,
    /// Naks that were told of.
    naks: u64,
    /// When the last was given up.
    last: Option<Moment>,
    /// The last ones, by their sequence in the stream, the newest first.
    sequences: Vec<u64>,
    /// Why the last was terminated.
    reason: String,
    /// Since when advisories were heard.
    since: Option<Moment>,
}

impl ConsumerAnswer {
    pub(super) fn of(consumer: &Consumer, now: Timestamp) -> Self {
        let config = &consumer.config;
        Self {
            account: consumer.account.to_string(),
            stream: consumer.stream.to_string(),
            name: consumer.name.to_string(),
            description: config.description.clone(),
            is_durable: config.is_durable(),
            mode: match config.mode() {
                Mode::Pull => ModeAnswer::Pull,
                Mode::Push => ModeAnswer::Push,
            },
            acks: match config.acks() {
                Acks::Explicit => AcksAnswer::Explicit,
                Acks::All => AcksAnswer::All,
                Acks::None => AcksAnswer::None,
            },
            filters: config.filters().into_iter().map(str::to_owned).collect(),
            created: Moment(consumer.created),
            verdict: VerdictAnswer::of(&consumer.verdict, now),
            state: Known::of(&consumer.state, now, |state| StateAnswer::of(state, config)),
            rates: consumer.trend.as_ref().map(|trend| RatesAnswer::of(consumer, trend)),
            eta_seconds: consumer.eta().map(|left| left.as_secs_f64()),
            ages: Known::of(&consumer.ages, now, |ages| AgesAnswer::of(ages, now)),
            failures: Known::of(&consumer.failures, now, FailuresAnswer::of),
        }
    }
}

impl VerdictAnswer {
    fn of(verdict: &Verdict, now: Timestamp) -> Self {
        Self {
            label: verdict.label.token(),
            severity: verdict.severity.into(),
            sentence: verdict.sentence.to_string(),
            evidence: verdict.evidence.clone(),
            next_step: verdict.next_step.to_string(),
            since: Moment(verdict.since),
            for_seconds: verdict.since.age(now).0.as_secs_f64(),
        }
    }
}

impl StateAnswer {
    fn of(state: &ConsumerState, config: &ConsumerConfig) -> Self {
        Self {
            lag: state.lag(),
            pending: state.pending,
            ack_pending: state.ack_pending,
            ack_pending_limit: config.ack_pending_limit(),
            redelivered: state.redelivered,
            waiting: state.waiting,
            delivered: state.delivered,
            delivered_stream_sequence: state.delivered_stream_sequence,
            last_delivered: state.last_delivered.map(Moment),
            ack_floor: state.ack_floor,
            ack_floor_stream_sequence: state.ack_floor_stream_sequence,
            last_acked: state.last_acked.map(Moment),
            is_paused: state.is_paused,
            pause_left_seconds: state.pause_left.map(|left| left.as_secs_f64()),
            has_listener: state.has_listener,
            pinned: state.pinned.clone(),
            cluster: state.cluster.as_ref().map(ClusterAnswer::of),
        }
    }
}

impl RatesAnswer {
    fn of(consumer: &Consumer, trend: &ConsumerTrend) -> Self {
        Self {
            over_seconds: trend.over.as_secs_f64(),
            delivered_per_second: trend.delivered_per_second(),
            acked_per_second: trend.acked_per_second(),
            arrived_per_second: consumer.arrived_per_second(),
            drained_per_second: consumer.drained_per_second(),
        }
    }
}

impl AgesAnswer {
    fn of(ages: &Ages, now: Timestamp) -> Self {
        let tell = |oldest: Oldest| OldestAnswer {
            sequence: oldest.sequence,
            stored: Moment(oldest.stored),
            age_seconds: oldest.stored.age(now).0.as_secs_f64(),
            is_estimate: oldest.by == AgeBy::Estimate,
        };
        Self { unprocessed: ages.unprocessed.map(tell), undelivered: ages.undelivered.map(tell) }
    }
}

impl FailuresAnswer {
    fn of(failures: &Failures) -> Self {
        Self {
            exhausted: failures.exhausted,
            terminated: failures.terminated,
            removed: failures.removed,
            dead_letters: failures.copies,
            naks: failures.naks,
            last: failures.last.map(Moment),
            sequences: failures.sequences.clone(),
            reason: failures.reason.clone(),
            since: failures.since.map(Moment),
        }
    }
}
