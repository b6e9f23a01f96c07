//! What is declared, and what it does when it is full.

use std::time::Duration;

use streamgauge::{
    bus::topology::{BucketSpec, DEAD_LETTERS, Topology, ensure, library},
    state::Documents,
};

use super::World;

async fn bucket(world: &World, name: &'static str, ttl: Option<Duration>) -> Documents<String> {
    let spec = BucketSpec { ttl, max_bytes: Some(32 << 10), ..BucketSpec::new(name, "test") };
    let topology = Topology { buckets: vec![spec], ..Topology::default() };
    topology.apply(&world.connection.jetstream).await.unwrap();
    topology.apply(&world.connection.jetstream).await.unwrap();
    Documents::open(&world.connection, name).await.unwrap()
}

#[tokio::test]
async fn a_full_bucket_that_forgets_by_age_forgets_its_oldest() {
    let world = World::new().await;
    let documents = bucket(&world, "records", Some(Duration::from_secs(3_600))).await;
    for key in 0..100 {
        assert!(documents.write(&format!("k{key}"), &"x".repeat(1_000), 0).await.unwrap());
    }
    assert_eq!(documents.read("k0").await.unwrap().value, None);
    let last = documents.read("k99").await.unwrap();
    assert!(documents.write("k99", &"y".to_owned(), last.revision).await.unwrap());
}

#[tokio::test]
async fn a_full_bucket_that_keeps_for_ever_refuses() {
    let world = World::new().await;
    let documents = bucket(&world, "stock", None).await;
    let mut written = 0;
    while documents.write(&format!("k{written}"), &"x".repeat(1_000), 0).await.is_ok() {
        written += 1;
        assert!(written < 100, "a bucket of 32 KB takes 100 KB");
    }
    assert!(documents.read("k0").await.unwrap().value.is_some());
}

#[tokio::test]
async fn the_librarys_stores_are_made_once_and_then_left_alone() {
    let world = World::new().await;
    let jetstream = &world.connection.jetstream;
    ensure(jetstream, &library()).await.unwrap();
    let mut stream = jetstream.get_stream(DEAD_LETTERS).await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    assert_eq!(config.subjects, ["dead.>"]);
    config.max_bytes = 1 << 20;
    jetstream.update_stream(config).await.unwrap();
    ensure(jetstream, &library()).await.unwrap();
    assert_eq!(stream.info().await.unwrap().config.max_bytes, 1 << 20);
    library().apply(jetstream).await.unwrap();
    assert_eq!(stream.info().await.unwrap().config.max_bytes, 128 << 20);
}

#[tokio::test]
async fn many_may_ensure_at_once() {
    let world = World::new().await;
    let library = library();
    let all = (0..8).map(|_| ensure(&world.connection.jetstream, &library));
    for made in futures_util::future::join_all(all).await {
        made.unwrap();
    }
}

#[tokio::test]
async fn applying_leaves_fields_alone_that_nobody_declares() {
    let world = World::new().await;
    let jetstream = &world.connection.jetstream;
    let mut stream = jetstream.get_stream("PINGS").await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.max_message_size = 4_096;
    config.description = Some("theirs".to_owned());
    config.metadata.insert("team".to_owned(), "blue".to_owned());
    jetstream.update_stream(config).await.unwrap();
    super::topology().apply(jetstream).await.unwrap();
    let config = &stream.info().await.unwrap().config;
    assert_eq!((config.max_message_size, config.description.as_deref()), (4_096, Some("theirs")));
    assert_eq!(config.metadata["team"], "blue");
    assert_eq!(config.metadata["owner"], "test");
}
