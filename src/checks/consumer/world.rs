//! A consumer and its last rounds, for the tables of the checks.

use std::{sync::Arc, time::Duration};

use super::{Facts, verdict};
use crate::{
    clock::Timestamp,
    snapshot::{
        AgeBy, Ages, Consumer, ConsumerConfig, ConsumerState, Failures, Habits, Label, Listing, Oldest, Reading,
        Sample, Severity, Stream, StreamConfig, StreamState, Verdict, WorkerFact,
    },
};

/// Seconds between two rounds.
const ROUND: u64 = 10;

/// What a check looks at.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) state: ConsumerState,
    pub(super) config: ConsumerConfig,
    /// The samples of earlier rounds and of this one; what a test changes in the state is changed in all of them.
    pub(super) samples: Vec<Sample>,
    pub(super) habits: Habits,
    pub(super) stream: StreamConfig,
    pub(super) held: StreamState,
    pub(super) ages: Option<Ages>,
    pub(super) failures: Option<Failures>,
    pub(super) workers: Vec<WorkerFact>,
    pub(super) created: Timestamp,
}

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
}

pub(super) fn long_ago() -> Timestamp {
    Timestamp::parse("2030-01-01T12:00:00Z").unwrap()
}

impl World {
    /// So much waited in each of three rounds, and nothing was delivered or acked.
    pub(super) fn still(pending: u64) -> Self {
        Self::moving(&[pending; 3], 0)
    }

    /// So much waited round after round, and so much was delivered and acked in each.
    pub(super) fn moving(pending: &[u64], each: u64) -> Self {
        let rounds = (0..).zip(pending);
        let count = pending.len() as u64;
        let samples = rounds.map(|(round, &pending)| Sample {
            at: now().before(Duration::from_secs(ROUND * (count - 1 - round))),
            created: long_ago(),
            pending,
            ack_pending: 0,
            redelivered: 0,
            waiting: 0,
            delivered: 100 + round * each,
            delivered_stream_sequence: 100 + round * each,
            ack_floor: 100 + round * each,
            ack_floor_stream_sequence: 100 + round * each,
            stream_first_sequence: 1,
            stream_last_sequence: 100 + round * each + pending,
        });
        let samples: Vec<Sample> = samples.collect();
        let last = samples[samples.len() - 1];
        let quiet = if each > 0 { 1 } else { ROUND * count };
        let state = ConsumerState {
            pending: last.pending,
            delivered: last.delivered,
            delivered_stream_sequence: last.delivered_stream_sequence,
            ack_floor: last.ack_floor,
            ack_floor_stream_sequence: last.ack_floor_stream_sequence,
            last_delivered: Some(now().before(Duration::from_secs(quiet))),
            ..ConsumerState::default()
        };
        let config = ConsumerConfig {
            stream: "ORDERS".to_owned(),
            durable_name: "reserve".to_owned(),
            ack_policy: "explicit".to_owned(),
            ack_wait: Duration::from_secs(30),
            max_deliver: -1,
            max_ack_pending: 1_000,
            ..ConsumerConfig::default()
        };
        let stream = StreamConfig { name: "ORDERS".to_owned(), ..StreamConfig::default() };
        let held = StreamState {
            first_sequence: 1,
            messages: last.stream_last_sequence,
            last_sequence: last.stream_last_sequence,
            ..StreamState::default()
        };
        let (habits, ages, failures, workers) = (Habits::default(), None, None, Vec::new());
        Self { state, config, samples, habits, stream, held, ages, failures, workers, created: long_ago() }
    }

    /// Changes the state, in all rounds.
    pub(super) fn with(mut self, change: impl FnOnce(&mut ConsumerState)) -> Self {
        change(&mut self.state);
        let ConsumerState { ack_pending, redelivered, waiting, .. } = self.state;
        for sample in &mut self.samples {
            *sample = Sample { ack_pending, redelivered, waiting, ..*sample };
        }
        self
    }

