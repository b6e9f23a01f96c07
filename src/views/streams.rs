//! Streams and consumers: the tables of the overview, and the page that shows each stream with its own.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Gap, Moment, Number, Sign, Stamp},
    standing,
};
use crate::{
    clock::Age,
    snapshot::{Acks, Cluster, Consumer, Held, Mode, Reading, Retention, Stream},
};

/// Rows of one table; a note says how many more there are.
const ROWS_MOST: usize = 200;

/// A table of streams.
#[derive(Template)]
#[template(path = "parts/streams.html")]
pub(super) struct StreamTable {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    missing: Vec<String>,
    rows: Vec<StreamRow>,
    more: usize,
}

/// A table of consumers.
#[derive(Template)]
#[template(path = "parts/consumers.html")]
pub(super) struct ConsumerTable {
    /// Tells the rows of two tables on one page apart.
    id: String,
    /// Whether the table spans streams, so that each row has to name its own.
    names_streams: bool,
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    missing: Vec<String>,
    rows: Vec<ConsumerRow>,
    more: usize,
}

impl HtmlSafe for StreamTable {}
impl HtmlSafe for ConsumerTable {}

struct StreamRow {
    name: String,
    tag: Option<&'static str>,
    subjects: String,
    messages: Number,
    size: Number,
    stored: Number,
    consumers: Number,
    last: Option<Moment>,
    leader: String,
    stamp: Option<Stamp>,
}

struct ConsumerRow {
    name: String,
    stream: String,
    filters: String,
    sign: Sign,
    why: String,
    pending: Number,
    ack_pending: Number,
    redelivered: Number,
    waiting: Number,
    delivered: Number,
    leader: String,
    stamp: Option<Stamp>,
}

/// The page of streams.
#[derive(Template)]
#[template(path = "pages/streams.html")]
pub(super) struct StreamsPage {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    missing: Vec<String>,
    streams: Vec<StreamCard>,
    more: usize,
}

struct StreamCard {
    row: StreamRow,
    description: Option<String>,
    facts: Vec<(&'static str, String)>,
    consumers: ConsumerTable,
}

impl StreamTable {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let streams = ordered(look);
        Self {
            gap: gap(look, streams.len()),
            stamp: Stamp::of(&look.snapshot.streams, look),
            missing: missing(look),
            more: streams.len().saturating_sub(ROWS_MOST),
            rows: streams.into_iter().take(ROWS_MOST).map(|stream| StreamRow::of(stream, look)).collect(),
        }
    }
}

impl StreamsPage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let streams = ordered(look);
        let card = |stream: &Stream| StreamCard {
            row: StreamRow::of(stream, look),
            description: stream.description.clone(),
            facts: facts(stream),
            consumers: ConsumerTable::of_stream(stream, look),
        };
        Self {
            gap: gap(look, streams.len()),
            stamp: Stamp::of(&look.snapshot.streams, look),
            missing: missing(look),
            more: streams.len().saturating_sub(ROWS_MOST),
            streams: streams.into_iter().take(ROWS_MOST).map(card).collect(),
        }
    }
}

/// Streams of messages first: buckets are mostly somebody's housekeeping.
fn ordered<'a>(look: &Look<'a>) -> Vec<&'a Stream> {
    let mut streams: Vec<&Stream> = look.snapshot.known_streams().iter().collect();
    streams.sort_by_key(|stream| stream.held != Held::Messages);
    streams
}

fn gap(look: &Look<'_>, known: usize) -> Option<Gap> {
    let unknown = Gap::of(&look.snapshot.streams, "The streams are not known");
    let is_empty = known == 0 && missing(look).is_empty();
    unknown.or_else(|| is_empty.then(|| Gap::empty("NATS holds no stream in this account yet.")))
}

fn missing(look: &Look<'_>) -> Vec<String> {
    look.snapshot.streams.value().map(|streams| streams.missing.clone()).unwrap_or_default()
}

impl StreamRow {
    fn of(stream: &Stream, look: &Look<'_>) -> Self {
        let state = &stream.state;
        Self {
            name: stream.name.to_string(),
            tag: match stream.held {
                Held::Messages => None,
                Held::KeyValue => Some("key-value"),
                Held::Objects => Some("objects"),
            },
            subjects: if stream.subjects.is_empty() { "a mirror".to_owned() } else { stream.subjects.join(" ") },
            messages: Number::of(state, |state| format::count(state.messages)),
            size: Number::of(state, |state| format::bytes(state.bytes)),
            stored: Number::rate(stream.trend.map(|trend| trend.stored_per_second())),
            consumers: Number::of(state, |state| format::count(state.consumers)),
            last: state.value().and_then(|state| state.last_stored).map(|at| Moment::ago(at, look)),
            leader: leader(state, |state| state.cluster.as_ref()),
            stamp: Stamp::of(state, look),
        }
    }
}

