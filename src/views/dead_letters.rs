//! Messages that nobody will try again: the newest as a list, each with a page of its own, and how to try one again after all.

use askama::Template;

use super::{
    Look,
    consumer::Crumb,
    follow::Follow,
    format, letter,
    page::Page,
    payload::{line, tame},
    pieces::{Gap, Moment, Stamp, TraceLink},
};
use crate::{
    dead_letter::Place,
    mask,
    snapshot::{Letter, Letters, Watched},
    words::shell,
};

/// Letters of a reason that are shown on a page of its own.
const REASON_MOST: usize = 1_000;

/// Letters of what else it says.
const LINE_MOST: usize = 240;

/// The page of all.
#[derive(Template)]
#[template(path = "pages/dead_letters.html")]
pub(super) struct DeadLettersPage {
    /// One for each account in which there are some, or may be.
    lists: Vec<LetterList>,
    /// Whether any account has a stream of them, without which the command line has nothing to list.
    keeps_letters: bool,
}

/// The newest of one account.
struct LetterList {
    /// The account, where there are several.
    account: Option<String>,
    id: String,
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    said: String,
    rows: Vec<LetterRow>,
    malformed: Option<String>,
}

struct LetterRow {
    id: String,
    href: String,
    place: String,
    subject: String,
    class: String,
    reason: String,
    attempts: String,
    died: Moment,
    repeat: Option<String>,
}

/// The page of one.
#[derive(Template)]
#[template(path = "pages/dead_letter.html")]
pub(super) struct DeadLetterPage {
    place: String,
    pub(super) is_there: bool,
    crumbs: Vec<Crumb>,
    gap: Option<Gap>,
    show: String,
    body: Option<Body>,
}

struct Body {
    reason: String,
    class_word: String,
    died: Moment,
    repeat: Option<(String, Option<String>)>,
    lines: Vec<(&'static str, String)>,
    consumer_href: Option<String>,
    original_href: Option<String>,
    trace: Option<TraceLink>,
    journey: Option<String>,
    /// What was left out of headers and payload.
    masked: Option<String>,
    headers: Vec<(String, String)>,
    payload: String,
    payload_note: String,
    stamp: Option<Stamp>,
    commands: Vec<(&'static str, String)>,
}

fn letters(watched: &Watched) -> Option<&Letters> {
    watched.dead_letters.value().map(AsRef::as_ref)
}

impl DeadLettersPage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let accounts = look.telling(|watched| &watched.dead_letters);
        let keeps_letters = accounts.iter().any(|watched| letters(watched).is_some());
        Self { lists: accounts.into_iter().map(|watched| LetterList::of(watched, look)).collect(), keeps_letters }
    }
}

impl LetterList {
    fn of(watched: &Watched, look: &Look<'_>) -> Self {
        let found = letters(watched);
        let rows = found.into_iter().flat_map(|all| &all.rows);
        let rows: Vec<LetterRow> = rows.map(|row| LetterRow::of(row, watched, look)).collect();
        let total = found.map_or(0, |all| all.total);
        let gap = Gap::of(&watched.dead_letters, "dead letters");
        let malformed = found.map_or(0, |all| all.malformed);
        Self {
            account: look.account_of(watched),
            id: look.anchor(watched, "letters"),
            gap: gap.or_else(|| {
                (rows.is_empty() && malformed == 0)
                    .then(|| Gap::empty("No worker has given up a message that is still kept."))
            }),
            stamp: Stamp::of(&watched.dead_letters, look),
            said: if total > rows.len() as u64 {
                format!("the newest {} of {}", format::count(rows.len() as u64), format::count(total))
            } else {
                String::new()
            },
            malformed: (malformed > 0).then(|| {
                format!(
                    "{} could not be understood and is left out.",
                    format::counted(malformed, "message of the stream")
                )
            }),
            rows,
        }
    }
}

impl LetterRow {
    fn of(letter: &Letter, watched: &Watched, look: &Look<'_>) -> Self {
        Self {
            id: look.anchor(watched, &letter.place.to_string()),
            href: look.link(&page(letter.place.clone(), watched, look)),
            place: letter.place.to_string(),
            subject: tame(&format::cut(&letter.subject)),
            class: line(&letter.class, LINE_MOST),
            reason: line(&letter.reason, LINE_MOST),
            attempts: letter.attempts.map_or_else(|| "?".to_owned(), |attempts| format::count(attempts.into())),
            died: Moment::ago(letter.died, look),
            repeat: letter.repeat.as_ref().map(|repeat| format!("came back from replay {}", repeat.generation)),
        }
    }
}

