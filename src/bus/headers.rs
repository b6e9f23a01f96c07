//! The message contract as NATS headers.
//!
//! Convention: CloudEvents 1.0 in binary mode (<https://github.com/cloudevents/spec>) beside W3C Trace Context. Names are read in any case and written as the conventions spell them.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::{
    clock::Timestamp,
    message::{CorrelationId, Message, MessageId, Schema, header},
    name::Subject,
};

/// Names that are made once: telling whether one is among those that NATS itself knows takes longer than all else.
mod name {
    use async_nats::HeaderName;

    use crate::message::header;

    pub(super) static SPECVERSION: HeaderName = HeaderName::from_static(header::CE_SPECVERSION);
    pub(super) static CONTENT_TYPE: HeaderName = HeaderName::from_static(header::CONTENT_TYPE);
    pub(super) static MESSAGE_ID: HeaderName = HeaderName::from_static(header::MESSAGE_ID);
    pub(super) static ID: HeaderName = HeaderName::from_static(header::CE_ID);
    pub(super) static CORRELATION_ID: HeaderName = HeaderName::from_static(header::CORRELATION_ID);
    pub(super) static CAUSATION_ID: HeaderName = HeaderName::from_static(header::CAUSATION_ID);
    pub(super) static TYPE: HeaderName = HeaderName::from_static(header::CE_TYPE);
    pub(super) static DATASCHEMA: HeaderName = HeaderName::from_static(header::CE_DATASCHEMA);
    pub(super) static SOURCE: HeaderName = HeaderName::from_static(header::CE_SOURCE);
    pub(super) static TIME: HeaderName = HeaderName::from_static(header::CE_TIME);
    pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);
    pub(super) static TRACESTATE: HeaderName = HeaderName::from_static(header::TRACESTATE);
}

/// Writes what a message says of itself.
pub(crate) fn write(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        put(&mut headers, name, value);
    }
    let mut contract = |name: &HeaderName, value: String| headers.insert(name.clone(), text(value));
    contract(&name::SPECVERSION, "1.0".to_owned());
    if message.header(header::CONTENT_TYPE).is_none() {
        contract(&name::CONTENT_TYPE, super::codec::CONTENT_TYPE.to_owned());
    }
    if let Some(schema) = &message.schema {
        contract(&name::TYPE, schema.kind.clone());
        contract(&name::DATASCHEMA, schema.to_string());
    }
    if let Some(source) = &message.source {
        contract(&name::SOURCE, source.clone());
    }
    identify(&mut headers, message);
    headers
}

/// The same from the headers of another message of its kind from the same source: what differs is written over them. Whatever the other
/// one says of itself, this one says as well.
pub(super) fn write_over(alike: &HeaderMap, message: &Message) -> HeaderMap {
    let mut headers = alike.clone();
    for (name, value) in &message.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.insert(name, value);
        }
    }
    identify(&mut headers, message);
    headers
}

/// Writes what no two messages have in common.
fn identify(headers: &mut HeaderMap, message: &Message) {
    let mut contract = |name: &HeaderName, value: String| headers.insert(name.clone(), text(value));
    if let Some(id) = &message.id {
        contract(&name::MESSAGE_ID, id.0.clone());
        contract(&name::ID, id.0.clone());
    }
    if let Some(correlation) = &message.correlation {
        contract(&name::CORRELATION_ID, correlation.0.clone());
    }
    if let Some(causation) = &message.causation {
        contract(&name::CAUSATION_ID, causation.0.clone());
    }
    if let Some(time) = message.time {
        contract(&name::TIME, time.to_string());
    }
    if let Some(trace) = message.trace {
        contract(&name::TRACEPARENT, trace.text());
    }
    if let Some(state) = &message.trace_state {
        contract(&name::TRACESTATE, state.clone());
    }
}

/// Reads what a message says of itself; what it does not say, or says in no way that we understand, stays `None`.
pub(crate) fn read(subject: Subject, headers: Option<&HeaderMap>, payload: Bytes) -> Message {
    let mut message = Message {
        subject,
        id: None,
        correlation: None,
        causation: None,
        schema: None,
        source: None,
        time: None,
        trace: None,
        trace_state: None,
        headers: Vec::new(),
        payload,
    };
    let pairs = headers.into_iter().flat_map(HeaderMap::iter);
    for (name, values) in pairs {
        let name: &str = name.as_ref();
        for value in values {
            take(&mut message, name, value.as_str());
        }
    }
    message
}

