//! Buckets: their newest entries are read without a consumer, and what was not read is said.

use async_nats::HeaderMap;
use streamgauge::{
    clock::Clock,
    fault::{BUCKET, Fault, Kind},
    snapshot::{Reading, Snapshot, Why},
};

use super::{LIMIT, Observer, PRESENCE, bucket, jetstream};
use crate::support::nats_server::NatsServer;

fn record(kind: &str, id: usize) -> bytes::Bytes {
    let text = serde_json::json!({
        "kind": kind, "id": id.to_string(), "state": "placed", "phase": "open",
        "started": "2030-01-31T12:00:00Z", "since": "2030-01-31T12:00:00Z",
    });
    text.to_string().into()
}

async fn check_buckets(is_direct: bool) {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let presence = bucket(&jetstream, "presence", is_direct).await;
    presence.put("mail.1", PRESENCE.into()).await.unwrap();
    presence.put("mail.2", PRESENCE.into()).await.unwrap();
    presence.put("mail.3", PRESENCE.into()).await.unwrap();
    presence.put("mail.4", "not JSON".into()).await.unwrap();
    presence.delete("mail.2").await.unwrap();
    presence.purge("mail.3").await.unwrap();
    let records = bucket(&jetstream, "records", is_direct).await;
    for id in 0..80 {
        records.put(format!("order.{id}"), record("order", id)).await.unwrap();
    }
    records.put("saga.1", record("saga", 1)).await.unwrap();
    records.put("order.30", record("order", 30)).await.unwrap();

    let observer = Observer::at(&server);
    let snapshot = observer.sees("both buckets", |snapshot| snapshot.app.records.fresh().is_some()).await;
    let presence = snapshot.app.presence.fresh().unwrap();
    let keys: Vec<&str> = presence.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!((keys.as_slice(), presence.malformed), (["mail.1"].as_slice(), 1));
    let records = snapshot.app.records.fresh().unwrap();
    let newest: Vec<&str> = records.entries.iter().take(4).map(|entry| entry.key.as_str()).collect();
    assert_eq!(newest, ["order.30", "saga.1", "order.79", "order.78"]);
    let orders = records.entries.iter().filter(|entry| entry.value.kind == "order").count();
    assert_eq!(orders, 50, "of one kind no more are kept");
    for name in ["KV_presence", "KV_records"] {
        let mut stream = jetstream.get_stream(name).await.unwrap();
        assert_eq!(stream.info().await.unwrap().state.consumer_count, 0, "reading leaves no consumer behind");
    }
}

#[tokio::test]
async fn buckets_are_read_without_a_consumer() {
    check_buckets(true).await;
}

#[tokio::test]
async fn buckets_that_allow_no_direct_get_are_read_too() {
    check_buckets(false).await;
}

#[tokio::test]
async fn switches_of_faults_are_read_as_they_change() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let observer = Observer::at(&server);
    let absent = |snapshot: &Snapshot| matches!(snapshot.app.faults, Reading::Unknown { why: Why::Absent, .. });
    observer.sees("that there are no switches", absent).await;
    let switches = bucket(&jetstream, BUCKET, true).await;
    let now = Clock::system().now();
    for until in [now.after(LIMIT), now] {
        let fault = Fault { service: "payments".to_owned(), kind: Kind::Slow, since: now, until };
        switches.put("payments", serde_json::to_vec(&fault).unwrap().into()).await.unwrap();
        let is_read = |snapshot: &Snapshot| {
            snapshot.app.faults.fresh().is_some_and(|bucket| bucket.entries.iter().any(|entry| entry.value == fault))
        };
        observer.sees("the switch", is_read).await;
    }
}

#[tokio::test]
async fn of_a_large_bucket_the_newest_are_read() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let records = bucket(&jetstream, "records", true).await;
    // More keys than are read, each written thrice, so that a stretch of the stream holds a third of what its length says.
    for id in 0..600 {
        for _ in 0..3 {
            records.put(format!("order.{id}"), record("order", id)).await.unwrap();
        }
    }
    let observer = Observer::at(&server);
    let snapshot = observer.sees("the bucket", |snapshot| snapshot.app.records.fresh().is_some()).await;
    let records = snapshot.app.records.fresh().unwrap();
    let keys: Vec<&str> = records.entries.iter().map(|entry| entry.key.as_str()).collect();
    let expected: Vec<String> = (550..600).rev().map(|id| format!("order.{id}")).collect();
    assert_eq!(keys, expected);
    assert!(records.is_cut);
}

#[tokio::test]
async fn large_values_hide_nothing_that_is_behind_them() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let presence = bucket(&jetstream, "presence", true).await;
    for name in ["large.1", "large.2"] {
        presence.put(name, "x".repeat(600 << 10).into()).await.unwrap();
    }
    presence.put("mail.1", PRESENCE.into()).await.unwrap();
    let records = bucket(&jetstream, "records", true).await;
    for id in 0..300 {
        let mut padded = record("order", id).to_vec();
        padded.resize(8 << 10, b' ');
        records.put(format!("order.{id}"), padded.into()).await.unwrap();
    }
    let observer = Observer::at(&server);
    let snapshot = observer.sees("both buckets", |snapshot| snapshot.app.records.fresh().is_some()).await;
    let presence = snapshot.app.presence.fresh().unwrap();
    assert_eq!((presence.entries.len(), presence.malformed, presence.is_whole()), (1, 2, true));
    let records = snapshot.app.records.fresh().unwrap();
    assert_eq!((records.entries[0].key.as_str(), records.is_whole()), ("order.299", true));
}

#[tokio::test]
async fn a_bucket_larger_than_is_read_says_that_its_newest_are_missing() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let presence = bucket(&jetstream, "presence", true).await;
    for number in 0..36 {
        presence.put(format!("large.{number}"), "x".repeat(600 << 10).into()).await.unwrap();
    }
    presence.put("mail.1", PRESENCE.into()).await.unwrap();
    let observer = Observer::at(&server);
    let snapshot = observer.sees("the bucket", |snapshot| snapshot.app.presence.fresh().is_some()).await;
    let presence = snapshot.app.presence.fresh().unwrap();
    assert!(presence.entries.is_empty() && presence.lacks_newest && !presence.is_whole(), "{presence:?}");
}

#[tokio::test]
async fn a_marker_of_a_time_that_ran_out_is_no_record() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let records = bucket(&jetstream, "records", true).await;
    records.put("order.1", record("order", 1)).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Marker-Reason", "MaxAge");
    jetstream.publish_with_headers("$KV.records.order.1", headers, "".into()).await.unwrap().await.unwrap();
    let observer = Observer::at(&server);
    let snapshot = observer.sees("the bucket", |snapshot| snapshot.app.records.fresh().is_some()).await;
    assert!(snapshot.app.records.fresh().unwrap().entries.is_empty());
}
