//! Handlers of other shapes under a worker: tower services with their layers, and payloads that are not JSON.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use streamgauge::{
    bus::{Codec, Payload},
    consumer::{self, Worker},
    handler::{self, Context, Outcome, Request},
    resilience::Backoff,
    tasks::Tasks,
};
use tower::{ServiceBuilder, service_fn};

use super::{LIMIT, Pinged, World};
use crate::support::eventually;

const GRACE: Duration = Duration::from_secs(5);

const SOON: Backoff = Backoff { first: Duration::from_millis(20), most: Duration::from_millis(20) };

fn start(world: &World, tasks: &Tasks, worker: Worker) {
    consumer::start(worker.retry(SOON), &world.bus, &world.connection, tasks, GRACE).unwrap();
}

#[tokio::test]
async fn towers_layers_hold_for_messages() {
    let world = World::new().await;
    let (tasks, runs, most) = (Tasks::default(), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (counted, running, seen) = (runs.clone(), Arc::new(AtomicU32::new(0)), most.clone());
    // The first run of each message hangs, and tower's timeout ends it.
    let hangs_first = move |request: Request<Pinged>| {
        let (running, seen) = (running.clone(), seen.clone());
        counted.fetch_add(1, Ordering::SeqCst);
        let is_first = request.context.delivery().is_some_and(|delivery| delivery.delivered == 1);
        async move {
            seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let worked = tokio::time::timeout(Duration::from_millis(50), async {
                if is_first { std::future::pending().await } else { Ok::<_, std::io::Error>(Outcome::Done) }
            });
            let worked = worked.await;
            running.fetch_sub(1, Ordering::SeqCst);
            match worked {
                Ok(worked) => worked,
                Err(_) => std::future::pending().await,
            }
        }
    };
    let layers = ServiceBuilder::new().concurrency_limit(2).timeout(Duration::from_millis(100));
    let handler = handler::service(layers.service(service_fn(hangs_first)));
    start(&world, &tasks, Worker::new("w").on(handler));
    world.publish(0..6).await;
    eventually(LIMIT, "every message is handled", async || {
        let info = world.consumer_info_if_there("w").await.map_err(|error| error.to_string())?;
        let left = (info.num_pending, info.num_ack_pending);
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(runs.load(Ordering::SeqCst), 12, "each message was ended once by its timeout");
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
    assert!(tasks.stop(LIMIT).await);
}

/// A format of our own: JSON backwards.
#[derive(Debug)]
struct Backwards;

impl Codec for Backwards {
    fn content_type(&self) -> &'static str {
        "application/vnd.backwards"
    }

    fn write<T: Serialize>(&self, value: &T) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        let mut bytes = serde_json::to_vec(value)?;
        bytes.reverse();
        Ok(bytes.into())
    }

    fn read<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
        let forwards: Vec<u8> = bytes.iter().rev().copied().collect();
        Ok(serde_json::from_slice(&forwards)?)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Whispered {
    words: String,
}

impl Payload for Whispered {
    const KIND: &'static str = "Whispered";
    const STREAM: &'static str = "PINGS";
    const SUBJECT: &'static str = "pings.*";

    fn key(&self) -> String {
        "whisper".to_owned()
    }

    fn codec() -> impl Codec {
        Backwards
    }
}

#[tokio::test]
async fn a_payload_may_have_a_format_of_its_own_and_no_other_is_read_as_it() {
    let world = World::new().await;
    let (tasks, heard) = (Tasks::default(), Arc::new(Mutex::new(Vec::new())));
    let hears = heard.clone();
    let listen = move |_: Context, whispered: Whispered| {
        hears.lock().unwrap().push(whispered.words);
        async {}
    };
    start(&world, &tasks, Worker::new("w").on(listen));
    let mut json = async_nats::HeaderMap::new();
    json.insert("content-type", "application/json");
    let published = world.connection.jetstream.publish_with_headers("pings.other", json, "{}".into()).await.unwrap();
    published.await.unwrap();
    world.bus.publish(&Whispered { words: "psst".into() }).await.unwrap();
    eventually(LIMIT, "both are settled", async || {
        let info = world.consumer_info_if_there("w").await.map_err(|error| error.to_string())?;
        let left = (info.num_pending, info.num_ack_pending);
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(*heard.lock().unwrap(), ["psst"]);
    assert!(tasks.stop(LIMIT).await);
}
