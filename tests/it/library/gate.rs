//! Breaker, kill switch and bulkhead: a worker that pauses asks for nothing, burns no attempt, and begins again with one message.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use streamgauge::{
    consumer::{Bulkhead, Status, Worker},
    handler::{Context, Outcome},
    resilience::{Breaker, KillSwitch, RetryPolicy},
    tasks::Tasks,
};

use super::{
    LIMIT, Pinged, World,
    worker::{SOON, Seen, all_settled, noting, start},
};
use crate::support::eventually;

/// Longer than any test: what has opened stays open.
const FOR_GOOD: Duration = Duration::from_secs(3_600);

/// Something that handlers lean on and that may be down.
#[derive(Debug, Clone, Default)]
struct Provider {
    is_up: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

impl Provider {
    fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
    }

    fn handler(&self) -> impl Fn(Context, Pinged) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> + use<> {
        let provider = self.clone();
        move |_, _| {
            provider.asked.fetch_add(1, SeqCst);
            let is_up = provider.is_up.load(SeqCst);
            Box::pin(async move { if is_up { Outcome::Done } else { Outcome::retry("down").classed("provider_down") } })
        }
    }
}

fn breaker() -> Breaker {
    Breaker::new().failures(0.5).of(4).classes(&["provider_down"])
}

async fn is_paused(status: &Status) {
    eventually(LIMIT, "the worker pauses", async || {
        let pull = status.pull();
        if pull.is_paused && pull.reason.starts_with("paused: ") { Ok(()) } else { Err(pull) }
    })
    .await;
}

