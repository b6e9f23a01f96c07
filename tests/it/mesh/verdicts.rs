//! What goes wrong with a service of the mesh, and what the observer says of it: the right verdict within three rounds, and gone within
//! three of the cure. The scenarios of plain workers play the same.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{Info, pull},
    stream,
};
use futures_util::future::try_join_all;
use rustix::process::Signal;
use serde_json::json;
use streamgauge::{
    bus::Bus,
    clock::Clock,
    mesh::events::StockReserved,
    snapshot::{Label, Severity},
    telemetry::Telemetry,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{LIMIT, Mesh};
use crate::support::{eventually, given_up::GivenUp, observing::Observing, watch::Watch};

/// The consumer that everything happens to: `payments` charges for what is reserved.
const DURABLE: &str = "payments-charge";

/// The stream that it reads.
const STREAM: &str = "INVENTORY";

/// From the end of a round to the start of the next.
const INTERVAL: Duration = Duration::from_millis(500);

/// Reservations a second, where a scenario does not say.
const RATE: u32 = 10;

/// Rounds without a finding before a fault.
const CALM: u64 = 3;

/// One message in so many is poison while that fault is switched on.
const POISONED: u64 = 10;

/// Messages that the service handles at once.
const HANDLERS: usize = 8;

/// The mesh, and an observer of it.
struct Play {
    mesh: Mesh,
    watch: Watch,
    bus: Bus,
    stream: stream::Stream,
    _observer: Observing,
}

/// Messages that come, until it is ended or dropped.
struct Load {
    publishing: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    /// Nothing is on its way any more.
    async fn ends(mut self) {
        self.stop.cancel();
        while self.publishing.join_next().await.is_some() {}
    }
}

impl Play {
    async fn begin() -> Self {
        let mesh = Mesh::start().await;
        let observer = Observing::start(mesh.nats.url(), INTERVAL);
        let connection = mesh.connection().await;
        let stream = connection.jetstream.get_stream(STREAM).await.unwrap();
        let bus = Bus::new(connection, "test", Telemetry::unexported(), Clock::system());
        let watch = Watch::on(observer.snapshots.clone(), DURABLE);
        Self { mesh, watch, bus, stream, _observer: observer }
    }

    /// Reserves so many a second.
    fn load(&self, rate: u32) -> Load {
        let (bus, mut publishing, stop) = (self.bus.clone(), JoinSet::new(), CancellationToken::new());
        let stopped = stop.clone();
        publishing.spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
            // A machine that stood still makes no burst of it.
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stopped.run_until_cancelled(pace.tick()).await.is_some() {
                // NATS may be away in a scenario; whoever publishes goes on.
                _ = bus.publish(&reserved()).await;
            }
        });
        Load { publishing, stop }
    }

    /// Reserves at once, and says where the messages lie.
    async fn reserve(&self, count: u64) -> Vec<u64> {
        let all: Vec<_> = (0..count).map(|_| reserved()).collect();
        let receipts = try_join_all(all.iter().map(async |one| self.bus.publish(one).await)).await.unwrap();
        receipts.into_iter().map(|receipt| receipt.sequence.unwrap()).collect()
    }

    /// Waits for the server's word on the consumer.
    async fn sees(&self, what: &str, is_it: impl Fn(&Info) -> bool) {
        eventually(LIMIT, what, async || match self.stream.consumer_info(DURABLE).await {
            Ok(info) if is_it(&info) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// One is charged for after the other for a while.
    async fn runs_well(&self) {
        self.watch.runs_well(CALM).await;
    }

    async fn configured(&self, change: impl FnOnce(&mut pull::Config)) -> pull::Config {
        let info = self.stream.consumer_info(DURABLE).await.unwrap();
        let mut config = pull::Config {
            durable_name: Some(DURABLE.to_owned()),
            filter_subject: info.config.filter_subject,
            filter_subjects: info.config.filter_subjects,
            ack_policy: info.config.ack_policy,
            ack_wait: info.config.ack_wait,
            max_deliver: info.config.max_deliver,
            max_ack_pending: info.config.max_ack_pending,
            metadata: info.config.metadata,
            ..pull::Config::default()
        };
        change(&mut config);
        config
    }

    async fn set(&self, config: pull::Config) {
        self.stream.update_consumer(config).await.unwrap();
    }

    async fn set_limit(&self, max_messages: i64) {
        let mut stream = self.stream.clone();
        let config = stream.info().await.unwrap().config.clone();
        let jetstream = self.mesh.connection().await.jetstream;
        jetstream.update_stream(stream::Config { max_messages, ..config }).await.unwrap();
    }

    /// Ends the service as a crash would, while it has nothing in hand. Nothing goes to its dead connection either: the server knows.
    async fn kill(&mut self) {
        self.sees("nothing is left to do", |info| info.num_pending == 0 && info.num_ack_pending == 0).await;
        let mut payments = self.mesh.running.remove("payments").unwrap();
        payments.signal(Signal::KILL);
        payments.ended(LIMIT).await;
        self.sees("nobody asks any more", |info| info.num_waiting == 0).await;
    }

    async fn start_again(&mut self) {
        self.mesh.launch("payments", &[]);
        self.mesh.runs("payments").await;
    }
}

fn reserved() -> StockReserved {
    StockReserved { order_id: Uuid::now_v7().to_string(), customer: "ada".to_owned(), total_cents: 1_290 }
}

/// What goes wrong with who handles.
#[tokio::test]
async fn services_that_are_killed_hung_or_slow_and_messages_that_nobody_can_handle() {
    let mut play = Play::begin().await;
    killed(&mut play).await;
    hung(&play).await;
    poison(&play).await;
    slow(&play).await;
}

/// What goes wrong with what is handled.
#[tokio::test]
async fn bursts_pauses_limits_and_consumers_that_are_made_anew() {
    let mut play = Play::begin().await;
    burst(&play).await;
    paused(&play).await;
    squeezed(&mut play).await;
    made_anew(&play).await;
}

/// What goes wrong with how it is set up, and with NATS.
#[tokio::test]
async fn short_ack_waits_given_up_messages_and_restarts() {
    let mut play = Play::begin().await;
    ack_wait(&play).await;
    exhausted(&play).await;
    nats_restarted(&mut play).await;
}

async fn killed(play: &mut Play) {
    let load = play.load(RATE);
    play.runs_well().await;
    load.ends().await;
    play.kill().await;
    play.reserve(1).await;
    let _load = play.load(RATE);
    play.watch.turns(&[Label::NoWorkers]).await;
    play.start_again().await;
    play.watch.recovers().await;
}

async fn hung(play: &Play) {
    let _load = play.load(RATE);
    play.runs_well().await;
    play.mesh.switch("payments", "hang").await;
    play.reserve(2 * HANDLERS as u64).await;
    play.sees("all that it may have in hand hangs", |info| info.num_ack_pending == HANDLERS).await;
    play.watch.turns(&[Label::Stopped, Label::Stuck]).await;
    let delivered = play.stream.consumer_info(DURABLE).await.unwrap().delivered.last_active;
    play.sees("the leases are extended", |info| info.delivered.last_active > delivered).await;
    play.watch.stays(&[Label::Stopped, Label::Stuck]).await;
    play.mesh.switch("payments", "clear").await;
    play.watch.recovers().await;
}

/// Others are handled meanwhile. The message comes again with a delay that grows: the cure is when it is handled.
async fn poison(play: &Play) {
    let load = play.load(RATE);
    play.runs_well().await;
    play.mesh.switch("payments", "poison").await;
    play.reserve(POISONED).await;
    let is_poison = |sequence: u64| sequence.is_multiple_of(POISONED);
    play.sees("poison is tried again, and all before it is done", |info| {
        is_poison(info.ack_floor.stream_sequence + 1) && info.num_redelivered > 0
    })
    .await;
    let verdict = play.watch.turns(&[Label::Stuck]).await;
    assert_eq!(verdict.severity, Severity::Warning, "{verdict:?}");
    load.ends().await;
    play.mesh.switch("payments", "clear").await;
    play.watch.has_nothing_left().await;
    play.watch.recovers().await;
}

/// The provider takes its time, and the service with it: eight at once do ten a second.
async fn slow(play: &Play) {
    let _load = play.load(40);
    play.runs_well().await;
    play.mesh.set_provider(json!({ "latency_ms": 800 })).await;
    play.watch.turns(&[Label::FallingBehind]).await;
    play.mesh.set_provider(json!({})).await;
    play.watch.recovers().await;
}

async fn burst(play: &Play) {
    let _load = play.load(RATE);
    play.runs_well().await;
    play.mesh.set_provider(json!({ "latency_ms": 20 })).await;
    play.reserve(1_500).await;
    play.watch.turns(&[Label::CatchingUp]).await;
    eventually(LIMIT, "it has caught up", async || play.watch.lag().is_ok_and(|lag| lag < 10)).await;
    play.watch.recovers().await;
    play.mesh.set_provider(json!({})).await;
}

async fn paused(play: &Play) {
    let _load = play.load(RATE);
    play.runs_well().await;
    let later = time::OffsetDateTime::now_utc() + Duration::from_secs(3_600);
    play.stream.pause_consumer(DURABLE, later).await.unwrap();
    play.watch.turns(&[Label::Paused]).await;
    play.stream.resume_consumer(DURABLE).await.unwrap();
    play.watch.recovers().await;
}

/// Nobody charges while the stream fills up, and then it is allowed less than waits.
async fn squeezed(play: &mut Play) {
    let load = play.load(RATE);
    play.runs_well().await;
    load.ends().await;
    play.kill().await;
    play.set_limit(10_000).await;
    let _load = play.load(RATE);
    play.watch.turns(&[Label::AtRisk]).await;
    play.reserve(10).await;
    play.set_limit(5).await;
    play.watch.turns(&[Label::Losing]).await;
    play.set_limit(-1).await;
    play.start_again().await;
    play.watch.recovers().await;
}

/// The worker makes it anew by itself, and charges for nothing twice.
async fn made_anew(play: &Play) {
    let load = play.load(RATE);
    play.runs_well().await;
    load.ends().await;
    play.stream.delete_consumer(DURABLE).await.unwrap();
    play.sees("it is there again", |_| true).await;
    play.watch.turns(&[Label::Rewound]).await;
    play.watch.has_nothing_left().await;
    play.watch.recovers().await;
    assert_eq!(play.mesh.ledger().await["charged_more_than_once"], json!([]));
}

/// Somebody set it shorter than a charge takes; the leases of the worker are those of its own.
async fn ack_wait(play: &Play) {
    let _load = play.load(4);
    play.mesh.set_provider(json!({ "latency_ms": 400 })).await;
    play.runs_well().await;
    let ample = play.configured(|_| {}).await;
    play.set(pull::Config { ack_wait: Duration::from_millis(250), ..ample.clone() }).await;
    play.sees("messages are delivered again", |info| info.num_redelivered > 0).await;
    play.watch.turns(&[Label::Stuck]).await;
    play.set(ample).await;
    play.watch.recovers().await;
    play.mesh.set_provider(json!({})).await;
}

/// Somebody allowed two deliveries, and the server gives up what fails; then lag is 0 and nothing is retried.
async fn exhausted(play: &Play) {
    let load = play.load(RATE);
    play.runs_well().await;
    load.ends().await;
    let ample = play.configured(|_| {}).await;
    play.set(pull::Config { max_deliver: 2, ..ample.clone() }).await;
    play.mesh.switch("payments", "poison").await;
    let given_up = GivenUp::of(&play.mesh.nats.url(), STREAM, DURABLE).await;
    let lie = play.reserve(POISONED).await;
    given_up.waits().await;
    let verdict = play.watch.turns(&[Label::Losing]).await;
    assert_eq!(verdict.severity, Severity::Critical, "{verdict:?}");
    play.mesh.switch("payments", "clear").await;
    let poison = lie.into_iter().find(|sequence| sequence.is_multiple_of(POISONED)).unwrap();
    play.stream.delete_message(poison).await.unwrap();
    play.watch.recovers().await;
    play.set(ample).await;
}

/// What was not heard is unknown, and nobody is blamed for it.
async fn nats_restarted(play: &mut Play) {
    let _load = play.load(RATE);
    play.runs_well().await;
    play.mesh.nats.kill().await;
    play.watch.turns(&[Label::Unknown]).await;
    play.mesh.nats.start_again().await;
    let is_back = async || play.watch.now().streams.fresh().is_some();
    eventually(LIMIT, "the observer is back", is_back).await;
    play.watch.recovers().await;
}
