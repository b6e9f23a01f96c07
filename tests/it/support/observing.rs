//! An observer in the process of the test, at work until it is dropped.

use std::time::Duration;

use streamgauge::{
    clock::Clock,
    collector::{self, History, Settings, Snapshots},
    config::{NatsConfig, Thresholds},
};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// It looks every `interval` as one user, and all else is as nobody has set it.
pub fn settings(app: NatsConfig, interval: Duration) -> Settings {
    let (history, thresholds) = (History::default(), Thresholds::default());
    Settings { interval, app, others: Vec::new(), system: None, history, thresholds }
}

/// An observer of one server.
pub struct Observing {
    pub snapshots: Snapshots,
    _running: JoinSet<()>,
    _stop: DropGuard,
}

impl Observing {
    pub fn start(url: String, interval: Duration) -> Self {
        let app = NatsConfig { url: Some(url), ..NatsConfig::default() };
        let (collector, snapshots) = collector::new(settings(app, interval), Clock::system()).unwrap();
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let stopped = stop.clone();
        running.spawn(async move { collector.run(stopped).await.unwrap() });
        Self { snapshots, _running: running, _stop: stop.drop_guard() }
    }
}
