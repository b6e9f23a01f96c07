//! The small pieces that pages are made of: a sign, a moment, a number that may be unknown.

use askama::{Template, filters::HtmlSafe};

use super::{Look, Page, elsewhere, format};
use crate::{
    clock::Timestamp,
    config::{About, ToolLink},
    snapshot::{Fact, Reading, Why},
};

/// How a thing is; worse ones come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    /// Nothing happens, and nothing has to.
    Idle,
    /// Something is on its way.
    Busy,
    Unknown,
    Warning,
    Critical,
}

impl Level {
    /// Puts what needs somebody before what does not, and tells no two of the others apart.
    pub(super) fn trouble(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Warning => 1,
            _ => 0,
        }
    }

    /// The name of its class and of its drawing.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A level with its drawing and its word: colour is never the only sign.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/sign.html")]
pub(super) struct Sign {
    pub(super) level: Level,
    pub(super) word: String,
}

impl Sign {
    pub(super) fn new(level: Level, word: impl Into<String>) -> Self {
        Self { level, word: word.into() }
    }
}

/// A moment, shown by how long ago it was; the page's script lets it grow older.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/moment.html")]
pub(super) struct Moment {
    at: Timestamp,
    text: String,
    style: &'static str,
}

impl Moment {
    /// `3 s ago`.
    pub(super) fn ago(at: Timestamp, look: &Look<'_>) -> Self {
        Self { at, text: format::ago(at, look.now), style: "ago" }
    }

    /// The moment in milliseconds since 1970.
    pub(super) fn millis(&self) -> i128 {
        self.at.0.unix_timestamp_nanos() / 1_000_000
    }

    /// `3 s`, to follow a word such as `since` or `for`.
    pub(super) fn length(at: Timestamp, look: &Look<'_>) -> Self {
        Self { at, text: format::length(at, look.now), style: "for" }
    }
}

/// Who said something and when; of a stale reading also why it is old.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/stamp.html")]
pub(super) struct Stamp {
    source: String,
    at: Moment,
    stale: Option<String>,
}

impl Stamp {
    /// The stamp of what was read; `None` of what never was.
    pub(super) fn of<T>(reading: &Reading<T>, look: &Look<'_>) -> Option<Self> {
        let Fact { source, at, .. } = reading.fact()?;
        let stale = reading.reason().map(format::sentence);
        Some(Self { source: server_name(source), at: Moment::ago(*at, look), stale })
    }

    /// The same within a sentence, without the reason why it is old, which is a sentence of its own.
    pub(super) fn said(&self) -> Said<'_> {
        Said { source: &self.source, at: &self.at, stale: self.stale.is_some() }
    }

    /// Why it is old, as a sentence; empty of what is fresh.
    pub(super) fn reason(&self) -> &str {
        self.stale.as_deref().unwrap_or_default()
    }

    /// When alone, for where the source stands beside it.
    pub(super) fn age(&self) -> Age<'_> {
        Age { at: &self.at, stale: self.stale.is_some() }
    }
}

/// Who said something and when, within a sentence.
#[derive(Template)]
#[template(path = "parts/said.html")]
pub(super) struct Said<'a> {
    source: &'a str,
    at: &'a Moment,
    stale: bool,
}

/// When something was read.
#[derive(Template)]
#[template(path = "parts/age.html")]
pub(super) struct Age<'a> {
    at: &'a Moment,
    stale: bool,
}

/// Why there is nothing to show, in words.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/gap.html")]
pub(super) struct Gap {
    pub(super) sign: Sign,
    pub(super) sentence: String,
}

impl Gap {
    /// The gap that a reading leaves; `None` where something is known.
    pub(super) fn of<T>(reading: &Reading<T>, what: &str) -> Option<Self> {
        let Reading::Unknown { why, reason } = reading else { return None };
        let (level, word) = match why {
            Why::NotYet => (Level::Busy, "not read yet"),
            Why::Absent => (Level::Idle, "none here"),
            Why::Hidden => (Level::Unknown, "not visible"),
            Why::Failed => (Level::Critical, "unknown"),
        };
        let sentence = match why {
            Why::Absent => format::sentence(reason),
            _ => format!("The {what} are not known: {reason}."),
        };
        Some(Self { sign: Sign::new(level, word), sentence })
    }