#[tokio::test]
async fn an_open_breaker_pauses_the_pull_and_one_message_closes_it() {
    let world = World::new().await;
    let (tasks, provider) = (Tasks::default(), Provider::default());
    world.publish(0..30).await;
    let worker = Worker::new("w").concurrency(4).retry(SOON).breaker(breaker().open_for(Duration::from_millis(500)));
    let status = start(&world, &tasks, worker.on(provider.handler()));
    is_paused(&status).await;
    // Four results open it; what ran beside the fourth was asked for before.
    let asked = provider.asked();
    assert!((4..=8).contains(&asked), "{asked}");
    assert_eq!(status.told().breaker.as_deref(), Some("open"));
    assert_eq!(status.told().kill_switch, None);
    let metrics = world.bus.telemetry().metrics().exposition();
    assert!(metrics.contains(r#"streamgauge_breaker_state{consumer="w",kind="breaker"} 2"#), "{metrics}");
    eventually(LIMIT, "one message is tried", async || provider.asked() > asked).await;
    is_paused(&status).await;
    assert_eq!(provider.asked(), asked + 1, "it failed, and nothing else was tried");
    let failed = status.told().failed;
    provider.is_up.store(true, SeqCst);
    all_settled(&world, "w").await;
    assert_eq!(status.told().breaker.as_deref(), Some("closed"));
    let extra = u32::try_from(status.told().failed - failed).unwrap();
    assert!(extra <= 1, "a message may have been tried while the provider came up");
    assert_eq!(
        provider.asked(),
        asked + 1 + 30 + extra,
        "each message was handled once more, no matter how often it was handed back"
    );
    assert!(world.dead_letters().await.is_empty());
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn one_message_is_tried_although_others_came_back_from_a_long_wait() {
    let world = World::new().await;
    let (tasks, most, tried) = (Tasks::default(), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let running = Arc::new(AtomicU32::new(0));
    world.publish(0..100).await;
    let handler = {
        let (most, tried) = (most.clone(), tried.clone());
        move |_: Context, _: Pinged| {
            let (running, most, tried) = (running.clone(), most.clone(), tried.clone());
            async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                // Long enough for two that are tried at once to overlap.
                tokio::time::sleep(Duration::from_millis(30)).await;
                running.fetch_sub(1, SeqCst);
                tried.fetch_add(1, SeqCst);
                Outcome::retry("down").classed("provider_down")
            }
        }
    };
    let soon = RetryPolicy::new().then(vec![Duration::from_millis(50)]);
    let worker = Worker::new("w").concurrency(4).retry(soon).scheduling_from(Duration::ZERO);
    let status = start(&world, &tasks, worker.breaker(breaker().open_for(Duration::from_millis(200))).on(handler));
    is_paused(&status).await;
    eventually(LIMIT, "what ran has ended", async || status.running() == 0).await;
    most.store(0, SeqCst);
    let before = tried.load(SeqCst);
    eventually(LIMIT, "some were tried", async || tried.load(SeqCst) >= before + 4).await;
    assert_eq!(most.load(SeqCst), 1, "no two at once");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn what_a_paused_worker_had_not_started_goes_to_another_at_once_with_no_attempt() {
    let world = World::new().await;
    let (first, second, provider) = (Tasks::default(), Tasks::default(), Provider::default());
    let attempts = Arc::new(AtomicU32::new(0));
    let slots = Bulkhead::new(1);
    world.publish(0..12).await;
    // One handler at a time, so that most of what is pulled waits when the breaker opens.
    let worker = Worker::new("w").concurrency(8).ack_wait(Duration::from_secs(60)).retry(SOON).bulkhead(&slots);
    let status = start(&world, &first, worker.breaker(breaker().open_for(FOR_GOOD)).on(provider.handler()));
    is_paused(&status).await;
    eventually(LIMIT, "nothing is held", async || slots.free() == 1 && status.running() == 0).await;
    let tried = provider.asked();
    assert!(tried <= 5, "{tried}");
    let noted = attempts.clone();
    let counts = move |context: Context, _: Pinged| {
        noted.fetch_add(u32::from(context.attempt() == 1), SeqCst);
        async {}
    };
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).on(counts));
    all_settled(&world, "w").await;
    assert_eq!(attempts.load(SeqCst), 12 - tried, "what was handed back unstarted is at its first attempt");
    assert!(first.stop(LIMIT).await);
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_kill_switch_keeps_a_stream_from_ending_as_dead_letters() {
    let world = World::new().await;
    let tasks = Tasks::default();
    world.publish(0..60).await;
    let switch = KillSwitch::new().dead_letters(0.5).of(5).pause_for(FOR_GOOD);
    let rejects = async |_: Context, _: Pinged| Outcome::reject("a bad deployment");
    let status = start(&world, &tasks, Worker::new("w").concurrency(2).kill_switch(switch).on(rejects));
    is_paused(&status).await;
    eventually(LIMIT, "what ran has ended", async || status.running() == 0).await;
    assert!(tasks.stop(LIMIT).await);
    let dead = world.dead_letters().await.len();
    assert!((5..=8).contains(&dead), "{dead}");
    let info = world.consumer_info("w").await;
    let left = info.num_pending + u64::try_from(info.num_ack_pending).unwrap();
    assert_eq!(left + u64::try_from(dead).unwrap(), 60, "the rest is still there");
    assert_eq!(status.told().kill_switch.as_deref(), Some("open"));
}

#[tokio::test]
async fn a_paused_worker_drains_at_once() {
    let world = World::new().await;
    let (first, second, provider) = (Tasks::default(), Tasks::default(), Provider::default());
    let seen = Seen::default();
    world.publish(0..20).await;
    let worker = Worker::new("w").ack_wait(Duration::from_secs(60)).retry(SOON).breaker(breaker().open_for(FOR_GOOD));
    let status = start(&world, &first, worker.on(provider.handler()));
    is_paused(&status).await;
    assert!(first.stop(LIMIT).await);
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).on(noting(&seen, Duration::ZERO)));
    all_settled(&world, "w").await;
    assert_eq!((seen.count(), seen.repeated()), (20, vec![]));
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_worker_drains_in_the_middle_of_a_try() {
    let world = World::new().await;
    let (first, second, seen) = (Tasks::default(), Tasks::default(), Seen::default());
    let tries = Arc::new(AtomicU32::new(0));
    world.publish(0..10).await;
    let noted = tries.clone();
    // The first ones fail, the one that is tried hangs.
    let hangs_later = move |_: Context, _: Pinged| {
        let tries = noted.fetch_add(1, SeqCst);
        async move {
            if tries >= 2 {
                std::future::pending::<()>().await;
            }
            Outcome::retry("down").classed("provider_down")
        }
    };
    let breaker = breaker().of(2).open_for(Duration::from_millis(50));
    let worker = Worker::new("w").concurrency(1).ack_wait(Duration::from_secs(60)).retry(SOON).breaker(breaker);
    let grace = Duration::from_millis(50);
    let worker = worker.on(hangs_later);
    let status = streamgauge::consumer::start(worker, &world.bus, &world.connection, &first, grace).unwrap();
    eventually(LIMIT, "one is tried", async || status.running() == 1 && tries.load(SeqCst) == 3).await;
    assert!(first.stop(LIMIT).await);
    start(&world, &second, Worker::new("w").ack_wait(Duration::from_secs(60)).on(noting(&seen, Duration::ZERO)));
    all_settled(&world, "w").await;
    assert_eq!((seen.count(), seen.repeated()), (10, vec![]));
    assert!(second.stop(LIMIT).await);
}

#[tokio::test]
async fn a_bulkhead_bounds_handlers_over_workers() {
    let world = World::new().await;
    let (tasks, slots) = (Tasks::default(), Bulkhead::new(3));
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    // None ends before three run, and what the slots would let through beside them would be counted.
    let meeting = Arc::new(tokio::sync::Barrier::new(3));
    world.publish(0..30).await;
    for durable in ["a", "b"] {
        let (running, most, meeting) = (running.clone(), most.clone(), meeting.clone());
        let counts = move |_: Context, _: Pinged| {
            let (running, most, meeting) = (running.clone(), most.clone(), meeting.clone());
            async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                meeting.wait().await;
                running.fetch_sub(1, SeqCst);
            }
        };
        start(&world, &tasks, Worker::new(durable).bulkhead(&slots).on(counts));
    }
    all_settled(&world, "a").await;
    all_settled(&world, "b").await;
    assert_eq!(most.load(SeqCst), 3);
    assert!(tasks.stop(LIMIT).await);
}
