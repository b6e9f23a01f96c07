//! The receiver of traces: what services send is kept as it was sent, and what is wrong with it is counted and said, never fatal.

mod far_end;
mod forward;
mod grpc;
mod hostile;
mod interop;
mod jaeger;
pub(crate) mod logs;
mod served;

use std::io::Write;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest,
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{AnyValue, ArrayValue, KeyValueList, any_value::Value},
    trace::v1::{Span, Status, span},
};
use prost::Message;
use serde_json::json;
use streamgauge::{
    clock::{Clock, Timestamp},
    trace::{SpanKind, SpanStatus, Trace, TraceId},
    traces::{Query, Store, otlp::Receiver},
};
use tower::ServiceExt;

use crate::support::spans::{pair, processing, request, text};

const MB: usize = 1_024 * 1_024;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

struct Taking {
    store: Store,
    receiver: Receiver,
    router: Router,
}

/// An answer to a sender.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    kind: String,
    body: Vec<u8>,
}

impl Taking {
    fn new(bound: usize) -> Self {
        Self::of(Store::new(bound, Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap())))
    }

    fn of(store: Store) -> Self {
        let receiver = Receiver::new(store.clone());
        Self { router: receiver.router(), store, receiver }
    }

    async fn post(&self, kind: &str, packing: Option<&str>, body: impl Into<Body>) -> Answer {
        self.post_at("/v1/traces", kind, packing, body).await
    }

    async fn post_at(&self, path: &str, kind: &str, packing: Option<&str>, body: impl Into<Body>) -> Answer {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, kind);
        if let Some(packing) = packing {
            request = request.header(header::CONTENT_ENCODING, packing);
        }
        let Ok(answer) = self.router.clone().oneshot(request.body(body.into()).unwrap()).await;
        let kind = answer.headers().get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let status = answer.status();
        Answer { status, kind, body: to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec() }
    }

    async fn send(&self, request: &ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        let answer = self.post(PROTOBUF, None, request.encode_to_vec()).await;
        assert_eq!((answer.status, answer.kind.as_str()), (StatusCode::OK, PROTOBUF));
        ExportTraceServiceResponse::decode(answer.body.as_slice()).unwrap()
    }
}

/// Puts what is sent into `store`.
pub(crate) async fn post_to(store: &Store, request: &ExportTraceServiceRequest) {
    assert_eq!(Taking::of(store.clone()).send(request).await.partial_success, None);
}

/// Puts the logs that are sent into `store`.
pub(crate) async fn post_logs_to(store: &Store, request: &ExportLogsServiceRequest) {
    assert_eq!(Taking::of(store.clone()).send_logs(request).await.partial_success, None);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// A span with everything that a span can have.
fn rich() -> Span {
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(-1)) }, AnyValue { value: None }] };
    let map = KeyValueList { values: vec![text("a", "é"), pair("b", Value::ArrayValue(list))] };
    Span {
        trace_state: "vendor=1".to_owned(),
        dropped_attributes_count: 2,
        status: Some(Status { message: "card refused".to_owned(), code: 2 }),
        events: vec![span::Event {
            time_unix_nano: 1_900_000_000_000_001_000,
            name: "attempt".to_owned(),
            attributes: vec![pair("number", Value::IntValue(2))],
            ..span::Event::default()
        }],
        links: vec![span::Link { trace_id: vec![5; 16], span_id: vec![6; 8], ..span::Link::default() }],
        attributes: vec![
            pair("yes", Value::BoolValue(true)),
            pair("least", Value::IntValue(i64::MIN)),
            pair("real", Value::DoubleValue(0.1)),
            pair("map", Value::KvlistValue(map)),
            text("empty", ""),
        ],
        ..processing(0, 3)
    }
}

fn check_rich(trace: &Trace) {
    let span = &trace.spans[0];
    let said: Vec<String> = span.attributes.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["yes=true", "least=-9223372036854775808", "real=0.1", "map={a=é, b=[-1, ]}", "empty="]);
    assert_eq!((span.name.as_str(), span.kind), ("process orders.placed.*", SpanKind::Consumer));
    assert_eq!((span.id.to_string(), span.parent.unwrap().to_string()), ("0".repeat(15) + "4", "0".repeat(15) + "3"));
    assert_eq!((span.start, span.duration()), (1_900_000_000_003_703_701, 2_345_678));
    assert_eq!((span.status, span.message.as_str()), (SpanStatus::Error, "card refused"));
    assert_eq!((span.state.as_str(), span.left_out), ("vendor=1", 2));
    let event = &span.events[0];
    assert_eq!((event.at, event.name.as_str()), (1_900_000_000_000_001_000, "attempt"));
    assert_eq!(event.attributes[0].to_string(), "number=2");
    assert_eq!((span.links[0].trace.0, span.links[0].span.0), ([5; 16], [6; 8]));
    assert_eq!((span.origin.service.as_str(), span.origin.scope.as_str()), ("payments", "streamgauge"));
    assert_eq!(span.origin.attributes[1].to_string(), "service.instance.id=payments-1");
}

