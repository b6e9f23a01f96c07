//! What goes wrong with workers, and how it is mended.

use std::time::Duration;

use async_nats::jetstream::{consumer::pull, stream};
use futures_util::FutureExt;
use streamgauge::snapshot::{Label, Severity};

use super::{
    LIMIT, Story,
    scene::Scene,
    worker::{HANG, Habits, MENDED, POISON, QUICK},
};
use crate::support::eventually;

/// All of them, by the name of their stream.
pub const ALL: &[(&str, Story)] = &[
    ("killed", |scene| killed(scene).boxed_local()),
    ("hung", |scene| hung(scene).boxed_local()),
    ("poison", |scene| poison(scene).boxed_local()),
    ("slow", |scene| slow(scene).boxed_local()),
    ("ack_wait", |scene| ack_wait(scene).boxed_local()),
    ("burst", |scene| burst(scene).boxed_local()),
    ("paused", |scene| paused(scene).boxed_local()),
    ("squeezed", |scene| squeezed(scene).boxed_local()),
    ("made_anew", |scene| made_anew(scene).boxed_local()),
    ("exhausted", |scene| exhausted(scene).boxed_local()),
    ("steady", |scene| steady(scene).boxed_local()),
];

/// Those that take the server from all others.
pub const ALONE: &[(&str, Story)] = &[("nats_restarted", |scene| nats_restarted(scene).boxed_local())];

/// Messages a second: a worker that shares the machine with many others still does several times as much, so that it is well when it works.
const RATE: u32 = 20;

/// Rounds without a finding before a fault.
const CALM: u64 = 4;

async fn killed(scene: Scene) {
    scene.set().await;
    let _load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    worker.kill().await;
    scene.has_no_worker().await;
    scene.watch.turns(&[Label::NoWorkers]).await;
    let _worker = scene.worker(QUICK).await;
    scene.watch.recovers().await;
}

/// What the worker holds is its own for as long as the API's default says.
async fn hung(scene: Scene) {
    let consumer = pull::Config { ack_wait: Duration::from_secs(30), ..scene.consumer_config() };
    scene.set_with(scene.stream_config(), consumer).await;
    let _load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    let hang = scene.publish(HANG, 1).await;
    scene.comes_to(hang).await;
    scene.watch.turns(&[Label::Stopped, Label::Stuck]).await;
    worker.kill().await;
    let _worker = scene.worker(MENDED).await;
    scene.watch.recovers().await;
}

async fn poison(scene: Scene) {
    scene.set().await;
    let _load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    let poison = scene.publish(POISON, 1).await;
    scene.comes_to(poison).await;
    scene.watch.turns(&[Label::Stuck]).await;
    worker.kill().await;
    let _worker = scene.worker(MENDED).await;
    scene.watch.recovers().await;
}

async fn slow(scene: Scene) {
    let consumer = pull::Config { ack_wait: Duration::from_secs(30), ..scene.consumer_config() };
    scene.set_with(scene.stream_config(), consumer).await;
    let _load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    worker.kill().await;
    let worker = scene.worker(Habits { takes: Duration::from_millis(200), batch: 1, ..QUICK }).await;
    scene.watch.turns(&[Label::FallingBehind]).await;
    worker.kill().await;
    let _worker = scene.worker(QUICK).await;
    scene.watch.recovers().await;
}

/// Workers share the consumer; what one has not acked in time another gets too.
async fn ack_wait(scene: Scene) {
    let habits = Habits { takes: Duration::from_millis(200), batch: 1, ..QUICK };
    let ample = pull::Config { ack_wait: Duration::from_secs(5), ..scene.consumer_config() };
    let stream = scene.set_with(scene.stream_config(), ample.clone()).await;
    let _load = scene.load(6);
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(scene.worker(habits).await);
    }
    scene.watch.runs_well(CALM).await;
    let short = pull::Config { ack_wait: Duration::from_millis(120), ..ample.clone() };
    stream.update_consumer(short).await.unwrap();
    scene.sees("messages are delivered again", |info| info.num_redelivered > 0).await;
    scene.watch.turns(&[Label::Stuck]).await;
    stream.update_consumer(ample).await.unwrap();
    scene.watch.recovers().await;
}

