//! The consumers of all accounts: filtered, sorted and paged here, so that ten thousand of them are a page like any other.

use std::cmp::Reverse;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, ages,
    follow::Follow,
    format,
    lists::{Choice, Entry, Pager, ROWS, accounts, sorts},
    page::Page,
    pieces::{Dotted, Gap, Level, Moment, Number, Sign, Stamp},
    search::{Search, Sort},
    standing,
};
use crate::snapshot::{Consumer, Label, Mode, Span, Stream};

/// The orders that the list can have, and their words.
const SORTS: [(Sort, &str); 6] = [
    (Sort::Worst, "worst first"),
    (Sort::Lag, "longest lag first"),
    (Sort::Age, "oldest message first"),
    (Sort::AckPending, "most in flight first"),
    (Sort::Rate, "busiest first"),
    (Sort::Name, "by name"),
];

/// A table of consumers.
#[derive(Template)]
#[template(path = "parts/consumers.html")]
pub(super) struct ConsumerTable {
    /// Whether rows come from several accounts, so that each has to name its own.
    names_accounts: bool,
    /// Whether rows come from several streams.
    names_streams: bool,
    heads: Vec<Head>,
    rows: Vec<ConsumerRow>,
}

impl HtmlSafe for ConsumerTable {}

/// The head of a column, which sorts by it where it can.
struct Head {
    name: &'static str,
    title: &'static str,
    is_number: bool,
    href: Option<String>,
    is_sorted: bool,
}

struct ConsumerRow {
    key: String,
    name: String,
    href: String,
    account: String,
    stream: String,
    stream_href: String,
    is_ephemeral: bool,
    filters: Dotted,
    is_stale: bool,
    sign: Sign,
    since: Option<Moment>,
    why: String,
    pending: Number,
    ack_pending: Number,
    oldest: Number,
    waiting: Number,
    delivered: Number,
    stamp: Option<Stamp>,
}

/// The page of consumers.
#[derive(Template)]
#[template(path = "pages/consumers.html")]
pub(super) struct ConsumersPage {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    unlisted: Vec<Gap>,
    missing: Vec<String>,
    more: usize,
    action: String,
    search: Search,
    /// What is searched for may be the id of something else.
    journey: Option<String>,
    whole: String,
    accounts: Vec<Entry>,
    sorts: Vec<Entry>,
    labels: Vec<Choice>,
    table: ConsumerTable,
    pager: Pager,
}

impl ConsumersPage {
    pub(super) fn of(search: &Search, look: &Look<'_>) -> Self {
        let found: Vec<&Consumer> =
            look.snapshot.known_consumers().filter(|consumer| is_found(consumer, search)).collect();
        let labels = choices(&found, search, look);
        let wanted = |consumer: &&Consumer| search.label.is_none_or(|label| consumer.verdict.label == label);
        let shown: Vec<&Consumer> = found.into_iter().filter(wanted).collect();
        let (pager, range) = Pager::of(shown.len(), search, look, Page::Consumers, "consumer");
        let shown = sorted(shown, search.sort);
        let (missing, unlisted) = (missing(look), look.unlisted());
        let gap = Gap::of(&look.snapshot.streams, "consumers");
        let gap = gap
            .or_else(|| (shown.is_empty() && missing.is_empty() && unlisted.is_empty()).then(|| nothing(search, look)));
        Self {
            gap,
            stamp: Stamp::of(&look.snapshot.streams, look),
            unlisted,
            missing,
            more: 0,
            action: look.link(&Page::Consumers(Search::default())),
            journey: (!search.q.is_empty()).then(|| look.link(&Page::Journey(Follow::of(&search.q)))),
            whole: look.link(&Page::Consumers(Search::default())),
            accounts: accounts(look, search),
            sorts: sorts(&SORTS, search.sort),
            labels,
            table: ConsumerTable::sortable(&shown[range], search, look),
            pager,
            search: search.clone(),
        }
    }
}

/// Whether a consumer is among what is searched for, of whatever verdict.
pub(super) fn is_found(consumer: &Consumer, search: &Search) -> bool {
    let (stream, name) = (consumer.stream.as_str(), consumer.name.as_str());
    search.is_of(&consumer.account, stream)
        && (search.finds(&[name, stream, &consumer.account, &consumer.config.description])
            || search.finds(&consumer.config.filters()))
}

