//! The sixteen cases that every library of publishers and subscribers is tried with, one test each under the case's own name.

mod ends;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::Payload,
    consumer::{self, Status, Worker},
    handler::{Context, Outcome},
    resilience::Backoff,
    tasks::Tasks,
};
use tokio::sync::Semaphore;

use super::{LIMIT, Pinged, World, ping};
use crate::support::{checker::Checker, eventually};

const GRACE: Duration = Duration::from_secs(5);

/// A worker that went away with messages in its hands is not waited for longer than this.
const ACK_WAIT: Duration = Duration::from_secs(2);

const SOON: Backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_millis(10) };

const SUBJECTS: [&str; 5] = ["pings.a.*", "pings.b.*", "pings.c.*", "pings.d.*", "pings.e.*"];

/// An event of its own subject for each `N`.
#[derive(Debug, Serialize, Deserialize)]
struct Event<const N: usize> {
    number: u32,
}

impl<const N: usize> Payload for Event<N> {
    const KIND: &'static str = "Event";
    const STREAM: &'static str = "PINGS";
    const SUBJECT: &'static str = SUBJECTS[N];

    fn key(&self) -> String {
        self.number.to_string()
    }
}

/// Workers of one process: they stop together.
struct Group<'a> {
    world: &'a World,
    tasks: Tasks,
}

impl<'a> Group<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, tasks: Tasks::default() }
    }

    fn start(&self, worker: Worker) -> Arc<Status> {
        self.start_with(worker, GRACE)
    }

    fn start_with(&self, worker: Worker, grace: Duration) -> Arc<Status> {
        let worker = worker.ack_wait(ACK_WAIT).retry(SOON);
        consumer::start(worker, &self.world.bus, &self.world.connection, &self.tasks, grace).unwrap()
    }

    async fn stop(self) {
        assert!(self.tasks.stop(LIMIT).await);
    }
}

impl World {
    async fn publish_checked(&self, checker: &Checker, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            checker.attempted(number);
            self.bus.publish(&ping(number)).await.unwrap();
            checker.acked(number);
        }
    }

    /// Waits until nothing is pending and nothing unsettled.
    async fn is_settled(&self, consumer: &str) {
        eventually(LIMIT, "nothing pending, nothing unsettled", async || {
            let info = self.consumer_info_if_there(consumer).await.map_err(|error| error.to_string())?;
            let left = (info.num_pending, info.num_ack_pending);
            if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

/// A worker that reads into `checker`.
fn reading(durable: &str, checker: &Checker) -> Worker {
    let checker = checker.clone();
    Worker::new(durable).on(move |_: Context, ping: Pinged| {
        checker.read(ping.number);
        async { Outcome::Done }
    })
}

async fn all_read(checker: &Checker) {
    eventually(LIMIT, "everything confirmed was read", async || checker.fits()).await;
}

#[tokio::test]
async fn publish_and_subscribe() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    group.start(reading("w", &checker));
    world.publish_checked(&checker, 0..100).await;
    all_read(&checker).await;
    world.is_settled("w").await;
    assert_eq!((checker.reads(), checker.repeated()), (100, vec![]));
    group.stop().await;
}

#[tokio::test]
async fn concurrent() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    for _ in 0..5 {
        group.start(reading("w", &checker));
    }
    join_all((0..10).map(|at| world.publish_checked(&checker, at * 50..(at + 1) * 50))).await;
    all_read(&checker).await;
    world.is_settled("w").await;
    assert_eq!((checker.reads(), checker.repeated()), (500, vec![]));
    group.stop().await;
}

#[tokio::test]
async fn many_topics() {
    let world = World::new().await;
    let group = Group::new(&world);
    let read = Arc::new(SUBJECTS.map(|_| Checker::default()));
    fn on<const N: usize>(read: &Arc<[Checker; 5]>) -> Worker {
        let read = read.clone();
        Worker::new(format!("w{N}")).on(move |_: Context, event: Event<N>| {
            read[N].read(event.number);
            async { Outcome::Done }
        })
    }
    for worker in [on::<0>(&read), on::<1>(&read), on::<2>(&read), on::<3>(&read), on::<4>(&read)] {
        group.start(worker);
    }
    async fn publish<const N: usize>(world: &World, checkers: &[Checker; 5]) {
        for number in 0..40 {
            checkers[N].attempted(number);
            world.bus.publish(&Event::<N> { number }).await.unwrap();
            checkers[N].acked(number);
        }
    }
    tokio::join!(
        publish::<0>(&world, &read),
        publish::<1>(&world, &read),
        publish::<2>(&world, &read),
        publish::<3>(&world, &read),
        publish::<4>(&world, &read),
    );
    for checker in read.iter() {
        all_read(checker).await;
        assert_eq!(checker.reads(), 40);
    }
    group.stop().await;
}

#[tokio::test]
async fn resend_on_error() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    let read = checker.clone();
    group.start(Worker::new("w").on(move |_: Context, ping: Pinged| {
        let times = read.read(ping.number);
        async move { if times == 1 { Outcome::retry("not yet") } else { Outcome::Done } }
    }));
    world.publish_checked(&checker, 0..20).await;
    eventually(LIMIT, "each is sent again", async || checker.repeated().len() == 20).await;
    world.is_settled("w").await;
    assert!((0..20).all(|number| checker.times(number) == 2), "what succeeded is not sent again");
    group.stop().await;
}

