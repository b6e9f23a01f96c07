//! What servers told unasked: all that is remembered as a page, and what is about one thing beside that thing.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, consumers, dead_letters,
    equivalent::Equivalents,
    format,
    lists::{self, Choice, Entry, Pager},
    page::Page,
    pieces::{Gap, Level, Moment, Sign, Stamp},
    search::Search,
    select::{advisories_of, is_about},
};
use crate::{
    advisory::{Advisory, Kind},
    dead_letter::Place,
    snapshot::{Advisories, Span, Stream, Watched},
};

/// Advisories shown beside what they are about; the page has the rest.
const BESIDE: usize = 10;

/// Letters of a sentence: it may end in a reason that a worker gave.
const SENTENCE_MOST: usize = 400;

/// The page of all that is remembered.
#[derive(Template)]
#[template(path = "pages/advisories.html")]
pub(super) struct AdvisoriesPage {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    /// Since when, in each account.
    since: Vec<Since>,
    accounts: Vec<Entry>,
    search: Search,
    action: String,
    kinds: Vec<Choice>,
    names_things: bool,
    rows: Vec<AdvisoryRow>,
    pager: Pager,
    equivalents: Equivalents,
}

/// The newest about one thing.
#[derive(Template)]
#[template(path = "parts/advisories.html")]
pub(super) struct AdvisoryList {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    since: Option<Since>,
    /// Whether each row names what it is about.
    names_things: bool,
    rows: Vec<AdvisoryRow>,
    href: String,
    all: String,
}

impl HtmlSafe for AdvisoryList {}

/// Since when what is told is known.
#[derive(Template)]
#[template(path = "parts/told_since.html")]
struct Since {
    /// The account, where there are several.
    account: Option<String>,
    heard: Moment,
    stored: Option<Moment>,
    /// Whether those that are stored are read one by one, because their stream allows nothing else.
    is_slow: bool,
    /// How many were told, where not all of them are remembered.
    forgotten: Option<String>,
}

impl HtmlSafe for Since {}

struct AdvisoryRow {
    id: String,
    /// The account, where there are several.
    account: Option<String>,
    time: Moment,
    sign: Sign,
    consumer: Option<Named>,
    stream: Option<Named>,
    sentence: String,
    /// How many alike it stands for, where it is not one.
    count: Option<String>,
    letter: Option<String>,
    /// The message that it is about.
    message: Option<String>,
}

/// The name of a thing, and its page where there is one.
struct Named {
    name: String,
    href: Option<String>,
}

impl AdvisoriesPage {
    pub(super) fn of(search: &Search, look: &Look<'_>) -> Self {
        let shown = advisories_of(look.snapshot, search);
        let (pager, range) = Pager::of(shown.len(), search, look, Page::Advisories, "advisory");
        let rows: Vec<AdvisoryRow> = shown[range].iter().map(|advisory| AdvisoryRow::of(advisory, look)).collect();
        let nothing = if search.is_narrow() { "No advisory is like that." } else { "No server has told of anything." };
        let wanted = |watched: &&Watched| search.account.is_empty() || watched.is(&search.account);
        let accounts: Vec<&Watched> = look.snapshot.watched().filter(wanted).collect();
        let gap = accounts.iter().find_map(|watched| Gap::of(&watched.advisories, "advisories"));
        let is_stored = accounts.iter().any(|watched| told(watched).is_some_and(|told| told.stored_since.is_some()));
        Self {
            gap: gap.or_else(|| rows.is_empty().then(|| Gap::empty(nothing))),
            stamp: accounts.first().and_then(|watched| Stamp::of(&watched.advisories, look)),
            since: accounts.iter().filter_map(|watched| Since::of(watched, look)).collect(),
            accounts: if look.watches_several() { lists::accounts(look, search) } else { Vec::new() },
            action: look.link(&Page::Advisories(Search::default())),
            kinds: kinds(search, look),
            names_things: true,
            rows,
            pager,
            equivalents: Equivalents::of_advisories(search, is_stored, &look.site.base),
            search: search.clone(),
        }
    }
}

fn told(watched: &Watched) -> Option<&Advisories> {
    watched.advisories.value().map(AsRef::as_ref)
}

/// How many there are of each kind, each a link to those.
fn kinds(search: &Search, look: &Look<'_>) -> Vec<Choice> {
    let found = advisories_of(look.snapshot, &search.of_kind(None));
    let choice = |kind: Option<Kind>| {
        let count = found.iter().filter(|advisory| kind.is_none_or(|kind| advisory.kind == kind)).count();
        let is_chosen = search.kind == kind;
        (count > 0 || is_chosen || kind.is_none()).then(|| Choice {
            sign: kind.map_or_else(|| Sign::new(Level::Idle, "all"), sign),
            href: look.link(&Page::Advisories(search.of_kind(kind))),
            count: format::count(count as u64),
            is_chosen,
        })
    };
    std::iter::once(None).chain(Kind::ALL.map(Some)).filter_map(choice).collect()
}