fn nothing(search: &Search, look: &Look<'_>) -> Gap {
    if search.is_narrow() && look.snapshot.known_consumers().next().is_some() {
        Gap::empty("No consumer is like that.")
    } else {
        Gap::empty("No stream has a consumer yet.")
    }
}

/// Rows in the order that was asked for; each row's place is worked out once.
pub(super) fn sorted(mut rows: Vec<&Consumer>, sort: Sort) -> Vec<&Consumer> {
    let state = |row: &Consumer| row.state.value().map_or((0, 0), |state| (state.lag(), state.ack_pending));
    match sort {
        Sort::Worst => {
            // Among those that are well the lag changes from round to round, and rows would never stay in their places.
            rows.sort_by_cached_key(|row| {
                let trouble = standing::level_of(row).trouble();
                (Reverse(trouble), row.verdict.label, Reverse(if trouble > 0 { state(row).0 } else { 0 }))
            });
        }
        Sort::Lag | Sort::Size | Sort::Messages => rows.sort_by_cached_key(|row| Reverse(state(row).0)),
        Sort::AckPending => rows.sort_by_cached_key(|row| Reverse(state(row).1)),
        Sort::Age => rows.sort_by_cached_key(|row| {
            let oldest = row.ages.value().and_then(|ages| ages.unprocessed);
            (oldest.is_none(), oldest.map(|oldest| oldest.stored))
        }),
        Sort::Rate => rows.sort_by_cached_key(|row| {
            let rate = row.trend.map_or(0.0, |trend| trend.delivered_per_second());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and `as` saturates")]
            let thousandths = (rate * 1_000.0) as u64;
            Reverse(thousandths)
        }),
        Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.stream.cmp(&b.stream))),
    }
    rows
}

/// How many of the consumers found there are of each verdict, each a link to those.
pub(super) fn choices(found: &[&Consumer], search: &Search, look: &Look<'_>) -> Vec<Choice> {
    let link = |label| look.link(&Page::Consumers(search.with_label(label)));
    let all = Choice {
        sign: Sign::new(Level::Idle, "all"),
        href: link(None),
        count: format::count(found.len() as u64),
        is_chosen: search.label.is_none(),
    };
    let mut counted = [(0_usize, None); Label::ALL.len()];
    for consumer in found {
        let (count, worst) = &mut counted[consumer.verdict.label as usize];
        *count += 1;
        *worst = (*worst).max(Some(standing::level_of(consumer)));
    }
    let of_label = Label::ALL.into_iter().zip(counted).filter_map(|(label, (count, worst))| {
        let is_chosen = search.label == Some(label);
        (count > 0 || is_chosen).then(|| Choice {
            sign: Sign::new(worst.unwrap_or(Level::Idle), label.words()),
            href: link(Some(label)),
            count: format::count(count as u64),
            is_chosen,
        })
    });
    std::iter::once(all).chain(of_label).collect()
}

/// Consumers that exist and of which no leader gave an account.
fn missing(look: &Look<'_>) -> Vec<String> {
    const MOST: usize = 10;
    let lists = || look.snapshot.known_streams().iter().map(|stream| (&stream.name, &stream.consumers));
    let unread = lists().filter(|(_, list)| list.value().is_none()).map(|(name, _)| format!("all of {name}"));
    let left_out = lists().filter_map(|(name, list)| Some((name, list.value()?)));
    let left_out =
        left_out.flat_map(|(name, list)| list.missing.iter().map(move |missing| format!("{missing} of {name}")));
    let mut missing: Vec<String> = unread.chain(left_out).take(MOST + 1).collect();
    if missing.len() > MOST {
        missing[MOST] = "others".to_owned();
    }
    missing
}

impl ConsumerTable {
    /// Rows of one stream, the worst first, and how many of them are left out.
    pub(super) fn of_stream(stream: &Stream, look: &Look<'_>) -> (Self, usize) {
        let rows: Vec<&Consumer> = stream.consumers.value().into_iter().flat_map(|list| &list.rows).collect();
        let (rows, all) = (sorted(rows, Sort::Worst), stream.consumers.value().map_or(0, |list| list.rows.len()));
        let rows: Vec<ConsumerRow> = rows.into_iter().take(ROWS).map(|row| ConsumerRow::of(row, look)).collect();
        let more = all - rows.len();
        (Self { names_accounts: false, names_streams: false, heads: heads(|_| (None, false)), rows }, more)
    }

