//! The cases in which somebody leaves: publishers, workers, handlers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use streamgauge::{bus::Bus, clock::Clock, consumer::Worker, handler::Context, telemetry::Telemetry};

use super::{Group, all_read, reading};
use crate::{
    library::{LIMIT, Pinged, World, connect, ping},
    support::{checker::Checker, eventually},
};

#[tokio::test]
async fn continue_after_close() {
    let (world, checker) = (World::new().await, Checker::default());
    world.publish_checked(&checker, 0..100).await;
    for round in 1..=4 {
        let group = Group::new(&world);
        group.start(reading("w", &checker));
        eventually(LIMIT, "some more were read", async || checker.reads() >= round * 20).await;
        group.stop().await;
    }
    let group = Group::new(&world);
    group.start(reading("w", &checker));
    all_read(&checker).await;
    assert_eq!((checker.reads(), checker.repeated()), (100, vec![]), "a close in order repeats nothing");
    group.stop().await;
}

#[tokio::test]
async fn concurrent_close() {
    let (world, checker) = (World::new().await, Checker::default());
    let groups: Vec<_> = (0..8).map(|_| Group::new(&world)).collect();
    for group in &groups {
        group.start(reading("w", &checker));
    }
    let load = world.publish_checked(&checker, 0..300);
    let close = async {
        eventually(LIMIT, "they are at work", async || checker.reads() > 30).await;
        join_all(groups.into_iter().map(Group::stop)).await;
    };
    tokio::join!(load, close);
    let group = Group::new(&world);
    group.start(reading("w", &checker));
    all_read(&checker).await;
    world.is_settled("w").await;
    assert_eq!((checker.reads(), checker.repeated()), (300, vec![]));
    group.stop().await;
}

#[tokio::test]
async fn publisher_close_loses_none() {
    let (world, checker) = (World::new().await, Checker::default());
    let connection = connect(&world.server).await;
    let bus = Bus::new(connection.clone(), "leaver", Telemetry::unexported(), Clock::system());
    join_all((0..500).map(async |number| {
        checker.attempted(number);
        bus.publish(&ping(number)).await.unwrap();
        checker.acked(number);
    }))
    .await;
    drop((bus, connection));
    let group = Group::new(&world);
    group.start(reading("w", &checker));
    all_read(&checker).await;
    assert_eq!(checker.reads(), 500);
    group.stop().await;
}

/// Says by its end that a handler was given up.
struct GivenUp(Arc<AtomicU32>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[tokio::test]
async fn context_ends() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    let ended = Arc::new(AtomicU32::new(0));
    let noted = ended.clone();
    let hangs = Worker::new("w").on(move |_: Context, _: Pinged| {
        let guard = GivenUp(noted.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
        }
    });
    let status = group.start_with(hangs, Duration::from_millis(50));
    world.publish_checked(&checker, 0..2).await;
    eventually(LIMIT, "both handlers run", async || status.running() == 2).await;
    group.stop().await;
    assert_eq!((ended.load(Relaxed), status.running()), (2, 0), "a handler ends with its worker");
    let group = Group::new(&world);
    group.start(reading("w", &checker));
    all_read(&checker).await;
    group.stop().await;
}

#[tokio::test]
async fn cancelled_subscription() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    let status = group.start(reading("w", &checker));
    world.publish_checked(&checker, 0..10).await;
    // A consumer hears of a message a moment after its publisher does.
    all_read(&checker).await;
    world.is_settled("w").await;
    group.stop().await;
    assert!(!status.pull().is_pulling);
    world.publish_checked(&checker, 10..20).await;
    // The consumer hears of a message after its publisher does.
    eventually(LIMIT, "ten wait and nobody asks any more", async || {
        let info = world.consumer_info("w").await;
        (info.num_pending, info.num_ack_pending, info.num_waiting) == (10, 0, 0)
    })
    .await;
    assert_eq!(checker.reads(), 10);
}
