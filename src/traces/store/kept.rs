//! One trace as it is kept.

use std::sync::Arc;

use super::{origins, pieces::Pieces, record::read::Head, sign::Sign, size};
use crate::trace::{Origin, TraceId};

/// Signs for which room is made at once.
const SIGNS: usize = 16;

/// A trace.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: TraceId,
    /// When its first span came, in milliseconds since 1970 by our clock.
    pub(super) arrived: u64,
    /// The start of the span that came first; others are told against it.
    pub(super) base: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) errors: u32,
    /// Spans that came and found the trace too large.
    pub(super) left_out: u64,
    pub(super) origins: Vec<Arc<Origin>>,
    root: Root,
    signs: Vec<Sign>,
    pieces: Pieces,
    bytes: usize,
}

/// The span that stands for the trace: one of a service before what a broker told of, of these one without a parent, and of several the
/// earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Root {
    is_of_broker: bool,
    has_parent: bool,
    start: u64,
    index: usize,
}

/// What the trace has to know of a span beside its record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    pub(super) is_of_broker: bool,
    pub(super) has_parent: bool,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) is_error: bool,
    pub(super) sign: Sign,
}

impl Kept {
    pub(super) fn new(id: TraceId, arrived: u64, base: u64) -> Self {
        let mut kept = Self {
            id,
            arrived,
            base,
            start: u64::MAX,
            end: 0,
            errors: 0,
            left_out: 0,
            origins: Vec::new(),
            root: Root { is_of_broker: true, has_parent: true, start: u64::MAX, index: usize::MAX },
            signs: Vec::new(),
            pieces: Pieces::default(),
            bytes: size::of_piece(size_of::<Self>()) + size::OF_ENTRY,
        };
        kept.origins.reserve_exact(2);
        kept.bytes += size::of_piece(2 * size_of::<Arc<Origin>>());
        kept
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn spans(&self) -> usize {
        self.signs.len()
    }

    /// The place of a maker in the list of makers.
    pub(super) fn origin(&mut self, origin: &Arc<Origin>) -> usize {
        let (place, grown) = origins::place(&mut self.origins, origin);
        self.bytes += grown;
        place
    }

    /// Keeps a record.
    pub(super) fn push(&mut self, record: &[u8], span: Summary) {
        let Summary { is_of_broker, has_parent, start, .. } = span;
        let root = Root { is_of_broker, has_parent, start, index: self.signs.len() };
        self.root = self.root.min(root);
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end);
        self.errors = self.errors.saturating_add(u32::from(span.is_error));
        self.sign(span.sign);
        self.bytes += self.pieces.push(record);
    }

    fn sign(&mut self, sign: Sign) {
        if self.signs.len() == self.signs.capacity() {
            let before = self.signs.capacity();
            self.signs.reserve_exact(SIGNS.max(before / 2));
            let first = if before == 0 { size::of_piece(0) } else { 0 };
            self.bytes += (self.signs.capacity() - before) * size_of::<Sign>() + first;
        }
        self.signs.push(sign);
    }

    /// Its records, in the order in which they came.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter()
    }

    /// Its spans, in the order in which they came.
    pub(super) fn heads(&self) -> impl Iterator<Item = Head<'_>> {
        self.records().filter_map(|record| Head::of(record, self.base))
    }

    /// The span that stands for it.
    pub(super) fn root(&self) -> Option<Head<'_>> {
        Head::of(self.records().nth(self.root.index)?, self.base)
    }

    /// Its spans that may be what is looked for.
    pub(super) fn candidates(&self, wanted: Sign) -> impl Iterator<Item = Head<'_>> {
        let is_any = self.signs.iter().any(|sign| sign.may_have(wanted));
        let pairs = self.signs.iter().zip(self.records()).take(if is_any { usize::MAX } else { 0 });
        pairs.filter(move |(sign, _)| sign.may_have(wanted)).filter_map(|(_, record)| Head::of(record, self.base))
    }
}
