//! Large payloads: compressed on the wire, or in the object store with a claim check in the message.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use streamgauge::{
    bus::{
        Bus, Payload, PublishError,
        topology::{BucketKind, BucketSpec, CLAIMS, Topology, library},
    },
    consumer::{self, Worker},
    errors::ErrorChain,
    handler::{Context, Outcome},
    message::header,
    tasks::Tasks,
};

use super::{LIMIT, Pinged, World};
use crate::support::eventually;

/// A payload that is mostly the same character, and names its size.
fn large(size: u32) -> Pinged {
    Pinged { key: format!("k{}", "x".repeat(size as usize)), number: size }
}

/// A payload of many pieces, with a short key.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Scanned(String);

impl Scanned {
    fn of(size: usize) -> Self {
        Self("x".repeat(size))
    }
}

impl Payload for Scanned {
    const KIND: &'static str = "Scanned";
    const STREAM: &'static str = "PINGS";
    const SUBJECT: &'static str = "pings.*";

    fn key(&self) -> String {
        self.0.len().to_string()
    }
}

async fn received(world: &World, tasks: &Tasks) -> Arc<Mutex<Vec<Pinged>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let worker = Worker::new("w").on(move |_: Context, ping: Pinged| {
        noted.lock().unwrap().push(ping);
        async { Outcome::Done }
    });
    consumer::start(worker, &world.bus, &world.connection, tasks, LIMIT).unwrap();
    seen
}

async fn handled(seen: &Arc<Mutex<Vec<Pinged>>>, wanted: &[Pinged]) {
    eventually(LIMIT, "the handler has them", async || {
        let seen = seen.lock().unwrap();
        if *seen == wanted { Ok(()) } else { Err(format!("{} of {}", seen.len(), wanted.len())) }
    })
    .await;
}

/// How many bytes the last message under the key has in the stream, and the value of one of its headers.
async fn stored(bus: &Bus, ping: &Pinged, name: &str) -> (usize, Option<String>) {
    let message = bus.last::<Pinged>(&ping.key).await.unwrap().unwrap();
    (message.payload.len(), message.header(name).map(str::to_owned))
}

#[tokio::test]
async fn a_large_payload_travels_compressed_and_a_small_one_as_it_is() {
    let (world, tasks) = (World::new().await, Tasks::default());
    let bus = world.bus.clone().compressing_above(200);
    let (small, big) = (large(20), large(2_000));
    bus.publish(&small).await.unwrap();
    bus.publish(&big).await.unwrap();
    assert_eq!(stored(&bus, &small, header::CONTENT_ENCODING).await.1, None);
    let (bytes, encoding) = stored(&bus, &big, header::CONTENT_ENCODING).await;
    assert!(bytes < 400 && encoding.as_deref() == Some("lz4"), "{bytes} {encoding:?}");
    let seen = received(&world, &tasks).await;
    handled(&seen, &[small, big]).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_payload_above_the_size_lies_in_the_object_store_and_reaches_the_handler() {
    let (world, tasks) = (World::new().await, Tasks::default());
    library().only(&[CLAIMS]).apply(&world.connection.jetstream).await.unwrap();
    let bus = world.bus.clone().checking_in_above(1_000);
    let (small, big) = (large(20), large(3_000));
    bus.publish(&small).await.unwrap();
    let receipt = bus.publish(&big).await.unwrap();
    let (bytes, claim) = stored(&bus, &big, header::CLAIM_CHECK).await;
    assert!(bytes == 0 && claim.as_ref().is_some_and(|claim| claim.starts_with("claims/")), "{claim:?}");
    // Something else under the same id, which a handler that runs twice may publish, leaves what is stored as it is.
    bus.publish(&Pinged { number: 3_001, ..big.clone() }).with_id(receipt.id).await.unwrap();
    let seen = received(&world, &tasks).await;
    handled(&seen, &[small, big]).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_claim_that_nobody_can_redeem_is_a_dead_letter_and_not_tried_for_ever() {
    let (world, tasks) = (World::new().await, Tasks::default());
    library().apply(&world.connection.jetstream).await.unwrap();
    let bus = world.bus.clone().checking_in_above(1_000);
    bus.publish(&large(3_000)).await.unwrap();
    let (_, claim) = stored(&bus, &large(3_000), header::CLAIM_CHECK).await;
    let store = world.connection.jetstream.get_object_store(CLAIMS).await.unwrap();
    store.delete(claim.unwrap().strip_prefix("claims/").unwrap()).await.unwrap();
    let seen = received(&world, &tasks).await;
    let dead = world.connection.jetstream.get_stream("DEAD_LETTERS").await.unwrap();
    eventually(LIMIT, "it is buried", async || dead.get_info().await.unwrap().state.messages == 1).await;
    let letter = dead.get_last_raw_message_by_subject("dead.PINGS.w").await.unwrap();
    let reason = letter.headers.get("dead-letter-reason").unwrap().as_str();
    assert!(reason.contains("no object"), "{reason}");
    assert!(seen.lock().unwrap().is_empty());
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_full_object_store_refuses_and_says_what_to_do_and_keeps_no_pieces() {
    let world = World::new().await;
    let claims = BucketSpec {
        kind: BucketKind::Objects,
        ttl: Some(Duration::from_secs(48 * 3_600)),
        max_bytes: Some(300_000),
        ..BucketSpec::new(CLAIMS, "test")
    };
    let topology = Topology { buckets: vec![claims], ..Topology::default() };
    topology.apply(&world.connection.jetstream).await.unwrap();
    let bus = world.bus.clone().checking_in_above(1_000);
    bus.publish(&Scanned::of(100_000)).await.unwrap();
    let bytes = async || {
        let stream = world.connection.jetstream.get_stream("OBJ_claims").await.unwrap();
        stream.cached_info().state.bytes
    };
    let before = bytes().await;
    // Its first piece would have had room.
    let error = bus.publish(&Scanned::of(250_000)).await.unwrap_err();
    assert!(error.is_transient(), "an object goes, or somebody makes room");
    let words = ErrorChain(&error).to_string();
    for part in [
        "publishing on pings.250000",
        "bucket claims is full",
        "of 300000 in all",
        "each object goes 2 d after it came",
        "`max_bytes`",
        "streamgauge topology apply",
        "nats object rm claims",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(bytes().await, before, "nothing of it is left there");
    bus.publish(&Scanned::of(50_000)).await.unwrap();
}

#[tokio::test]
async fn without_the_object_store_nothing_is_published() {
    let world = World::new().await;
    let bus = world.bus.clone().checking_in_above(1_000);
    let error = bus.publish(&large(3_000)).await.unwrap_err();
    assert!(matches!(error, PublishError::Claim { .. }), "{error:?}");
    assert!(bus.last::<Pinged>(&large(3_000).key).await.unwrap().is_none());
}
