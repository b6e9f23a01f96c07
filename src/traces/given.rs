//! A span, or an entry of a log, as it is handed in: borrowed from what brought it, whatever that was written in.

use std::borrow::Cow;

/// A text of the request.
pub(super) type Text<'a> = Cow<'a, str>;

/// Something that is said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair<'a> {
    pub(super) key: Text<'a>,
    pub(super) value: Given<'a>,
}

/// A value that is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Given<'a> {
    #[default]
    Empty,
    Text(Text<'a>),
    Bool(bool),
    Number(i64),
    Real(f64),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Given<'a>>),
    Map(Vec<Pair<'a>>),
}

/// A span that is given. Ids are as they came: what is not the id of anything is told by whoever takes the span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GivenSpan<'a> {
    pub(super) trace: Cow<'a, [u8]>,
    pub(super) id: Cow<'a, [u8]>,
    pub(super) parent: Cow<'a, [u8]>,
    pub(super) state: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) kind: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) status: u64,
    pub(super) message: Text<'a>,
    pub(super) attributes: Vec<Pair<'a>>,
    pub(super) events: Vec<GivenEvent<'a>>,
    pub(super) links: Vec<GivenLink<'a>>,
    pub(super) left_out: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GivenEvent<'a> {
    pub(super) at: u64,
    pub(super) name: Text<'a>,
    pub(super) attributes: Vec<Pair<'a>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GivenLink<'a> {
    pub(super) trace: Cow<'a, [u8]>,
    pub(super) span: Cow<'a, [u8]>,
    pub(super) attributes: Vec<Pair<'a>>,
}

/// An entry of a log that is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GivenLog<'a> {
    pub(super) trace: Cow<'a, [u8]>,
    pub(super) span: Cow<'a, [u8]>,
    /// When it was written; 0 where that is not told.
    pub(super) at: u64,
    /// When somebody saw it.
    pub(super) seen: u64,
    pub(super) level: u64,
    pub(super) level_name: Text<'a>,
    pub(super) event: Text<'a>,
    pub(super) body: Given<'a>,
    pub(super) attributes: Vec<Pair<'a>>,
    pub(super) left_out: u64,
}

/// Attributes, events, links, and all values within them that a span may have, and attributes and values that an entry of a log may;
/// what is more is left out, and counted. Without it a few bytes in a request would become many in memory.
pub(super) const PARTS_MOST: u64 = 2_048;

impl GivenSpan<'_> {
    /// Empties the span, keeping its room for the next.
    pub(super) fn clear(&mut self) {
        let (mut attributes, mut events, mut links) =
            (std::mem::take(&mut self.attributes), std::mem::take(&mut self.events), std::mem::take(&mut self.links));
        attributes.clear();
        events.clear();
        links.clear();
        *self = Self { attributes, events, links, ..Self::default() };
    }
}

/// Whoever takes spans and logs that are given: first who made them, then they themselves.
pub(super) trait Take<'a> {
    /// The process that made the spans which follow.
    fn resource(&mut self, attributes: Vec<Pair<'a>>);
    /// The library that made the spans which follow, within that process.
    fn scope(&mut self, name: Text<'a>, version: Text<'a>);
    /// A span; `None` for one that cannot be read.
    fn span(&mut self, span: Option<&GivenSpan<'a>>);
    /// An entry of a log; `None` for one that cannot be read.
    fn log(&mut self, log: Option<&GivenLog<'a>>);
}
