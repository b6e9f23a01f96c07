//! Scenarios: workers of plain clients, with nothing set up for the observer, and what it says once something is wrong with them.
//!
//! The right verdict is there within three rounds, and gone within three of the cure. All share one server and one observer.

pub(crate) mod python;
mod scene;
mod stories;
mod worker;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::LocalBoxFuture};
use tokio::sync::Mutex;

use crate::support::{nats_server::NatsServer, observing::Observing};
use scene::Scene;
use worker::Client;

/// From the end of a round to the start of the next.
const INTERVAL: Duration = Duration::from_millis(500);

/// Longer than any scenario takes to get ready.
const LIMIT: Duration = Duration::from_secs(60);

/// One server, one observer of it, and the kind of client that workers use.
pub struct Stage {
    server: Mutex<NatsServer>,
    url: String,
    client: Client,
    jetstream: async_nats::jetstream::Context,
    observer: Observing,
}

impl Stage {
    async fn set(client: Client) -> Self {
        let server = NatsServer::start().await;
        let observer = Observing::start(server.url(), INTERVAL);
        let jetstream = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let url = server.url();
        Self { server: Mutex::new(server), url, client, jetstream, observer }
    }
}

/// Something that goes wrong and is mended, on a stream of its own.
type Story = fn(Scene) -> LocalBoxFuture<'static, ()>;

/// Plays all stories side by side; those that fail are named together.
async fn play(stage: Stage, stories: &[(&'static str, Story)]) {
    let stage = Arc::new(stage);
    let played = stories.iter().map(|(name, story)| {
        let scene = Scene::new(stage.clone(), name);
        std::panic::AssertUnwindSafe(story(scene)).catch_unwind().map(|ended| ended.err().map(|_| *name))
    });
    let failed: Vec<&str> = futures_util::future::join_all(played).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "these scenarios failed, each with its words above: {}", failed.join(", "));
}

#[tokio::test]
async fn plain_workers_in_rust() {
    play(Stage::set(Client::AsyncNats).await, stories::ALL).await;
}

#[tokio::test]
async fn plain_workers_in_python() {
    let Some(python) = python::with_nats_py("plain_workers_in_python") else { return };
    play(Stage::set(Client::NatsPy(python)).await, stories::ALL).await;
}

#[tokio::test]
async fn nats_restarted_under_workers_in_rust() {
    play(Stage::set(Client::AsyncNats).await, stories::ALONE).await;
}

#[tokio::test]
async fn nats_restarted_under_workers_in_python() {
    let Some(python) = python::with_nats_py("nats_restarted_under_workers_in_python") else { return };
    play(Stage::set(Client::NatsPy(python)).await, stories::ALONE).await;
}
