//! Partitions: strict order about one key, members that share, and nobody who works on what is no longer theirs.

mod member;
mod story;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use async_nats::jetstream::stream::{Config, SubjectTransform};
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{Bus, Payload, partition},
    clock::Clock,
    consumer::{self, Worker, WorkerError},
    handler::{Context, Outcome},
    nats::Connection,
    resilience::Backoff,
    tasks::Tasks,
    telemetry::Telemetry,
};

use super::{LIMIT, Pinged, connect};
use crate::support::{
    chaos_proxy::{ChaosProxy, Way},
    eventually,
    nats_server::NatsServer,
};
use member::Member;
use story::Story;

const PARTITIONS: u32 = 6;

/// Short, so that a test sees a member expire; long enough for a machine that does much else.
const HOLD: Duration = Duration::from_millis(1_500);

/// What a takeover may need beside the hold time.
const MARGIN: Duration = Duration::from_secs(3);

const SOON: Backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_millis(10) };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Measured {
    gauge: String,
    number: u32,
}

impl Payload for Measured {
    const KIND: &'static str = "Measured";
    const STREAM: &'static str = "READINGS";
    const SUBJECT: &'static str = "readings.*";
    const PARTITIONS: Option<u32> = Some(PARTITIONS);

    fn key(&self) -> String {
        self.gauge.clone()
    }
}

/// A server with a stream of readings.
struct River {
    server: NatsServer,
    connection: Connection,
    bus: Bus,
}

impl River {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let connection = connect(&server).await;
        let stream = Config { name: "READINGS".into(), subjects: vec!["readings.>".into()], ..Config::default() };
        connection.jetstream.create_stream(stream).await.unwrap();
        let bus = Bus::new(connection.clone(), "test", Telemetry::unexported(), Clock::system());
        Self { server, connection, bus }
    }

    async fn measure(&self, gauges: u32, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            for gauge in 0..gauges {
                self.bus.publish(&Measured { gauge: format!("g{gauge}"), number }).await.unwrap();
            }
        }
    }

    async fn join(&self, name: &str, worker: Worker) -> Member {
        Member::join(&self.server.url(), name, worker).await
    }
}

fn worker<F, Fut>(handle: F) -> Worker
where
    F: Fn(Context, Measured) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    Worker::new("w").partitioned().hold(HOLD).retry(SOON).on(handle)
}

/// Every partition is held by one of `members`, no two differ by more than one, and none is held twice.
async fn shared_fairly(members: &[&Member]) {
    eventually(LIMIT, "every partition is held, fairly", async || {
        let held: Vec<BTreeSet<u32>> = members.iter().map(|member| member.holds()).collect();
        let all: BTreeSet<u32> = held.iter().flatten().copied().collect();
        let (least, most) = (held.iter().map(BTreeSet::len).min(), held.iter().map(BTreeSet::len).max());
        let is_whole = all.len() == PARTITIONS as usize && held.iter().map(BTreeSet::len).sum::<usize>() == all.len();
        let is_fair = most.unwrap_or(0) - least.unwrap_or(0) <= 1;
        if is_whole && is_fair && members.iter().all(|member| member.is_ready()) { Ok(()) } else { Err(held) }
    })
    .await;
}

#[tokio::test]
async fn a_key_has_the_partition_that_the_server_gives_it() {
    let server = NatsServer::start().await;
    let jetstream = connect(&server).await.jetstream;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for partitions in [1, 2, 7, 64, 1_000] {
        let (source, name) = (format!("raw{partitions}.*"), format!("S{partitions}"));
        let destination = format!("cooked{partitions}.{{{{partition({partitions},1)}}}}.{{{{wildcard(1)}}}}");
        let subject_transform = Some(SubjectTransform { source: source.clone(), destination });
        let config = Config { name: name.clone(), subjects: vec![source], subject_transform, ..Config::default() };
        let stream = jetstream.create_stream(config).await.unwrap();
        for _ in 0..40 {
            let length = random.usize(1..30);
            let key: String =
                (0..length).map(|_| random.choice(['a', 'Z', '0', '9', '-', '_', 'é', '€']).unwrap()).collect();
            let stored = jetstream.publish(format!("raw{partitions}.{key}"), "".into()).await.unwrap().await.unwrap();
            let stored = stream.get_raw_message(stored.sequence).await.unwrap();
            let expected = format!("cooked{partitions}.{}.{key}", partition::of(&key, partitions));
            assert_eq!(stored.subject.as_str(), expected);
        }
    }
}

#[tokio::test]
async fn partitions_are_shared_out_anew_when_a_member_joins_or_leaves() {
    let river = River::new().await;
    let story = Story::default();
    let mut first = river.join("first", worker(story.teller("first", Duration::ZERO))).await;
    shared_fairly(&[&first]).await;
    let second = river.join("second", worker(story.teller("second", Duration::ZERO))).await;
    shared_fairly(&[&first, &second]).await;
    let third = river.join("third", worker(story.teller("third", Duration::ZERO))).await;
    shared_fairly(&[&first, &second, &third]).await;
    let began = Instant::now();
    first.leave().await;
    shared_fairly(&[&second, &third]).await;
    assert!(began.elapsed() < HOLD, "who leaves in order is not waited for");
    river.measure(12, 0..5).await;
    story.is_whole(12, 5).await;
    story.is_in_order();
    assert_eq!(third.presence().len(), 3, "presence tells of each consumer that is pulled from");
}