impl DeadLetterPage {
    pub(super) fn of(place: &Place, account: &str, look: &Look<'_>) -> Self {
        let wanted = |watched: &&Watched| account.is_empty() || watched.is(account);
        let accounts = || look.snapshot.watched().filter(wanted);
        let found = accounts().find_map(|watched| Some((watched, find(place, watched)?)));
        let show = format!("streamgauge dlq show {}", shell(&place.to_string()));
        // What is not known is told of before what is known to be none.
        let unread = accounts().find(|watched| watched.dead_letters.value().is_none()).filter(|_| found.is_none());
        let unknown = unread.and_then(|watched| Gap::of(&watched.dead_letters, "dead letters"));
        let is_there = found.is_some() || unread.is_some();
        let not_here =
            "It is not among the newest dead letters: it is older, or gone, or it was given up without leaving a copy.";
        Self {
            place: place.to_string(),
            is_there,
            crumbs: vec![Crumb { text: "Dead letters".to_owned(), href: look.link(&Page::DeadLetters) }],
            gap: unknown.or_else(|| found.is_none().then(|| Gap::empty(not_here))),
            body: found.map(|(watched, letter)| Body::of(letter, watched, look)),
            show,
        }
    }
}

impl Body {
    fn of(letter: &Letter, watched: &Watched, look: &Look<'_>) -> Self {
        let place = shell(&letter.place.to_string());
        let said = letter::said(letter);
        let replay = |more: &str| format!("streamgauge dlq replay {place}{more}");
        let repeat = letter.repeat.as_ref().map(|repeat| {
            let said = format!("It was replayed as {}, replay {}, and died again.", repeat.first, repeat.generation);
            (said, repeat.first.parse().ok().and_then(|first| page_in(first, watched, look)))
        });
        Self {
            reason: format::sentence(&line(&letter.reason, REASON_MOST)),
            class_word: format::capital(&line(&letter.class, LINE_MOST)),
            died: Moment::ago(letter.died, look),
            repeat,
            lines: lines(letter, look.account_of(watched)),
            consumer_href: consumer(letter, watched, look),
            original_href: original(letter, watched, look),
            trace: letter.trace_id.as_deref().map(|id| TraceLink::of(id, letter.died, look)),
            journey: id(letter).map(|id| look.link(&Page::Journey(Follow::of(id)))),
            masked: (!said.masked.is_empty()).then(|| format!("Left out: {}.", said.masked.told().join(", "))),
            payload_note: said.told(letter),
            headers: said.headers,
            payload: said.payload.text,
            stamp: Stamp::of(&watched.dead_letters, look),
            commands: vec![
                ("See what a replay would do", replay(" --dry-run")),
                ("Try it again", replay("")),
                ("See all of it", format!("streamgauge dlq show {place}")),
            ],
        }
    }
}

fn find<'a>(place: &Place, watched: &'a Watched) -> Option<&'a Letter> {
    letters(watched)?.rows.iter().find(|letter| letter.place == *place)
}

/// The page of a letter in an account, if it is among those that were read.
pub(super) fn page_of(place: Place, account: &str, look: &Look<'_>) -> Option<String> {
    page_in(place, look.snapshot.account(account)?, look)
}

fn page_in(place: Place, watched: &Watched, look: &Look<'_>) -> Option<String> {
    find(&place, watched)?;
    Some(look.link(&page(place, watched, look)))
}

/// The page of a letter; its address names the account where it is not the one of `--nats`.
fn page(place: Place, watched: &Watched, look: &Look<'_>) -> Page {
    let is_other = look.snapshot.others.iter().any(|other| std::ptr::eq(other, watched));
    Page::DeadLetter(place, if is_other { watched.name().to_owned() } else { String::new() })
}

/// The page of the consumer that gave it up.
fn consumer(letter: &Letter, watched: &Watched, look: &Look<'_>) -> Option<String> {
    let Place { stream, consumer, .. } = &letter.place;
    let found = look.snapshot.consumer(watched.name(), stream, consumer)?;
    Some(look.link(&super::consumers::page_of(found)))
}

/// The page of the message that died, in the account of the letter.
fn original(letter: &Letter, watched: &Watched, look: &Look<'_>) -> Option<String> {
    let Place { stream, sequence, .. } = &letter.place;
    let found = look.snapshot.stream(watched.name(), stream)?;
    Some(look.link(&Page::Message(found.account.to_string(), stream.clone(), *sequence, None)))
}

/// The id of the message, unless a rule leaves it out.
fn id(letter: &Letter) -> Option<&str> {
    letter.message_id.as_deref().filter(|id| mask::secrets(id).is_empty())
}

fn lines(letter: &Letter, account: Option<String>) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("Consumer", format!("{} on {}", letter.place.consumer, letter.place.stream)),
        ("Message", format::count(letter.place.sequence)),
        ("Subject", tame(&format::cut(&letter.subject))),
    ];
    let mut add = |name, text: Option<String>| lines.extend(text.map(|text| (name, text)));
    add("In", account);
    add("Message id", letter.message_id.as_deref().map(|id| line(id, LINE_MOST)));
    add("Attempts", letter.attempts.map(|attempts| format!("{attempts}, counted by its worker")));
    add("Deliveries", letter.deliveries.map(|deliveries| format!("{deliveries}, counted by the server")));
    add("Published", letter.published.map(|at| at.to_string()));
    add("Age when it died", letter.published.map(|at| format::age(at.age(letter.died).0)));
    add("Size", Some(format::bytes(letter.size)));
    lines
}
