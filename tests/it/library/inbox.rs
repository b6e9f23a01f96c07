//! An inbox against a real bucket: one effect, however often and wherever a message is delivered.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use streamgauge::{
    bus::topology,
    consumer::{self, Status, Worker},
    handler::{
        Context, Handler, Outcome,
        proving::{Duplicator, RandomFail, RandomPanic},
    },
    message::MessageId,
    resilience::Backoff,
    state::{Documents, Inbox},
    tasks::Tasks,
    telemetry::Telemetry,
};

use super::{LIMIT, Pinged, World, ping};
use crate::support::eventually;

const GRACE: Duration = Duration::from_secs(5);

const SOON: Backoff = Backoff { first: Duration::from_millis(20), most: Duration::from_millis(20) };

async fn world() -> World {
    let world = World::new().await;
    let library = topology::library().only(&[topology::INBOX]);
    library.apply(&world.connection.jetstream).await.unwrap();
    world
}

async fn inbox(world: &World) -> Inbox {
    Inbox::over(Documents::open(&world.connection, "inbox").await.unwrap(), &world.bus)
}

/// Effects by number, outside every store of ours.
#[derive(Debug, Clone, Default)]
struct Ledger(Arc<Mutex<HashMap<u32, u32>>>);

impl Ledger {
    fn note(&self, number: u32) -> u32 {
        let mut all = self.0.lock().unwrap();
        let count = all.entry(number).or_default();
        *count += 1;
        *count
    }

    fn handler(&self) -> impl Handler<Pinged> + use<> {
        let ledger = self.clone();
        move |_: Context, ping: Pinged| {
            ledger.note(ping.number);
            async {}
        }
    }

    /// Numbers with another count of effects than one.
    fn wrong(&self) -> Vec<(u32, u32)> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(number, count)| (*number, *count))
            .filter(|(_, count)| *count != 1)
            .collect()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn start(world: &World, tasks: &Tasks, handler: impl Handler<Pinged>) -> Arc<Status> {
    let worker = Worker::new("w").retry(SOON).on(handler);
    consumer::start(worker, &world.bus, &world.connection, tasks, GRACE).unwrap()
}

