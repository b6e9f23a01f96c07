//! A scene: a stream with one consumer, its workers and its load, and a watch on the observer's verdict.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, Info, pull},
    stream,
};
use tokio::{sync::Mutex, task::JoinSet, time::MissedTickBehavior};

use super::{
    LIMIT, Stage,
    worker::{Habits, Worker},
};
use crate::support::{eventually, given_up::GivenUp, nats_server::NatsServer, watch::Watch};

/// How long what a worker holds is its own, where a scenario does not say.
pub const ACK_WAIT: Duration = Duration::from_secs(1);

/// A stream and its consumer, both of this name.
#[derive(Clone)]
pub struct Scene {
    stage: Arc<Stage>,
    name: &'static str,
    pub watch: Watch,
}

impl Scene {
    pub fn new(stage: Arc<Stage>, name: &'static str) -> Self {
        let watch = Watch::on(stage.observer.snapshots.clone(), name);
        Self { stage, name, watch }
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
            // A machine that stood still makes no burst of it.
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                pace.tick().await;
                // NATS may be away in a scenario; whoever publishes goes on.
                _ = scene.stage.jetstream.publish(format!("{}.load", scene.name), "ok".into()).await;
            }
        });
        load
    }

    /// Publishes these at once, and says where the last of them lies.
    pub async fn publish(&self, payload: &'static str, count: usize) -> u64 {
        let (mut acks, mut last) = (Vec::new(), 0);
        for _ in 0..count {
            let subject = format!("{}.{payload}", self.name);
            acks.push(self.stage.jetstream.publish(subject, payload.into()).await.unwrap());
        }
        for ack in acks {
            last = ack.await.unwrap().sequence;
        }
        last
    }

    /// Waits for the server's word on the consumer.
    pub async fn sees(&self, what: &str, is_it: impl Fn(&Info) -> bool) {
        let stream = self.stage.jetstream.get_stream(self.name).await.unwrap();
        eventually(LIMIT, what, async || match stream.consumer_info(self.name).await {
            Ok(info) if is_it(&info) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// Waits until the worker, which takes one after the other, has come to this message and not got by it.
    pub async fn comes_to(&self, sequence: u64) {
        let has_come =
            |info: &Info| info.delivered.stream_sequence >= sequence && info.ack_floor.stream_sequence == sequence - 1;
        self.sees("the worker has come to the message", has_come).await;
    }

    /// Waits until the server knows that the worker is gone.
    pub async fn has_no_worker(&self) {
        self.sees("nobody asks any more", |info| info.num_waiting == 0).await;
    }

    pub async fn given_up(&self) -> GivenUp {
        GivenUp::of(&self.stage.url, self.name, self.name).await
    }

    pub fn server(&self) -> &Mutex<NatsServer> {
        &self.stage.server
    }
}
