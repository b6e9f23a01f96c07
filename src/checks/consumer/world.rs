//! A consumer and its last rounds, for the tables of the checks.

use std::{sync::Arc, time::Duration};

use super::{Facts, verdict};
use crate::{
    clock::Timestamp,
    snapshot::{
        Consumer, ConsumerConfig, ConsumerState, Label, Listing, Reading, Sample, Stream, StreamState, Verdict,
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
}

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
}

fn long_ago() -> Timestamp {
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
        Self { state, config, samples }
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

    fn judge(&self) -> Verdict {
        let stream = Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::default(),
            created: long_ago(),
            state: Reading::known(StreamState::default(), "n1", now()),
            trend: None,
            consumers: Reading::known(Listing::default(), "n1", now()),
        };
        let consumer = Consumer {
            account: "A".into(),
            stream: stream.name.clone(),
            name: "reserve".parse().unwrap(),
            config: Arc::new(self.config.clone()),
            created: long_ago(),
            state: Reading::known(self.state.clone(), "n1", now()),
            trend: None,
            ages: Reading::not_yet(),
            failures: Reading::not_yet(),
            verdict: Verdict::unknown("not looked at", now()),
        };
        let facts = Facts {
            consumer: &consumer,
            state: &self.state,
            stream: &stream,
            held: stream.state.value(),
            samples: &self.samples,
            ages: None,
            failures: None,
            workers: &[],
            now: now(),
        };
        verdict(&facts, &consumer.verdict)
    }
}

/// What a world amounts to.
pub(super) fn check(world: &World, expected: Label) {
    let verdict = world.judge();
    assert_eq!(verdict.label, expected, "{verdict:?} of {world:?}");
}
