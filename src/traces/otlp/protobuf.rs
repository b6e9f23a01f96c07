//! Requests as protocol buffers, read where they lie: nothing is copied, and what is inside a span is read when the span is asked for.
//!
//! Convention: `opentelemetry/proto/trace/v1/trace.proto`, `common.proto` and `resource.proto`, 1.x; numbers below are its field
//! numbers. A field that is not known is passed over.

mod logs;

use std::borrow::Cow;

use crate::traces::given::{Given, GivenEvent, GivenLink, GivenSpan, PARTS_MOST, Pair, Take, Text};

pub(super) use logs::each_log;

/// How deep lists and maps may lie within each other; what lies deeper is left out.
const DEPTH_MOST: u32 = 8;

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a request of OTLP for this signal")]
pub(super) struct Malformed;

/// The value of a field.
#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
    /// Of four bytes; nothing that we keep has this form.
    Short,
}

impl<'a> Field<'a> {
    fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    fn text(self) -> Result<Text<'a>, Malformed> {
        Ok(String::from_utf8_lossy(self.bytes()?))
    }

    fn number(self) -> Result<u64, Malformed> {
        match self {
            Field::Number(number) => Ok(number),
            _ => Err(Malformed),
        }
    }

    fn fixed(self) -> Result<u64, Malformed> {
        match self {
            Field::Fixed(number) => Ok(number),
            _ => Err(Malformed),
        }
    }
}

/// The fields of a message, one after the other.
#[derive(Debug, Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Fixed(self.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| Malformed)?),
            2 => {
                let length = self.varint()?.try_into().map_err(|_| Malformed)?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Short)?,
            _ => return Err(Malformed),
        };
        Ok(Some((tag >> 3, field)))
    }

    /// Calls `read` for each field.
    fn each(mut self, mut read: impl FnMut(u64, Field<'a>) -> Result<(), Malformed>) -> Result<(), Malformed> {
        while let Some((number, field)) = self.next()? {
            read(number, field)?;
        }
        Ok(())
    }
}

/// Hands each span to `take`. A request whose frame cannot be read is refused before anything of it is taken.
pub(super) fn each_span<'a>(request: &'a [u8], take: &mut impl Take<'a>) -> Result<(), Malformed> {
    requests(request, &mut FramesAlone)?;
    requests(request, &mut Spans { take, span: GivenSpan::default() })
}

/// What `ExportTraceServiceResponse` says of spans that were not taken, and `ExportLogsServiceResponse` of entries of logs.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let mut rejected = 0;
    let read = Fields(answer).each(|number, field| match number {
        1 => Fields(field.bytes()?).each(|number, field| {
            rejected = if number == 1 { field.number()? } else { rejected };
            Ok(())
        }),
        _ => Ok(()),
    });
    read.map_or(0, |()| rejected)
}

