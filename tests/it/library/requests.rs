//! Requests and replies: their deadlines, refusals and ends, and what the service API says of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};
use streamgauge::{
    handler::Context,
    message::{Cause, CorrelationId},
    rpc::{self, Call, CallError, Client, Refusal},
    tasks::Tasks,
};

use super::{LIMIT, World};
use crate::support::eventually;

#[derive(Debug, Serialize, Deserialize)]
struct Double(u32);

/// Why a number is not doubled.
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
enum NotDoubled {
    #[error("no such number\r\nas {number}")]
    Absent { number: u32 },
}

impl Call for Double {
    type Reply = u32;
    type Error = NotDoubled;
    const SUBJECT: &'static str = "math.double";
    const ENDPOINT: &'static str = "double";
}

/// Passes its number on to [`Double`], with more patience than whoever asks it has.
#[derive(Debug, Serialize, Deserialize)]
struct Quadruple(u32);

impl Call for Quadruple {
    type Reply = u32;
    type Error = String;
    const SUBJECT: &'static str = "math.quadruple";
    const ENDPOINT: &'static str = "quadruple";
}

/// Asks for so many bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Fill(usize);

impl Call for Fill {
    type Reply = String;
    type Error = String;
    const SUBJECT: &'static str = "math.fill";
    const ENDPOINT: &'static str = "fill";
}

async fn answer(_: Context, Double(number): Double) -> Result<u32, Refusal<NotDoubled>> {
    match number {
        404 => Err(Refusal { code: 404, error: NotDoubled::Absent { number } }),
        500 => panic!("a handler may be wrong"),
        1_000 => std::future::pending().await,
        number => Ok(number * 2),
    }
}

async fn ask(world: &World, number: u32, limit: Duration) -> Result<u32, CallError<NotDoubled>> {
    let cause = Cause::outside(CorrelationId("c".into()), None);
    Client::new(&world.connection, &world.bus).call(&Double(number)).because(cause).within(limit).await
}

async fn serve<C, F, Fut>(world: &World, tasks: &Tasks, answer: F)
where
    C: Call,
    F: Fn(Context, C) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<C::Reply, Refusal<C::Error>>> + Send,
{
    rpc::serve(&world.connection, &world.bus, "1.0.0", tasks, answer).await.unwrap();
}

#[tokio::test]
async fn a_request_is_answered_refused_late_or_heard_by_nobody() {
    let world = World::new().await;
    let nobody = ask(&world, 1, LIMIT).await.unwrap_err();
    assert!(matches!(nobody, CallError::Nobody { .. }), "{nobody}");

    let tasks = Tasks::default();
    serve(&world, &tasks, answer).await;
    assert_eq!(ask(&world, 21, LIMIT).await.unwrap(), 42);
    let refused = ask(&world, 404, LIMIT).await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused { code: 404, error: NotDoubled::Absent { number: 404 }, .. }),
        "{refused}"
    );
    let failed = ask(&world, 500, LIMIT).await.unwrap_err();
    assert!(matches!(failed, CallError::Failed { code: 500, .. }), "{failed}");
    let late = ask(&world, 1_000, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(late, CallError::Late { .. }), "{late}");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_told_at_once() {
    let world = World::new().await;
    let tasks = Tasks::default();
    serve(&world, &tasks, async |_: Context, Fill(bytes): Fill| Ok("x".repeat(bytes))).await;
    let client = Client::new(&world.connection, &world.bus);
    assert_eq!(client.call(&Fill(1_000)).await.unwrap().len(), 1_000);
    let failed = client.call(&Fill(2 << 20)).within(LIMIT).await.unwrap_err();
    let CallError::Failed { code: 500, why, .. } = &failed else { panic!("{failed}") };
    assert!(why.starts_with("the reply has 2097154 bytes"), "{why}");
    assert!(tasks.stop(LIMIT).await);
}

/// Says whether the future that holds it has ended.
#[derive(Debug, Clone, Default)]
struct Flag(Arc<AtomicBool>);

