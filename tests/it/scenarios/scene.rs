//! A scene: a stream with one consumer, its workers and its load, and a watch on the observer's verdict.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream,
};
use tokio::{sync::Mutex, task::JoinSet, time::MissedTickBehavior};

use super::{
    Stage,
    worker::{Habits, Worker},
};
use crate::support::{nats_server::NatsServer, watch::Watch};

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
        let watch = Watch::on(stage.snapshots.clone(), name);
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

    pub async fn publish(&self, payload: &'static str, count: usize) {
        for _ in 0..count {
            let subject = format!("{}.{payload}", self.name);
            self.stage.jetstream.publish(subject, payload.into()).await.unwrap().await.unwrap();
        }
    }

    pub fn server(&self) -> &Mutex<NatsServer> {
        &self.stage.server
    }
}
