//! Logs of traces by OTLP: kept with their trace in the order of their times, within their share, with secrets left out.

use axum::http::StatusCode;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse, logs_service_client::LogsServiceClient,
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValueList, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use streamgauge::{
    trace::{LogLevel, TraceId},
    traces::{LogCounts, Query},
};
use tonic::{codec::CompressionEncoding, transport::Channel};

use super::{Answer, JSON, MB, PROTOBUF, Taking, grpc::listening, packed};
use crate::support::spans::{pair, processing, request, text};

/// An entry of the trace with this number, so many milliseconds after the first.
pub(crate) fn entry(trace: u64, millis: u64, level: i32, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_900_000_000_000_000_000 + millis * 1_000_000,
        severity_number: level,
        body: Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) }),
        trace_id: (u128::from(trace) + 1).to_be_bytes().to_vec(),
        span_id: 1_u64.to_be_bytes().to_vec(),
        ..LogRecord::default()
    }
}

/// What `service` sends of these entries.
pub(crate) fn logs(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let resource = Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() });
    let scope = Some(InstrumentationScope { name: "worker".to_owned(), ..InstrumentationScope::default() });
    let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
}

fn trace(number: u64) -> TraceId {
    TraceId((u128::from(number) + 1).to_be_bytes())
}

impl Taking {
    pub(super) async fn post_logs(&self, kind: &str, packing: Option<&str>, body: Vec<u8>) -> Answer {
        self.post_at("/v1/logs", kind, packing, body).await
    }

    pub(crate) async fn send_logs(&self, request: &ExportLogsServiceRequest) -> ExportLogsServiceResponse {
        let answer = self.post_logs(PROTOBUF, None, request.encode_to_vec()).await;
        assert_eq!(answer.status, StatusCode::OK);
        ExportLogsServiceResponse::decode(answer.body.as_slice()).unwrap()
    }

    fn bodies(&self, number: u64) -> Vec<String> {
        self.store.logs(trace(number)).rows.iter().map(|log| log.body.to_string()).collect()
    }
}

/// An entry with everything that one can have, the order of its map included.
fn rich() -> LogRecord {
    let body = KeyValueList { values: vec![text("said", "charged"), text("card", "4111111111111111")] };
    LogRecord {
        body: Some(AnyValue { value: Some(Value::KvlistValue(body)) }),
        severity_text: "WARN".to_owned(),
        event_name: "payment.charged".to_owned(),
        attributes: vec![
            text("user", "ada"),
            text("db.password", "hunter2"),
            text("url", "nats://ada:word@n1"),
            pair("attempt", Value::IntValue(2)),
        ],
        dropped_attributes_count: 3,
        observed_time_unix_nano: 5,
        ..entry(0, 7, 13, "")
    }
}

fn check_rich(taking: &Taking) {
    let found = taking.store.logs(trace(0));
    let log = &found.rows[0];
    assert_eq!((log.at, log.level), (1_900_000_000_007_000_000, LogLevel::Warn));
    assert_eq!(log.span.unwrap().to_string(), "0000000000000001");
    assert_eq!(log.body.to_string(), "{said=charged, card=[masked: card number]}");
    assert_eq!((log.event.as_str(), log.left_out), ("payment.charged", 3));
    let said: Vec<String> = log.attributes.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["user=ada", "db.password=[masked: secret name]", "url=nats://ada:[masked: credentials]@n1", "attempt=2"]
    );
    assert_eq!((log.origin.service.as_str(), log.origin.scope.as_str()), ("payments", "worker"));
}

#[tokio::test]
async fn an_entry_is_kept_as_it_was_sent_in_every_form() {
    let sent = logs("payments", vec![rich()]);
    let (bytes, text) = (sent.encode_to_vec(), serde_json::to_vec(&sent).unwrap());
    for (kind, packing, body) in [
        (PROTOBUF, None, bytes.clone()),
        (PROTOBUF, Some("gzip"), packed(&bytes)),
        (JSON, None, text.clone()),
        (JSON, Some("gzip"), packed(&text)),
    ] {
        let taking = Taking::new(MB);
        let answer = taking.post_logs(kind, packing, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind} {packing:?}: {answer:?}");
        assert_eq!(String::from_utf8_lossy(&answer.body), if kind == PROTOBUF { "" } else { "{}" });
        check_rich(&taking);
    }
}

#[tokio::test]
async fn a_usual_client_sends_them_by_grpc() {
    let (taking, url, _serving) = listening().await;
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    let lost = LogRecord { trace_id: Vec::new(), ..entry(0, 1, 9, "of nothing") };
    let answer = client.export(logs("payments", vec![rich(), lost])).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 1);
    assert_eq!(
        partial.error_message,
        "1 log records are not kept: they belong to no trace, and only logs of traces are kept"
    );
    check_rich(&taking);
}