    fn sortable(rows: &[&Consumer], search: &Search, look: &Look<'_>) -> Self {
        Self {
            names_accounts: look.has_accounts(),
            names_streams: true,
            heads: heads(|sort| {
                (
                    Some(look.link(&Page::Consumers(search.sorted(sort)))).filter(|_| search.sort != sort),
                    search.sort == sort,
                )
            }),
            rows: rows.iter().map(|row| ConsumerRow::of(row, look)).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn heads(by: impl Fn(Sort) -> (Option<String>, bool)) -> Vec<Head> {
    let head = |name, title, is_number, sort: Option<Sort>| {
        let (href, is_sorted) = sort.map_or((None, false), &by);
        Head { name, title, is_number, href, is_sorted }
    };
    vec![
        head("Consumer", "", false, Some(Sort::Name)),
        head("Reads", "", false, None),
        head("Verdict", "", false, Some(Sort::Worst)),
        head("Pending", "not yet delivered", true, Some(Sort::Lag)),
        head("Ack pending", "delivered, not yet acked", true, Some(Sort::AckPending)),
        head("Oldest", "age of the oldest message that it has not processed", true, Some(Sort::Age)),
        head("Delivered", "deliveries a second", true, Some(Sort::Rate)),
        head("Waiting", "pull requests that wait for messages", true, None),
        head("Read", "when the server said so", false, None),
    ]
}

impl ConsumerRow {
    fn of(consumer: &Consumer, look: &Look<'_>) -> Self {
        let state = &consumer.state;
        let standing = standing::of_consumer(consumer);
        let most = consumer.config.ack_pending_limit();
        Self {
            key: format!("{}.{}.{}", consumer.account, consumer.stream, consumer.name),
            name: consumer.name.to_string(),
            href: look.link(&page_of(consumer)),
            account: consumer.account.to_string(),
            stream: consumer.stream.to_string(),
            stream_href: look.link(&Page::Stream(
                consumer.account.to_string(),
                consumer.stream.clone(),
                Span::default(),
            )),
            is_ephemeral: !consumer.config.is_durable(),
            filters: Dotted::new(filters(consumer)),
            since: standing.is_trouble().then(|| Moment::length(consumer.verdict.since, look)),
            sign: standing.sign,
            // Why a whole list is old stands once above it.
            why: if state.fresh().is_none() && state.reason() == look.snapshot.streams.reason() {
                String::new()
            } else {
                standing.why
            },
            is_stale: state.fresh().is_none(),
            pending: Number::of(state, |state| format::count(state.pending)),
            ack_pending: Number::of(state, |state| format::count(state.ack_pending))
                .with_note(most.map(|most| format!("of {}", format::count(most))).unwrap_or_default()),
            oldest: ages::unprocessed(consumer, look.now),
            waiting: waiting(consumer),
            delivered: Number::rate(consumer.trend.map(|trend| trend.delivered_per_second())),
            stamp: Stamp::of(state, look),
        }
    }
}

/// The page of a consumer.
pub(super) fn page_of(consumer: &Consumer) -> Page {
    Page::Consumer(consumer.account.to_string(), consumer.stream.clone(), consumer.name.clone(), Span::default())
}

/// Pull requests that wait, or whether the server has anybody to send to.
pub(super) fn waiting(consumer: &Consumer) -> Number {
    match consumer.config.mode() {
        Mode::Pull => Number::of(&consumer.state, |state| format::count(state.waiting)),
        Mode::Push => {
            Number::of(&consumer.state, |state| if state.has_listener { "push" } else { "nobody" }.to_owned())
        }
    }
}

/// The subject patterns that the consumer takes, cut where they are many.
pub(super) fn filters(consumer: &Consumer) -> String {
    const MOST: usize = 3;
    let filters = consumer.config.filters();
    let shown = format::cut(&filters[..filters.len().min(MOST)].join(" "));
    match filters.len() {
        0 => "all subjects".to_owned(),
        all if all > MOST => format!("{shown} and {} more", format::count((all - MOST) as u64)),
        _ => shown,
    }
}