#[tokio::test]
async fn no_ack_blocks() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    let (read, gate) = (checker.clone(), Arc::new(Semaphore::new(0)));
    let opened = gate.clone();
    let status = group.start(Worker::new("w").concurrency(1).on(move |_: Context, ping: Pinged| {
        read.read(ping.number);
        let opened = opened.clone();
        async move { opened.acquire().await.map(drop) }
    }));
    world.publish_checked(&checker, 0..3).await;
    eventually(LIMIT, "the first is in work", async || status.running() == 1).await;
    let info = world.consumer_info("w").await;
    assert_eq!((checker.reads(), info.num_ack_pending, info.num_pending), (1, 1, 2), "the others stay at the server");
    gate.add_permits(3);
    all_read(&checker).await;
    group.stop().await;
}

#[tokio::test]
async fn continue_after_errors() {
    let (world, checker) = (World::new().await, Checker::default());
    world.publish_checked(&checker, 0..30).await;
    for _ in 0..3 {
        let group = Group::new(&world);
        let failed = Arc::new(AtomicU32::new(0));
        let count = failed.clone();
        group.start(Worker::new("w").on(move |_: Context, _: Pinged| {
            count.fetch_add(1, Relaxed);
            async { Outcome::retry("not with me") }
        }));
        eventually(LIMIT, "some have failed", async || failed.load(Relaxed) > 10).await;
        group.stop().await;
    }
    let group = Group::new(&world);
    group.start(reading("w", &checker));
    all_read(&checker).await;
    world.is_settled("w").await;
    assert_eq!(checker.reads(), 30);
    group.stop().await;
}

#[tokio::test]
async fn in_order() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    let (read, next) = (checker.clone(), Arc::new(AtomicU32::new(0)));
    let expected = next.clone();
    group.start(Worker::new("w").concurrency(1).on(move |_: Context, ping: Pinged| {
        read.read(ping.number);
        let is_next = expected.compare_exchange(ping.number, ping.number + 1, Relaxed, Relaxed).is_ok();
        async move { if is_next { Outcome::Done } else { Outcome::reject("out of order") } }
    }));
    world.publish_checked(&checker, 0..200).await;
    all_read(&checker).await;
    assert_eq!((next.load(Relaxed), checker.reads()), (200, 200), "one credit keeps the stream's order");
    group.stop().await;
}

#[tokio::test]
async fn topics_apart() {
    let (world, checker) = (World::new().await, Checker::default());
    let group = Group::new(&world);
    let read = checker.clone();
    group.start(Worker::new("w").on(move |_: Context, event: Event<0>| {
        read.read(event.number);
        async { Outcome::Done }
    }));
    for number in 0..20 {
        checker.attempted(number);
        world.bus.publish(&Event::<0> { number }).await.unwrap();
        checker.acked(number);
        world.bus.publish(&Event::<1> { number: 1_000 + number }).await.unwrap();
    }
    all_read(&checker).await;
    world.is_settled("w").await;
    assert_eq!((checker.fits(), checker.reads()), (Ok(()), 20));
    assert_eq!(world.consumer_info("w").await.delivered.consumer_sequence, 20, "nothing else left the server");
    group.stop().await;
}

#[tokio::test]
async fn late_subscriber_gets_history() {
    let (world, checker) = (World::new().await, Checker::default());
    world.publish_checked(&checker, 0..50).await;
    let group = Group::new(&world);
    group.start(reading("early", &checker));
    all_read(&checker).await;
    let late = Checker::default();
    (0..50).for_each(|number| late.attempted(number));
    (0..50).for_each(|number| late.acked(number));
    group.start(reading("late", &late));
    all_read(&late).await;
    assert_eq!(late.reads(), 50);
    group.stop().await;
}

#[tokio::test]
async fn reconnect_across_two_broker_restarts() {
    let (mut world, checker) = (World::new().await, Checker::default());
    let tasks = Tasks::default();
    let worker = reading("w", &checker).ack_wait(ACK_WAIT).retry(SOON);
    let status = consumer::start(worker, &world.bus, &world.connection, &tasks, GRACE).unwrap();
    for round in 0..2 {
        world.publish_checked(&checker, round * 100..round * 100 + 20).await;
        world.server.stop().await;
        eventually(LIMIT, "the worker knows", async || !status.pull().is_pulling).await;
        world.server.start_again().await;
        world.publish_checked(&checker, round * 100 + 20..round * 100 + 40).await;
    }
    all_read(&checker).await;
    assert_eq!(checker.reads(), 80);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn two_groups_each_get_all() {
    let (world, one, other) = (World::new().await, Checker::default(), Checker::default());
    let group = Group::new(&world);
    for (durable, checker) in [("one", &one), ("one", &one), ("other", &other), ("other", &other)] {
        group.start(reading(durable, checker));
    }
    (0..60).for_each(|number| other.attempted(number));
    world.publish_checked(&one, 0..60).await;
    (0..60).for_each(|number| other.acked(number));
    for checker in [&one, &other] {
        all_read(checker).await;
        assert_eq!((checker.reads(), checker.repeated()), (60, vec![]));
    }
    group.stop().await;
}
