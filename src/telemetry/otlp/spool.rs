//! Spans that wait to be sent, written already: bounded, so that a collector that is away costs spans and no memory.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::InstrumentationScope;
use prometheus::IntCounter;

use super::wire;
use crate::telemetry::Metrics;

/// Spans that wait at once: four times the SDK's own 2048, a third of a second at 25 000 a second.
const QUEUE: usize = 8192;

/// Spans of one request: four times the SDK's own 512, for a quarter of the requests.
const BATCH: usize = 2048;

/// How long a span waits for others to travel with, as in the SDK.
const DELAY: Duration = Duration::from_secs(5);

/// Bytes that wait at once: four times what so many usual spans take, whatever people put into theirs.
const BYTES: usize = 16 << 20;

/// Bytes that are kept for the next batch when one was sent: what a usual one takes.
const SPARE: usize = 2 << 20;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    queue: usize,
    batch: usize,
    delay: Duration,
}

/// Where spans wait.
#[derive(Debug)]
pub(crate) struct Spool {
    waiting: Mutex<Waiting>,
    /// There is something to send at once.
    called: Condvar,
    /// Nothing is left to send.
    emptied: Condvar,
    limits: Limits,
    scope: InstrumentationScope,
    ended: IntCounter,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Each becomes a request; only the last has room.
    batches: VecDeque<Batch>,
    spans: usize,
    bytes: usize,
    /// The memory of a batch that was sent, for the next.
    spare: Vec<u8>,
    is_sending: bool,
    is_hurried: bool,
    is_over: bool,
}

/// What travels in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) spans: usize,
    ours: Vec<u8>,
    /// Of those who use the provider that we set up for the process.
    others: Vec<(InstrumentationScope, Vec<u8>)>,
}

impl Limits {
    /// As the standard variables of the batch processor say, else as is good for a publisher.
    pub(crate) fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| var(name).and_then(|value| value.parse::<usize>().ok()).filter(|value| *value > 0);
        let queue = number("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(QUEUE);
        let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(BATCH).min(queue);
        let delay = number("OTEL_BSP_SCHEDULE_DELAY").map_or(DELAY, |millis| Duration::from_millis(millis as u64));
        Self { queue, batch, delay }
    }
}

impl Batch {
    /// The request's body.
    pub(super) fn request(&self, resource: &[u8], ours: &InstrumentationScope) -> Vec<u8> {
        let others = self.others.iter().map(|(scope, spans)| (scope, spans.as_slice()));
        let ours = (!self.ours.is_empty()).then_some((ours, self.ours.as_slice()));
        wire::request(resource, ours.into_iter().chain(others))
    }

    fn bytes(&self) -> usize {
        self.ours.len() + self.others.iter().map(|(_, spans)| spans.len()).sum::<usize>()
    }

    fn add(&mut self, other: Option<&InstrumentationScope>, span: &[u8]) {
        self.spans += 1;
        wire::framed(self.of(other), span);
    }

    fn of(&mut self, other: Option<&InstrumentationScope>) -> &mut Vec<u8> {
        let Some(scope) = other else {
            return &mut self.ours;
        };
        let known = self.others.iter().position(|(known, _)| known == scope);
        let index = known.unwrap_or_else(|| {
            self.others.push((scope.clone(), Vec::new()));
            self.others.len() - 1
        });
        &mut self.others[index].1
    }
}

impl Waiting {
    /// The batch that has room.
    fn open(&mut self, batch: usize) -> &mut Batch {
        if self.batches.back().is_none_or(|last| last.spans >= batch) {
            let ours = std::mem::take(&mut self.spare);
            self.batches.push_back(Batch { ours, ..Batch::default() });
        }
        self.batches.back_mut().expect("there is one now")
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && !self.is_sending
    }
}

impl Spool {
    pub(super) fn new(limits: Limits, scope: InstrumentationScope, metrics: &Metrics) -> Self {
        let ended = metrics.spans_ended.with_label_values::<&str>(&[]);
        let (called, emptied) = (Condvar::new(), Condvar::new());
        Self { waiting: Mutex::default(), called, emptied, limits, scope, ended }
    }

    /// The scope of what we make ourselves.
    pub(super) fn scope(&self) -> &InstrumentationScope {
        &self.scope
    }

    /// Adds a span of a scope, or of our own; one for which there is no room is dropped, and counted as ended alone.
    pub(crate) fn add(&self, scope: Option<&InstrumentationScope>, span: &[u8]) {
        self.ended.inc();
        let other = scope.filter(|scope| **scope != self.scope);
        let mut waiting = self.lock();
        if waiting.is_over || waiting.spans >= self.limits.queue || waiting.bytes + span.len() > BYTES {
            return;
        }
        waiting.spans += 1;
        let batch = waiting.open(self.limits.batch);
        let before = batch.of(other).len();
        batch.add(other, span);
        let (is_full, added) = (batch.spans == self.limits.batch, batch.of(other).len() - before);
        waiting.bytes += added;
        drop(waiting);
        if is_full {
            self.called.notify_one();
        }
    }

    /// What is to be sent next, when it is full or has waited for long enough; `None` when nothing will come any more.
    pub(super) fn next(&self) -> Option<Batch> {
        loop {
            let waits = |waiting: &mut Waiting| {
                let is_full = |first: &Batch| first.spans >= self.limits.batch || waiting.is_hurried;
                !(waiting.is_over || waiting.batches.front().is_some_and(is_full))
            };
            let waited = self.called.wait_timeout_while(self.lock(), self.limits.delay, waits);
            let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(batch) = waiting.batches.pop_front() {
                waiting.spans -= batch.spans;
                waiting.bytes -= batch.bytes();
                waiting.is_sending = true;
                return Some(batch);
            }
            if waiting.is_over {
                return None;
            }
        }
    }