#[tokio::test]
async fn order_holds_while_members_die_and_join() {
    let river = River::new().await;
    let (gauges, numbers) = (12, 60);
    let story = Story::default();
    let join = async |number: u32| {
        let name = format!("m{number}");
        river.join(&name, worker(story.teller(&name, Duration::from_millis(2)))).await
    };
    let mut members = vec![join(0).await, join(1).await, join(2).await];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let trouble = async {
        for number in 3..6 {
            let told = story.len();
            eventually(LIMIT, "the story goes on", async || story.len() > told + 20).await;
            let mut died = members.swap_remove(random.usize(..members.len()));
            died.die();
            members.push(join(number).await);
        }
    };
    tokio::join!(river.measure(gauges, 0..numbers), trouble);
    story.is_whole(gauges, numbers).await;
    story.is_in_order();
}

#[tokio::test]
async fn the_partitions_of_a_dead_member_go_to_the_others_within_the_hold_time() {
    let river = River::new().await;
    let story = Story::default();
    let first = river.join("first", worker(story.teller("first", Duration::ZERO))).await;
    let mut second = river.join("second", worker(story.teller("second", Duration::ZERO))).await;
    shared_fairly(&[&first, &second]).await;
    second.die();
    let died = Instant::now();
    shared_fairly(&[&first]).await;
    let took = died.elapsed();
    assert!(took > HOLD * 3 / 4, "nobody takes what may still be worked on, after {took:?}");
    assert!(took < HOLD + MARGIN, "taken over after {took:?}");
    river.measure(12, 0..3).await;
    story.is_whole(12, 3).await;
}

#[tokio::test]
async fn what_fails_is_tried_again_before_what_comes_after_it() {
    let river = River::new().await;
    let story = Story::default();
    let teller = story.teller("only", Duration::ZERO);
    let told = story.clone();
    let fails = move |context: Context, measured: Measured| {
        let times = told.times(&measured.gauge, measured.number);
        let telling = teller(context, measured);
        async move {
            match (telling.await, times) {
                (Outcome::Done, 0 | 1) => Outcome::retry("the gauge is frozen"),
                (outcome, _) => outcome,
            }
        }
    };
    let _member = river.join("only", worker(fails)).await;
    river.measure(4, 0..10).await;
    story.is_whole(4, 10).await;
    eventually(LIMIT, "the last is told three times", async || story.len() == 4 * 10 * 3).await;
    story.is_in_order();
}

/// One that holds everything loses what goes on these `ways`, without being told; another takes over, and the first comes back.
async fn is_cut_off(ways: &[Way]) {
    let river = River::new().await;
    let story = Story::default();
    let proxy = ChaosProxy::before(river.server.address()).await;
    // Its handlers go on for as long as they are let, and leave a mark each few milliseconds.
    let marking = story.marker("cut", Duration::from_secs(3_600));
    let cut = Member::join(&proxy.url(), "cut", worker(marking)).await;
    shared_fairly(&[&cut]).await;
    river.measure(12, 0..1).await;
    let all = PARTITIONS as usize;
    eventually(LIMIT, "every partition is worked on", async || story.marked_by("cut").len() == all).await;
    let next = river.join("next", worker(story.marker("next", Duration::ZERO))).await;
    proxy.lose(ways);
    let was_cut = Instant::now();
    eventually(LIMIT, "the other works on all", async || story.marked_by("next").len() == all).await;
    assert!(was_cut.elapsed() < HOLD * 2 + MARGIN, "partitions and messages go over after {:?}", was_cut.elapsed());
    assert_eq!((next.holds().len(), cut.is_ready()), (all, false));
    proxy.heal();
    shared_fairly(&[&cut, &next]).await;
    story.changed_hands_once("cut", "next");
}

#[tokio::test]
async fn a_member_that_is_cut_off_stops_before_another_begins() {
    is_cut_off(&[Way::Up, Way::Down]).await;
}

#[tokio::test]
async fn a_member_whose_words_are_lost_stops_before_another_begins() {
    is_cut_off(&[Way::Up]).await;
}

#[tokio::test]
async fn members_outlive_a_restart_of_the_server() {
    let mut river = River::new().await;
    let story = Story::default();
    let first = river.join("first", worker(story.teller("first", Duration::ZERO))).await;
    let second = river.join("second", worker(story.teller("second", Duration::ZERO))).await;
    shared_fairly(&[&first, &second]).await;
    river.measure(6, 0..5).await;
    // In good order: a server that is killed forgets its latest acks, and begins again a little before where it was.
    river.server.stop().await;
    river.server.start_again().await;
    river.measure(6, 5..10).await;
    story.is_whole(6, 10).await;
    story.is_in_order();
    shared_fairly(&[&first, &second]).await;
}

#[tokio::test]
async fn partitions_that_do_not_fit_are_refused_at_the_start() {
    let river = River::new().await;
    let pings = |_: Context, _: Pinged| async { Outcome::Done };
    let worker = Worker::new("w").partitioned().on(pings);
    let refused = consumer::start(worker, &river.bus, &river.connection, &Tasks::default(), HOLD).unwrap_err();
    assert!(matches!(refused, WorkerError::Partitions { .. }), "{refused}");
}

#[tokio::test]
async fn a_worker_that_does_not_care_for_order_reads_all_partitions() {
    let river = River::new().await;
    let story = Story::default();
    let tasks = Tasks::default();
    let worker = Worker::new("audit").on(story.teller("audit", Duration::ZERO));
    consumer::start(worker, &river.bus, &river.connection, &tasks, HOLD).unwrap();
    river.measure(12, 0..5).await;
    story.is_whole(12, 5).await;
    assert!(tasks.stop(LIMIT).await);
}
