//! One stored message: where it lies, its headers and its payload, with secrets left out.

use askama::Template;

use super::{
    Look, Read,
    browse::Browse,
    consumer::Crumb,
    equivalent::Equivalents,
    follow::Follow,
    format,
    messages::{crumbs, may_be_there},
    page::{Page, encoded},
    payload::{self, Form, Shown, tame},
    pieces::{Gap, Moment, Stamp, TraceLink},
};
use crate::{
    mask::{self, Masked},
    message::header,
    name::StreamName,
    peek::{One, Stored},
    snapshot::Reading,
    trace::{Span, TraceParent},
};

/// Bytes of a payload that are shown: more is to be taken away, not read on a page.
const SHOWN_MOST: usize = 128 << 10;

/// Headers that are shown, and letters of each.
const HEADERS_MOST: usize = 128;
const VALUE_MOST: usize = 2_048;

/// Letters of an id that are shown.
const ID_MOST: usize = 240;

/// The page of one message.
#[derive(Template)]
#[template(path = "pages/message.html")]
pub(super) struct MessagePage {
    title: String,
    pub(super) is_there: bool,
    account: Option<String>,
    crumbs: Vec<Crumb>,
    gap: Option<Gap>,
    older: Option<String>,
    newer: Option<String>,
    body: Option<Body>,
    stamp: Option<Stamp>,
    equivalents: Equivalents,
}

