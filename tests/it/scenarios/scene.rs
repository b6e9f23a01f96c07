//! A scene: a stream with one consumer, its workers and its load, and the observer's verdict round by round.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream,
};
use streamgauge::snapshot::{Consumer, Label, Snapshot, Verdict};
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    LIMIT, Stage,
    worker::{Habits, Worker},
};
use crate::support::{eventually, nats_server::NatsServer};

/// Within so many rounds that began after the fault, or after the cure, the verdict has to be right.
const ROUNDS: u64 = 3;

/// How long what a worker holds is its own, where a scenario does not say.
pub const ACK_WAIT: Duration = Duration::from_secs(1);

/// A stream and its consumer, both of this name.
#[derive(Clone)]
pub struct Scene {
    stage: Arc<Stage>,
    name: &'static str,
}

impl Scene {
    pub fn new(stage: Arc<Stage>, name: &'static str) -> Self {
        Self { stage, name }
    }

    pub fn stream_config(&self) -> stream::Config {
        stream::Config { name: self.name.into(), subjects: vec![format!("{}.>", self.name)], ..Default::default() }
    }

    pub fn consumer_config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name.into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            ..Default::default()
        }
    }

    /// Makes stream and consumer as most scenarios have them.
    pub async fn set(&self) -> stream::Stream {
        self.set_with(self.stream_config(), self.consumer_config()).await
    }

    pub async fn set_with(&self, stream: stream::Config, consumer: pull::Config) -> stream::Stream {
        let stream = self.stage.jetstream.create_stream(stream).await.unwrap();
        stream.create_consumer(consumer).await.unwrap();
        stream
    }

    pub async fn update_stream(&self, config: stream::Config) {
        self.stage.jetstream.update_stream(config).await.unwrap();
    }

    pub async fn worker(&self, habits: Habits) -> Worker {
        Worker::start(&self.stage.client, &self.stage.url, self.name, habits).await
    }

    /// Publishes messages with nothing special to them, so many a second, until it is dropped.
    pub fn load(&self, rate: u32) -> JoinSet<()> {
        let (scene, mut load) = (self.clone(), JoinSet::new());
        load.spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
            loop {
                pace.tick().await;
                // NATS may be away in a scenario; whoever publishes goes on.
                _ = scene.stage.jetstream.publish(format!("{}.load", scene.name), "ok".into()).await;
            }
        });
        load
    }

    pub async fn publish(&self, payload: &'static str, count: usize) {
        for _ in 0..count {
            let subject = format!("{}.{payload}", self.name);
            self.stage.jetstream.publish(subject, payload.into()).await.unwrap().await.unwrap();
        }
    }

    /// Waits until messages are processed, and holds the observer to finding nothing for some rounds.
    pub async fn runs_well(&self, rounds: u64) {
        eventually(LIMIT, &format!("{} runs", self.name), async || {
            let snapshot = self.now();
            let state = consumer_of(&snapshot, self.name)?.state.fresh().ok_or("nothing fresh")?;
            let verdict = self.verdict(&snapshot);
            if state.ack_floor > 0 && verdict.label == Label::Ok { Ok(()) } else { Err(said(&verdict)) }
        })
        .await;
        let mut rest = self.rounds();
        for _ in 0..rounds {
            let verdict = rest.next().await;
            assert!(is_well(&verdict), "{}: nothing is wrong, but it is said: {}", self.name, said(&verdict));
        }
    }

    /// What was done just now is wrong, and the observer has to say so.
    pub async fn turns(&self, right: &[Label]) -> Verdict {
        self.within(&format!("{right:?}"), |verdict| right.contains(&verdict.label)).await
    }

    /// What was done just now mends it, and the observer has to stop saying what it said.
    pub async fn recovers(&self) {
        self.within("no trouble any more", is_well).await;
        let mut rest = self.rounds();
        for _ in 0..ROUNDS {
            let verdict = rest.next().await;
            assert!(is_well(&verdict), "{}: it was mended, but it is said again: {}", self.name, said(&verdict));
        }
    }

    /// A round that is underway now may have seen half of it; three more have to do.
    async fn within(&self, wanted: &str, is_it: impl Fn(&Verdict) -> bool) -> Verdict {
        let (mut rounds, mut seen) = (self.rounds(), Vec::new());
        for _ in 0..=ROUNDS {
            let verdict = rounds.next().await;
            if is_it(&verdict) {
                return verdict;
            }
            seen.push(said(&verdict));
        }
        panic!("{}: wanted {wanted} within {ROUNDS} rounds; the rounds said:\n  {}", self.name, seen.join("\n  "));
    }

    pub fn server(&self) -> &Mutex<NatsServer> {
        &self.stage.server
    }

    pub fn now(&self) -> Arc<Snapshot> {
        self.stage.snapshots.borrow().clone()
    }

    /// How many messages are not processed, by the last round.
    pub fn lag(&self) -> Result<u64, String> {
        Ok(consumer_of(&self.now(), self.name)?.state.fresh().ok_or("nothing fresh")?.lag())
    }

    fn verdict(&self, snapshot: &Snapshot) -> Verdict {
        consumer_of(snapshot, self.name)
            .map_or_else(|why| Verdict::unknown(why, snapshot.taken), |consumer| consumer.verdict.clone())
    }

    fn rounds(&self) -> Rounds<'_> {
        let mut snapshots = self.stage.snapshots.clone();
        snapshots.mark_unchanged();
        Rounds { scene: self, snapshots }
    }
}

/// The verdict of each round from now on.
struct Rounds<'a> {
    scene: &'a Scene,
    snapshots: streamgauge::collector::Snapshots,
}

impl Rounds<'_> {
    async fn next(&mut self) -> Verdict {
        tokio::time::timeout(LIMIT, self.snapshots.changed()).await.expect("rounds go on").unwrap();
        let snapshot = self.snapshots.borrow_and_update().clone();
        self.scene.verdict(&snapshot)
    }
}

fn is_well(verdict: &Verdict) -> bool {
    matches!(verdict.label, Label::Ok | Label::Idle | Label::CatchingUp)
}

fn said(verdict: &Verdict) -> String {
    format!("{}: {} ({})", verdict.label.words(), verdict.sentence, verdict.evidence.join("; "))
}

fn consumer_of<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Consumer, String> {
    snapshot.known_consumers().find(|consumer| consumer.name.as_str() == name).ok_or_else(|| format!("no {name}"))
}
