//! A trace as somebody looks at it: its spans and what they carry.

use std::{fmt, str::FromStr, sync::Arc};

use super::{BROKER, push_hex, unhex};

/// Which trace it is; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// Which span of a trace it is; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

/// The text is not the id of a trace or a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a trace or a span (wanted 32 or 16 hex digits, not all of them 0)")]
pub struct TraceIdError;

impl TraceId {
    /// The id of these bytes, if they are one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().filter(|id| *id != [0; 16]).map(Self)
    }
}

impl SpanId {
    /// The id of these bytes, if they are one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().filter(|id| *id != [0; 8]).map(Self)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(32);
        push_hex(&mut text, &self.0);
        f.write_str(&text)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(16);
        push_hex(&mut text, &self.0);
        f.write_str(&text)
    }
}

/// Letters may be of either case.
impl FromStr for SpanId {
    type Err = TraceIdError;

    fn from_str(text: &str) -> Result<Self, TraceIdError> {
        let lower = text.to_ascii_lowercase();
        let bytes = (lower.len() == 16).then(|| unhex::<8>(lower.as_bytes())).flatten();
        bytes.and_then(|bytes| Self::of(&bytes)).ok_or(TraceIdError)
    }
}

/// Letters may be of either case, as people copy them.
impl FromStr for TraceId {
    type Err = TraceIdError;

    fn from_str(text: &str) -> Result<Self, TraceIdError> {
        let lower = text.to_ascii_lowercase();
        let bytes = (lower.len() == 32).then(|| unhex::<16>(lower.as_bytes())).flatten();
        bytes.and_then(|bytes| Self::of(&bytes)).ok_or(TraceIdError)
    }
}

/// What a span says of its place among others.
///
/// Convention: `SpanKind` of OpenTelemetry; the numbers are those of its protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Nothing is said.
    #[default]
    Unspecified,
    /// Work within a process.
    Internal,
    /// The answer to a request.
    Server,
    /// A request.
    Client,
    /// A message on its way out.
    Producer,
    /// A message that is handled.
    Consumer,
}

impl SpanKind {
    /// The kind of this number.
    pub fn of(number: u64) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }
}

/// How the work of a span ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing is said, which usually means well.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// It failed.
    Error,
}

impl SpanStatus {
    /// The status of this number in OpenTelemetry's protocol.
    pub fn of(number: u64) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None was given.
    Empty,
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A number with a fraction.
    Real(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Value>),
    /// Several with names.
    Map(Vec<Attribute>),
}

/// Something that is said of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// As one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Bytes(bytes) => {
                let mut text = String::with_capacity(2 * bytes.len());
                push_hex(&mut text, bytes);
                f.write_str(&text)
            }
            Self::List(values) => joined(f, "[", values.iter(), "]"),
            Self::Map(pairs) => joined(f, "{", pairs.iter(), "}"),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

fn joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    parts: impl Iterator<Item = T>,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (index, part) in parts.enumerate() {
        write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(close)
}

/// Who made a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    /// The service; empty where it does not say its name.
    pub service: String,
    /// What is said of the process and its surroundings.
    pub attributes: Vec<Attribute>,
    /// The library that made the span.
    pub scope: String,
    /// Its version.
    pub scope_version: String,
}

impl Origin {
    /// Whether a broker told of the span: it passes messages on, and is no service.
    pub fn is_broker(&self) -> bool {
        self.scope == BROKER
    }
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// What.
    pub name: String,
    /// What is said of it.
    pub attributes: Vec<Attribute>,
}

/// Another span, perhaps of another trace, that a span follows from.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// What is said of the link.
    pub attributes: Vec<Attribute>,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Which it is.
    pub id: SpanId,
    /// The span that it is part of; `None` for one that began the trace.
    pub parent: Option<SpanId>,
    /// What it is called.
    pub name: String,
    /// Its place among others.
    pub kind: SpanKind,
    /// From when, in nanoseconds since 1970 by the clock of its machine.
    pub start: u64,
    /// Until when; never before `start`.
    pub end: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// Why it failed, in words.
    pub message: String,
    /// What is said of it.
    pub attributes: Vec<Attribute>,
    /// What happened within it.
    pub events: Vec<Event>,
    /// What it follows from beside its parent.
    pub links: Vec<Link>,
    /// What vendors of tracing added, as it travels.
    pub state: String,
    /// How many attributes, events and links its maker or its keeper left out.
    pub left_out: u64,
    /// Who made it.
    pub origin: Arc<Origin>,
}

impl Span {
    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    /// The text of an attribute; `None` where it is empty, or no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attribute(key) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The number of an attribute, which some write as text; `None` where it is negative, or no number.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.attribute(key)? {
            Value::Number(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// How long it took, in nanoseconds.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What is kept of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Which it is.
    pub id: TraceId,
    /// Its spans, in the order in which they came.
    pub spans: Vec<Span>,
    /// How many more came and were not kept, because it has so many.
    pub left_out: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_trace_survives_its_text() {
        let text = "4bf92f3577b34da6a3ce929d0e0e4736";
        let id: TraceId = text.to_uppercase().parse().unwrap();
        assert_eq!(id.to_string(), text);
        for bad in ["", "4bf9", &"0".repeat(32), &"g".repeat(32), &"é".repeat(16), &"a".repeat(33)] {
            assert_eq!(bad.parse::<TraceId>(), Err(TraceIdError), "{bad}");
        }
    }

    #[test]
    fn a_value_is_one_line() {
        let pair = |key: &str, value| Attribute { key: key.to_owned(), value };
        let list = Value::List(vec![Value::Number(-1), Value::Text("a".to_owned()), Value::Bytes(vec![0, 255])]);
        let map = Value::Map(vec![pair("n", list), pair("ok", Value::Bool(true)), pair("none", Value::Empty)]);
        assert_eq!(map.to_string(), "{n=[-1, a, 00ff], ok=true, none=}");
    }
}
