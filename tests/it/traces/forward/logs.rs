//! Logs that go on: beside spans, in a queue of their own, to where they are taken.

use axum::{Router, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{collector::logs::v1::logs_service_client::LogsServiceClient, logs::v1::LogRecord};
use prost::Message;
use tonic::{codec::CompressionEncoding, transport::Channel};

use super::{
    super::{
        JSON, PROTOBUF,
        grpc::serving,
        logs::{entry, logs},
        packed,
    },
    Desk, Far, Passing, Taken, next, spans, take,
};

/// One that takes spans, and refuses logs so many times at first.
async fn refusing_logs(times: u32, status: StatusCode) -> (Far, Taken, Desk) {
    let (desk, spans) = Desk::refusing(0, StatusCode::OK);
    let (logs_desk, logs) = Desk::refusing(times, status);
    let traces = Router::new().route("/v1/traces", post(take)).with_state(desk);
    let router = traces.merge(Router::new().route("/v1/logs", post(take)).with_state(logs_desk.clone()));
    (Far::of(router, spans).await, logs, logs_desk)
}

fn refused(desk: &Desk) -> u32 {
    u32::MAX - desk.refusals.load(std::sync::atomic::Ordering::SeqCst)
}

#[tokio::test]
async fn logs_go_on_as_they_came_beside_spans() {
    let (mut far, mut taken, _) = refusing_logs(0, StatusCode::OK).await;
    let passing = Passing::to(&far.url, Some("authorization=Bearer%20hush"));
    let sent = logs("payments", vec![entry(1, 0, 9, "first"), entry(1, 1, 9, "second")]);
    // What the store does not keep goes on too: others may.
    let untraced = logs("payments", vec![LogRecord { trace_id: Vec::new(), ..entry(1, 0, 9, "of nothing") }]);
    let (bytes, text) = (sent.encode_to_vec(), serde_json::to_vec(&sent).unwrap());
    for (kind, packing, body, plain) in [
        (PROTOBUF, None, bytes.clone(), &bytes),
        (PROTOBUF, Some("gzip"), packed(&bytes), &bytes),
        (JSON, None, text.clone(), &text),
        (JSON, Some("gzip"), packed(&text), &text),
        (PROTOBUF, None, untraced.encode_to_vec(), &untraced.encode_to_vec()),
    ] {
        assert_eq!(passing.taking.post_logs(kind, packing, body).await.status, StatusCode::OK);
        let (headers, gone) = next(&mut taken).await;
        assert_eq!(
            (headers["content-type"].to_str().unwrap(), headers.contains_key("content-encoding")),
            (kind, false)
        );
        assert_eq!(headers["authorization"], "Bearer hush");
        assert!(gone == *plain, "{kind} {packing:?}");
    }
    let (url, _serving) = serving(passing.taking.router.clone()).await;
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    client.export(sent).await.unwrap();
    assert!(next(&mut taken).await.1 == bytes, "what comes by a call goes on too");
    let state = passing.until_logs("all is counted", |state| state.taken == 11).await;
    let dropped = [state.no_room, state.not_taken, state.rejected, state.unwanted];
    assert_eq!((dropped, state.waiting_bytes, state.trouble), ([0; 4], 0, None));
    assert_eq!(state.to, format!("{}/v1/logs", far.url));
    // What cannot be read does not go on, and a span goes where spans do.
    passing.taking.post_logs(PROTOBUF, None, b"{}".to_vec()).await;
    passing.taking.send(&spans(1)).await;
    far.next().await;
    assert!(taken.try_recv().is_err());
    passing.until("spans are counted apart", |state| state.taken == 1).await;
}

#[tokio::test]
async fn one_that_takes_no_logs_gets_spans_all_the_same_and_is_not_asked_each_time() {
    for status in [StatusCode::NOT_FOUND, StatusCode::NOT_IMPLEMENTED] {
        let (mut far, _taken, desk) = refusing_logs(u32::MAX, status).await;
        let passing = Passing::to(&far.url, None);
        let send = async |count: u64| {
            let entries = (0..count).map(|number| entry(1, number, 9, "said")).collect();
            passing.taking.send_logs(&logs("a", entries)).await;
        };
        send(3).await;
        passing.until_logs("it is known", |state| state.unwanted == 3).await;
        for sent in 0..20 {
            send(1).await;
            passing.taking.send(&spans(2)).await;
            far.next().await;
            passing.until("spans go on", |state| state.taken == 2 * (sent + 1)).await;
        }
        let state = passing.forwarded();
        assert_eq!((state.logs.unwanted, state.logs.not_taken, state.logs.taken), (23, 0, 0));
        // It is no trouble: whoever gave a Jaeger knew what he gave.
        assert_eq!((state.logs.trouble, state.spans.trouble, refused(&desk)), (None, None, 1));
    }
}

#[tokio::test]
async fn logs_that_are_not_taken_hold_no_span_up() {
    let (mut far, mut taken, desk) = refusing_logs(u32::MAX, StatusCode::SERVICE_UNAVAILABLE).await;
    let passing = Passing::to(&far.url, None);
    for number in 0..50 {
        passing.taking.send_logs(&logs("a", vec![entry(1, number, 9, "waits")])).await;
    }
    let state = passing.until_logs("the trouble is told", |state| state.trouble.is_some()).await;
    assert!(state.trouble.unwrap().contains("503"));
    passing.taking.send(&spans(5)).await;
    far.next().await;
    let state = passing.until("they went on", |state| state.taken == 5).await;
    assert_eq!((state.trouble, state.waiting_bytes), (None, 0));
    desk.refusals.store(0, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..50 {
        next(&mut taken).await;
    }
    let state = passing.until_logs("they went on as well", |state| state.taken == 50).await;
    assert_eq!((state.trouble, state.not_taken), (None, 0));
}
