//! The traces that are kept, the oldest first, and what they take in memory together.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{
    dictionary::Dictionary,
    kept::{Kept, Summary},
    logs::Logs,
    origins::{Origins, Resource},
    record::{Place, Writer},
    sign::Sign,
    traffic::Traffic,
};
use crate::{
    trace::{Origin, SpanId, TraceId},
    traces::given::{GivenLog, GivenSpan},
};

/// The dictionary may take one part of so many of the bound, and so may what is known of makers and of the ways of messages.
const PART: usize = 16;

/// One span may take one part of so many of the bound: half a megabyte of the least that is usual.
const SPAN_PART: usize = 64;

/// One trace may take one part of so many of the bound: one that never ends leaves room for others.
const TRACE_PART: usize = 4;

/// Ids of traces that were let go, in a store of any size.
const GONE_LEAST: usize = 64;

/// For so many bytes of the bound the id of one trace that was let go is remembered.
const BYTES_FOR_GONE: usize = 4_096;

/// Ids of traces that were let go; at five thousand traces a second they reach back three seconds, within which most late spans come.
const GONE_MOST: usize = 16_384;

/// Why a span, or an entry of a log, is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It cannot be read, or lacks an id.
    Malformed,
    /// It belongs to no trace: so it is with logs.
    Untraced,
    /// Its trace was let go before it came.
    Late,
    /// It is too large, or its trace has grown so.
    TooLarge,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans that were kept.
    pub taken: u64,
    /// Spans that could not be read, or lacked an id.
    pub malformed: u64,
    /// Spans that came after their trace had been let go.
    pub late: u64,
    /// Spans that were too large, or of traces that had grown so.
    pub too_large: u64,
    /// Traces that were let go because others came.
    pub evicted_traces: u64,
    /// Their spans.
    pub evicted_spans: u64,
}

#[derive(Debug)]
pub(super) struct Shelf {
    bound: usize,
    bytes: usize,
    spans: usize,
    pub(super) dictionary: Dictionary,
    pub(super) origins: Origins,
    pub(super) traffic: Traffic,
    traces: VecDeque<Box<Kept>>,
    /// The number of the first of `traces`; each has the next.
    first: u64,
    index: HashMap<TraceId, u64>,
    gone: Gone,
    pub(super) logs: Logs,
    counts: Counts,
    scratch: Vec<u8>,
}

/// Traces that were let go of late.
#[derive(Debug)]
struct Gone {
    order: VecDeque<TraceId>,
    ids: HashSet<TraceId>,
    most: usize,
}

impl Gone {
    fn push(&mut self, id: TraceId) {
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back(id);
        self.ids.insert(id);
    }

    /// What it takes once it is full.
    fn bytes_most(&self) -> usize {
        self.most * (16 + (16 + 1) * 2)
    }
}

