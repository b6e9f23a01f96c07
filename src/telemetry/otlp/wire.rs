//! Spans as protocol buffers, written by hand: a span is written once, where it ends, and nothing of it is copied before.
//!
//! Convention: `opentelemetry/proto/trace/v1/trace.proto` and `common.proto`, 1.x; numbers below are its field numbers. A field that has
//! its default value is left out.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::{
    Array, InstrumentationScope, KeyValue, Value,
    trace::{Event, Link, SpanContext, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::{Resource, trace::SpanData};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Where a span says what it is about, in its own message and in others.
const SPAN_ATTRIBUTES: u64 = 9;

/// Bytes that a span takes, if it has few attributes.
const USUAL_SPAN: usize = 512;

/// It is known whether the parent is elsewhere; and it is.
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

/// Which span it is, in which trace, below which other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) parent_is_remote: bool,
    pub(crate) flags: u8,
    pub(crate) state: &'a str,
}

/// A span that ended, without the length that stands before it.
pub(super) fn span(span: &SpanData) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_SPAN);
    let context = &span.span_context;
    let state = context.trace_state().header();
    let parent = (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_bytes());
    identity(
        &mut bytes,
        Identity {
            trace_id: context.trace_id().to_bytes(),
            span_id: context.span_id().to_bytes(),
            parent,
            parent_is_remote: span.parent_span_is_remote,
            flags: context.trace_flags().to_u8(),
            state: &state,
        },
    );
    name(&mut bytes, &span.name, &span.span_kind);
    attributes(&mut bytes, SPAN_ATTRIBUTES, &span.attributes);
    number(&mut bytes, 10, span.dropped_attributes_count.into());
    for happened in span.events.iter() {
        nested(&mut bytes, 11, |bytes| event(bytes, happened));
    }
    number(&mut bytes, 12, span.events.dropped_count.into());
    for other in span.links.iter() {
        nested(&mut bytes, 13, |bytes| link(bytes, other));
    }
    number(&mut bytes, 14, span.links.dropped_count.into());
    times(&mut bytes, nanos(span.start_time), nanos(span.end_time));
    status(&mut bytes, &span.status);
    bytes
}

/// Which span it is.
pub(crate) fn identity(bytes: &mut Vec<u8>, identity: Identity<'_>) {
    run(bytes, 1, &identity.trace_id);
    run(bytes, 2, &identity.span_id);
    text(bytes, 3, identity.state);
    if let Some(parent) = identity.parent {
        run(bytes, 4, &parent);
    }
    let remote = if identity.parent_is_remote { PARENT_IS_REMOTE } else { 0 };
    fixed32(bytes, 16, u32::from(identity.flags) | PARENT_IS_KNOWN | remote);
}

/// What the span is called.
pub(crate) fn name(bytes: &mut Vec<u8>, name: &str, kind: &SpanKind) {
    text(bytes, 5, name);
    let kind = match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    number(bytes, 6, kind);
}

/// An attribute of a span.
pub(crate) fn attribute(bytes: &mut Vec<u8>, key: &str, value: &str) {
    nested(bytes, SPAN_ATTRIBUTES, |bytes| {
        text(bytes, 1, key);
        nested(bytes, 2, |bytes| run(bytes, 1, value.as_bytes()));
    });
}

/// An attribute of a span that is a number.
pub(crate) fn attribute_number(bytes: &mut Vec<u8>, key: &str, value: i64) {
    pair(bytes, SPAN_ATTRIBUTES, key, &Value::I64(value));
}

/// An attribute of a span that holds or does not.
pub(crate) fn attribute_flag(bytes: &mut Vec<u8>, key: &str, value: bool) {
    pair(bytes, SPAN_ATTRIBUTES, key, &Value::Bool(value));
}

/// From when to when, in nanoseconds since 1970.
pub(crate) fn times(bytes: &mut Vec<u8>, start: u64, end: u64) {
    fixed64(bytes, 7, start);
    fixed64(bytes, 8, end);
}

