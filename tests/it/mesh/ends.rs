//! The end of a process, and a trace collector that does not answer: neither costs an order anything.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{LIMIT, Mesh, PAID, SERVICES, order};
use crate::support::{eventually, otlp::BlackHole};

/// Less than the six seconds that handlers have to end in.
const LATENCY_MS: u64 = 1_500;

#[tokio::test]
async fn a_service_that_is_asked_to_end_finishes_what_it_began() {
    let mut mesh = Mesh::start().await;
    let slow = reqwest::Client::new().put(mesh.provider("/settings")).json(&json!({ "latency_ms": LATENCY_MS }));
    assert_eq!(slow.send().await.unwrap().status(), 200);
    let id = mesh.place("1", &order("ada", "tea", 1)).await;
    eventually(LIMIT, "the charge is under way", async || mesh.unsettled("INVENTORY", "payments-charge").await == 1)
        .await;

    let mut payments = mesh.running.remove("payments").unwrap();
    payments.signal(Signal::TERM);
    assert!(payments.ended(LIMIT).await.success());
    // Nobody else charges: the process that was asked to end has settled its message.
    assert_eq!(mesh.unsettled("INVENTORY", "payments-charge").await, 0);
    assert_eq!(mesh.ended(&id, PAID).await["state"], "completed");
    let said = payments.stderr().join("\n");
    for words in ["service drains", "worker drains", "service ended"] {
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_slows_nothing() {
    const ORDERS: usize = 20;
    let collector = BlackHole::start().await;
    let mut mesh = Mesh::start_with(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16".to_owned()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8".to_owned()),
    ])
    .await;
    for at in 0..ORDERS {
        let began = Instant::now();
        let id = mesh.place(&at.to_string(), &order("ada", "tea", 1)).await;
        mesh.ended(&id, PAID).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "an export takes ten seconds to give up; order {at} took {took:?}");
    }
    assert!(collector.accepted() > 0, "the spans were sent somewhere");
    // A platform asks by SIGTERM, a terminal that is closed by SIGHUP.
    for (service, signal) in SERVICES.into_iter().zip([Signal::TERM, Signal::HUP].into_iter().cycle()) {
        let mut process = mesh.running.remove(service).unwrap();
        process.signal(signal);
        assert!(process.ended(Duration::from_secs(5)).await.success(), "{service}");
    }
}

impl Mesh {
    /// How many messages of a consumer are delivered and not settled.
    async fn unsettled(&self, stream: &str, consumer: &str) -> usize {
        let stream = self.connection().await.jetstream.get_stream(stream).await.unwrap();
        stream.consumer_info(consumer).await.unwrap().num_ack_pending
    }
}