struct Raised(Flag);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_handler_is_dropped_when_its_caller_no_longer_waits() {
    let world = World::new().await;
    let (tasks, begun, ended) = (Tasks::default(), Flag::default(), Flag::default());
    let (begins, ends) = (begun.clone(), ended.clone());
    let hangs = move |_: Context, _: Double| {
        let (begins, ends) = (begins.clone(), ends.clone());
        async move {
            let _raised = Raised(ends);
            begins.0.store(true, Ordering::SeqCst);
            std::future::pending().await
        }
    };
    serve(&world, &tasks, hangs).await;
    let an_hour = Duration::from_secs(3_600);
    {
        let waits = std::pin::pin!(ask(&world, 1, an_hour));
        let runs = eventually(LIMIT, "the handler runs", async || begun.0.load(Ordering::SeqCst));
        tokio::select! {
            answer = waits => panic!("{answer:?}"),
            () = runs => {}
        }
        assert!(!ended.0.load(Ordering::SeqCst));
    }
    eventually(LIMIT, "the handler is dropped", async || ended.0.load(Ordering::SeqCst)).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn a_request_made_for_a_request_takes_no_longer_than_that() {
    let world = World::new().await;
    let (tasks, ended) = (Tasks::default(), Flag::default());
    let ends = ended.clone();
    let hangs = move |context: Context, _: Double| {
        let raised = Raised(ends.clone());
        async move {
            let _raised = raised;
            assert!(context.deadline().is_some());
            std::future::pending().await
        }
    };
    serve(&world, &tasks, hangs).await;
    let client = Client::new(&world.connection, &world.bus);
    let passes_on = move |context: Context, Quadruple(number): Quadruple| {
        let client = client.clone();
        async move {
            let asked = Double(number);
            let asked = client.call(&asked).because(context.cause()).within(Duration::from_secs(3_600)).await;
            asked.map(|twice| 2 * twice).map_err(|error| Refusal { code: 502, error: error.to_string() })
        }
    };
    serve(&world, &tasks, passes_on).await;
    let client = Client::new(&world.connection, &world.bus);
    let late = client.call(&Quadruple(1)).within(Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(late, CallError::Late { .. } | CallError::Refused { code: 502, .. }), "{late}");
    eventually(LIMIT, "the inner handler has ended", async || ended.0.load(Ordering::SeqCst)).await;
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn an_instance_with_too_much_to_do_refuses_at_once() {
    let world = World::new().await;
    let (tasks, running) = (Tasks::default(), Arc::new(AtomicU32::new(0)));
    let counted = running.clone();
    let hangs = move |_: Context, _: Double| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    };
    serve(&world, &tasks, hangs).await;
    let mut all: FuturesUnordered<_> = (0..200).map(|number| ask(&world, number, LIMIT)).collect();
    // 64 run and 64 wait; nobody else has to wait for a no.
    for _ in 0..72 {
        let asked = all.next().await.unwrap();
        assert!(matches!(asked, Err(CallError::Failed { code: 503, .. })), "{asked:?}");
    }
    eventually(LIMIT, "as many run as may", async || running.load(Ordering::SeqCst) == 64).await;
    drop(all);
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn an_instance_that_drains_leaves_the_requests_to_the_others() {
    let world = World::new().await;
    let (leaving, staying, begun) = (Tasks::default(), Tasks::default(), Flag::default());
    let begins = begun.clone();
    let hangs = move |_: Context, _: Double| {
        begins.0.store(true, Ordering::SeqCst);
        std::future::pending()
    };
    serve(&world, &leaving, hangs).await;
    let held = ask(&world, 1, LIMIT);
    let leave = async {
        eventually(LIMIT, "the request is begun", async || begun.0.load(Ordering::SeqCst)).await;
        serve(&world, &staying, answer).await;
        // What it has begun keeps the instance from going for five seconds; the others answer long before.
        leaving.cancel();
        eventually(Duration::from_secs(4), "every request is answered", async || {
            let soon = Duration::from_millis(500);
            let asked = join_all((0..20).map(|number| ask(&world, number, soon))).await;
            asked.into_iter().collect::<Result<Vec<_>, _>>().map(drop)
        })
        .await;
    };
    tokio::select! {
        answer = held => panic!("{answer:?}"),
        () = leave => {}
    }
    assert!(!leaving.is_empty(), "it still drains");
    assert!(staying.stop(LIMIT).await);
}

#[tokio::test]
async fn instances_share_requests_and_the_service_api_counts_them() {
    let world = World::new().await;
    let tasks = Tasks::default();
    for _ in 0..2 {
        serve(&world, &tasks, answer).await;
    }
    for number in 0..100 {
        ask(&world, number, LIMIT).await.unwrap();
    }
    ask(&world, 404, LIMIT).await.unwrap_err();
    let counts = stats(&world, "num_requests").await;
    assert_eq!(counts.len(), 2);
    assert_eq!(counts.iter().sum::<u64>(), 101);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert_eq!(stats(&world, "num_errors").await.iter().sum::<u64>(), 1);
    assert!(tasks.stop(LIMIT).await);
    eventually(LIMIT, "nobody answers any more", async || ask(&world, 1, LIMIT).await.is_err()).await;
}

/// A number that each instance tells of its endpoint.
async fn stats(world: &World, name: &str) -> Vec<u64> {
    let inbox = world.connection.client.new_inbox();
    let replies = world.connection.client.subscribe(inbox.clone()).await.unwrap();
    world.connection.client.publish_with_reply("$SRV.STATS.test", inbox, "".into()).await.unwrap();
    let replies: Vec<_> = replies.take(2).collect().await;
    let count = |payload: &[u8]| {
        let stats: serde_json::Value = serde_json::from_slice(payload).unwrap();
        stats["endpoints"][0][name].as_u64().unwrap()
    };
    replies.iter().map(|reply| count(&reply.payload)).collect()
}