/// How it ended.
pub(crate) fn status(bytes: &mut Vec<u8>, status: &Status) {
    nested(bytes, 15, |bytes| match status {
        Status::Unset => {}
        Status::Ok => number(bytes, 3, 1),
        Status::Error { description } => {
            text(bytes, 2, description);
            number(bytes, 3, 2);
        }
    });
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A span as one of many: its length, then itself.
pub(crate) fn framed(bytes: &mut Vec<u8>, span: &[u8]) {
    run(bytes, 2, span);
}

/// Who made the spans of a request, as the beginning of what is about him in it.
pub(crate) fn resource(resource: &Resource) -> Vec<u8> {
    let mut said: Vec<_> = resource.iter().collect();
    // It has no order of its own, and whoever says the same is known by the same bytes.
    said.sort_unstable_by_key(|(key, _)| key.as_str());
    let mut bytes = Vec::new();
    nested(&mut bytes, 1, |bytes| {
        for (key, value) in said {
            pair(bytes, 1, key.as_str(), value);
        }
    });
    text(&mut bytes, 3, resource.schema_url().unwrap_or_default());
    bytes
}

/// A request of the spans of one resource: of each scope those that `framed` put in a row.
pub(crate) fn request<'a>(
    resource: &[u8],
    scopes: impl Iterator<Item = (&'a InstrumentationScope, &'a [u8])>,
) -> Vec<u8> {
    let scopes: Vec<_> = scopes.map(|(scope, spans)| (scope_head(scope, spans.len()), spans)).collect();
    let length = resource.len() + scopes.iter().map(|(head, spans)| head.len() + spans.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length + USUAL_SPAN);
    tag(&mut bytes, 1, LENGTH);
    varint(&mut bytes, length as u64);
    bytes.extend_from_slice(resource);
    for (head, spans) in scopes {
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(spans);
    }
    bytes
}

/// What stands before the spans of a scope, which take `spans` bytes.
fn scope_head(scope: &InstrumentationScope, spans: usize) -> Vec<u8> {
    let mut said = Vec::new();
    text(&mut said, 3, scope.schema_url().unwrap_or_default());
    nested(&mut said, 1, |bytes| {
        text(bytes, 1, scope.name());
        text(bytes, 2, scope.version().unwrap_or_default());
        for attribute in scope.attributes() {
            pair(bytes, 3, attribute.key.as_str(), &attribute.value);
        }
    });
    let mut bytes = Vec::new();
    tag(&mut bytes, 2, LENGTH);
    varint(&mut bytes, (said.len() + spans) as u64);
    bytes.extend_from_slice(&said);
    bytes
}

fn event(bytes: &mut Vec<u8>, event: &Event) {
    fixed64(bytes, 1, nanos(event.timestamp));
    text(bytes, 2, &event.name);
    attributes(bytes, 3, &event.attributes);
    number(bytes, 4, event.dropped_attributes_count.into());
}

fn link(bytes: &mut Vec<u8>, link: &Link) {
    let context: &SpanContext = &link.span_context;
    run(bytes, 1, &context.trace_id().to_bytes());
    run(bytes, 2, &context.span_id().to_bytes());
    text(bytes, 3, &context.trace_state().header());
    attributes(bytes, 4, &link.attributes);
    number(bytes, 5, link.dropped_attributes_count.into());
    let remote = if context.is_remote() { PARENT_IS_REMOTE } else { 0 };
    fixed32(bytes, 6, u32::from(context.trace_flags().to_u8()) | PARENT_IS_KNOWN | remote);
}

fn attributes(bytes: &mut Vec<u8>, field: u64, pairs: &[KeyValue]) {
    for KeyValue { key, value, .. } in pairs {
        pair(bytes, field, key.as_str(), value);
    }
}

fn pair(bytes: &mut Vec<u8>, field: u64, key: &str, value: &Value) {
    nested(bytes, field, |bytes| {
        text(bytes, 1, key);
        nested(bytes, 2, |bytes| any(bytes, value));
    });
}