#[tokio::test]
async fn a_span_is_kept_as_it_was_sent_in_every_form() {
    let sent = request("payments", vec![rich()]);
    let (bytes, text) = (sent.encode_to_vec(), serde_json::to_vec(&sent).unwrap());
    for (kind, packing, body) in [
        (PROTOBUF, None, bytes.clone()),
        (PROTOBUF, Some("gzip"), packed(&bytes)),
        (JSON, None, text.clone()),
        ("application/json; charset=utf-8", Some("gzip"), packed(&text)),
    ] {
        let taking = Taking::new(MB);
        let answer = taking.post(kind, packing, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind} {packing:?}: {answer:?}");
        let expected = if kind == PROTOBUF { "" } else { "{}" };
        assert_eq!(String::from_utf8_lossy(&answer.body), expected);
        check_rich(&taking.store.trace(TraceId(1_u128.to_be_bytes())).unwrap());
    }
}

#[tokio::test]
async fn numbers_in_json_are_texts_or_numbers() {
    let taking = Taking::new(MB);
    let span = |id: &str, start: serde_json::Value| {
        json!({ "traceId": "4BF92F3577B34DA6A3CE929D0E0E4736", "spanId": id, "name": "a", "kind": 2, "startTimeUnixNano": start,
                "endTimeUnixNano": "1900000000000000005", "attributes": [{ "key": "n", "value": { "intValue": 5 } }], "unknown": {} })
    };
    let spans = [
        span("00f067aa0ba902b7", json!("1900000000000000001")),
        span("00f067aa0ba902b8", json!(1_900_000_000_000_000_002_u64)),
    ];
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    assert_eq!(taking.post(JSON, None, body.to_string()).await.status, StatusCode::OK);
    let trace = taking.store.trace("4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap()).unwrap();
    let times: Vec<u64> = trace.spans.iter().map(|span| span.duration()).collect();
    assert_eq!(times, [4, 3]);
}

#[tokio::test]
async fn what_is_not_kept_is_told_to_its_sender() {
    let taking = Taking::new(MB);
    let lost = Span { trace_id: vec![1; 15], ..processing(1, 0) };
    let response = taking.send(&request("a", vec![lost.clone(), processing(1, 1), lost])).await;
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("lack a trace id"), "{}", partial.error_message);
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{ "traceId": "xyz" }, 7] }] }] });
    let answer = taking.post(JSON, None, body.to_string()).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "2", "{answer}");
    let stock = taking.store.stock();
    assert_eq!((stock.spans, stock.counts.taken, stock.counts.malformed), (1, 1, 4));
}

#[tokio::test]
async fn a_trace_of_ten_thousand_spans_is_kept_whole() {
    let taking = Taking::new(32 * MB);
    for part in 0..20 {
        let spans = (0..500).map(|number| processing(7, part * 500 + number)).collect();
        assert_eq!(taking.send(&request("orders", spans)).await.partial_success, None);
    }
    let found =
        taking.store.search(&Query::of_query("attribute=messaging.message.id%3D0000000000000007000000000000270f"), 10);
    assert_eq!((found.rows.len(), found.rows[0].spans), (1, 10_000));
    assert_eq!(found.rows[0].name, "process orders.placed.*");
    let trace = taking.store.trace(found.rows[0].id).unwrap();
    assert_eq!((trace.spans.len(), trace.left_out), (10_000, 0));
    let stock = taking.store.stock();
    assert!(stock.bytes / stock.spans < 400, "{} bytes a span", stock.bytes / stock.spans);
}

#[tokio::test]
async fn spans_come_late_in_any_order_and_from_several_services() {
    let taking = Taking::new(MB);
    for (service, number) in [("payments", 3), ("orders", 1), ("storefront", 0), ("payments", 2)] {
        taking.send(&request(service, vec![processing(9, number)])).await;
    }
    let row = taking.store.search(&Query::default(), 10).rows.remove(0);
    assert_eq!((row.service.as_str(), row.is_headless), ("storefront", false));
    assert_eq!(row.services, ["orders", "payments", "storefront"]);
    assert_eq!(row.duration, 3 * 1_234_567 + 2_345_678);
    assert_eq!(taking.store.services(), ["orders", "payments", "storefront"]);
}