    /// Changes how the consumer is set up.
    pub(super) fn configured(mut self, change: impl FnOnce(&mut ConsumerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Keeps the last rounds only.
    pub(super) fn rounds(mut self, last: usize) -> Self {
        self.samples.drain(..self.samples.len() - last);
        self
    }

    /// The last delivery and ack were that long ago.
    pub(super) fn quiet_for(mut self, quiet: Duration) -> Self {
        self.state.last_delivered = Some(now().before(quiet));
        self
    }

    /// Changes each sample, by its round from the oldest on.
    pub(super) fn sampled(mut self, change: impl Fn(usize, &mut Sample)) -> Self {
        self.samples.iter_mut().enumerate().for_each(|(round, sample)| change(round, sample));
        self
    }

    /// Changes how the stream is set up.
    pub(super) fn streamed(mut self, change: impl FnOnce(&mut StreamConfig)) -> Self {
        change(&mut self.stream);
        self
    }

    /// Changes what the stream holds now.
    pub(super) fn held(mut self, change: impl FnOnce(&mut StreamState)) -> Self {
        change(&mut self.held);
        self
    }

    /// The oldest message that is not processed is the one after the floor, and so old.
    pub(super) fn oldest(mut self, age: Duration) -> Self {
        let sequence = Some(self.state.ack_floor_stream_sequence + 1);
        let oldest = Oldest { sequence, stored: now().before(age), by: AgeBy::Message };
        self.ages = Some(Ages { unprocessed: Some(oldest), undelivered: None });
        self
    }

    /// So much was given up.
    pub(super) fn failed(mut self, failures: Failures) -> Self {
        self.failures = Some(failures);
        self
    }

    /// A worker says of itself that it is there, and how long its handlers take.
    pub(super) fn handled_in(mut self, p99: Duration) -> Self {
        let (stream, consumer) = ("ORDERS".to_owned(), "reserve".to_owned());
        self.workers.push(WorkerFact { stream, consumer, concurrency: 1, running: 1, p99: Some(p99) });
        self
    }

    /// So many handlers run in each of its workers.
    pub(super) fn running(mut self, running: u32) -> Self {
        self.workers.iter_mut().for_each(|worker| worker.running = running);
        self
    }

    /// What is remembered of it beyond its rounds.
    pub(super) fn used_to(mut self, habits: Habits) -> Self {
        self.habits = habits;
        self
    }

    /// When it was made.
    pub(super) fn made(mut self, created: Timestamp) -> Self {
        self.created = created;
        self
    }

    /// What it amounts to.
    pub(super) fn judge(&self) -> Verdict {
        self.look(verdict)
    }

    /// Hands the facts of this world to `look`.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Facts<'_>, &Verdict) -> T) -> T {
        let stream = Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::new(self.stream.clone()),
            created: long_ago(),
            state: Reading::known(self.held.clone(), "n1", now()),
            trend: None,
            consumers: Reading::known(Listing::default(), "n1", now()),
        };
        let consumer = Consumer {
            account: "A".into(),
            stream: stream.name.clone(),
            name: "reserve".parse().unwrap(),
            config: Arc::new(self.config.clone()),
            created: self.created,
            state: Reading::known(self.state.clone(), "n1", now()),
            trend: None,
            ages: Reading::not_yet(),
            failures: Reading::not_yet(),
            verdict: Verdict::unknown("not looked at", now()),
            new_leader: None,
        };
        let facts = Facts {
            consumer: &consumer,
            state: &self.state,
            stream: &stream,
            held: stream.state.value(),
            samples: &self.samples,
            habits: self.habits,
            ages: self.ages.as_ref(),
            failures: self.failures.as_ref(),
            workers: &self.workers,
            now: now(),
        };
        look(&facts, &consumer.verdict)
    }
}

/// What a world amounts to.
#[track_caller]
pub(super) fn check(world: &World, expected: Label) {
    let verdict = world.judge();
    assert_eq!(verdict.label, expected, "{verdict:?} of {world:?}");
}

/// What a world amounts to, and how much that matters.
#[track_caller]
pub(super) fn check_severity(world: &World, label: Label, severity: Severity) {
    let verdict = world.judge();
    assert_eq!((verdict.label, verdict.severity), (label, severity), "{verdict:?} of {world:?}");
}
