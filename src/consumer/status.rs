//! What a worker is doing, as its probes and its presence tell it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::gate::{self, Gate, Kind};
use crate::{
    clock::{Clock, Timestamp},
    name::{ConsumerName, StreamName},
    presence,
};

/// How many of the latest handlers the percentiles are taken over.
const DURATIONS_KEPT: usize = 512;

/// Whether the worker gets messages when there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullState {
    /// Whether the server has taken its pull requests.
    pub is_pulling: bool,
    /// Whether it asks for nothing of its own will, because a breaker or a kill switch is open.
    pub is_paused: bool,
    /// What was last heard, in words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A worker's numbers and state; written by the worker, read by anyone.
#[derive(Debug)]
pub struct Status {
    /// The stream that it reads.
    pub stream: StreamName,
    /// The consumer that it pulls from.
    pub consumer: ConsumerName,
    /// Since when the worker has been there.
    pub began: Timestamp,
    clock: Clock,
    gate: Gate,
    concurrency: AtomicU32,
    held: AtomicU32,
    running: AtomicU32,
    handled: AtomicU64,
    failed: AtomicU64,
    durations: Mutex<Durations>,
    pull: Mutex<PullState>,
    tick: Mutex<Timestamp>,
    /// A part of a partitioned worker tells the whole what it did.
    whole: Option<Arc<Status>>,
    parts: Mutex<Option<Vec<Weak<Status>>>>,
}

impl Status {
    pub(super) fn new(stream: StreamName, consumer: ConsumerName, concurrency: u32, clock: Clock, gate: Gate) -> Self {
        let now = clock.now();
        let reason = "has not pulled yet".to_owned();
        let pull = PullState { is_pulling: false, is_paused: false, reason, since: now };
        Self {
            stream,
            consumer,
            began: now,
            clock,
            gate,
            concurrency: AtomicU32::new(concurrency),
            held: AtomicU32::new(0),
            running: AtomicU32::new(0),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            durations: Mutex::default(),
            pull: Mutex::new(pull),
            tick: Mutex::new(now),
            whole: None,
            parts: Mutex::default(),
        }
    }

    /// The status of a partitioned worker that works on nothing yet.
    pub(super) fn partitioned(self) -> Self {
        *lock(&self.parts) = Some(Vec::new());
        self
    }