    /// Nobody looks at a batch any more: the next may have its memory.
    pub(super) fn reuse(&self, batch: Batch) {
        let mut spare = batch.ours;
        spare.clear();
        if spare.capacity() <= SPARE {
            self.lock().spare = spare;
        }
    }

    /// What was taken is sent, or will not be.
    pub(super) fn done(&self) {
        let mut waiting = self.lock();
        waiting.is_sending = false;
        if waiting.is_empty() {
            waiting.is_hurried = false;
            self.emptied.notify_all();
        }
    }

    /// Waits for `wait`; `false` at once if nobody waits for us but whoever ends us.
    pub(super) fn rest(&self, wait: Duration) -> bool {
        let rested = self.called.wait_timeout_while(self.lock(), wait, |waiting| !waiting.is_over);
        let (waiting, _) = rested.unwrap_or_else(PoisonError::into_inner);
        !waiting.is_over
    }

    /// Sends what waits; whether that was done within `limit`.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let mut waiting = self.lock();
        waiting.is_hurried = !waiting.is_empty();
        self.until_empty(waiting, limit)
    }

    /// Takes nothing more and sends what waits; whether that was done within `limit`.
    pub(super) fn close(&self, limit: Duration) -> bool {
        let mut waiting = self.lock();
        waiting.is_over = true;
        self.until_empty(waiting, limit)
    }

    fn until_empty(&self, waiting: MutexGuard<'_, Waiting>, limit: Duration) -> bool {
        self.called.notify_all();
        let emptied = self.emptied.wait_timeout_while(waiting, limit, |waiting| !waiting.is_empty());
        emptied.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn spool(queue: usize, batch: usize) -> (Spool, Metrics) {
        let metrics = Metrics::default();
        let scope = InstrumentationScope::builder("ours").build();
        (Spool::new(Limits { queue, batch, delay: LONG }, scope, &metrics), metrics)
    }

    fn sizes(spool: &Spool) -> Vec<usize> {
        std::iter::from_fn(|| spool.next()).map(|batch| batch.spans).collect()
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (spool, metrics) = spool(5, 2);
        for _ in 0..7 {
            spool.add(None, b"span");
        }
        assert!(!spool.close(Duration::ZERO), "nobody sends");
        spool.add(None, b"too late");
        assert_eq!(sizes(&spool), [2, 2, 1]);
        assert_eq!(metrics.spans().0, 8);
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let (spool, _) = spool(1000, 1000);
        let large = vec![0; BYTES / 3];
        for _ in 0..4 {
            spool.add(None, &large);
        }
        spool.close(Duration::ZERO);
        assert_eq!(sizes(&spool), [2]);
        assert_eq!(spool.lock().bytes, 0);
    }

    #[test]
    fn a_full_batch_does_not_wait_and_a_hurried_one_neither() {
        let (spool, _) = spool(10, 2);
        for _ in 0..3 {
            spool.add(None, b"span");
        }
        assert_eq!(spool.next().unwrap().spans, 2);
        spool.done();
        assert!(!spool.flush(Duration::ZERO), "one is left");
        assert_eq!(spool.next().unwrap().spans, 1);
        assert!(!spool.flush(Duration::ZERO), "it is under way");
        spool.done();
        assert!(spool.flush(Duration::ZERO) && spool.close(Duration::ZERO));
        assert!(spool.next().is_none());
    }

    #[test]
    fn a_batch_leaves_its_memory_to_the_next_but_not_its_spans() {
        let (spool, _) = spool(10, 1);
        spool.add(None, &[0; 999]);
        let first = spool.next().unwrap();
        let memory = first.ours.as_ptr();
        spool.reuse(first);
        spool.add(None, b"span");
        let second = spool.next().unwrap();
        assert_eq!((second.ours.as_ptr(), second.ours.len()), (memory, 6));
        spool.add(None, &vec![0; SPARE]);
        spool.reuse(spool.next().unwrap());
        assert_eq!(spool.lock().spare.capacity(), 0);
    }

    #[test]
    fn each_scope_keeps_its_spans() {
        let (spool, _) = spool(10, 4);
        let scope = |name: &'static str| InstrumentationScope::builder(name).build();
        for name in ["ours", "theirs", "ours", "theirs"] {
            spool.add(Some(&scope(name)), b"span");
        }
        let batch = spool.next().unwrap();
        assert_eq!((batch.spans, batch.ours.len(), batch.others.len()), (4, 12, 1));
        assert_eq!(batch.others[0].0.name(), "theirs");
    }

    #[test]
    fn limits_follow_the_standard_variables() {
        let check = |variables: &[(&str, &str)], expected| {
            let var = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Limits::read(var), expected, "{variables:?}");
        };
        let usual = Limits { queue: QUEUE, batch: BATCH, delay: DELAY };
        check(&[], usual);
        check(&[("OTEL_BSP_MAX_QUEUE_SIZE", "0"), ("OTEL_BSP_SCHEDULE_DELAY", "soon")], usual);
        check(&[("OTEL_BSP_MAX_QUEUE_SIZE", "16")], Limits { queue: 16, batch: 16, ..usual });
        check(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")], Limits { batch: 8, ..usual });
        check(&[("OTEL_BSP_SCHEDULE_DELAY", "20")], Limits { delay: Duration::from_millis(20), ..usual });
    }
}
