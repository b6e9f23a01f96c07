//! The logs of traces, which are kept beside them: those of a trace whose spans have not come too, in a share of the bound of their own.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{
    dictionary::Dictionary,
    origins,
    pieces::Pieces,
    record::{Writer, log},
    shelf::Rejected,
    sign::Sign,
    size,
};
use crate::{
    trace::{Origin, TraceId, TraceLogs},
    traces::given::GivenLog,
};

/// Logs may take one part of so many of the store's bound.
const PART: usize = 8;

/// Those of one trace may take one part of so many of that share.
const TRACE_PART: usize = 4;

/// One entry may take one part of so many of that share.
const LOG_PART: usize = 32;

/// Entries of one trace: nobody reads more of them on a page.
const LOGS_MOST: usize = 2_000;

/// Places in the order of arrival that may be of logs which went with their trace, beside as many as there are.
const STALE_MOST: usize = 64;

/// What became of logs so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Entries that were kept.
    pub taken: u64,
    /// Entries that could not be read.
    pub malformed: u64,
    /// Entries that belong to no trace.
    pub untraced: u64,
    /// Entries that came after their trace had been let go.
    pub late: u64,
    /// Entries that were too large, or of traces that had too many.
    pub too_large: u64,
    /// Entries that were let go, with their trace or because others came.
    pub evicted: u64,
}

/// The logs that are kept.
#[derive(Debug)]
pub(super) struct Logs {
    kept: HashMap<TraceId, Box<Kept>>,
    /// Traces by the arrival of their first entry, each with its number: one that has gone and come again has another.
    order: VecDeque<(TraceId, u64)>,
    next: u64,
    share: usize,
    bytes: usize,
    several: usize,
    counts: LogCounts,
    scratch: Vec<u8>,
}

/// The logs of a trace.
#[derive(Debug)]
struct Kept {
    number: u64,
    /// The time of the entry that came first; others are told against it.
    base: u64,
    origins: Vec<Arc<Origin>>,
    pieces: Pieces,
    several: usize,
    left_out: u64,
    bytes: usize,
}

impl Logs {
    /// None yet, of a store with this bound.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            kept: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            share: bound / PART,
            bytes: 0,
            several: 0,
            counts: LogCounts::default(),
            scratch: Vec::new(),
        }
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.order.capacity() * size_of::<(TraceId, u64)>()
    }

    pub(super) fn len(&self) -> usize {
        self.several
    }

    pub(super) fn traces(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn counts(&self) -> LogCounts {
        self.counts
    }

    /// Those of a trace, in the order of their times.
    pub(super) fn of(&self, trace: TraceId, dictionary: &Dictionary) -> TraceLogs {
        let Some(kept) = self.kept.get(&trace) else { return TraceLogs::default() };
        let read = kept.pieces.iter().filter_map(|record| log::read(record, kept.base, dictionary, &kept.origins));
        let mut rows: Vec<_> = read.collect();
        rows.sort_by_key(|log| log.at);
        TraceLogs { rows, left_out: kept.left_out }
    }

    /// Counts an entry that is not kept.
    pub(super) fn reject(&mut self, why: Rejected) -> Rejected {
        match why {
            Rejected::Malformed => self.counts.malformed += 1,
            Rejected::Untraced => self.counts.untraced += 1,
            Rejected::Late => self.counts.late += 1,
            Rejected::TooLarge => self.counts.too_large += 1,
        }
        why
    }

    /// Keeps an entry of a trace.
    pub(super) fn keep(
        &mut self,
        trace: TraceId,
        given: &GivenLog<'_>,
        origin: &Arc<Origin>,
        dictionary: &mut Dictionary,
    ) -> Result<(), Rejected> {
        let at = if given.at == 0 { given.seen } else { given.at };
        let (next, share) = (self.next, self.share);
        let kept = self.kept.entry(trace).or_insert_with(|| Kept::new(next, at));
        if kept.several == 0 {
            self.next += 1;
            self.order.push_back((trace, kept.number));
            self.bytes += kept.bytes;
        }
        let before = kept.bytes;
        self.scratch.clear();
        let origin = kept.origin(origin);
        Writer { bytes: &mut self.scratch, dictionary, sign: Sign::default() }.log(given, at, kept.base, origin);
        let is_too_large =
            self.scratch.len() > share / LOG_PART || before > share / TRACE_PART || kept.several >= LOGS_MOST;
        if is_too_large {
            kept.left_out += 1;
        } else {
            kept.bytes += kept.pieces.push(&self.scratch);
            kept.several += 1;
            self.several += 1;
            self.counts.taken += 1;
        }
        self.bytes += kept.bytes - before;
        self.scratch.shrink_to(share / LOG_PART);
        if is_too_large && kept.several == 0 {
            self.forget(trace);
        }
        while self.bytes() > share && self.evict() {}
        if is_too_large { Err(Rejected::TooLarge) } else { Ok(()) }
    }

    /// Lets go of the logs whose first entry came longest ago; says whether there were any.
    pub(super) fn evict(&mut self) -> bool {
        while let Some((trace, number)) = self.order.pop_front() {
            if self.kept.get(&trace).is_some_and(|kept| kept.number == number) {
                self.forget(trace);
                return true;
            }
        }
        false
    }

    /// Lets go of the logs of a trace.
    pub(super) fn forget(&mut self, trace: TraceId) {
        let Some(kept) = self.kept.remove(&trace) else { return };
        self.bytes -= kept.bytes;
        self.several -= kept.several;
        self.counts.evicted += kept.several as u64;
        if self.order.len() > 2 * self.kept.len() + STALE_MOST {
            let known = &self.kept;
            self.order.retain(|(trace, number)| known.get(trace).is_some_and(|kept| kept.number == *number));
            self.order.shrink_to(2 * self.order.len());
        }
    }
}

impl Kept {
    fn new(number: u64, base: u64) -> Box<Self> {
        let bytes = size::of_piece(size_of::<Self>()) + size::OF_ENTRY;
        Box::new(Self { number, base, origins: Vec::new(), pieces: Pieces::default(), several: 0, left_out: 0, bytes })
    }

    /// The place of a writer in the list of writers.
    fn origin(&mut self, origin: &Arc<Origin>) -> usize {
        let (place, grown) = origins::place(&mut self.origins, origin);
        self.bytes += grown;
        place
    }
}