fn take(message: &mut Message, name: &str, value: &str) {
    let own = || value.to_owned();
    // Names are compared as they stand: a copy in lower case for each header of each message would cost more than the rest.
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is(header::MESSAGE_ID) {
        message.id = Some(MessageId(own()));
    } else if is(header::CE_ID) {
        message.id.get_or_insert_with(|| MessageId(own()));
    } else if is(header::CORRELATION_ID) {
        message.correlation = Some(CorrelationId(own()));
    } else if is(header::CAUSATION_ID) {
        message.causation = Some(MessageId(own()));
    } else if is(header::CE_DATASCHEMA) {
        message.schema = Schema::parse(value);
    } else if is(header::CE_SOURCE) {
        message.source = Some(own());
    } else if is(header::CE_TIME) {
        message.time = Timestamp::parse(value);
    } else if is(header::TRACEPARENT) {
        message.trace = value.parse().ok();
    } else if is(header::TRACESTATE) {
        message.trace_state = Some(own());
    } else if !is(header::CE_TYPE) && !is(header::CE_SPECVERSION) {
        message.headers.push((name.to_owned(), own()));
    }
}

/// Leaves out a header that NATS cannot carry rather than refuse the message for it.
fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        headers.append(name, value);
    }
}

fn text(value: String) -> HeaderValue {
    // Nearly every value is plain ASCII and stays as it is.
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return HeaderValue::from(value);
    }
    let kept: String = value.chars().filter(|c| !c.is_control()).collect();
    HeaderValue::from(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            subject: "orders.placed.7".try_into().unwrap(),
            id: Some(MessageId("m-1".into())),
            correlation: Some(CorrelationId("7".into())),
            causation: Some(MessageId("m-0".into())),
            schema: Some(Schema { kind: "OrderPlaced".into(), version: 1 }),
            source: Some("storefront".into()),
            time: Timestamp::parse("2030-01-31T12:00:00.250Z"),
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
            trace_state: Some("vendor=1".into()),
            headers: vec![("content-type".into(), "application/cbor".into()), ("x-tenant".into(), "blue".into())],
            payload: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn a_message_survives_its_headers() {
        let message = message();
        let mut read = read(message.subject.clone(), Some(&write(&message)), message.payload.clone());
        // A map of headers has no order.
        read.headers.sort();
        assert_eq!(read, message);
    }

    #[test]
    fn a_message_says_of_itself_the_same_whether_another_of_its_kind_was_written_before_or_not() {
        let message = message();
        let first = Message {
            id: Some(MessageId("m-9".into())),
            correlation: Some(CorrelationId("9".into())),
            causation: None,
            time: Timestamp::parse("2031-01-31T12:00:00Z"),
            trace: "00-0bf92f3577b34da6a3ce929d0e0e4736-01f067aa0ba902b7-00".parse().ok(),
            trace_state: None,
            headers: vec![("content-type".into(), "application/cbor".into())],
            ..message.clone()
        };
        assert_eq!(write_over(&write(&first), &message), write(&message));
    }

    #[test]
    fn headers_are_read_in_any_case() {
        let mut headers = HeaderMap::new();
        headers.insert("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        headers.insert("Correlation-Id", "7");
        let read = read("a".try_into().unwrap(), Some(&headers), Bytes::new());
        assert!(read.trace.is_some());
        assert_eq!(read.correlation, Some(CorrelationId("7".into())));
    }

    #[test]
    fn what_a_message_does_not_say_is_not_made_up() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", "nonsense");
        headers.insert("ce-time", "yesterday");
        let read = read("a".try_into().unwrap(), Some(&headers), Bytes::new());
        assert_eq!((read.trace, read.time, read.id, read.schema), (None, None, None, None));
    }

    #[test]
    fn a_value_that_would_break_the_header_block_is_cut_down_or_left_out() {
        let mut message = message();
        message.correlation = Some(CorrelationId("7\r\nNats-Rollup: all".into()));
        message.headers = vec![("bad name:".into(), "x".into()), ("x".into(), "a\r\nb: c".into())];
        let headers = write(&message);
        assert_eq!(headers.get("correlation-id").unwrap().as_str(), "7Nats-Rollup: all");
        assert!(headers.get("Nats-Rollup").is_none());
        assert!(headers.get("x").is_none());
    }
}