impl ConsumerTable {
    /// The consumers of all streams, those in trouble first.
    pub(super) fn of(look: &Look<'_>) -> Self {
        let mut consumers: Vec<&Consumer> = look.snapshot.known_consumers().collect();
        consumers.sort_by_key(|consumer| std::cmp::Reverse(standing::of_consumer(consumer).level().trouble()));
        let lists = || look.snapshot.known_streams().iter().map(|stream| (&stream.name, &stream.consumers));
        let unread = lists().filter(|(_, list)| list.value().is_none()).map(|(name, _)| format!("all of {name}"));
        let left_out = lists().filter_map(|(name, list)| Some((name, list.value()?)));
        let left_out =
            left_out.flat_map(|(name, list)| list.missing.iter().map(move |missing| format!("{missing} of {name}")));
        let missing: Vec<String> = unread.chain(left_out).collect();
        let gap = Gap::of(&look.snapshot.streams, "The consumers are not known");
        let is_empty = consumers.is_empty() && missing.is_empty();
        let gap = gap.or_else(|| is_empty.then(|| Gap::empty("No stream has a consumer yet.")));
        Self {
            id: "consumers".to_owned(),
            names_streams: true,
            gap,
            stamp: Stamp::of(&look.snapshot.streams, look),
            missing,
            more: consumers.len().saturating_sub(ROWS_MOST),
            rows: consumers.into_iter().take(ROWS_MOST).map(|consumer| ConsumerRow::of(consumer, look)).collect(),
        }
    }

    fn of_stream(stream: &Stream, look: &Look<'_>) -> Self {
        let list = stream.consumers.value();
        let consumers = list.map(|list| list.rows.as_slice()).unwrap_or_default();
        let missing = list.map(|list| list.missing.clone()).unwrap_or_default();
        let is_empty = consumers.is_empty() && missing.is_empty();
        let gap = Gap::of(&stream.consumers, "Its consumers are not known");
        Self {
            id: format!("consumers-{}", stream.name),
            names_streams: false,
            gap: gap.or_else(|| is_empty.then(|| Gap::empty("Nobody has made a consumer on it."))),
            stamp: Stamp::of(&stream.consumers, look),
            missing,
            more: consumers.len().saturating_sub(ROWS_MOST),
            rows: consumers.iter().take(ROWS_MOST).map(|consumer| ConsumerRow::of(consumer, look)).collect(),
        }
    }
}

impl ConsumerRow {
    fn of(consumer: &Consumer, look: &Look<'_>) -> Self {
        let state = &consumer.state;
        let standing = standing::of_consumer(consumer);
        let most = consumer.max_ack_pending.filter(|_| consumer.acks != Acks::None);
        Self {
            name: consumer.name.to_string(),
            stream: consumer.stream.to_string(),
            filters: consumer.filters.join(" "),
            sign: standing.sign,
            why: standing.why,
            pending: Number::of(state, |state| format::count(state.pending)),
            ack_pending: Number::of(state, |state| format::count(state.ack_pending))
                .with_note(most.map(|most| format!("of {}", format::count(most))).unwrap_or_default()),
            redelivered: Number::of(state, |state| format::count(state.redelivered)),
            waiting: match consumer.mode {
                Mode::Pull => Number::of(state, |state| format::count(state.waiting)),
                Mode::Push => Number::of(state, |state| if state.has_listener { "push" } else { "nobody" }.to_owned()),
            },
            delivered: Number::rate(consumer.trend.map(|trend| trend.delivered_per_second())),
            leader: leader(state, |state| state.cluster.as_ref()),
            stamp: Stamp::of(state, look),
        }
    }
}

/// The leader's name; without a cluster it is the server that answered.
fn leader<T>(state: &Reading<T>, cluster: fn(&T) -> Option<&Cluster>) -> String {
    let Some(fact) = state.fact() else { return "unknown".to_owned() };
    match cluster(&fact.value) {
        None => fact.source.to_string(),
        Some(Cluster { leader: None, .. }) => "none".to_owned(),
        Some(Cluster { leader: Some(leader), replicas }) => {
            let behind = replicas.iter().filter(|replica| !replica.is_current || replica.is_offline).count();
            match (replicas.len(), behind) {
                (0, _) => leader.clone(),
                (all, 0) => format!("{leader} +{all}"),
                (all, behind) => format!("{leader} +{all}, {behind} behind"),
            }
        }
    }
}

/// How the stream is set up, in words.
fn facts(stream: &Stream) -> Vec<(&'static str, String)> {
    let retention = match stream.retention {
        Retention::Limits => "until a limit is reached",
        Retention::Interest => "until every consumer has acked",
        Retention::WorkQueue => "until one consumer has acked",
    };
    let limits = [
        stream.max_age.map(|age| Age(age).to_string()),
        stream.max_bytes.map(format::bytes),
        stream.max_messages.map(|most| format!("{} messages", format::count(most))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    let place = if stream.is_in_memory { "in memory" } else { "on disk" };
    let copies = format::counted(stream.replicas as usize, "copy");
    let mut facts = vec![
        ("Keeps messages", retention.to_owned()),
        ("Limits", if limits.is_empty() { "none of its own".to_owned() } else { limits.join(", ") }),
        ("Stored", format!("{copies} {place}")),
    ];
    if let Some(state) = stream.state.value() {
        let sequences = format!("{} to {}", format::count(state.first_sequence), format::count(state.last_sequence));
        facts.push(("Sequences", sequences));
        facts.push(("Different subjects", format::count(state.subjects)));
    }
    facts
}