fn sign(kind: Kind) -> Sign {
    let level = match kind {
        Kind::Exhausted | Kind::Removed | Kind::QuorumLost | Kind::OutOfStorage => Level::Critical,
        Kind::Terminated | Kind::ApiLimit => Level::Warning,
        _ => Level::Idle,
    };
    Sign::new(level, kind.words())
}

impl AdvisoryList {
    /// Those that a search for a stream or a consumer finds.
    pub(super) fn of(search: &Search, look: &Look<'_>) -> Self {
        let watched = look.snapshot.account(&search.account);
        let rows = watched.and_then(told).into_iter().flat_map(|told| &told.rows);
        let found: Vec<&Advisory> = rows.filter(|row| is_about(row, search)).collect();
        let nothing = || Gap::empty("No server has told of it.");
        let gap = match watched {
            Some(watched) => Gap::of(&watched.advisories, "advisories"),
            None => Some(elsewhere(&search.account, look)),
        };
        Self {
            since: watched.and_then(|watched| Since::of(watched, look)).filter(|_| gap.is_none()),
            gap: gap.or_else(|| found.is_empty().then(nothing)),
            stamp: watched.and_then(|watched| Stamp::of(&watched.advisories, look)),
            names_things: search.consumer.is_empty(),
            rows: found.iter().take(BESIDE).map(|advisory| AdvisoryRow::of(advisory, look)).collect(),
            href: look.link(&Page::Advisories(search.clone())),
            all: match found.len() {
                0..=BESIDE => "Search them".to_owned(),
                all => format!("All {}", format::count(all as u64)),
            },
        }
    }
}

/// What is said in place of what is told in an account that no user was given for.
fn elsewhere(account: &str, look: &Look<'_>) -> Gap {
    let first = Gap::of(&look.snapshot.app.advisories, "advisories").filter(|_| !look.watches_several());
    first.unwrap_or_else(|| {
        let heard: Vec<&str> = look.snapshot.watched().filter_map(|watched| watched.name.as_deref()).collect();
        let heard = if heard.len() == 1 { format!("account {}", heard[0]) } else { heard.join(" and ") };
        let sentence = format!("Advisories are heard in {heard} only: it takes a user in account {account}.");
        Gap { sign: Sign::new(Level::Unknown, "not visible"), sentence }
    })
}

impl Since {
    fn of(watched: &Watched, look: &Look<'_>) -> Option<Self> {
        let told = told(watched)?;
        let kept = told.rows.iter().map(|row| row.count).sum::<u64>();
        let forgotten = told.total.checked_sub(kept).filter(|more| *more > 0);
        Some(Self {
            account: look.account_of(watched),
            heard: Moment::length(told.since, look),
            stored: told.stored_since.map(|at| Moment::length(at, look)),
            is_slow: kept_by(told, look).is_some_and(|stream| !stream.config.allow_direct),
            forgotten: forgotten.map(|more| format::counted_u64(more, "older one")),
        })
    }
}

/// The stream that keeps what is told of messages that were given up.
fn kept_by<'a>(told: &Advisories, look: &Look<'a>) -> Option<&'a Stream> {
    look.snapshot.streams.value()?.of(&told.account, crate::advisory::STREAM)
}

impl AdvisoryRow {
    fn of(advisory: &Advisory, look: &Look<'_>) -> Self {
        let stream = advisory.stream.as_ref();
        let known = stream.and_then(|name| look.snapshot.stream(&advisory.account, name));
        let reader = advisory.consumer.as_ref().map(|name| {
            let found = stream.and_then(|stream| look.snapshot.consumer(&advisory.account, stream, name));
            Named { name: name.to_string(), href: found.map(|row| look.link(&consumers::page_of(row))) }
        });
        let page = |name: &crate::name::StreamName| {
            look.link(&Page::Stream(advisory.account.to_string(), name.clone(), Span::default()))
        };
        // What was removed has no page any more.
        let is_there = known.is_some() && advisory.kind != Kind::Removed;
        let message = stream.zip(advisory.sequence).filter(|_| is_there).map(|(stream, sequence)| {
            look.link(&Page::Message(advisory.account.to_string(), stream.clone(), sequence, None))
        });
        let place = stream.zip(advisory.consumer.as_ref()).zip(advisory.sequence);
        let place = place.map(|((stream, consumer), sequence)| Place {
            stream: stream.clone(),
            consumer: consumer.clone(),
            sequence,
        });
        Self {
            id: advisory.id.clone(),
            account: look.watches_several().then(|| format::cut(&advisory.account)),
            time: Moment::ago(advisory.time, look),
            sign: sign(advisory.kind),
            consumer: reader,
            stream: stream.map(|name| Named { name: name.to_string(), href: known.map(|_| page(name)) }),
            sentence: format::cut_at(&advisory.sentence, SENTENCE_MOST),
            count: (advisory.count > 1).then(|| format!("the last of {}", format::count(advisory.count))),
            letter: place.and_then(|place| dead_letters::page_of(place, &advisory.account, look)),
            message,
        }
    }
}
