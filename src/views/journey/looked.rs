//! Where was looked for a journey, how far, and what may help where nothing was found.

use super::super::{
    Look, Page,
    browse::Browse,
    format,
    pieces::{Gap, Level, Moment, Sign},
};
use crate::{
    journey::{Facts, How, Looked},
    peek::End,
    snapshot::{Reading, Why},
};

/// A stream that was looked into.
pub(super) struct LookedRow {
    pub(super) name: String,
    pub(super) account: Option<String>,
    pub(super) href: String,
    /// How much was searched of how much there is.
    pub(super) said: String,
    pub(super) from: Option<Moment>,
    pub(super) sign: Option<Sign>,
    pub(super) found: String,
}

impl LookedRow {
    pub(super) fn of(looked: &Looked, look: &Look<'_>) -> Self {
        let Looked { account, stream, how } = looked;
        let row = Self {
            name: stream.to_string(),
            account: look.has_accounts().then(|| account.clone()),
            href: look.link(&Page::Messages(account.clone(), stream.clone(), Browse::default())),
            said: String::new(),
            from: None,
            sign: None,
            found: "?".to_owned(),
        };
        match how {
            How::Searched { from, searched, of, found, end, .. } => Self {
                said: format!("searched {} of {}{}", format::count(*searched), format::count(*of), ended(*end)),
                from: from.map(|from| Moment::ago(from, look)),
                found: format::count(*found as u64),
                ..row
            },
            How::Unread(why) => Self {
                said: format::sentence(&format::cut(why)),
                sign: Some(Sign::new(Level::Unknown, "not read")),
                ..row
            },
        }
    }
}

/// Why a search ended before it found what it might have.
fn ended(end: End) -> &'static str {
    match end {
        End::All => "",
        End::Rows => ", as many found as are shown",
        End::Looked => ", which is as many as one search looks into",
        End::Bytes => ", which is as many bytes as one search reads",
        End::Time => ", then time was up",
    }
}

/// What is said of the search beside its rows.
pub(super) fn notes(facts: &Facts, look: &Look<'_>) -> Vec<String> {
    let (searched, of) = facts.traces_searched;
    let mut notes =
        vec![format!("Traces: searched {} of {}.", format::count(searched as u64), format::counted(of, "trace"))];
    if facts.is_cut {
        notes.push("More traces mention it than are shown.".to_owned());
    }
    if let Some(unlooked) = facts.unlooked {
        let why = if unlooked.is_late { "time was up" } else { "one page searches no more" };
        notes.push(format!(
            "{} {} not searched: {why}.",
            format::counted(unlooked.streams, "stream"),
            format::agree(unlooked.streams as u64, "was", "were")
        ));
    }
    notes.extend(unknown(look));
    notes.extend(facts.records_unread.iter().map(|why| {
        format!(
            "Records could not be looked for by their keys, and those of the last round alone are known: {}.",
            format::cut(why)
        )
    }));
    notes.push(
        "Records are found by their keys. Other key-value buckets, object stores and the stream of advisories are not searched."
            .to_owned(),
    );
    notes
}

/// What else would tell, and is not known.
fn unknown(look: &Look<'_>) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    let mut say = |what: &str, why: Option<&str>| {
        unknown.extend(why.map(|why| format!("The {what} are not known, or old: {}.", format::cut(why))));
    };
    say("streams", look.snapshot.unlisted());
    for watched in look.snapshot.watched() {
        say("dead letters", missed(&watched.dead_letters));
        say("advisories", missed(&watched.advisories));
        say("records", missed(&watched.records));
    }
    unknown.sort();
    unknown.dedup();
    unknown
}

/// Why something is not known that should be: what does not exist is none.
fn missed<T>(reading: &Reading<T>) -> Option<&str> {
    let is_none = matches!(reading, Reading::Unknown { why: Why::Absent, .. });
    reading.reason().filter(|_| !is_none)
}

/// Whether more may be found from the newest messages on.
pub(super) fn may_search_newest(facts: &Facts) -> bool {
    facts.looked.iter().any(|looked| matches!(looked.how, How::Searched { from: Some(_), .. }))
}

/// Nothing is known of the id.
pub(super) fn nothing(facts: &Facts) -> Gap {
    let is_all = facts.unlooked.is_none()
        && facts.records_unread.is_empty()
        && facts.looked.iter().all(|looked| matches!(looked.how, How::Searched { end: End::All, from: None, .. }));
    let sentence = if facts.looked.is_empty() {
        "Nothing is known of it: no trace mentions it, and no stream could be searched."
    } else if is_all {
        "Nothing mentions it: no trace, no header of a message that a stream holds, no dead letter and no record."
    } else {
        "Nothing that was searched mentions it. Below stands what was searched."
    };
    Gap {
        sign: Sign::new(if is_all { Level::Idle } else { Level::Unknown }, "not found"),
        sentence: sentence.to_owned(),
    }
}

/// What may help where nothing was found.
pub(super) fn help(facts: &Facts, look: &Look<'_>) -> Vec<String> {
    let mut help = vec![
        "An id has to be given whole and as it is written: that of a message (Nats-Msg-Id), of what it belongs to (correlation-id), or of \
         a trace."
            .to_owned(),
        "A message that was processed is gone from a work-queue or interest stream, and one that outlived a limit from any: then only \
         traces tell of it."
            .to_owned(),
    ];
    if facts.traces_searched.1 == 0 {
        help.push(
            "No trace is kept here. Start services with OTEL_EXPORTER_OTLP_ENDPOINT at the address that the page of traces names."
                .to_owned(),
        );
    }
    let unread: Vec<String> = look
        .snapshot
        .known_streams()
        .iter()
        .filter(|stream| look.snapshot.account(&stream.account).is_none())
        .map(|stream| stream.account.to_string())
        .collect();
    if let Some(account) = unread.first() {
        help.push(format!("Messages of account {} are read with a user of it: --account.", format::cut(account)));
    }
    help
}
