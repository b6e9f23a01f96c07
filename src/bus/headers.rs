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

/// Writes what a message says of itself.
pub(crate) fn write(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        put(&mut headers, name, value);
    }
    let mut contract = |name: &'static str, value: &str| headers.insert(HeaderName::from_static(name), text(value));
    contract(header::CE_SPECVERSION, "1.0");
    if message.header(header::CONTENT_TYPE).is_none() {
        contract(header::CONTENT_TYPE, super::codec::CONTENT_TYPE);
    }
    if let Some(id) = &message.id {
        contract(header::MESSAGE_ID, &id.0);
        contract(header::CE_ID, &id.0);
    }
    if let Some(correlation) = &message.correlation {
        contract(header::CORRELATION_ID, &correlation.0);
    }
    if let Some(causation) = &message.causation {
        contract(header::CAUSATION_ID, &causation.0);
    }
    if let Some(schema) = &message.schema {
        contract(header::CE_TYPE, &schema.kind);
        contract(header::CE_DATASCHEMA, &schema.to_string());
    }
    if let Some(source) = &message.source {
        contract(header::CE_SOURCE, source);
    }
    if let Some(time) = message.time {
        contract(header::CE_TIME, &time.to_string());
    }
    if let Some(trace) = message.trace {
        contract(header::TRACEPARENT, &trace.text());
    }
    if let Some(state) = &message.trace_state {
        contract(header::TRACESTATE, state);
    }
    headers
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

fn text(value: &str) -> HeaderValue {
    // Nearly every value is plain ASCII and stays as it is.
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return HeaderValue::from(value.to_owned());
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
