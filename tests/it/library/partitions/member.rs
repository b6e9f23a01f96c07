//! A member of a group as another process would be: a runtime and a connection of its own, so that it can die.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use streamgauge::{
    bus::Bus,
    clock::Clock,
    config::NatsConfig,
    consumer::{self, Status, Worker},
    nats, presence,
    tasks::Tasks,
    telemetry::Telemetry,
};
use tokio::runtime::Runtime;

use super::LIMIT;

const GRACE: Duration = Duration::from_secs(2);

pub struct Member {
    runtime: Option<Runtime>,
    tasks: Tasks,
    status: Arc<Status>,
}

impl Member {
    pub async fn join(url: &str, name: &str, worker: Worker) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tasks = Tasks::default();
        let (config, name) = (NatsConfig { url: Some(url.to_owned()), ..NatsConfig::default() }, name.to_owned());
        let begun = runtime.spawn({
            let tasks = tasks.clone();
            async move {
                let connection = nats::connect(&config, &name, &Clock::system()).await.unwrap();
                let bus = Bus::new(connection.clone(), &name, Telemetry::unexported(), Clock::system());
                consumer::start(worker, &bus, &connection, &tasks, GRACE).unwrap()
            }
        });
        let status = begun.await.unwrap();
        Self { runtime: Some(runtime), tasks, status }
    }

    /// The partitions that it works on.
    pub fn holds(&self) -> BTreeSet<u32> {
        let parts = self.status.parts().unwrap();
        parts.iter().map(|part| part.consumer.as_str().strip_prefix("w-").unwrap().parse().unwrap()).collect()
    }

    pub fn is_ready(&self) -> bool {
        self.status.pull().is_pulling
    }

    pub fn presence(&self) -> Vec<presence::Worker> {
        self.status.told_each()
    }

    /// Ends in order.
    pub async fn leave(&mut self) {
        assert!(self.tasks.stop(LIMIT).await);
    }

    /// Ends at once: nothing is drained, nothing given up.
    pub fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.die();
    }
}