/// What is done with the parts of a request.
trait Visit<'a> {
    fn resource(&mut self, attributes: Vec<Pair<'a>>);
    fn scope(&mut self, name: Text<'a>, version: Text<'a>);
    /// A span, or an entry of a log.
    fn item(&mut self, bytes: &'a [u8]);
}

struct FramesAlone;

impl<'a> Visit<'a> for FramesAlone {
    fn resource(&mut self, _: Vec<Pair<'a>>) {}
    fn scope(&mut self, _: Text<'a>, _: Text<'a>) {}
    fn item(&mut self, _: &'a [u8]) {}
}

struct Spans<'s, 'a, T> {
    take: &'s mut T,
    span: GivenSpan<'a>,
}

impl<'a, T: Take<'a>> Visit<'a> for Spans<'_, 'a, T> {
    fn resource(&mut self, attributes: Vec<Pair<'a>>) {
        self.take.resource(attributes);
    }

    fn scope(&mut self, name: Text<'a>, version: Text<'a>) {
        self.take.scope(name, version);
    }

    fn item(&mut self, bytes: &'a [u8]) {
        self.span.clear();
        let is_read = read_span(bytes, &mut self.span).is_ok();
        self.take.span(is_read.then_some(&self.span));
    }
}

fn requests<'a>(request: &'a [u8], visit: &mut impl Visit<'a>) -> Result<(), Malformed> {
    Fields(request).each(|number, field| match number {
        1 => of_resource(field.bytes()?, visit),
        _ => Ok(()),
    })
}

/// Fields may come in any order: the maker is looked for before what he made.
fn of_resource<'a>(bytes: &'a [u8], visit: &mut impl Visit<'a>) -> Result<(), Malformed> {
    let (mut attributes, mut parts) = (Vec::new(), Parts::default());
    Fields(bytes).each(|number, field| match number {
        1 => Fields(field.bytes()?).each(|number, field| match number {
            1 => parts.push(&mut attributes, |parts| parts.pair(field.bytes()?, 0)),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    visit.resource(attributes);
    Fields(bytes).each(|number, field| match number {
        2 => of_scope(field.bytes()?, visit),
        _ => Ok(()),
    })
}

fn of_scope<'a>(bytes: &'a [u8], visit: &mut impl Visit<'a>) -> Result<(), Malformed> {
    let (mut name, mut version) = (Text::default(), Text::default());
    Fields(bytes).each(|number, field| match number {
        1 => Fields(field.bytes()?).each(|number, field| {
            match number {
                1 => name = field.text()?,
                2 => version = field.text()?,
                _ => {}
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    visit.scope(name, version);
    Fields(bytes).each(|number, field| {
        if number == 2 {
            visit.item(field.bytes()?);
        }
        Ok(())
    })
}

fn read_span<'a>(bytes: &'a [u8], span: &mut GivenSpan<'a>) -> Result<(), Malformed> {
    let mut parts = Parts::default();
    Fields(bytes).each(|number, field| {
        match number {
            1 => span.trace = Cow::Borrowed(field.bytes()?),
            2 => span.id = Cow::Borrowed(field.bytes()?),
            3 => span.state = field.text()?,
            4 => span.parent = Cow::Borrowed(field.bytes()?),
            5 => span.name = field.text()?,
            6 => span.kind = field.number()?,
            7 => span.start = field.fixed()?,
            8 => span.end = field.fixed()?,
            9 => parts.push(&mut span.attributes, |parts| parts.pair(field.bytes()?, 0))?,
            11 => parts.push(&mut span.events, |parts| parts.event(field.bytes()?))?,
            13 => parts.push(&mut span.links, |parts| parts.link(field.bytes()?))?,
            10 | 12 | 14 => parts.left_out = parts.left_out.saturating_add(field.number()?),
            15 => status(field.bytes()?, span)?,
            _ => {}
        }
        Ok(())
    })?;
    span.left_out = parts.left_out;
    Ok(())
}

fn status<'a>(bytes: &'a [u8], span: &mut GivenSpan<'a>) -> Result<(), Malformed> {
    Fields(bytes).each(|number, field| {
        match number {
            2 => span.message = field.text()?,
            3 => span.status = field.number()?,
            _ => {}
        }
        Ok(())
    })
}

/// Counts the parts of a span, so that it does not become larger than it should.
#[derive(Debug, Default)]
struct Parts {
    taken: u64,
    left_out: u64,
}

impl Parts {
    fn push<T>(
        &mut self,
        to: &mut Vec<T>,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<(), Malformed> {
        if self.taken >= PARTS_MOST {
            self.left_out = self.left_out.saturating_add(1);
            return Ok(());
        }
        self.taken += 1;
        let part = read(self)?;
        to.push(part);
        Ok(())
    }

    fn pair<'a>(&mut self, bytes: &'a [u8], depth: u32) -> Result<Pair<'a>, Malformed> {
        let mut pair = Pair { key: Text::default(), value: Given::Empty };
        Fields(bytes).each(|number, field| {
            match number {
                1 => pair.key = field.text()?,
                2 => pair.value = self.value(field.bytes()?, depth)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(pair)
    }

    fn value<'a>(&mut self, bytes: &'a [u8], depth: u32) -> Result<Given<'a>, Malformed> {
        let mut value = Given::Empty;
        Fields(bytes).each(|number, field| {
            value = match number {
                1 => Given::Text(field.text()?),
                2 => Given::Bool(field.number()? != 0),
                3 => Given::Number(field.number()?.cast_signed()),
                4 => Given::Real(f64::from_bits(field.fixed()?)),
                5 | 6 if depth >= DEPTH_MOST => {
                    self.left_out = self.left_out.saturating_add(1);
                    Given::Empty
                }
                5 => Given::List(self.several(field.bytes()?, |parts, bytes| parts.value(bytes, depth + 1))?),
                6 => Given::Map(self.several(field.bytes()?, |parts, bytes| parts.pair(bytes, depth + 1))?),
                7 => Given::Bytes(Cow::Borrowed(field.bytes()?)),
                _ => return Ok(()),
            };
            Ok(())
        })?;
        Ok(value)
    }

    fn several<'a, T>(
        &mut self,
        bytes: &'a [u8],
        read: impl Fn(&mut Self, &'a [u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let mut several = Vec::new();
        Fields(bytes).each(|number, field| match number {
            1 => self.push(&mut several, |parts| read(parts, field.bytes()?)),
            _ => Ok(()),
        })?;
        Ok(several)
    }

    fn event<'a>(&mut self, bytes: &'a [u8]) -> Result<GivenEvent<'a>, Malformed> {
        let mut event = GivenEvent::default();
        Fields(bytes).each(|number, field| {
            match number {
                1 => event.at = field.fixed()?,
                2 => event.name = field.text()?,
                3 => self.push(&mut event.attributes, |parts| parts.pair(field.bytes()?, 0))?,
                4 => self.left_out = self.left_out.saturating_add(field.number()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(event)
    }

    fn link<'a>(&mut self, bytes: &'a [u8]) -> Result<GivenLink<'a>, Malformed> {
        let mut link = GivenLink::default();
        Fields(bytes).each(|number, field| {
            match number {
                1 => link.trace = Cow::Borrowed(field.bytes()?),
                2 => link.span = Cow::Borrowed(field.bytes()?),
                4 => self.push(&mut link.attributes, |parts| parts.pair(field.bytes()?, 0))?,
                5 => self.left_out = self.left_out.saturating_add(field.number()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(link)
    }
}