async fn all_settled(world: &World) {
    eventually(LIMIT, "nothing pending, nothing unsettled", async || {
        let info = world.consumer_info_if_there("w").await.map_err(|error| error.to_string())?;
        let left = (info.num_pending, info.num_ack_pending);
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn an_effect_happens_once_however_often_its_message_comes() {
    let world = world().await;
    let (tasks, ledger) = (Tasks::default(), Ledger::default());
    let inbox = inbox(&world).await.hold(Duration::from_secs(1));
    let number = |_: &Context, ping: &Pinged| ping.number.to_string();
    // Two workers; each runs every message twice; every payload is there under two ids.
    start(&world, &tasks, Duplicator(inbox.guard_by(number, ledger.handler())));
    start(&world, &tasks, Duplicator(inbox.guard_by(number, ledger.handler())));
    for number in 0..40 {
        for id in ["a", "b"] {
            let id = MessageId(format!("{id}-{number}"));
            world.bus.publish(&ping(number)).with_id(id).await.unwrap();
        }
    }
    all_settled(&world).await;
    assert_eq!((ledger.len(), ledger.wrong()), (40, vec![]));
    assert!(tasks.stop(LIMIT).await);
    let told = world.bus.telemetry().metrics().exposition();
    assert!(told.contains("streamgauge_inbox_duplicates_total{consumer=\"w\"}"), "{told}");
}

#[tokio::test]
async fn a_message_that_fails_is_free_and_tried_again_until_it_is_done() {
    let world = world().await;
    let (tasks, inbox, seed) = (Tasks::default(), inbox(&world).await, fastrand::u64(..));
    let (ledger, tried) = (Ledger::default(), Ledger::default());
    let noted = (ledger.clone(), tried.clone());
    let fails_once = move |_: Context, ping: Pinged| {
        let is_first = noted.1.note(ping.number) == 1;
        if !is_first {
            noted.0.note(ping.number);
        }
        async move { if is_first { Outcome::retry("not yet") } else { Outcome::Done } }
    };
    // In front of the guard, a failure that comes after the handler is a message that is done and delivered again.
    let fails = RandomFail::new(inbox.guard(fails_once), 0.3, seed);
    start(&world, &tasks, RandomPanic::new(fails, 0.2, seed));
    world.publish(0..40).await;
    all_settled(&world).await;
    assert_eq!((ledger.len(), ledger.wrong()), (40, vec![]), "seed {seed}");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_claim_that_nobody_keeps_up_is_taken_over_behind_a_higher_fence() {
    let world = world().await;
    let inbox = inbox(&world).await.hold(Duration::from_millis(600));
    let noting = |fences: &Arc<Mutex<Vec<u64>>>| {
        let fences = fences.clone();
        move |context: Context, _: Pinged| {
            fences.lock().unwrap().push(context.fence().unwrap());
            async {}
        }
    };
    let fences = Arc::default();
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    let hangs = inbox.guard(move |_: Context, _: Pinged| {
        begins.store(true, Ordering::SeqCst);
        std::future::pending::<()>()
    });
    let quick = inbox.guard(noting(&fences));
    world.publish(0..1).await;
    let message = world.bus.last::<Pinged>("k0").await.unwrap().unwrap();
    let told = || Context::new(message.clone(), None);
    // A future that is polled no more and never dropped is a process that was killed.
    let mut killed = Box::pin(hangs.handle(told(), ping(0)));
    let begun = eventually(LIMIT, "the handler runs", async || begun.load(Ordering::SeqCst));
    tokio::select! {
        ended = &mut killed => panic!("{ended:?}"),
        () = begun => {}
    }
    let busy = quick.handle(told(), ping(0)).await;
    let Outcome::Retry { class: "claimed", after: Some(after), .. } = busy else { panic!("{busy:?}") };
    assert!(after <= Duration::from_millis(600), "{after:?}");
    eventually(LIMIT, "the claim is taken over", async || quick.handle(told(), ping(0)).await == Outcome::Done).await;
    assert_eq!(quick.handle(told(), ping(0)).await, Outcome::Done);
    let fences = fences.lock().unwrap().clone();
    assert!(fences.len() == 1 && fences[0] > 1, "{fences:?}");
}

#[tokio::test]
async fn a_process_that_was_frozen_can_end_no_claim_but_its_own() {
    let world = world().await;
    let inbox = inbox(&world).await.hold(Duration::from_millis(300));
    let (fences, thawed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Notify::new()));
    let (noted, waits) = (fences.clone(), thawed.clone());
    let sleeper = inbox.guard(move |context: Context, _: Pinged| {
        noted.lock().unwrap().push(context.fence().unwrap());
        let thawed = waits.clone();
        async move { thawed.notified().await }
    });
    let noted = fences.clone();
    let other = inbox.guard(move |context: Context, _: Pinged| {
        noted.lock().unwrap().push(context.fence().unwrap());
        async {}
    });
    world.publish(0..1).await;
    let message = world.bus.last::<Pinged>("k0").await.unwrap().unwrap();
    let told = || Context::new(message.clone(), None);
    // A future that nobody polls is a process that nobody runs.
    let mut frozen = Box::pin(sleeper.handle(told(), ping(0)));
    let begun = eventually(LIMIT, "the handler runs", async || fences.lock().unwrap().len() == 1);
    tokio::select! {
        ended = &mut frozen => panic!("{ended:?}"),
        () = begun => {}
    }
    eventually(LIMIT, "the claim is taken over", async || other.handle(told(), ping(0)).await == Outcome::Done).await;
    thawed.notify_one();
    let late = frozen.await;
    assert_eq!((late.name(), late.class()), ("retry", "claimed"), "{late:?}");
    assert_eq!(other.handle(told(), ping(0)).await, Outcome::Done, "it is done and stays so");
    let fences = fences.lock().unwrap().clone();
    assert!(fences.len() == 2 && fences[0] < fences[1], "{fences:?}");
}

#[tokio::test]
async fn an_inbox_whose_bucket_is_missing_is_refused_at_the_start() {
    let world = World::new().await;
    let service = streamgauge::service::Service::builder("test")
        .config(super::service::config(&world.server))
        .telemetry(Telemetry::unexported())
        .start()
        .await
        .unwrap();
    let refused = service.inbox("inbox").await.unwrap_err();
    assert!(refused.to_string().contains("bucket inbox cannot be opened"), "{refused}");
}
