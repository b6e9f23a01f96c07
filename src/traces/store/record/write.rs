//! Writing records.

use super::{HAS_EVENTS_OR_LINKS, HAS_MORE, HAS_PARENT, tag};
use crate::{
    trace::{SpanId, TraceId},
    traces::{
        given::{Given, GivenSpan, Pair},
        store::{dictionary::Dictionary, sign::Sign},
    },
};

/// Bytes of the longest text that is kept whole: a stack trace fits.
const TEXT_MOST: usize = 16 * 1_024;

/// Writes a record, and what it can be found by.
#[derive(Debug)]
pub(in crate::traces::store) struct Writer<'a> {
    pub(in crate::traces::store) bytes: &'a mut Vec<u8>,
    pub(in crate::traces::store) dictionary: &'a mut Dictionary,
    pub(in crate::traces::store) sign: Sign,
}

/// What a record needs to know that the span alone does not say.
#[derive(Debug, Clone, Copy)]
pub(in crate::traces::store) struct Place {
    pub(in crate::traces::store) id: SpanId,
    pub(in crate::traces::store) parent: Option<SpanId>,
    /// When the trace began, by the first of its spans that came.
    pub(in crate::traces::store) base: u64,
    /// Who made the span, by his place in the trace's list.
    pub(in crate::traces::store) origin: usize,
}

impl Writer<'_> {
    pub(in crate::traces::store) fn span(&mut self, place: Place, span: &GivenSpan<'_>) {
        let has_more = !span.message.is_empty() || !span.state.is_empty() || span.left_out > 0;
        let has_others = !span.events.is_empty() || !span.links.is_empty();
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let kind_and_status = span.kind.min(7) as u8 | (span.status.min(3) as u8) << 3;
        self.bytes.extend_from_slice(&place.id.0);
        self.bytes.push(
            kind_and_status
                | flag(place.parent.is_some(), HAS_PARENT)
                | flag(has_more, HAS_MORE)
                | flag(has_others, HAS_EVENTS_OR_LINKS),
        );
        if let Some(parent) = place.parent {
            self.bytes.extend_from_slice(&parent.0);
        }
        self.zigzag(span.start.wrapping_sub(place.base).cast_signed());
        self.varint(span.end.saturating_sub(span.start));
        self.varint(place.origin as u64);
        self.sign.text(&span.name);
        self.name(&span.name);
        for pair in &span.attributes {
            self.sign.pair(pair);
        }
        self.pairs(&span.attributes);
        if has_more {
            self.full(&span.message);
            self.full(&span.state);
            self.varint(span.left_out);
        }
        if has_others {
            self.events(span);
            self.links(span);
        }
    }

    fn events(&mut self, span: &GivenSpan<'_>) {
        self.varint(span.events.len() as u64);
        for event in &span.events {
            self.zigzag(event.at.wrapping_sub(span.start).cast_signed());
            self.name(&event.name);
            self.pairs(&event.attributes);
        }
    }

    /// A link to what is no span leads nowhere.
    fn links(&mut self, span: &GivenSpan<'_>) {
        let ids = |index: usize| {
            let link = &span.links[index];
            Some((TraceId::of(&link.trace)?, SpanId::of(&link.span)?, &link.attributes))
        };
        self.varint((0..span.links.len()).filter_map(ids).count() as u64);
        for (trace, id, attributes) in (0..span.links.len()).filter_map(ids) {
            self.bytes.extend_from_slice(&trace.0);
            self.bytes.extend_from_slice(&id.0);
            self.pairs(attributes);
        }
    }

    pub(in crate::traces::store) fn pairs(&mut self, pairs: &[Pair<'_>]) {
        self.varint(pairs.len() as u64);
        for Pair { key, value } in pairs {
            let key = self.name(key);
            self.value(key, value);
        }
    }

    pub(super) fn value(&mut self, key: Option<u32>, value: &Given<'_>) {
        match value {
            Given::Empty => self.bytes.push(tag::EMPTY),
            Given::Text(text) => {
                self.bytes.push(tag::TEXT);
                match key.and_then(|key| self.dictionary.value(key, text)) {
                    Some(number) => self.numbered(number),
                    None => self.full(text),
                }
            }
            Given::Bool(false) => self.bytes.push(tag::FALSE),
            Given::Bool(true) => self.bytes.push(tag::TRUE),
            Given::Number(number) => {
                self.bytes.push(tag::NUMBER);
                self.zigzag(*number);
            }
            Given::Real(number) => {
                self.bytes.push(tag::REAL);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
            Given::Bytes(bytes) => {
                self.bytes.push(tag::BYTES);
                let kept = &bytes[..bytes.len().min(TEXT_MOST)];
                self.varint(kept.len() as u64);
                self.bytes.extend_from_slice(kept);
            }
            Given::List(values) => {
                self.bytes.push(tag::LIST);
                self.varint(values.len() as u64);
                values.iter().for_each(|value| self.value(key, value));
            }
            Given::Map(pairs) => {
                self.bytes.push(tag::MAP);
                self.pairs(pairs);
            }
        }
    }

    pub(super) fn name(&mut self, text: &str) -> Option<u32> {
        let number = self.dictionary.name(text);
        match number {
            Some(number) => self.numbered(number),
            None => self.full(text),
        }
        number
    }

    fn numbered(&mut self, number: u32) {
        self.varint(u64::from(number) << 1 | 1);
    }

    /// A text that stands there, cut where it is too long.
    fn full(&mut self, text: &str) {
        let mut length = text.len().min(TEXT_MOST);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.varint((length as u64) << 1);
        self.bytes.extend_from_slice(&text.as_bytes()[..length]);
    }

    pub(super) fn zigzag(&mut self, number: i64) {
        self.varint((number << 1 ^ number >> 63).cast_unsigned());
    }

    pub(super) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}