/// Unlike a field, one of several is written even where it has its default value.
fn any(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(value) => run(bytes, 1, value.as_str().as_bytes()),
        Value::Bool(value) => {
            tag(bytes, 2, VARINT);
            varint(bytes, u64::from(*value));
        }
        Value::I64(value) => {
            tag(bytes, 3, VARINT);
            // Negative numbers are written as the unsigned ones of the same bits.
            varint(bytes, value.cast_unsigned());
        }
        Value::F64(value) => {
            tag(bytes, 4, FIXED64);
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        Value::Array(Array::Bool(values)) => array(bytes, values),
        Value::Array(Array::I64(values)) => array(bytes, values),
        Value::Array(Array::F64(values)) => array(bytes, values),
        Value::Array(Array::String(values)) => array(bytes, values),
        // The API has no other yet.
        _ => {}
    }
}

fn array<T: Clone + Into<Value>>(bytes: &mut Vec<u8>, values: &[T]) {
    nested(bytes, 5, |bytes| {
        for value in values {
            nested(bytes, 1, |bytes| any(bytes, &value.clone().into()));
        }
    });
}

/// A message within another; its length, which stands before it, is known when it is written.
fn nested(bytes: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    tag(bytes, field, LENGTH);
    let start = bytes.len();
    bytes.push(0);
    write(bytes);
    let length = bytes.len() - start - 1;
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        bytes[start] = short;
        return;
    }
    let mut digits = Vec::with_capacity(10);
    varint(&mut digits, length as u64);
    bytes.splice(start..=start, digits);
}

fn text(bytes: &mut Vec<u8>, field: u64, text: &str) {
    if !text.is_empty() {
        run(bytes, field, text.as_bytes());
    }
}

fn number(bytes: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        tag(bytes, field, VARINT);
        varint(bytes, number);
    }
}

fn run(bytes: &mut Vec<u8>, field: u64, run: &[u8]) {
    tag(bytes, field, LENGTH);
    varint(bytes, run.len() as u64);
    bytes.extend_from_slice(run);
}

