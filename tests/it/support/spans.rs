//! Spans as services would send them, by OTLP.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

/// An attribute.
pub fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// An attribute that is a text.
pub fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

/// A span of the order mesh that handles a message: child of the one before it in its trace.
pub fn processing(trace: u64, number: u64) -> Span {
    let span_id = |number: u64| (number + 1).to_be_bytes().to_vec();
    let start = 1_900_000_000_000_000_000 + trace * 1_000_000 + number * 1_234_567;
    let (order, message) =
        (format!("019a6f3e-{trace:04x}-7000-8000-{trace:012x}"), format!("{trace:016x}{number:016x}"));
    Span {
        trace_id: (u128::from(trace) + 1).to_be_bytes().to_vec(),
        span_id: span_id(number),
        parent_span_id: number.checked_sub(1).map(span_id).unwrap_or_default(),
        name: format!("process orders.{}.*", ["placed", "completed", "cancelled"][number as usize % 3]),
        kind: 5,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 2_345_678,
        attributes: vec![
            text("messaging.system", "nats"),
            text("messaging.operation.name", "process"),
            text("messaging.operation.type", "process"),
            text("messaging.destination.template", "orders.placed.*"),
            text("messaging.destination.name", &format!("orders.placed.{order}")),
            text("messaging.consumer.group.name", "inventory-reserve"),
            pair("messaging.message.body.size", Value::IntValue(312)),
            text("messaging.message.id", &message),
            text("messaging.message.conversation_id", &order),
            text("messaging.nats.stream", "ORDERS"),
            text("messaging.nats.consumer", "inventory-reserve"),
            pair("messaging.nats.stream_sequence", Value::IntValue(trace.cast_signed() * 20)),
            pair("messaging.nats.consumer_sequence", Value::IntValue(trace.cast_signed())),
            pair("messaging.nats.delivery_count", Value::IntValue(1)),
        ],
        ..Span::default()
    }
}

/// What `service` sends of these spans.
pub fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = vec![
        text("service.name", service),
        text("service.instance.id", &format!("{service}-1")),
        text("service.version", "0.1.0"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.version", "0.33.0"),
    ];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope = Some(InstrumentationScope { name: "streamgauge".to_owned(), ..InstrumentationScope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
}
