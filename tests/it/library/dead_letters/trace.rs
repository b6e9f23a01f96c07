//! One trace from the first attempt over the retry and the dead letter to the replay.

use std::{process::Command, time::Duration};

use streamgauge::{
    config::{NatsConfig, ServiceConfig},
    consumer::Worker,
    handler::{Context, Outcome},
    message::header,
    resilience::Backoff,
    service::Service,
};

use super::{LIMIT, Pinged, TRACE, World, apply, publish, settled};
use crate::support::{
    otlp::{Collector, Span, SpanKind, outline},
    process::{Process, run, streamgauge},
};

/// Tells the process that [`worker_process`] is where its server is.
const SERVER: &str = "DEAD_LETTERS_TEST_SERVER";

/// Fails once, then rejects, and takes what is replayed.
async fn mends_by_replay(context: Context, _: Pinged) -> Outcome {
    let first = context.delivery().is_none_or(|delivery| delivery.delivered == 1);
    match context.message().header(header::REPLAY_OF) {
        Some(_) => Outcome::Done,
        None if first => Outcome::retry("not yet"),
        None => Outcome::reject("never"),
    }
}

/// Not a test: a process of the test below, so that its spans leave it as those of a service do.
#[tokio::test]
#[ignore = "the test below runs it as a process"]
async fn worker_process() {
    let Some(url) = std::env::var(SERVER).ok() else { return };
    let nats = NatsConfig { url: Some(url), nats_wait: 10, ..NatsConfig::default() };
    let config = ServiceConfig { grace: 5, nats, ..ServiceConfig::default() };
    let service = Service::builder("mailer").config(config).start().await.unwrap();
    let soon = Backoff { first: Duration::from_millis(20), most: Duration::from_millis(20) };
    service.worker(Worker::new("w").retry(soon).on(mends_by_replay)).unwrap().run().await.unwrap();
}

/// The `count` spans of the trace with this name.
fn named<'a>(spans: &'a [Span], name: &str, count: usize) -> Vec<&'a Span> {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), count, "{name}\n{}", outline(spans));
    found
}

#[tokio::test]
async fn a_trace_is_unbroken_through_retry_dead_letter_and_replay() {
    let collector = Collector::start().await;
    let world = World::new().await;
    apply(&world).await;
    let telemetry = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()), ("OTEL_BSP_SCHEDULE_DELAY", "100".into())];
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "library::dead_letters::trace::worker_process", "--ignored", "--nocapture"]);
    let worker = Process::start(command.envs(telemetry.clone()).env(SERVER, world.server.url()));
    worker.line(LIMIT, "that it runs", |line| line.contains("service runs")).await;
    publish(&world, &[("Nats-Msg-Id", "m-1"), ("traceparent", TRACE)], r#"{"key":"x","number":1}"#).await;
    settled(&world).await;

    let url = world.server.url();
    let mut replay = streamgauge(&["dlq", "replay", "PINGS.w.1", "--yes", "--nats", &url]);
    let said = run(replay.envs(telemetry));
    assert!(said.contains("1 replayed"), "{said}");

    let of_trace =
        |spans: &[Span]| -> Vec<Span> { spans.iter().filter(|span| TRACE.contains(&span.trace_id)).cloned().collect() };
    // Two attempts, their settlements, the burial, the replay, its attempt and settlement.
    let spans = collector.wait_until(LIMIT, "every span", |spans| of_trace(spans).len() >= 8).await;
    let spans = of_trace(&spans);
    let burial = named(&spans, "publish dead.PINGS.w", 1)[0];
    let replay = named(&spans, "publish pings.*", 1)[0];
    let attempts = named(&spans, "process pings.*", 3);
    let under = |parent: &str| attempts.iter().filter(|span| span.parent.as_deref() == Some(parent)).count();
    assert_eq!((under(&TRACE[36..52]), under(&replay.span_id)), (2, 1), "\n{}", outline(&spans));
    let rejected = attempts.iter().find(|span| Some(&span.span_id) == burial.parent.as_ref());
    assert!(rejected.is_some_and(|span| span.failed), "the burial is part of the last attempt\n{}", outline(&spans));
    assert_eq!(replay.parent.as_ref(), Some(&burial.span_id), "\n{}", outline(&spans));
    assert_eq!((burial.kind, replay.kind, replay.service.as_str()), (SpanKind::Producer, SpanKind::Producer, "dlq"));
    drop(worker);
}
