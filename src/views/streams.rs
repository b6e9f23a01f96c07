//! Streams and consumers: the tables of the overview, and the page that shows each stream with its own.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Gap, Moment, Number, Sign, Stamp, server_name},
    standing,
};
use crate::{
    clock::Age,
    snapshot::{Cluster, Consumer, Held, Mode, Reading, Retention, Storage, Stream},
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
    streams: Vec<StreamRow>,
    /// Buckets and object stores, folded away: they are mostly somebody's housekeeping.
    buckets: Vec<StreamRow>,
    buckets_heading: String,
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
    is_stale: bool,
    stamp: Option<Stamp>,
}

struct ConsumerRow {
    name: String,
    stream: String,
    is_ephemeral: bool,
    filters: String,
    is_stale: bool,
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
    /// Buckets have none but while somebody watches them, and then nothing is said of it.
    consumers: Option<ConsumerTable>,
}

impl StreamTable {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let all = ordered(look);
        let rows = |of_messages: bool| -> Vec<StreamRow> {
            let wanted = all.iter().filter(|stream| (stream.held() == Held::Messages) == of_messages);
            wanted.take(ROWS_MOST).map(|stream| StreamRow::of(stream, look)).collect()
        };
        let (streams, buckets) = (rows(true), rows(false));
        Self {
            gap: gap(look, all.len()),
            stamp: Stamp::of(&look.snapshot.streams, look),
            missing: missing(look),
            more: all.len() - streams.len() - buckets.len(),
            buckets_heading: buckets_heading(&all),
            streams,
            buckets,
        }
    }
}

impl StreamsPage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let streams = ordered(look);
        let card = |stream: &Stream| StreamCard {
            row: StreamRow::of(stream, look),
            description: Some(stream.config.description.clone()).filter(|text| !text.is_empty()),
            facts: facts(stream),
            consumers: (stream.held() == Held::Messages || has_consumers(stream))
                .then(|| ConsumerTable::of_stream(stream, look)),
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

/// Streams of messages first.
fn ordered<'a>(look: &Look<'a>) -> Vec<&'a Stream> {
    let mut streams: Vec<&Stream> = look.snapshot.known_streams().iter().collect();
    streams.sort_by_key(|stream| stream.held() != Held::Messages);
    streams
}

/// `3 key-value buckets, 1 object store`.
fn buckets_heading(streams: &[&Stream]) -> String {
    let count = |held: Held, one: &str| {
        let found = streams.iter().filter(|stream| stream.held() == held).count();
        (found > 0).then(|| format::counted(found, one))
    };
    let kinds = [count(Held::KeyValue, "key-value bucket"), count(Held::Objects, "object store")];
    kinds.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn gap(look: &Look<'_>, known: usize) -> Option<Gap> {
    let unknown = Gap::of(&look.snapshot.streams, "streams");
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
            tag: match stream.held() {
                Held::Messages => None,
                Held::KeyValue => Some("key-value"),
                Held::Objects => Some("objects"),
            },
            subjects: subjects(stream),
            messages: Number::of(state, |state| format::count(state.messages)),
            size: Number::of(state, |state| format::bytes(state.bytes)),
            stored: Number::rate(stream.trend.map(|trend| trend.stored_per_second())),
            consumers: Number::of(state, |state| format::count(state.consumers)),
            last: state.value().and_then(|state| state.last_stored).map(|at| Moment::ago(at, look)),
            leader: leader(state, |state| state.cluster.as_ref()),
            is_stale: state.fresh().is_none(),
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
        let reason = look.snapshot.streams.reason();
        let gap = Gap::of(&look.snapshot.streams, "consumers");
        let is_empty = consumers.is_empty() && missing.is_empty();
        let gap = gap.or_else(|| is_empty.then(|| Gap::empty("No stream has a consumer yet.")));
        Self {
            id: "consumers".to_owned(),
            names_streams: true,
            gap,
            stamp: Stamp::of(&look.snapshot.streams, look),
            missing,
            more: consumers.len().saturating_sub(ROWS_MOST),
            rows: consumers.into_iter().take(ROWS_MOST).map(|row| ConsumerRow::of(row, reason, look)).collect(),
        }
    }

    fn of_stream(stream: &Stream, look: &Look<'_>) -> Self {
        let list = stream.consumers.value();
        let consumers = list.map(|list| list.rows.as_slice()).unwrap_or_default();
        let missing = list.map(|list| list.missing.clone()).unwrap_or_default();
        let is_empty = consumers.is_empty() && missing.is_empty();
        let reason = stream.consumers.reason();
        let gap = Gap::of(&stream.consumers, "consumers");
        Self {
            id: format!("consumers-{}", stream.name),
            names_streams: false,
            gap: gap.or_else(|| is_empty.then(|| Gap::empty("Nobody has made a consumer on it."))),
            // What was read with the stream needs no second stamp.
            stamp: Stamp::of(&stream.consumers, look).filter(|_| stream.consumers.fresh().is_none()),
            missing,
            more: consumers.len().saturating_sub(ROWS_MOST),
            rows: consumers.iter().take(ROWS_MOST).map(|row| ConsumerRow::of(row, reason, look)).collect(),
        }
    }
}

