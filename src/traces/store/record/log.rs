//! The record of a log entry: flags, level, time against that of the first, who wrote it, span, event, body, attributes.

use std::sync::Arc;

use super::{read::Reader, write::Writer};
use crate::{
    mask::{self, Masked},
    trace::{Attribute, Log, LogLevel, Origin, SpanId, Value},
    traces::{given::GivenLog, store::dictionary::Dictionary},
};

const HAS_SPAN: u8 = 0b0000_0001;
const HAS_EVENT: u8 = 0b0000_0010;

/// Levels by their numbers in records.
const LEVELS: [LogLevel; 7] = [
    LogLevel::Unspecified,
    LogLevel::Trace,
    LogLevel::Debug,
    LogLevel::Info,
    LogLevel::Warn,
    LogLevel::Error,
    LogLevel::Fatal,
];

impl Writer<'_> {
    /// Writes an entry that stands at the time `at`, against that of the first and by whom of the list.
    pub(in crate::traces::store) fn log(&mut self, log: &GivenLog<'_>, at: u64, base: u64, origin: usize) {
        let span = SpanId::of(&log.span);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        self.bytes.push(flag(span.is_some(), HAS_SPAN) | flag(!log.event.is_empty(), HAS_EVENT));
        self.bytes.push(LogLevel::of(log.level, &log.level_name) as u8);
        self.zigzag(at.wrapping_sub(base).cast_signed());
        self.varint(origin as u64);
        if let Some(span) = span {
            self.bytes.extend_from_slice(&span.0);
        }
        if !log.event.is_empty() {
            self.name(&log.event);
        }
        self.value(None, &log.body);
        self.pairs(&log.attributes);
        self.varint(log.left_out);
    }
}

/// Reads an entry as it is shown: without what is secret.
pub(in crate::traces::store) fn read(
    record: &[u8],
    base: u64,
    dictionary: &Dictionary,
    origins: &[Arc<Origin>],
) -> Option<Log> {
    let mut reader = Reader::new(record);
    let (flags, level) = (reader.byte()?, reader.byte()?);
    let at = base.wrapping_add(reader.zigzag()?.cast_unsigned());
    let origin = origins.get(usize::try_from(reader.varint()?).ok()?)?.clone();
    let span = if flags & HAS_SPAN == 0 { None } else { Some(SpanId(reader.array()?)) };
    let event = if flags & HAS_EVENT == 0 { String::new() } else { reader.owned(dictionary)? };
    let body = reader.value(dictionary)?;
    let attributes = reader.pairs(dictionary)?;
    Some(Log {
        at,
        level: LEVELS.get(usize::from(level)).copied().unwrap_or_default(),
        span,
        event,
        body: without_secrets("", body),
        attributes: attributes.into_iter().map(open).collect(),
        left_out: reader.varint()?,
        origin,
    })
}

fn open(Attribute { key, value }: Attribute) -> Attribute {
    let value = without_secrets(&key, value);
    Attribute { key, value }
}

/// The value of something with a name, with secrets left out by their names and forms.
fn without_secrets(name: &str, value: Value) -> Value {
    match value {
        Value::Map(pairs) if !mask::is_secret(name) => Value::Map(pairs.into_iter().map(open).collect()),
        Value::List(values) if !mask::is_secret(name) => {
            Value::List(values.into_iter().map(|value| without_secrets(name, value)).collect())
        }
        Value::Empty | Value::Bool(_) => value,
        Value::Text(text) => Value::Text(mask::header(name, &text, &mut Masked::default())),
        other => {
            let mut masked = Masked::default();
            let shown = mask::header(name, &other.to_string(), &mut masked);
            if masked.is_empty() { other } else { Value::Text(shown) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LEVELS;

    #[test]
    fn a_level_is_read_as_it_was_written() {
        for (number, level) in LEVELS.iter().enumerate() {
            assert_eq!(*level as usize, number);
        }
    }
}
