//! Messages of one stream, the newest first, as far as somebody asked for them: a list that stands still while it is read.

use askama::Template;

use super::{
    Look, Read,
    browse::Browse,
    consumer::Crumb,
    equivalent::Equivalents,
    follow::Follow,
    format,
    page::Page,
    payload::{self, tame},
    pieces::{Dotted, Gap, Moment, Stamp},
    search::Search,
};
use crate::{
    message::header,
    name::StreamName,
    peek::{End, Found, Stored, Unclear},
    snapshot::{Reading, Span, Why},
};

/// Letters of a payload in a row, and bytes that are looked at for them.
const PREVIEW: usize = 120;
const PREVIEW_BYTES: usize = 1_024;

/// The page of the messages of a stream.
#[derive(Template)]
#[template(path = "pages/messages.html")]
pub(super) struct MessagesPage {
    name: String,
    pub(super) is_there: bool,
    account: Option<String>,
    crumbs: Vec<Crumb>,
    action: String,
    browse: Browse,
    at: String,
    gap: Option<Gap>,
    body: Option<Body>,
    journey: String,
    equivalents: Equivalents,
}

struct Body {
    said: String,
    ended: Option<String>,
    unclear: Option<String>,
    stamp: Option<Stamp>,
    none: Option<Gap>,
    rows: Vec<Row>,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
}

struct Row {
    sequence: u64,
    shown: String,
    href: String,
    subject: Dotted,
    kind: Option<String>,
    preview: String,
    size: String,
    stored: Moment,
}

/// Whether a reading of a page is of something that may be there.
pub(super) fn may_be_there<T>(reading: &Reading<T>) -> bool {
    !matches!(reading, Reading::Unknown { why: Why::Absent, .. })
}

/// The way to the messages of a stream. One that is gone has no page to lead to.
pub(super) fn crumbs(account: &str, stream: &StreamName, look: &Look<'_>) -> Vec<Crumb> {
    let mut way = vec![Crumb { text: "Streams".to_owned(), href: look.link(&Page::Streams(Search::default())) }];
    if look.snapshot.stream(account, stream).is_some() {
        let page = Page::Stream(account.to_owned(), stream.clone(), Span::default());
        way.push(Crumb { text: stream.to_string(), href: look.link(&page) });
    }
    way
}

impl MessagesPage {
    pub(super) fn of(account: &str, stream: &StreamName, browse: &Browse, look: &Look<'_>) -> Self {
        let not_yet = Reading::not_yet();
        let found = match look.read {
            Read::Found(found) => found,
            _ => &not_yet,
        };
        let page = |browse: Browse| look.link(&Page::Messages(account.to_owned(), stream.clone(), browse));
        let first = found.value().and_then(|found| found.rows.first()).map(|row| row.sequence);
        Self {
            name: stream.to_string(),
            is_there: may_be_there(found),
            account: look.has_accounts().then(|| account.to_owned()),
            crumbs: crumbs(account, stream, look),
            action: page(Browse::default()),
            browse: browse.clone(),
            at: browse.at_field(),
            gap: Gap::of(found, "messages"),
            body: found.value().map(|value| Body::of(account, stream, browse, value, found, look)),
            journey: look.link(&Page::Journey(Follow::default())),
            equivalents: Equivalents::of_messages(account, stream, browse, first, look),
        }
    }
}

impl Body {
    fn of(
        account: &str,
        stream: &StreamName,
        browse: &Browse,
        found: &Found,
        reading: &Reading<Found>,
        look: &Look<'_>,
    ) -> Self {
        let page = |browse: Browse| look.link(&Page::Messages(account.to_owned(), stream.clone(), browse));
        let rows: Vec<Row> = found.rows.iter().map(|message| Row::of(account, stream, message, look)).collect();
        Self {
            said: said(found),
            ended: ended(found),
            unclear: unclear(found),
            stamp: Stamp::of(reading, look),
            none: rows.is_empty().then(|| Gap::empty(none(browse, found))),
            rows,
            newest: (*browse != browse.newest()).then(|| page(browse.newest())),
            newer: found.newer.map(|from| page(browse.from(from))),
            older: found.older.map(|before| page(browse.before(before))),
        }
    }
}

/// How much was searched of how much there is.
fn said(found: &Found) -> String {
    let sequences = found.held.sequences();
    format!(
        "{}; searched {} of {}, {} held",
        format::counted(found.rows.len(), "message"),
        format::count(found.searched.min(sequences)),
        format::counted_u64(sequences, "sequence"),
        format::counted_u64(found.held.messages, "message"),
    )
}

/// Why the search ended before it found what it might have.
fn ended(found: &Found) -> Option<String> {
    let why = match found.end {
        End::All | End::Rows => return None,
        End::Looked => "it looked into as many messages as one search may",
        End::Bytes => "it read as many bytes as one search may",
        End::Time => "it took as long as one search may",
    };
    let on = match (found.older, found.newer) {
        (None, None) => "Look for less at once: on fewer subjects, or from another time on",
        _ => "It goes on from there with the links below",
    };
    Some(format!("The search ended early: {why}. {on}."))
}

/// What the filter could not judge.
fn unclear(found: &Found) -> Option<String> {
    let Unclear { count, why } = found.unclear.as_ref()?;
    let messages = format::counted_u64(*count, "message");
    Some(format!("Left out: {messages} that the filter could not judge. Of the first of them: {}.", format::cut(why)))
}

fn none(browse: &Browse, found: &Found) -> &'static str {
    match (found.end, found.held.messages, browse.is_narrow()) {
        (_, 0, _) => "The stream holds no message.",
        (End::All, _, true) => "No message like that is there.",
        (End::All, ..) => "No message is there.",
        _ => "No message like that is among those that were searched.",
    }
}

impl Row {
    fn of(account: &str, stream: &StreamName, message: &Stored, look: &Look<'_>) -> Self {
        let page = Page::Message(account.to_owned(), stream.clone(), message.sequence, None);
        Self {
            sequence: message.sequence,
            shown: format::count(message.sequence),
            href: look.link(&page),
            subject: Dotted::new(tame(&format::cut(&message.subject))),
            kind: message.header(header::CE_TYPE).map(|kind| tame(&format::cut_at(kind, 64))),
            preview: preview(message),
            size: format::bytes(message.payload.len() as u64),
            stored: Moment::ago(message.stored, look),
        }
    }
}

/// The beginning of the payload on a line.
fn preview(message: &Stored) -> String {
    let shown = payload::show(message, None, PREVIEW_BYTES);
    if matches!(shown.form, Some(payload::Form::Hex)) {
        return "binary".to_owned();
    }
    let line = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = format::cut_at(&line, PREVIEW);
    if shown.is_cut && !cut.ends_with('…') { format!("{cut}…") } else { cut }
}