impl ConsumerRow {
    /// `of_list` is why the whole list is old, where it is.
    fn of(consumer: &Consumer, of_list: Option<&str>, look: &Look<'_>) -> Self {
        let state = &consumer.state;
        let standing = standing::of_consumer(consumer);
        let is_stale = state.fresh().is_none();
        let most = consumer.config.ack_pending_limit();
        Self {
            name: consumer.name.to_string(),
            stream: consumer.stream.to_string(),
            is_ephemeral: !consumer.config.is_durable(),
            filters: filters(consumer),
            sign: standing.sign,
            // Why a whole list is old stands once above it.
            why: if of_list.is_some() && state.reason() == of_list { String::new() } else { standing.why },
            is_stale,
            pending: Number::of(state, |state| format::count(state.pending)),
            ack_pending: Number::of(state, |state| format::count(state.ack_pending))
                .with_note(most.map(|most| format!("of {}", format::count(most))).unwrap_or_default()),
            redelivered: Number::of(state, |state| format::count(state.redelivered)),
            waiting: match consumer.config.mode() {
                Mode::Pull => Number::of(state, |state| format::count(state.waiting)),
                Mode::Push => Number::of(state, |state| if state.has_listener { "push" } else { "nobody" }.to_owned()),
            },
            delivered: Number::rate(consumer.trend.map(|trend| trend.delivered_per_second())),
            leader: leader(state, |state| state.cluster.as_ref()),
            stamp: Stamp::of(state, look),
        }
    }
}

/// The subject patterns that the stream takes, or where it takes its messages from.
fn subjects(stream: &Stream) -> String {
    match (&stream.config.mirror, stream.config.subjects.is_empty()) {
        (Some(mirror), _) => format!("a mirror of {}", mirror.name),
        (None, true) => "gathered from other streams".to_owned(),
        (None, false) => stream.config.subjects.join(" "),
    }
}

/// The subject patterns that the consumer takes, cut where they are many.
fn filters(consumer: &Consumer) -> String {
    const MOST: usize = 3;
    let filters = consumer.config.filters();
    let shown = filters[..filters.len().min(MOST)].join(" ");
    match filters.len() {
        0 => "all subjects".to_owned(),
        all if all > MOST => format!("{shown} and {} more", all - MOST),
        _ => shown,
    }
}

/// The leader's name; without a cluster it is the server that answered.
fn leader<T>(state: &Reading<T>, cluster: fn(&T) -> Option<&Cluster>) -> String {
    let Some(fact) = state.fact() else { return "unknown".to_owned() };
    match cluster(&fact.value) {
        None => server_name(&fact.source),
        Some(Cluster { leader: None, .. }) => "none".to_owned(),
        Some(Cluster { leader: Some(leader), replicas }) => {
            let behind = replicas.iter().filter(|replica| !replica.is_current || replica.is_offline).count();
            match (replicas.len(), behind) {
                (0, _) => server_name(leader),
                (all, 0) => format!("{} +{all}", server_name(leader)),
                (all, behind) => format!("{} +{all}, {behind} behind", server_name(leader)),
            }
        }
    }
}

/// How long messages stay: `for 1 d, up to 500 MB`.
fn kept(stream: &Stream) -> String {
    let retention = match stream.config.retention {
        Retention::Limits => None,
        Retention::Interest => Some("until every consumer has acked".to_owned()),
        Retention::WorkQueue => Some("until one consumer has acked".to_owned()),
    };
    let limits = [
        retention,
        stream.config.age_limit().map(|age| format!("for {}", Age(age))),
        stream.config.byte_limit().map(|most| format!("up to {}", format::bytes(most))),
        stream.config.message_limit().map(|most| format!("up to {}", format::counted_u64(most, "message"))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "as long as there is room".to_owned() } else { limits.join(", ") }
}

fn has_consumers(stream: &Stream) -> bool {
    stream.consumers.value().is_none_or(|consumers| !consumers.rows.is_empty() || !consumers.missing.is_empty())
}

/// How the stream is set up, in words.
fn facts(stream: &Stream) -> Vec<(&'static str, String)> {
    let place = if stream.config.storage == Storage::Memory { "in memory" } else { "on disk" };
    let copies = format::counted(stream.config.num_replicas as usize, "copy");
    let mut facts = vec![("Kept", kept(stream)), ("Held", format!("{copies} {place}"))];
    if let Some(state) = stream.state.value() {
        let sequences = format!("{} to {}", format::count(state.first_sequence), format::count(state.last_sequence));
        facts.push(("Sequences", sequences));
        facts.push(("Subjects held", format::count(state.subjects)));
    }
    facts
}