struct Body {
    lines: Vec<(&'static str, String)>,
    stored: Moment,
    stored_at: String,
    trace: Option<TraceLink>,
    /// The journeys that it is part of: address, and what of.
    journeys: Vec<(String, &'static str)>,
    headers: Vec<(String, String)>,
    headers_more: usize,
    payload: String,
    form: String,
    notes: Vec<String>,
    masked: Option<String>,
    forms: Vec<FormLink>,
    download: String,
}

struct FormLink {
    words: &'static str,
    href: String,
    is_here: bool,
}

impl MessagePage {
    pub(super) fn of(account: &str, stream: &StreamName, sequence: u64, form: Option<Form>, look: &Look<'_>) -> Self {
        let not_yet = Reading::not_yet();
        let one = match look.read {
            Read::One(one) => one,
            _ => &not_yet,
        };
        let found = one.value();
        let message = found.and_then(|one| one.message.as_ref());
        let page = |sequence: u64| look.link(&Page::Message(account.to_owned(), stream.clone(), sequence, form));
        let list =
            Page::Messages(account.to_owned(), stream.clone(), Browse::default().before(sequence.saturating_add(1)));
        let mut way = crumbs(account, stream, look);
        way.push(Crumb { text: "Messages".to_owned(), href: look.link(&list) });
        Self {
            title: title(stream, sequence),
            is_there: may_be_there(one) && (found.is_none() || message.is_some()),
            account: look.has_accounts().then(|| account.to_owned()),
            crumbs: way,
            gap: Gap::of(one, "messages").or_else(|| (message.is_none()).then(|| gone(found, sequence))),
            older: found.and_then(|one| one.older).map(page),
            newer: found.and_then(|one| one.newer).map(page),
            body: message.map(|message| Body::of(account, stream, message, form, look)),
            stamp: Stamp::of(one, look),
            equivalents: Equivalents::of_message(account, stream, sequence, look),
        }
    }
}

/// The page of a message, where it is known which stream of that name is meant.
fn page_of(stream: &StreamName, sequence: u64, look: &Look<'_>) -> Option<String> {
    let named: Vec<_> = look.snapshot.known_streams().iter().filter(|row| row.name == *stream).collect();
    let readable: Vec<_> = named.iter().filter(|row| look.snapshot.account(&row.account).is_some()).collect();
    // A span names no account: where several could be meant, none is guessed.
    let found = match (readable.as_slice(), named.as_slice()) {
        ([found], _) => found,
        ([], [found]) => found,
        _ => return None,
    };
    Some(look.link(&Page::Message(found.account.to_string(), stream.clone(), sequence, None)))
}

/// The page of the message that a span is about, where it says which one that is.
pub(super) fn page_of_span(span: &Span, look: &Look<'_>) -> Option<String> {
    let stream = span.text("messaging.nats.stream")?.parse().ok()?;
    page_of(&stream, span.number("messaging.nats.stream_sequence")?, look)
}

/// What the page is called.
pub(super) fn title(stream: &StreamName, sequence: u64) -> String {
    format!("Message {} of {stream}", format::count(sequence))
}

fn gone(one: Option<&One>, sequence: u64) -> Gap {
    let is_to_come = one.is_some_and(|one| sequence > one.held.last);
    Gap::empty(if is_to_come {
        "The stream has not stored a message with this sequence yet."
    } else {
        "The stream holds no such message any more: it was processed, removed or outlived a limit."
    })
}

impl Body {
    fn of(account: &str, stream: &StreamName, message: &Stored, form: Option<Form>, look: &Look<'_>) -> Self {
        let shown = payload::show(message, form, SHOWN_MOST);
        let mut masked = shown.masked.clone();
        let headers = headers(message, &mut masked);
        let page = |form| look.link(&Page::Message(account.to_owned(), stream.clone(), message.sequence, form));
        let link =
            |form: Form| FormLink { words: form.words(), href: page(Some(form)), is_here: shown.form == Some(form) };
        Self {
            lines: lines(message),
            stored: Moment::ago(message.stored, look),
            stored_at: message.stored.to_string(),
            trace: trace(message).map(|id| TraceLink::of(&id, message.stored, look)),
            journeys: journeys(message, look),
            headers_more: message.headers.len() - headers.len(),
            headers,
            form: told(&shown),
            masked: (!masked.is_empty()).then(|| format!("Left out: {}.", masked.told().join(", "))),
            forms: Form::ALL.into_iter().map(link).collect(),
            download: format!(
                "{}/messages/{}/{}/{}/payload",
                look.site.base,
                encoded(account),
                encoded(stream.as_str()),
                message.sequence
            ),
            payload: shown.text,
            notes: shown.notes,
        }
    }
}

/// The headers as they are shown.
pub(crate) fn headers(message: &Stored, masked: &mut Masked) -> Vec<(String, String)> {
    let shown = message.headers.iter().take(HEADERS_MOST).map(|(name, value)| {
        let value = mask::header(name, format::within(value, VALUE_MOST * 4), masked);
        (tame(&format::cut(name)), tame(&format::cut_at(&value, VALUE_MOST)))
    });
    shown.collect()
}

/// The id of the trace that the message belongs to.
pub(crate) fn trace(message: &Stored) -> Option<String> {
    let parent: TraceParent = message.header(header::TRACEPARENT)?.parse().ok()?;
    Some(parent.trace_id_text())
}

/// The journey of the message, and that of all that it belongs to; of its trace where it has no id.
fn journeys(message: &Stored, look: &Look<'_>) -> Vec<(String, &'static str)> {
    let link = |id: &str| look.link(&Page::Journey(Follow::of(id)));
    let is_shown = |id: &&str| mask::secrets(id).is_empty();
    let header = |name: &str| message.header(name).filter(is_shown);
    let (id, correlation) = (header(header::MESSAGE_ID), header(header::CORRELATION_ID));
    let mut journeys: Vec<_> = id.map(|id| (link(id), "of this message")).into_iter().collect();
    let whole = correlation.filter(|correlation| Some(*correlation) != id);
    journeys.extend(whole.map(|id| (link(id), "of all that it belongs to")));
    if journeys.is_empty() {
        journeys.extend(trace(message).map(|id| (link(&id), "of its trace")));
    }
    journeys
}

fn lines(message: &Stored) -> Vec<(&'static str, String)> {
    let mut lines = vec![("Subject", tame(&format::cut(&message.subject)))];
    let named = [
        ("Message id", header::MESSAGE_ID),
        ("Correlation id", header::CORRELATION_ID),
        ("Causation id", header::CAUSATION_ID),
    ];
    let found = named.into_iter().filter_map(|(what, name)| Some((what, message.header(name)?)));
    lines.extend(found.map(|(what, value)| (what, payload::line(value, ID_MOST))));
    lines.push(("Size", format::bytes(message.payload.len() as u64)));
    lines
}

/// As what the payload is shown, and how much of it.
pub(super) fn told(shown: &Shown) -> String {
    match (shown.form, shown.is_cut) {
        (None, _) => "It is empty.".to_owned(),
        (Some(form), false) => format!("Shown as {}.", form.words()),
        (Some(form), true) => format!("Its beginning, as {}.", form.words()),
    }
}
