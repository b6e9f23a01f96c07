//! The page that answers at a glance whether all is well.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    consumers::choices,
    findings, format,
    headline::Headline,
    lists::Choice,
    page::Page,
    pieces::{Gap, Level, Number, Stamp},
    records::RecordList,
    search::Search,
    services::ServiceList,
    standing,
    streams::{StreamTable, sorted},
};
use crate::snapshot::{Consumer, ConsumerState, Finding, Held, Stream, Watched};

/// Records shown of each kind; the page of the kind has more.
const RECORDS_MOST: usize = 8;

/// Streams shown; the page of streams has more.
const STREAMS_MOST: usize = 8;

#[derive(Template)]
#[template(path = "pages/overview.html")]
pub(super) struct Overview {
    pub(super) headline: Headline,
    figures: Vec<Figure>,
    labels: Vec<Choice>,
    /// How many findings there are of each severity.
    severities: Vec<Choice>,
    streams: StreamPart,
    services: Vec<ServiceList>,
    records: Vec<RecordList>,
}

/// The streams that matter most now.
struct StreamPart {
    gap: Option<Gap>,
    unlisted: Vec<Gap>,
    stamp: Option<Stamp>,
    table: StreamTable,
    /// Where all of them are, and what that is called; `None` where all are shown.
    all: Option<(String, String)>,
}

/// One large number.
#[derive(Template)]
#[template(path = "parts/figure.html")]
struct Figure {
    id: &'static str,
    label: &'static str,
    number: Number,
    note: String,
}

impl HtmlSafe for Figure {}

impl Overview {
    pub(super) fn of(look: &Look<'_>) -> Self {
        Self {
            headline: Headline::of(look),
            figures: vec![stored(look), pending(look), in_flight(look), ready(look)],
            labels: labels(look),
            severities: severities(look),
            streams: StreamPart::of(look),
            services: ServiceList::all(look),
            records: RecordList::all(look, RECORDS_MOST),
        }
    }
}

/// How many consumers there are of each verdict.
fn labels(look: &Look<'_>) -> Vec<Choice> {
    let consumers: Vec<&Consumer> = look.snapshot.known_consumers().collect();
    if consumers.is_empty() { Vec::new() } else { choices(&consumers, &Search::default(), look) }
}

/// How many findings there are of each severity, where there is any.
fn severities(look: &Look<'_>) -> Vec<Choice> {
    let findings: Vec<&Finding> = look.snapshot.findings.iter().map(AsRef::as_ref).collect();
    if findings.is_empty() { Vec::new() } else { findings::choices(&findings, &Search::default(), look) }
}

impl StreamPart {
    fn of(look: &Look<'_>) -> Self {
        let search = Search::default();
        let all: Vec<&Stream> = look.snapshot.known_streams().iter().collect();
        let count = all.len();
        let of_messages = all.into_iter().filter(|stream| stream.held() == Held::Messages).collect();
        let shown: Vec<&Stream> = sorted(of_messages, search.sort).into_iter().take(STREAMS_MOST).collect();
        let is_empty = count == 0 && look.snapshot.streams.value().is_none_or(|list| list.missing.is_empty());
        let gap = Gap::of(&look.snapshot.streams, "streams");
        let unlisted = look.unlisted();
        Self {
            gap: gap.or_else(|| (is_empty && unlisted.is_empty()).then(|| Gap::empty("NATS holds no stream yet."))),
            unlisted,
            stamp: Stamp::of(&look.snapshot.streams, look),
            all: (shown.len() < count).then(|| {
                let said = format!("All {}, buckets included", format::counted(count, "stream"));
                (look.link(&Page::Streams(search)), said)
            }),
            table: StreamTable::of(&shown, look),
        }
    }
}

/// Messages stored a second, in streams of messages: buckets are written to by the mere telling of presence.
fn stored(look: &Look<'_>) -> Figure {
    let streams = look.snapshot.known_streams().iter().filter(|stream| stream.held() == Held::Messages);
    let rates: Vec<f64> =
        streams.clone().filter_map(|stream| Some(stream.trend.as_ref()?.stored_per_second())).collect();
    let all = streams.count();
    let note = match look.snapshot.streams.value() {
        Some(_) => format!("in {}", format::counted(all, "message stream")),
        None => "in message streams".to_owned(),
    };
    let (number, more) = match (look.snapshot.streams.reason(), Unlisted::of(look)) {
        (Some(reason), _) => (Number::unknown(reason), None),
        (None, Some(unlisted)) if rates.is_empty() => (Number::unknown(unlisted.reason), Some(unlisted.sentence)),
        (None, Some(unlisted)) => (Number::known(at_least(&format::rate(rates.iter().sum()))), Some(unlisted.sentence)),
        (None, None) if all > 0 && rates.is_empty() => (Number::rate(None), None),
        (None, None) => (Number::rate(Some(rates.iter().sum())), None),
    };
    Figure { id: "figure-stored", label: "Stored", number, note: joined(note, [more]) }
}