    /// Something is known, and it is that there is nothing.
    pub(super) fn empty(sentence: &str) -> Self {
        Self { sign: Sign::new(Level::Idle, "none"), sentence: sentence.to_owned() }
    }
}

/// A number with its unit, or a question mark with the reason why it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/number.html")]
pub(super) struct Number {
    text: Option<String>,
    /// What stands small behind it.
    note: String,
    unknown: String,
}

impl Number {
    pub(super) fn known(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), note: String::new(), unknown: String::new() }
    }

    /// Whether it is nothing, or no number, so that what is something stands out.
    fn is_quiet(&self) -> bool {
        self.text.as_deref().is_some_and(|text| matches!(text, "0" | "0/s" | "0\u{a0}B" | "push" | "none"))
    }

    pub(super) fn unknown(reason: &str) -> Self {
        Self { text: None, note: String::new(), unknown: reason.to_owned() }
    }

    /// A number out of a reading, fresh or stale.
    pub(super) fn of<T>(reading: &Reading<T>, number: impl FnOnce(&T) -> String) -> Self {
        match reading.value() {
            Some(value) => Self::known(number(value)),
            None => Self::unknown(reading.reason().unwrap_or_default()),
        }
    }

    /// A rate out of a trend, which takes two rounds.
    pub(super) fn rate(per_second: Option<f64>) -> Self {
        per_second
            .map_or_else(|| Self::unknown("a rate takes two rounds in a row"), |rate| Self::known(format::rate(rate)))
    }

    pub(super) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Names of several words between dots, such as subjects: a narrow column keeps each whole where it can, and else breaks it behind a dot.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/dotted.html")]
pub(super) struct Dotted {
    text: String,
}

impl Dotted {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }
}

/// The id of a trace: links to where it is shown, here and by other tools, else text to copy.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/trace.html")]
pub(super) struct TraceLink {
    id: String,
    short: String,
    /// Where it is shown here.
    url: Option<String>,
    others: Vec<ToolLink>,
}

impl TraceLink {
    /// The link to a trace in which something was told at the moment `at`.
    pub(super) fn of(id: &str, at: Timestamp, look: &Look<'_>) -> Self {
        let trace = id.parse().ok();
        let about = About { trace, window: elsewhere::around(at), ..About::default() };
        let own = trace.filter(|_| look.site.shows_traces).map(|id| look.link(&Page::Trace(id, None)));
        Self { id: id.to_owned(), short: short(id), url: own, others: look.site.tools.trace(&about) }
    }
}

/// A server's name; one that nobody named is called by its id, of which the end is enough.
pub(super) fn server_name(name: &str) -> String {
    const NAME: usize = 32;
    if name.len() > NAME { short(name) } else { name.to_owned() }
}

/// Letters of an id that are shown where there is little room.
const LETTERS: usize = 8;

/// Ids up to this long are shown whole.
const WHOLE: usize = 18;

/// The last letters of an id: the first ones of many ids are a time, and alike.
pub(super) fn short(id: &str) -> String {
    let length = id.chars().count();
    // The word joiner keeps the dots on the line of what follows.
    if length <= WHOLE {
        id.to_owned()
    } else {
        "…\u{2060}".chars().chain(id.chars().skip(length - LETTERS)).collect()
    }
}

impl HtmlSafe for Sign {}
impl HtmlSafe for Moment {}
impl HtmlSafe for Stamp {}
impl HtmlSafe for Said<'_> {}
impl HtmlSafe for Age<'_> {}
impl HtmlSafe for Gap {}
impl HtmlSafe for Number {}
impl HtmlSafe for TraceLink {}
impl HtmlSafe for Dotted {}
