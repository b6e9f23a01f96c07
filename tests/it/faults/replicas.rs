//! Three servers: what a lost leader does to a load, and whether writes over a known state are alike on one replica and on three.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_nats::jetstream::kv;
use futures_util::future::join_all;
use streamgauge::{
    bus::{Payload, PublishError},
    handler::{Context, Handler, Outcome, class},
    message::MessageId,
    state::{Documents, Inbox},
};

use super::{Client, Counted, Desk, Echoed, LIMIT, declare, messages, nothing_lost_nothing_twice};
use crate::support::{
    chaos_proxy::{ChaosProxy, Way},
    checker::Checker,
    cluster::Cluster,
    eventually,
    ledger::Ledger,
};

/// Writers that want the same place at once.
const WRITERS: u32 = 12;

#[tokio::test]
async fn a_stream_that_loses_its_leader_under_load_loses_nothing_that_it_confirmed() {
    let mut cluster = Cluster::start().await;
    let client = Client::of(cluster.url()).await;
    declare(&client.connection.jetstream, 3).await;
    let (checker, ledger) = (Checker::default(), Ledger::open().await);
    client.work(Desk::new(&checker, &ledger, &client).worker());
    let crash = async {
        eventually(LIMIT, "the load runs", async || checker.reads() > 100).await;
        let leader = cluster.leader_of(&client.connection.jetstream, Counted::STREAM).await;
        cluster.kill(leader).await;
        let before = checker.reads();
        eventually(LIMIT, "the load goes on without it", async || checker.reads() > before + 100).await;
        cluster.start_again(leader).await;
    };
    tokio::join!(client.load(&checker, 0..1_000), crash);
    assert!(checker.unclear().is_empty(), "publishing outlives an election; not confirmed: {:?}", checker.unclear());
    nothing_lost_nothing_twice(&client, &checker, &ledger).await;
    client.stop().await;
}

#[tokio::test]
async fn writes_over_a_known_state_are_alike_on_one_replica_and_on_three() {
    let cluster = Cluster::start().await;
    let client = Client::of(cluster.url()).await;
    for replicas in [1, 3] {
        declare(&client.connection.jetstream, replicas).await;
        once_is_once(&client, replicas).await;
        a_lost_confirmation_is_found_again(&cluster, &client).await;
        changes_add_up(&client, replicas).await;
        one_claims(&client, replicas).await;
        for stream in ["COUNTS", "ECHOES"] {
            client.connection.jetstream.delete_stream(stream).await.unwrap();
        }
    }
}

/// Of many that want the subject's one place, one has it; the others are told who; and the one may ask again.
async fn once_is_once(client: &Client, replicas: u32) {
    let publish = async |writer: u32| {
        let id = MessageId(format!("writer-{writer}"));
        client.bus.publish(&Echoed { number: 1 }).with_id(id).once().await
    };
    let results = join_all((0..WRITERS).map(publish)).await;
    let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    let winner = winners[0].id.clone();
    for loser in results.iter().filter_map(|result| result.as_ref().err()) {
        let PublishError::Conflict { holder, .. } = loser else { panic!("{replicas} replicas: {loser:?}") };
        assert_eq!(*holder, winner.0, "{loser:?}");
    }
    let again = client.bus.publish(&Echoed { number: 1 }).with_id(winner.clone()).once().await.unwrap();
    assert_eq!((again.id, again.is_duplicate), (winner, true));
}

/// The message is stored and nobody hears of it: what asks again finds its own work, and no conflict.
async fn a_lost_confirmation_is_found_again(cluster: &Cluster, near: &Client) {
    let proxy = ChaosProxy::before(cluster.address(0)).await;
    let far = Client::of(proxy.url()).await;
    far.bus.publish(&Counted { number: 1 }).await.unwrap();
    proxy.lose(&[Way::Down]);
    let stored = async {
        let confirmation = br#""stream":"ECHOES""#;
        eventually(LIMIT, "it is confirmed to nobody", async || proxy.has_lost(confirmation)).await;
        proxy.heal();
    };
    let echoed = Echoed { number: 2 };
    let (receipt, ()) = tokio::join!(far.bus.publish(&echoed).once().into_future(), stored);
    assert!(receipt.unwrap().is_duplicate, "an earlier attempt had stored it");
    assert_eq!(messages(near, Echoed::STREAM).await, 2);
}

/// However many change a document at once, each change is made once.
async fn changes_add_up(client: &Client, replicas: u32) {
    let bucket = format!("sums-{replicas}");
    let config = kv::Config { bucket: bucket.clone(), num_replicas: replicas as usize, ..kv::Config::default() };
    client.connection.jetstream.create_key_value(config).await.unwrap();
    let sums = Documents::<u32>::open(&client.connection, &bucket).await.unwrap();
    let add = async |_| sums.change("sum", |sum| Some(sum.copied().unwrap_or(0) + 1)).await;
    let results = join_all((0..WRITERS).map(add)).await;
    assert!(results.iter().all(Result::is_ok), "{replicas} replicas: {results:?}");
    assert_eq!(sums.read("sum").await.unwrap().value, Some(WRITERS), "{replicas} replicas");
}

/// Of many that handle one message at once, one has its effect, and the others know why not.
async fn one_claims(client: &Client, replicas: u32) {
    let bucket = format!("inbox-{replicas}");
    let config = kv::Config { bucket: bucket.clone(), num_replicas: replicas as usize, ..kv::Config::default() };
    client.connection.jetstream.create_key_value(config).await.unwrap();
    let inbox = Inbox::over(Documents::open(&client.connection, &bucket).await.unwrap(), &client.bus);
    let effects = Arc::new(AtomicU32::new(0));
    let counted = effects.clone();
    let handler = inbox.guard(move |_: Context, _: Echoed| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let message = client.bus.last::<Echoed>(&Echoed { number: 1 }.key()).await.unwrap().unwrap();
    let handle = async |_| handler.handle(Context::new(message.clone(), None), Echoed { number: 1 }).await;
    let outcomes = join_all((0..WRITERS).map(handle)).await;
    let known = |outcome: &Outcome| *outcome == Outcome::Done || outcome.class() == class::CLAIMED;
    assert!(outcomes.iter().all(known), "{replicas} replicas: {outcomes:?}");
    assert_eq!(effects.load(Ordering::SeqCst), 1, "{replicas} replicas");
}