fn pending(look: &Look<'_>) -> Figure {
    let (number, note) = sum_over_consumers(look, |consumer| consumer.pending, "not yet delivered");
    Figure { id: "figure-pending", label: "Pending", number, note }
}

fn in_flight(look: &Look<'_>) -> Figure {
    let (number, note) = sum_over_consumers(look, |consumer| consumer.ack_pending, "delivered, not yet acked");
    Figure { id: "figure-ack-pending", label: "Ack pending", number, note }
}

/// The accounts that were not listed, where others were.
struct Unlisted<'a> {
    /// Which, or how many.
    sentence: String,
    /// Why the first of them was not.
    reason: &'a str,
}

impl<'a> Unlisted<'a> {
    fn of(look: &Look<'a>) -> Option<Self> {
        let mut unlisted = look.snapshot.watched().filter(|watched| watched.unlisted.is_some());
        let first = unlisted.next()?;
        let sentence = match unlisted.count() {
            0 => format!("{} is not listed", format::cut(&first.to_string())),
            more => format!("{} are not listed", format::counted(more + 1, "account")),
        };
        Some(Self { sentence, reason: first.unlisted.as_deref().unwrap_or_default() })
    }
}

/// A sum of which a part is not known.
fn at_least(sum: &str) -> String {
    format!("at least {sum}")
}

fn joined(note: String, more: impl IntoIterator<Item = Option<String>>) -> String {
    std::iter::once(note).chain(more.into_iter().flatten()).collect::<Vec<_>>().join("; ")
}

/// The sum of what is known, and how much is not known; unknown where nothing is.
fn sum_over_consumers(look: &Look<'_>, of: fn(&ConsumerState) -> u64, note: &str) -> (Number, String) {
    if let Some(reason) = look.snapshot.streams.reason() {
        return (Number::unknown(reason), note.to_owned());
    }
    let unlisted = Unlisted::of(look);
    let all = look.snapshot.known_consumers().count();
    let known: Vec<&ConsumerState> = look.snapshot.known_consumers().filter_map(|one| one.state.fresh()).collect();
    let streams = look.snapshot.known_streams().iter();
    let left_out: usize =
        streams.clone().filter_map(|stream| stream.consumers.value()).map(|list| list.missing.len()).sum();
    let unread: Vec<&str> =
        streams.filter(|one| one.consumers.value().is_none()).filter_map(|one| one.consumers.reason()).collect();
    let unknown = all - known.len() + left_out;
    let is_whole = unknown == 0 && unread.is_empty() && unlisted.is_none();
    if known.is_empty() && !is_whole {
        let reason = unread.first().copied().or(unlisted.map(|unlisted| unlisted.reason));
        return (Number::unknown(reason.unwrap_or("no consumer's leader answered")), note.to_owned());
    }
    let more = [
        (unknown > 0).then(|| {
            format!("{} of {} not known", format::count(unknown as u64), format::counted(all + left_out, "consumer"))
        }),
        (!unread.is_empty()).then(|| format!("consumers of {} not known", format::counted(unread.len(), "stream"))),
        unlisted.map(|unlisted| unlisted.sentence),
    ];
    let sum = format::count(known.into_iter().map(of).sum());
    (Number::known(if is_whole { sum } else { at_least(&sum) }), joined(note.to_owned(), more))
}

fn ready(look: &Look<'_>) -> Figure {
    let accounts = look.telling(|watched| &watched.presence);
    let number = match accounts.iter().find_map(|watched| watched.presence.reason()) {
        Some(reason) => Number::unknown(reason),
        None => {
            let (ready, all) = accounts.into_iter().map(ready_of).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            Number::known(format!("{ready} / {all}"))
        }
    };
    Figure { id: "figure-ready", label: "Ready", number, note: "instances of services".to_owned() }
}

/// How many instances of an account are ready, and how many there are.
fn ready_of(watched: &Watched) -> (usize, usize) {
    let presence = &watched.presence;
    let entries = presence.value().map_or(&[][..], |bucket| &bucket.entries);
    let standings = entries.iter().map(|entry| standing::of_instance(entry, presence));
    let ready = standings.filter(|standing| standing.level() == Level::Ok).count();
    (ready, entries.len() + watched.gone.len())
}