impl Shelf {
    /// An empty one that takes at most so many bytes.
    pub(super) fn new(bound: usize) -> Self {
        let most = (bound / BYTES_FOR_GONE).clamp(GONE_LEAST, GONE_MOST);
        let gone = Gone { order: VecDeque::with_capacity(most), ids: HashSet::with_capacity(most), most };
        Self {
            bound,
            bytes: 0,
            spans: 0,
            dictionary: Dictionary::new(bound / PART),
            origins: Origins::default(),
            traffic: Traffic::new(bound / PART),
            traces: VecDeque::new(),
            first: 0,
            index: HashMap::new(),
            gone,
            logs: Logs::new(bound),
            counts: Counts::default(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// What all of it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let parts = [
            self.dictionary.bytes(),
            self.origins.bytes(),
            self.traffic.bytes(),
            self.gone.bytes_most(),
            self.logs.bytes(),
        ];
        self.bytes + parts.into_iter().sum::<usize>()
    }

    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many traces there are.
    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    pub(super) fn oldest(&self) -> Option<&Kept> {
        self.traces.front().map(AsRef::as_ref)
    }

    pub(super) fn get(&self, id: TraceId) -> Option<&Kept> {
        let index = self.index.get(&id)?.checked_sub(self.first)?;
        self.traces.get(usize::try_from(index).ok()?).map(AsRef::as_ref)
    }

    /// The traces with their numbers from the newest to the oldest, of those that came before the one with the number `before`.
    pub(super) fn newest_first(&self, before: u64) -> impl Iterator<Item = (u64, &Kept)> {
        let wanted = usize::try_from(before.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.traces.len());
        let first = self.first;
        self.traces.range(..wanted).enumerate().rev().map(move |(index, kept)| (first + index as u64, kept.as_ref()))
    }

    /// The maker of spans.
    pub(super) fn origin(&mut self, resource: &Resource, scope: &str, version: &str) -> Arc<Origin> {
        let origin = self.origins.of(resource, scope, version);
        // Whoever calls himself by a new name each time costs old traces, not memory.
        while self.origins.bytes() > self.bound / PART {
            self.origins.sweep();
            if self.origins.bytes() <= self.bound / PART || self.is_empty() {
                break;
            }
            (0..(self.traces.len() + self.logs.traces()).div_ceil(TRACE_PART)).for_each(|_| self.evict());
        }
        origin
    }

    /// Keeps a span that came at `now`, in milliseconds since 1970.
    pub(super) fn take(
        &mut self,
        span: Option<&GivenSpan<'_>>,
        origin: &Arc<Origin>,
        now: u64,
    ) -> Result<(), Rejected> {
        let taken = self.keep(span, origin, now);
        match taken {
            Ok(()) => self.counts.taken += 1,
            Err(Rejected::Malformed | Rejected::Untraced) => self.counts.malformed += 1,
            Err(Rejected::Late) => self.counts.late += 1,
            Err(Rejected::TooLarge) => self.counts.too_large += 1,
        }
        self.make_room();
        taken
    }

    /// Keeps an entry of a log.
    pub(super) fn take_log(&mut self, log: Option<&GivenLog<'_>>, origin: &Arc<Origin>) -> Result<(), Rejected> {
        let taken = self.keep_log(log, origin).map_err(|why| self.logs.reject(why));
        self.make_room();
        taken
    }

    fn keep_log(&mut self, log: Option<&GivenLog<'_>>, origin: &Arc<Origin>) -> Result<(), Rejected> {
        let log = log.ok_or(Rejected::Malformed)?;
        let is_untraced = log.trace.iter().all(|byte| *byte == 0);
        let none = if is_untraced { Rejected::Untraced } else { Rejected::Malformed };
        let trace = TraceId::of(&log.trace).ok_or(none)?;
        if self.gone.ids.contains(&trace) {
            return Err(Rejected::Late);
        }
        let Self { logs, dictionary, .. } = self;
        logs.keep(trace, log, origin, dictionary)
    }

    fn make_room(&mut self) {
        while self.bytes() > self.bound && !self.is_empty() {
            self.evict();
        }
    }

    fn is_empty(&self) -> bool {
        self.traces.is_empty() && self.logs.traces() == 0
    }

    fn keep(&mut self, span: Option<&GivenSpan<'_>>, origin: &Arc<Origin>, now: u64) -> Result<(), Rejected> {
        let span = span.ok_or(Rejected::Malformed)?;
        let trace = TraceId::of(&span.trace).ok_or(Rejected::Malformed)?;
        let id = SpanId::of(&span.id).ok_or(Rejected::Malformed)?;
        let parent = SpanId::of(&span.parent).filter(|parent| *parent != id);
        let index = self.index_of(trace, span.start, now)?;
        let Self { traces, dictionary, scratch, bytes, bound, .. } = self;
        let kept = &mut traces[index];
        let before = kept.bytes();
        scratch.clear();
        let mut writer = Writer { bytes: scratch, dictionary, sign: Sign::default() };
        let place = Place { id, parent, base: kept.base, origin: kept.origin(origin) };
        writer.span(place, span);
        let summary = Summary {
            is_of_broker: origin.is_broker(),
            has_parent: parent.is_some(),
            start: span.start,
            end: span.end.max(span.start),
            is_error: span.status == 2,
            sign: writer.sign,
        };
        if before > *bound / TRACE_PART || scratch.len() > *bound / SPAN_PART {
            kept.left_out += 1;
            *bytes += kept.bytes() - before;
            self.drop_if_empty();
            return Err(Rejected::TooLarge);
        }
        kept.push(scratch, summary);
        *bytes += kept.bytes() - before;
        self.spans += 1;
        self.traffic.note(origin, span, now);
        Ok(())
    }

    /// The place of a trace, which is made if it is new.
    fn index_of(&mut self, id: TraceId, base: u64, now: u64) -> Result<usize, Rejected> {
        if let Some(number) = self.index.get(&id) {
            return usize::try_from(number - self.first).map_err(|_| Rejected::Late);
        }
        if self.gone.ids.contains(&id) {
            return Err(Rejected::Late);
        }
        let kept = Box::new(Kept::new(id, now, base));
        self.bytes += kept.bytes();
        self.index.insert(id, self.first + self.traces.len() as u64);
        self.traces.push_back(kept);
        Ok(self.traces.len() - 1)
    }

    /// A trace whose first span was not kept is none.
    fn drop_if_empty(&mut self) {
        self.scratch.shrink_to(self.bound / SPAN_PART);
        if self.traces.back().is_some_and(|kept| kept.spans() == 0)
            && let Some(kept) = self.traces.pop_back()
        {
            self.bytes -= kept.bytes();
            self.index.remove(&kept.id);
        }
    }

    /// Lets go of the oldest trace, whole; of logs alone where there is none.
    fn evict(&mut self) {
        let Some(kept) = self.traces.pop_front() else {
            self.logs.evict();
            return;
        };
        self.logs.forget(kept.id);
        self.first += 1;
        self.index.remove(&kept.id);
        self.bytes -= kept.bytes();
        self.spans -= kept.spans();
        self.counts.evicted_traces += 1;
        self.counts.evicted_spans += kept.spans() as u64;
        self.gone.push(kept.id);
    }
}