#[tokio::test]
async fn they_stand_in_the_order_of_their_times_before_and_after_their_spans() {
    let taking = Taking::new(MB);
    taking.send_logs(&logs("payments", vec![entry(1, 30, 9, "third"), entry(1, 10, 9, "first")])).await;
    assert!(taking.store.trace(trace(1)).is_none(), "logs alone make no trace of a list");
    assert_eq!(taking.store.search(&Query::default(), 10).of, 0);
    taking.send(&request("payments", vec![processing(1, 0)])).await;
    let seen =
        LogRecord { time_unix_nano: 0, observed_time_unix_nano: 1_900_000_000_020_000_000, ..entry(1, 0, 0, "second") };
    taking.send_logs(&logs("orders", vec![seen])).await;
    assert_eq!(taking.bodies(1), ["first", "second", "third"]);
    let services: Vec<String> = taking.store.logs(trace(1)).rows.iter().map(|log| log.origin.service.clone()).collect();
    assert_eq!(services, ["payments", "orders", "payments"]);
}

#[tokio::test]
async fn what_is_not_kept_is_counted_by_its_reason_and_told_to_its_sender() {
    let taking = Taking::new(MB);
    let untraced = LogRecord { trace_id: vec![0; 16], ..entry(1, 0, 9, "a") };
    let malformed = LogRecord { trace_id: vec![1; 15], ..entry(1, 0, 9, "b") };
    let large = entry(2, 0, 9, &"x".repeat(8 * 1_024));
    let sent = vec![untraced.clone(), untraced, malformed, large, entry(1, 0, 9, "kept")];
    let partial = taking.send_logs(&logs("a", sent)).await.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 4);
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": {} }, 7] }] }] });
    let answer = taking.post_logs(JSON, None, body.to_string().into_bytes()).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedLogRecords"], "2", "{answer}");
    let stock = taking.store.stock();
    let expected = LogCounts { taken: 1, malformed: 2, untraced: 3, late: 0, too_large: 1, evicted: 0 };
    assert_eq!((stock.log_counts, stock.logs, taking.bodies(2).len()), (expected, 1, 0));
    for (kind, body) in [(PROTOBUF, &b"{}"[..]), (JSON, b"[]"), (JSON, b"{\"resourceLogs\":7}")] {
        assert_eq!(taking.post_logs(kind, None, body.to_vec()).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_trace_that_logs_without_end_leaves_room_for_others() {
    let taking = Taking::new(MB);
    taking.send_logs(&logs("a", vec![entry(1, 0, 9, "of another")])).await;
    for part in 0..8 {
        let entries = (0..1_000).map(|number| entry(2, part * 1_000 + number, 9, "again and again"));
        taking.send_logs(&logs("a", entries.collect())).await;
    }
    let (found, stock) = (taking.store.logs(trace(2)), taking.store.stock());
    assert_eq!(found.rows.len() as u64 + found.left_out, 8_000);
    assert!(found.left_out > 0 && found.rows.len() <= 2_000, "{}", found.rows.len());
    assert!(stock.log_bytes <= MB / 8, "{stock:?}");
    assert_eq!(taking.bodies(1), ["of another"]);
}

#[tokio::test]
async fn logs_go_with_their_trace_and_do_not_come_back() {
    let taking = Taking::new(256 * 1_024);
    taking.send_logs(&logs("a", vec![entry(0, 0, 9, "of the first")])).await;
    for number in 0..400 {
        taking.send(&request("a", vec![processing(number, 0)])).await;
    }
    let stock = taking.store.stock();
    assert!(stock.counts.evicted_traces > 0 && taking.store.trace(trace(0)).is_none(), "{stock:?}");
    assert_eq!((stock.logs, stock.log_counts.evicted, taking.bodies(0).len()), (0, 1, 0));
    let gone = (0..400).rev().find(|number| taking.store.trace(trace(*number)).is_none()).unwrap();
    taking.send_logs(&logs("a", vec![entry(gone, 0, 9, "too late")])).await;
    assert_eq!(taking.store.stock().log_counts.late, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Nothing but logs, nothing but spans, or both: the bound holds, and the oldest logs go first.
    #[test]
    fn the_bound_holds_with_logs_in_it(
        sent in prop::collection::vec((0_u64..80, any::<bool>(), 0_usize..1_500, 0_u8..9), 1..300),
        bound in 64_usize..512,
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let taking = Taking::new(bound * 1_024);
            let services = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
            for (number, is_log, length, service) in sent {
                let service = services[usize::from(service)];
                if is_log {
                    taking.send_logs(&logs(service, vec![entry(number, 0, 9, &"x".repeat(length))])).await;
                } else {
                    taking.send(&request(service, vec![processing(number, length as u64)])).await;
                }
                let stock = taking.store.stock();
                assert!(stock.bytes <= stock.bound && stock.log_bytes <= stock.bound / 8, "{stock:?}");
                let counts = stock.log_counts;
                assert_eq!(counts.taken - counts.evicted, stock.logs as u64, "{stock:?}");
            }
            let kept: usize = (0..80).map(|number| taking.store.logs(trace(number)).rows.len()).sum();
            assert_eq!(kept, taking.store.stock().logs);
        });
    }
}