fn fixed64(bytes: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        tag(bytes, field, FIXED64);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

fn fixed32(bytes: &mut Vec<u8>, field: u64, number: u32) {
    tag(bytes, field, FIXED32);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn tag(bytes: &mut Vec<u8>, field: u64, kind: u64) {
    varint(bytes, field << 3 | kind);
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
    use opentelemetry_proto::{
        tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1 as theirs},
        transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
    };
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use prost::Message;

    use super::*;

    fn context(is_remote: bool, state: &str) -> SpanContext {
        let state: TraceState = state.parse().unwrap();
        SpanContext::new(TraceId::from(0xabcd), SpanId::from(0x1234), TraceFlags::SAMPLED, is_remote, state)
    }

    fn scope(name: &'static str) -> InstrumentationScope {
        InstrumentationScope::builder(name).build()
    }

    fn plain() -> SpanData {
        SpanData {
            span_context: context(false, ""),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "".into(),
            start_time: UNIX_EPOCH,
            end_time: UNIX_EPOCH + Duration::from_nanos(u64::MAX),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope("a"),
        }
    }

    /// One with something in every field.
    fn rich() -> SpanData {
        let mut events = SpanEvents::default();
        events.events = vec![Event::new("came", UNIX_EPOCH + Duration::from_secs(9), vec![KeyValue::new("k", 1)], 300)];
        events.dropped_count = 3;
        let mut links = SpanLinks::default();
        links.links = vec![
            Link::new(context(true, "v=1"), vec![KeyValue::new("l", "x")], 4),
            Link::new(context(false, ""), vec![], 0),
        ];
        links.dropped_count = 5;
        let list = |values: Vec<_>| Value::Array(Array::String(values));
        SpanData {
            span_context: context(false, "vendor=1,other=2"),
            parent_span_id: SpanId::from(u64::MAX),
            parent_span_is_remote: true,
            span_kind: SpanKind::Consumer,
            name: "n".repeat(200).into(),
            start_time: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
            attributes: vec![
                KeyValue::new("text", "é".repeat(70_000)),
                KeyValue::new("empty", ""),
                KeyValue::new("yes", true),
                KeyValue::new("no", false),
                KeyValue::new("below", -1),
                KeyValue::new("nothing", 0),
                KeyValue::new("most", i64::MAX),
                KeyValue::new("part", -0.5),
                KeyValue::new("list", list(vec!["a".into(), "".into()])),
                KeyValue::new("bits", Value::Array(Array::Bool(vec![true, false]))),
                KeyValue::new("numbers", Value::Array(Array::I64(vec![0, 1 << 40]))),
                KeyValue::new("parts", Value::Array(Array::F64(vec![0.0, 1.5]))),
                KeyValue::new("void", list(Vec::new())),
            ],
            dropped_attributes_count: 1 << 20,
            events,
            links,
            status: Status::error("it broke"),
            ..plain()
        }
    }

    #[test]
    fn a_span_is_written_as_the_protocols_own_crate_writes_it() {
        let kinds = [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
        let of_kind = kinds.map(|span_kind| SpanData { span_kind, status: Status::Ok, ..plain() });
        for data in [plain(), rich()].into_iter().chain(of_kind) {
            let read = theirs::Span::decode(span(&data).as_slice()).unwrap();
            assert_eq!(read, theirs::Span::from(data));
        }
    }

    #[test]
    fn what_a_publisher_writes_in_parts_is_a_span() {
        let mut bytes = Vec::new();
        let parent = Some([3; 8]);
        let this =
            Identity { trace_id: [1; 16], span_id: [2; 8], parent, parent_is_remote: true, flags: 1, state: "v=1" };
        identity(&mut bytes, this);
        name(&mut bytes, "publish a.*", &SpanKind::Producer);
        attribute(&mut bytes, "messaging.system", "nats");
        attribute_number(&mut bytes, "size", 128);
        attribute_flag(&mut bytes, "again", true);
        times(&mut bytes, 5, 7);
        status(&mut bytes, &Status::Unset);
        let expected = SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes([1; 16]),
                SpanId::from_bytes([2; 8]),
                TraceFlags::SAMPLED,
                false,
                "v=1".parse().unwrap(),
            ),
            parent_span_id: SpanId::from_bytes([3; 8]),
            parent_span_is_remote: true,
            span_kind: SpanKind::Producer,
            name: "publish a.*".into(),
            start_time: UNIX_EPOCH + Duration::from_nanos(5),
            end_time: UNIX_EPOCH + Duration::from_nanos(7),
            attributes: vec![
                KeyValue::new("messaging.system", "nats"),
                KeyValue::new("size", 128),
                KeyValue::new("again", true),
            ],
            ..plain()
        };
        assert_eq!(theirs::Span::decode(bytes.as_slice()).unwrap(), theirs::Span::from(expected));
    }

    #[test]
    fn a_request_says_who_made_its_spans() {
        let made_by = Resource::builder_empty()
            .with_schema_url([KeyValue::new("service.name", "shop")], "https://schema.example/1")
            .build();
        let other = InstrumentationScope::builder("other")
            .with_version("2")
            .with_schema_url("https://schema.example/2")
            .with_attributes([KeyValue::new("k", "v")])
            .build();
        let there = SpanData { instrumentation_scope: other.clone(), ..plain() };
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        framed(&mut ours, &span(&plain()));
        framed(&mut ours, &span(&rich()));
        framed(&mut others, &span(&there));
        let scopes = [(&scope("a"), ours.as_slice()), (&other, others.as_slice())];
        let bytes = request(&resource(&made_by), scopes.into_iter());
        let resource_spans = group_spans_by_resource_and_scope(
            vec![plain(), rich(), there],
            &ResourceAttributesWithSchema::from(&made_by),
        );
        let read = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(read, ExportTraceServiceRequest { resource_spans });
    }
}
