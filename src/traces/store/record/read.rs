//! Reading records. They are our own: one that cannot be read is a defect, and is passed over.

use std::sync::Arc;

use super::{HAS_EVENTS_OR_LINKS, HAS_MORE, HAS_PARENT, tag};
use crate::{
    mask,
    trace::{Attribute, Event, Link, Origin, Span, SpanId, SpanKind, SpanStatus, TraceId, Value},
    traces::store::dictionary::Dictionary,
};

/// A text of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::traces::store) enum Text<'a> {
    Number(u32),
    Full(&'a str),
}

impl<'a> Text<'a> {
    pub(in crate::traces::store) fn text(self, dictionary: &'a Dictionary) -> &'a str {
        match self {
            Text::Number(number) => dictionary.text(number),
            Text::Full(text) => text,
        }
    }
}

/// A value of a record that is not a list or a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::traces::store) enum Plain<'a> {
    Text(Text<'a>),
    Bool(bool),
    Number(i64),
    Real(f64),
    /// Something that nobody searches for.
    Other,
}

/// What stands at the front of a record.
#[derive(Debug, Clone, Copy)]
pub(in crate::traces::store) struct Head<'a> {
    pub(in crate::traces::store) id: SpanId,
    pub(in crate::traces::store) parent: Option<SpanId>,
    pub(in crate::traces::store) kind: SpanKind,
    pub(in crate::traces::store) status: SpanStatus,
    pub(in crate::traces::store) start: u64,
    pub(in crate::traces::store) duration: u64,
    pub(in crate::traces::store) origin: usize,
    pub(in crate::traces::store) name: Text<'a>,
    flags: u8,
    rest: Reader<'a>,
}

/// Where in a record one reads.
#[derive(Debug, Clone, Copy)]
pub(in crate::traces::store) struct Reader<'a>(&'a [u8]);

impl<'a> Head<'a> {
    /// The front of a record of a trace that began at `base`.
    pub(in crate::traces::store) fn of(record: &'a [u8], base: u64) -> Option<Self> {
        let mut reader = Reader(record);
        let id = SpanId(reader.array()?);
        let flags = reader.byte()?;
        let parent = if flags & HAS_PARENT == 0 { None } else { Some(SpanId(reader.array()?)) };
        Some(Self {
            id,
            parent,
            kind: SpanKind::of(u64::from(flags & 7)),
            status: SpanStatus::of(u64::from(flags >> 3 & 3)),
            start: base.wrapping_add(reader.zigzag()?.cast_unsigned()),
            duration: reader.varint()?,
            origin: reader.varint()?.try_into().ok()?,
            name: reader.text()?,
            flags,
            rest: reader,
        })
    }

    /// Calls `see` for each attribute until it says no.
    pub(in crate::traces::store) fn attributes(&self, mut see: impl FnMut(Text<'a>, Plain<'a>) -> bool) -> Option<()> {
        let mut reader = self.rest;
        for _ in 0..reader.varint()? {
            let key = reader.text()?;
            if !see(key, reader.plain()?) {
                break;
            }
        }
        Some(())
    }

    /// The whole span. What a rule of `mask` knows as secret is left out of its name and of why it failed; its attributes are as they came,
    /// for ids are read from them.
    pub(in crate::traces::store) fn whole(&self, dictionary: &Dictionary, origins: &[Arc<Origin>]) -> Option<Span> {
        let mut reader = self.rest;
        let mut span = Span {
            id: self.id,
            parent: self.parent,
            name: mask::shown(self.name.text(dictionary)),
            kind: self.kind,
            start: self.start,
            end: self.start.saturating_add(self.duration),
            status: self.status,
            message: String::new(),
            attributes: reader.pairs(dictionary)?,
            events: Vec::new(),
            links: Vec::new(),
            state: String::new(),
            left_out: 0,
            origin: origins.get(self.origin)?.clone(),
        };
        if self.flags & HAS_MORE != 0 {
            span.message = mask::shown(&reader.owned(dictionary)?);
            span.state = reader.owned(dictionary)?;
            span.left_out = reader.varint()?;
        }
        if self.flags & HAS_EVENTS_OR_LINKS != 0 {
            span.events = (0..reader.varint()?).map(|_| reader.event(self.start, dictionary)).collect::<Option<_>>()?;
            span.links = (0..reader.varint()?).map(|_| reader.link(dictionary)).collect::<Option<_>>()?;
        }
        Some(span)
    }
}