async fn burst(scene: Scene) {
    scene.set().await;
    let _load = scene.load(RATE);
    let _worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    scene.publish("ok", 600).await;
    scene.watch.turns(&[Label::CatchingUp]).await;
    eventually(LIMIT, "it has caught up", async || scene.watch.lag().is_ok_and(|lag| lag < 10)).await;
    scene.watch.recovers().await;
}

async fn paused(scene: Scene) {
    let stream = scene.set().await;
    let _load = scene.load(RATE);
    let _worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    let later = time::OffsetDateTime::now_utc() + Duration::from_secs(3_600);
    stream.pause_consumer("paused", later).await.unwrap();
    scene.watch.turns(&[Label::Paused]).await;
    stream.resume_consumer("paused").await.unwrap();
    scene.watch.recovers().await;
}

/// Nobody reads while the stream fills up, and then it is allowed less than waits.
async fn squeezed(scene: Scene) {
    let roomy = stream::Config { max_messages: 1_000, ..scene.stream_config() };
    scene.set_with(roomy.clone(), scene.consumer_config()).await;
    let _load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    worker.kill().await;
    scene.watch.turns(&[Label::AtRisk]).await;
    scene.update_stream(stream::Config { max_messages: 5, ..roomy.clone() }).await;
    scene.watch.turns(&[Label::Losing]).await;
    scene.update_stream(roomy).await;
    let _worker = scene.worker(QUICK).await;
    scene.watch.recovers().await;
}

async fn made_anew(scene: Scene) {
    let stream = scene.set().await;
    let load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    worker.kill().await;
    // What comes on top would make it fall behind, which is worse.
    drop(load);
    stream.delete_consumer("made_anew").await.unwrap();
    eventually(LIMIT, "nothing is there", async || scene.watch.lag().is_err()).await;
    stream.create_consumer(scene.consumer_config()).await.unwrap();
    // The rounds begin now, however long the worker takes to start.
    let (_, _worker) = tokio::join!(scene.watch.turns(&[Label::Rewound]), scene.worker(QUICK));
    eventually(LIMIT, "it is where it was", async || scene.watch.lag().is_ok_and(|lag| lag == 0)).await;
    scene.watch.recovers().await;
}

/// The server gives up a message that fails each time; then lag is 0 and nothing is retried. Somebody deletes the message.
async fn exhausted(scene: Scene) {
    let stream =
        scene.set_with(scene.stream_config(), pull::Config { max_deliver: 2, ..scene.consumer_config() }).await;
    let _load = scene.load(RATE);
    let _worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    let given_up = scene.given_up().await;
    let poison = scene.publish(POISON, 1).await;
    given_up.waits().await;
    let verdict = scene.watch.turns(&[Label::Losing]).await;
    assert_eq!(verdict.severity, Severity::Critical, "{verdict:?}");
    stream.delete_message(poison).await.unwrap();
    scene.watch.recovers().await;
}

/// What was quiet for long is still looked at.
async fn steady(scene: Scene) {
    scene.set().await;
    let _load = scene.load(RATE);
    let worker = scene.worker(QUICK).await;
    scene.watch.runs_well(30).await;
    worker.kill().await;
    scene.has_no_worker().await;
    scene.watch.turns(&[Label::NoWorkers]).await;
    let _worker = scene.worker(QUICK).await;
    scene.watch.recovers().await;
}

/// NATS goes away and comes back; what was not heard is unknown, and nobody is blamed for it.
async fn nats_restarted(scene: Scene) {
    scene.set().await;
    let _load = scene.load(RATE);
    let _worker = scene.worker(QUICK).await;
    scene.watch.runs_well(CALM).await;
    scene.server().lock().await.kill().await;
    scene.watch.turns(&[Label::Unknown]).await;
    scene.server().lock().await.start_again().await;
    eventually(LIMIT, "the observer is back", async || scene.watch.now().streams.fresh().is_some()).await;
    scene.watch.recovers().await;
}