    /// The status of one partition: one handler at a time. The whole knows it as long as it lives.
    pub(super) fn part(self: &Arc<Self>, consumer: ConsumerName, gate: Gate) -> Arc<Self> {
        let part = Self::new(self.stream.clone(), consumer, 1, self.clock.clone(), gate);
        let part = Arc::new(Self { whole: Some(self.clone()), ..part });
        let mut parts = lock(&self.parts);
        let parts = parts.get_or_insert_default();
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part));
        part
    }

    /// The partitions that are worked on, by their consumers; `None` for a worker without partitions.
    pub fn parts(&self) -> Option<Vec<Arc<Self>>> {
        lock(&self.parts).as_ref().map(|parts| parts.iter().filter_map(Weak::upgrade).collect())
    }

    /// Handlers running now.
    pub fn running(&self) -> u32 {
        let parts = self.parts().unwrap_or_default();
        self.running.load(Relaxed) + parts.iter().map(|part| part.running()).sum::<u32>()
    }

    /// Handlers that may run at once.
    pub fn concurrency(&self) -> u32 {
        self.concurrency.load(Relaxed)
    }

    /// Whether it gets messages. A pause says how long it has lasted.
    pub fn pull(&self) -> PullState {
        let mut pull = lock(&self.pull).clone();
        if pull.is_paused {
            pull.reason = format!("{} for {}", pull.reason, pull.since.age(self.clock.now()));
        }
        pull
    }

    /// When its loop last turned.
    pub fn last_tick(&self) -> Timestamp {
        *lock(&self.tick)
    }

    /// All of it, as presence tells it.
    pub fn told(&self) -> presence::Worker {
        let durations = lock(&self.durations).sorted();
        let phases = self.gate.phases(Instant::now());
        let phase_of =
            |kind| phases.iter().find(|(found, _)| *found == kind).map(|(_, phase)| gate::phase_name(*phase));
        presence::Worker {
            stream: self.stream.clone(),
            consumer: self.consumer.clone(),
            concurrency: self.concurrency(),
            running: self.running(),
            handled: self.handled.load(Relaxed),
            failed: self.failed.load(Relaxed),
            p50_seconds: percentile(&durations, 50),
            p99_seconds: percentile(&durations, 99),
            breaker: phase_of(Kind::Breaker).map(str::to_owned),
            kill_switch: phase_of(Kind::KillSwitch).map(str::to_owned),
        }
    }

    /// All of it, consumer by consumer: a partitioned worker pulls from one a partition.
    pub fn told_each(&self) -> Vec<presence::Worker> {
        match self.parts() {
            None => vec![self.told()],
            Some(parts) => parts.iter().map(|part| part.told()).collect(),
        }
    }

    pub(super) fn ticked(&self) {
        *lock(&self.tick) = self.clock.now();
    }

    pub(super) fn set_concurrency(&self, handlers: u32) {
        self.concurrency.store(handlers, Relaxed);
    }

    /// Messages that it holds: those in handlers and those that wait for their turn.
    pub(super) fn held(&self) -> u32 {
        self.held.load(Relaxed)
    }

    pub(super) fn taken(&self) {
        self.held.fetch_add(1, Relaxed);
    }

    pub(super) fn freed(&self) {
        self.held.fetch_sub(1, Relaxed);
    }

    /// Notes that a handler starts, and says how many run with it.
    pub(super) fn started(&self) -> u32 {
        self.running.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn ended(&self, took: Duration, is_done: bool) {
        self.running.fetch_sub(1, Relaxed);
        self.note_ended(took, is_done);
        if let Some(whole) = &self.whole {
            whole.note_ended(took, is_done);
        }
    }

    fn note_ended(&self, took: Duration, is_done: bool) {
        self.handled.fetch_add(1, Relaxed);
        self.failed.fetch_add(u64::from(!is_done), Relaxed);
        lock(&self.durations).push(took);
    }

    /// Notes whether pulling works; `true` if that is news.
    pub(super) fn pulled(&self, is_pulling: bool, reason: &str) -> bool {
        self.note(is_pulling, false, reason)
    }

    /// Notes that the worker asks for nothing of its own will; `true` if that is news.
    pub(super) fn paused(&self, reason: &str) -> bool {
        self.note(false, true, reason)
    }

    fn note(&self, is_pulling: bool, is_paused: bool, reason: &str) -> bool {
        let mut pull = lock(&self.pull);
        let was = (pull.is_pulling, pull.is_paused);
        let is_news = was != (is_pulling, is_paused) || pull.reason != reason;
        if was != (is_pulling, is_paused) {
            pull.since = self.clock.now();
        }
        if is_news {
            (pull.is_pulling, pull.is_paused) = (is_pulling, is_paused);
            reason.clone_into(&mut pull.reason);
        }
        is_news
    }
}

/// The latest handlers' durations, the oldest overwritten first.
#[derive(Debug, Default)]
struct Durations {
    kept: Vec<Duration>,
    next: usize,
}

impl Durations {
    fn push(&mut self, took: Duration) {
        if self.kept.len() < DURATIONS_KEPT {
            self.kept.push(took);
        } else {
            self.kept[self.next] = took;
        }
        self.next = (self.next + 1) % DURATIONS_KEPT;
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        sorted
    }
}

/// The value that `percent` of 100 are no greater than (nearest rank); `None` of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).map(Duration::as_secs_f64)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(millis: &[u64], percent: usize, expected: Option<f64>) {
        let durations: Vec<Duration> = millis.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(percentile(&durations, percent), expected);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        check(&[], 50, None);
        check(&[10], 99, Some(0.01));
        check(&[10, 20, 30, 40], 50, Some(0.02));
        check(&[10, 20, 30, 40], 99, Some(0.04));
    }

    #[test]
    fn only_the_latest_durations_are_kept() {
        let mut durations = Durations::default();
        for millis in 0..600 {
            durations.push(Duration::from_millis(millis));
        }
        let sorted = durations.sorted();
        assert_eq!(sorted.len(), DURATIONS_KEPT);
        assert_eq!(sorted[0], Duration::from_millis(88));
    }
}