impl<'a> Reader<'a> {
    pub(in crate::traces::store) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::traces::store) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(in crate::traces::store) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Some(number);
            }
        }
        None
    }

    pub(in crate::traces::store) fn pairs(&mut self, dictionary: &Dictionary) -> Option<Vec<Attribute>> {
        let several = self.varint()?;
        (0..several).map(|_| Some(Attribute { key: self.owned(dictionary)?, value: self.value(dictionary)? })).collect()
    }

    fn run(&mut self, length: u64) -> Option<&'a [u8]> {
        let (run, rest) = self.0.split_at_checked(length.try_into().ok()?)?;
        self.0 = rest;
        Some(run)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.run(N as u64)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn text(&mut self) -> Option<Text<'a>> {
        let number = self.varint()?;
        if number & 1 == 1 {
            return u32::try_from(number >> 1).ok().map(Text::Number);
        }
        std::str::from_utf8(self.run(number >> 1)?).ok().map(Text::Full)
    }

    pub(super) fn owned(&mut self, dictionary: &Dictionary) -> Option<String> {
        Some(match self.text()? {
            Text::Number(number) => dictionary.text(number).to_owned(),
            Text::Full(text) => text.to_owned(),
        })
    }

    /// A value, if it is a plain one; others are passed over.
    fn plain(&mut self) -> Option<Plain<'a>> {
        Some(match self.byte()? {
            tag::TEXT => Plain::Text(self.text()?),
            tag::FALSE => Plain::Bool(false),
            tag::TRUE => Plain::Bool(true),
            tag::NUMBER => Plain::Number(self.zigzag()?),
            tag::REAL => Plain::Real(f64::from_le_bytes(self.array()?)),
            tag::BYTES => {
                let length = self.varint()?;
                self.run(length)?;
                Plain::Other
            }
            tag::LIST => {
                for _ in 0..self.varint()? {
                    self.plain()?;
                }
                Plain::Other
            }
            tag::MAP => {
                for _ in 0..self.varint()? {
                    self.text()?;
                    self.plain()?;
                }
                Plain::Other
            }
            _ => Plain::Other,
        })
    }

    pub(super) fn value(&mut self, dictionary: &Dictionary) -> Option<Value> {
        let before = *self;
        Some(match self.byte()? {
            tag::EMPTY => Value::Empty,
            tag::BYTES => {
                let length = self.varint()?;
                Value::Bytes(self.run(length)?.to_owned())
            }
            tag::LIST => {
                let several = self.varint()?;
                Value::List((0..several).map(|_| self.value(dictionary)).collect::<Option<_>>()?)
            }
            tag::MAP => Value::Map(self.pairs(dictionary)?),
            _ => {
                *self = before;
                match self.plain()? {
                    Plain::Text(Text::Number(number)) => Value::Text(dictionary.text(number).to_owned()),
                    Plain::Text(Text::Full(text)) => Value::Text(text.to_owned()),
                    Plain::Bool(value) => Value::Bool(value),
                    Plain::Number(value) => Value::Number(value),
                    Plain::Real(value) => Value::Real(value),
                    Plain::Other => return None,
                }
            }
        })
    }

    fn event(&mut self, start: u64, dictionary: &Dictionary) -> Option<Event> {
        Some(Event {
            at: start.wrapping_add(self.zigzag()?.cast_unsigned()),
            name: self.owned(dictionary)?,
            attributes: self.pairs(dictionary)?,
        })
    }

    fn link(&mut self, dictionary: &Dictionary) -> Option<Link> {
        Some(Link { trace: TraceId(self.array()?), span: SpanId(self.array()?), attributes: self.pairs(dictionary)? })
    }
}
