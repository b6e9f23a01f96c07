//! The parts that this test binary plays when it runs itself: a worker that stops at a point, one that hangs, a publisher.

use std::time::{Duration, Instant};

use streamgauge::{
    bus::{Bus, Payload},
    clock::Clock,
    config::TelemetryConfig,
    consumer::Worker,
    handler::{Context, Outcome, with},
    telemetry,
};

use super::{Client, Counted, echo, inbox};
use crate::support::{
    checker::Checker,
    child::{is_played, point, say, variable},
    ledger::{self, Answer},
};

/// Where the harness finds the parts.
pub const WORKER: &str = "faults::part::worker";
pub const GUARDED_WORKER: &str = "faults::part::guarded_worker";
pub const HANGING_WORKER: &str = "faults::part::hanging_worker";
pub const TRACED_LOAD: &str = "faults::part::traced_load";

/// The points of [`WORKER`].
pub const AFTER_DELIVERY: &str = "after delivery";
pub const AFTER_EFFECT: &str = "after effect";
pub const AFTER_PUBLISH: &str = "after publish";

fn given(name: &str) -> String {
    variable(name).unwrap_or_else(|| panic!("the part is started with {name}"))
}

#[derive(Clone)]
struct Clerk {
    bus: Bus,
    ledger: String,
}

impl Clerk {
    async fn handle(self, context: Context, counted: Counted) -> Outcome {
        point(AFTER_DELIVERY).await;
        match ledger::note(&self.ledger, &counted.key(), context.fence()).await {
            Ok(Answer::Asked(_)) => {}
            Ok(Answer::Stale) => return Outcome::retry("another has taken over"),
            Err(error) => return Outcome::retry(error),
        }
        point(AFTER_EFFECT).await;
        if let Err(error) = echo(&self.bus, &context, counted.number).await {
            return Outcome::retry(error);
        }
        point(AFTER_PUBLISH).await;
        Outcome::Done
    }
}

/// Works as a [`super::Desk`] does, and stops where it is told to.
#[tokio::test]
#[ignore = "a part that other tests play"]
async fn worker() {
    if !is_played() {
        return;
    }
    let client = Client::named(given("NATS"), "part").await;
    let clerk = Clerk { bus: client.bus.clone(), ledger: given("LEDGER") };
    client.work(Worker::new("w").on(with(&clerk, Clerk::handle)));
    std::future::pending::<()>().await;
}

/// The same behind an inbox.
#[tokio::test]
#[ignore = "a part that other tests play"]
async fn guarded_worker() {
    if !is_played() {
        return;
    }
    let client = Client::named(given("NATS"), "part").await;
    let clerk = Clerk { bus: client.bus.clone(), ledger: given("LEDGER") };
    let inbox = inbox(&client).await;
    client.work(Worker::new("w").on(inbox.guard(with(&clerk, Clerk::handle))));
    std::future::pending::<()>().await;
}

/// Takes what its credits allow and never finishes it.
#[tokio::test]
#[ignore = "a part that other tests play"]
async fn hanging_worker() {
    if !is_played() {
        return;
    }
    let client = Client::named(given("NATS"), "part").await;
    let status = client.work(Worker::new("w").on(|_: Context, _: Counted| std::future::pending::<Outcome>()));
    while status.running() < status.concurrency() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    say("at hanging");
    std::future::pending::<()>().await;
}

/// Publishes more traced messages than the queue of spans holds, and says how many milliseconds that took.
#[tokio::test]
#[ignore = "a part that other tests play"]
async fn traced_load() {
    const MESSAGES: u32 = 3_000;
    if !is_played() {
        return;
    }
    let telemetry = telemetry::init(&TelemetryConfig::default(), "part", "part-1").unwrap();
    let client = Client::named(given("NATS"), "part").await;
    let bus = Bus::new(client.connection.clone(), "part", telemetry.clone(), Clock::system());
    let client = Client { bus, ..client };
    let (began, checker) = (Instant::now(), Checker::default());
    client.load(&checker, 0..MESSAGES).await;
    assert_eq!(checker.unclear(), Vec::<u32>::new());
    say(&format!("took {}", began.elapsed().as_millis()));
    telemetry.shutdown().await;
}
