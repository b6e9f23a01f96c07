//! Requests that are wrong, too large, too many or made to hurt: refused or counted, and the next one is taken.

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use prost::Message;

use super::{JSON, MB, PROTOBUF, Taking, packed, rich};
use crate::support::spans::{processing, request};

async fn still_takes(taking: &Taking) {
    let before = taking.store.stock().counts.taken;
    assert_eq!(taking.send(&request("a", vec![processing(before + 1_000, 0)])).await.partial_success, None);
    assert_eq!(taking.store.stock().counts.taken, before + 1);
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_with_a_reason() {
    let taking = Taking::new(MB);
    for (kind, packing, body, status, said) in [
        ("text/plain", None, &b"{}"[..], StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type"),
        (JSON, Some("br"), b"{}", StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding"),
        (JSON, None, b"{", StatusCode::BAD_REQUEST, "EOF"),
        (JSON, None, b"[]", StatusCode::BAD_REQUEST, "cannot be read"),
        (JSON, Some("gzip"), b"{}", StatusCode::BAD_REQUEST, "gzip"),
        (PROTOBUF, None, b"{}", StatusCode::BAD_REQUEST, "not a request of OTLP"),
        (PROTOBUF, None, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", StatusCode::BAD_REQUEST, "not a request of OTLP"),
    ] {
        let answer = taking.post(kind, packing, body).await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{kind} {packing:?}: {body}");
        assert!(body.contains(said), "{kind} {packing:?}: {body}");
    }
    assert_eq!(taking.receiver.refused().malformed, 7);
    still_takes(&taking).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_packed_and_plain() {
    let taking = Taking::new(MB);
    let bomb = packed(&vec![0; 64 * MB]);
    assert!(bomb.len() < MB);
    let chunks = stream::repeat(Bytes::from(vec![0; MB])).take(9).map(Ok::<_, std::io::Error>);
    for (kind, packing, body) in [
        (PROTOBUF, Some("gzip"), Body::from(bomb.clone())),
        (JSON, Some("gzip"), Body::from(bomb)),
        (PROTOBUF, None, Body::from(vec![0; 9 * MB])),
        (PROTOBUF, None, Body::from_stream(chunks)),
        (JSON, None, Body::from(vec![b' '; 5 * MB])),
    ] {
        assert_eq!(taking.post(kind, packing, body).await.status, StatusCode::PAYLOAD_TOO_LARGE, "{kind} {packing:?}");
    }
    assert_eq!(taking.receiver.refused().too_large, 5);
    still_takes(&taking).await;
}

#[tokio::test]
async fn few_bytes_do_not_become_many() {
    let taking = Taking::new(MB);
    // A span of half a million empty events, a request of a million empty spans, and lists in lists.
    let events = [&[10, 16][..], &[1; 16], &[18, 8], &[1; 8], &[90, 0].repeat(500_000)].concat();
    let many = [18, 0].repeat(1_000_000);
    let mut nested = vec![10, 0];
    for _ in 0..2_000 {
        nested = message(5, &message(1, &nested));
    }
    let deep = [&[10, 16][..], &[2; 16], &[18, 8], &[2; 8], &message(9, &message(2, &nested))].concat();
    for scope in [message(2, &events), many, message(2, &deep)] {
        let answer = taking.post(PROTOBUF, None, message(1, &message(2, &scope))).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let stock = taking.store.stock();
    assert_eq!((stock.spans, stock.counts.malformed), (2, 1_000_000));
    assert!(stock.bytes < MB / 2, "{stock:?}");
    let left_out: u64 = [1, 2]
        .iter()
        .map(|id| taking.store.trace(streamgauge::trace::TraceId([*id; 16])).unwrap().spans[0].left_out)
        .sum();
    assert!(left_out > 490_000, "{left_out}");
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}7]}}]}}]}}"#, "{},".repeat(MB));
    assert_eq!(taking.post(JSON, None, json).await.status, StatusCode::OK);
    still_takes(&taking).await;
}

/// A field of bytes.
fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![field << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut message);
    message.extend_from_slice(bytes);
    message
}

#[tokio::test]
async fn those_who_come_while_too_many_do_are_asked_to_come_again() {
    let taking = Taking::new(MB);
    let pending = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let waiting: Vec<_> = (0..4).map(|_| Box::pin(taking.post(PROTOBUF, None, pending()))).collect();
    let mut waiting = stream::iter(waiting).buffer_unordered(4);
    tokio::select! {
        biased;
        _ = waiting.next() => panic!("nothing is answered before it has come"),
        answer = taking.post(PROTOBUF, None, request("a", vec![processing(1, 0)]).encode_to_vec()) => {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        }
    }
    assert_eq!(taking.receiver.refused().busy, 1);
    drop(waiting);
    still_takes(&taking).await;
}

#[tokio::test]
async fn a_request_that_ends_anywhere_harms_nothing() {
    let taking = Taking::new(MB);
    let whole = request("payments", vec![rich()]);
    let (bytes, text) = (whole.encode_to_vec(), serde_json::to_vec(&whole).unwrap());
    for length in 0..bytes.len() {
        let answer = taking.post(PROTOBUF, None, bytes[..length].to_vec()).await;
        assert_eq!(answer.status == StatusCode::OK, length == 0, "{length} bytes");
    }
    for length in 0..text.len() {
        assert_eq!(taking.post(JSON, None, text[..length].to_vec()).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(taking.store.stock().spans, 0);
    still_takes(&taking).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_request_with_wrong_bytes_in_it_harms_nothing(
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = request("payments", vec![rich(), processing(0, 1)]).encode_to_vec();
        let mut text = serde_json::to_vec(&request("payments", vec![rich()])).unwrap();
        for (at, byte) in wrong {
            *at.get_mut(&mut bytes) = byte;
            *at.get_mut(&mut text) = byte;
        }
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let taking = Taking::new(MB);
            for (kind, body) in [(PROTOBUF, bytes), (JSON, text), (PROTOBUF, noise.clone()), (JSON, noise)] {
                let status = taking.post(kind, None, body).await.status;
                assert!(matches!(status, StatusCode::OK | StatusCode::BAD_REQUEST), "{status}");
            }
            let rows = taking.store.search(&streamgauge::traces::Query::default(), 100).rows;
            rows.iter().for_each(|row| assert_eq!(taking.store.trace(row.id).unwrap().spans.len(), row.spans));
            still_takes(&taking).await;
        });
    }
}
