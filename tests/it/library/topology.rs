//! What is declared, and what it does when it is full.

use std::time::Duration;

use streamgauge::{
    bus::topology::{BucketSpec, Topology},
    state::Documents,
};

use super::World;

async fn bucket(world: &World, name: &'static str, ttl: Option<Duration>) -> Documents<String> {
    let spec = BucketSpec { name, owner: "test", ttl, max_bytes: 32 << 10, replicas: 1 };
    let topology = Topology { streams: Vec::new(), buckets: vec![spec] };
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
