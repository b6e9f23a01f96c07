//! Requests and replies, their deadlines and refusals, and what the service API says of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamgauge::{
    handler::Context,
    message::{Cause, CorrelationId},
    rpc::{self, Call, CallError, Refusal},
    tasks::Tasks,
};

use super::{LIMIT, World};
use crate::support::eventually;

#[derive(Debug, Serialize, Deserialize)]
struct Double(u32);

impl Call for Double {
    type Reply = u32;
    const SUBJECT: &'static str = "math.double";
    const ENDPOINT: &'static str = "double";
}

async fn answer(_: Context, Double(number): Double) -> Result<u32, Refusal> {
    match number {
        404 => Err(Refusal { code: 404, why: "no such number".into() }),
        1_000 => std::future::pending().await,
        number => Ok(number * 2),
    }
}

async fn ask(world: &World, number: u32, limit: Duration) -> Result<u32, CallError> {
    let cause = Cause::outside(CorrelationId("c".into()), None);
    rpc::call(&world.connection, world.bus.telemetry(), &Double(number), &cause, limit).await
}

#[tokio::test]
async fn a_request_is_answered_refused_late_or_heard_by_nobody() {
    let world = World::new().await;
    let nobody = ask(&world, 1, LIMIT).await.unwrap_err();
    assert!(matches!(nobody, CallError::Nobody { .. }), "{nobody}");

    let tasks = Tasks::default();
    rpc::serve(&world.connection, &world.bus, "1.0.0", &tasks, answer).await.unwrap();
    assert_eq!(ask(&world, 21, LIMIT).await.unwrap(), 42);
    match ask(&world, 404, LIMIT).await.unwrap_err() {
        CallError::Refused { code, why, .. } => assert_eq!((code, why.as_str()), (404, "no such number")),
        other => panic!("{other}"),
    }
    let late = ask(&world, 1_000, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(late, CallError::Late { .. } | CallError::Refused { code: 408, .. }), "{late}");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn instances_share_requests_and_the_service_api_counts_them() {
    let world = World::new().await;
    let tasks = Tasks::default();
    for _ in 0..2 {
        rpc::serve(&world.connection, &world.bus, "1.0.0", &tasks, answer).await.unwrap();
    }
    for number in 0..100 {
        ask(&world, number, LIMIT).await.unwrap();
    }
    let counts = stats(&world).await;
    assert_eq!(counts.len(), 2);
    assert_eq!(counts.iter().sum::<u64>(), 100);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(tasks.stop(LIMIT).await);
    eventually(LIMIT, "nobody answers any more", async || ask(&world, 1, LIMIT).await.is_err()).await;
}

/// The requests that each instance has counted.
async fn stats(world: &World) -> Vec<u64> {
    use futures_util::StreamExt;
    let inbox = world.connection.client.new_inbox();
    let replies = world.connection.client.subscribe(inbox.clone()).await.unwrap();
    world.connection.client.publish_with_reply("$SRV.STATS.test", inbox, "".into()).await.unwrap();
    let replies: Vec<_> = replies.take(2).collect().await;
    let count = |payload: &[u8]| {
        let stats: serde_json::Value = serde_json::from_slice(payload).unwrap();
        stats["endpoints"][0]["num_requests"].as_u64().unwrap()
    };
    replies.iter().map(|reply| count(&reply.payload)).collect()
}
