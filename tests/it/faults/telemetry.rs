//! A collector that is away or silent costs spans, not time.

use std::time::Duration;

use super::{Client, LIMIT, declare, part};
use crate::support::{
    child, eventually,
    nats_server::NatsServer,
    otlp::{BlackHole, Nobody},
};

/// A collector that is down must not even double what a load takes; the rest is what a busy machine adds.
const SLACK: Duration = Duration::from_secs(2);

async fn took(server: &NatsServer, endpoint: Option<&str>) -> Duration {
    let environment: Vec<_> = endpoint.map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)).into_iter().collect();
    let mut part = child::start_with(part::TRACED_LOAD, &[("NATS", &server.url())], &environment);
    let said = part.line(LIMIT, "how long it took", |line| line.starts_with("took ")).await;
    assert!(part.ended(LIMIT).await.success(), "it ends although its spans cannot leave");
    Duration::from_millis(said.trim_start_matches("took ").parse().unwrap())
}

#[tokio::test]
async fn a_collector_that_is_down_or_silent_slows_nothing() {
    let server = NatsServer::start().await;
    let client = Client::of(server.url()).await;
    declare(&client.connection.jetstream, 1).await;
    let (nobody, black_hole) = (Nobody::home(), BlackHole::start().await);
    let without = took(&server, None).await;
    for endpoint in [nobody.endpoint(), black_hole.endpoint()] {
        let with = took(&server, Some(&endpoint)).await;
        println!("{without:?} without a collector, {with:?} with {endpoint}");
        assert!(with < 2 * without + SLACK, "{without:?} without a collector, {with:?} with {endpoint}");
    }
    eventually(LIMIT, "spans were on their way", async || black_hole.accepted() > 0).await;
}
