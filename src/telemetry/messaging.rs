//! Spans of messaging: their names, kinds and attributes, in one place.
//!
//! Convention: OpenTelemetry semantic conventions for messaging, 1.44 (development), with `messaging.nats.*` for what they leave out
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>). A span's name is `{operation} {template}`; ids are
//! attributes, never part of a name.

use opentelemetry::{KeyValue, trace::SpanKind};

use super::{Remote, Span, Telemetry, span::Beginning};
use crate::{
    message::{Cause, Delivery, Message},
    name::{Subject, SubjectPattern},
};

impl Remote {
    /// The span that published a message.
    pub fn of(message: &Message) -> Option<Self> {
        message.trace.map(|parent| Self { parent, state: message.trace_state.clone() })
    }

    pub(super) fn of_cause(cause: &Cause) -> Option<Self> {
        cause.trace.map(|parent| Self { parent, state: cause.trace_state.clone() })
    }
}

/// A message on its way out.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// `publish` or `request`.
    pub operation: &'static str,
    /// Where it goes.
    pub subject: &'a Subject,
    /// The pattern that the subject is one of.
    pub template: &'a SubjectPattern,
    /// Its id.
    pub id: &'a str,
    /// What it belongs to.
    pub correlation: &'a str,
    /// Bytes of its payload.
    pub size: usize,
}

/// A message that was delivered to us.
#[derive(Debug, Clone, Copy)]
pub struct Processing<'a> {
    /// The message.
    pub message: &'a Message,
    /// The pattern that its subject is one of.
    pub template: &'a SubjectPattern,
    /// The durable consumer or queue group.
    pub group: &'a str,
    /// Where it lies, if a stream holds it.
    pub delivery: Option<&'a Delivery>,
}

impl Telemetry {
    /// The span of a message on its way out, which whoever receives it will name as its parent.
    pub fn sending(&self, sending: Sending<'_>, cause: &Cause) -> Span {
        let beginning = Beginning {
            name: format!("{} {}", sending.operation, sending.template).into(),
            kind: SpanKind::Producer,
            parent: Remote::of_cause(cause),
            is_linked: false,
        };
        Span::begin(self.tracer(), beginning, || {
            let mut attributes = operation(sending.operation, "send", sending.template);
            attributes.extend([
                KeyValue::new("messaging.destination.name", sending.subject.to_string()),
                KeyValue::new("messaging.message.id", sending.id.to_owned()),
                KeyValue::new("messaging.message.conversation_id", sending.correlation.to_owned()),
                KeyValue::new("messaging.message.body.size", integer(sending.size)),
            ]);
            attributes
        })
    }

    /// The span of a handler: child of the span that sent the message, and linked to it.
    pub fn processing(&self, processing: Processing<'_>) -> Span {
        let message = processing.message;
        if let Some(parent) = Remote::of(message).filter(|remote| self.spares(remote)) {
            return Span::unseen(&parent);
        }
        let beginning = Beginning {
            name: format!("process {}", processing.template).into(),
            kind: SpanKind::Consumer,
            parent: Remote::of(message),
            is_linked: true,
        };
        Span::begin(self.tracer(), beginning, || process_attributes(&processing))
    }

    /// The span of a settlement, inside that of the handler.
    pub fn settling(&self, operation_name: &'static str, template: &SubjectPattern, group: &str) -> Span {
        let beginning = Beginning {
            name: format!("{operation_name} {template}").into(),
            kind: SpanKind::Client,
            parent: None,
            is_linked: false,
        };
        Span::begin(self.tracer(), beginning, || {
            let mut attributes = operation(operation_name, "settle", template);
            attributes.push(KeyValue::new("messaging.consumer.group.name", group.to_owned()));
            attributes
        })
    }

    /// The span of an HTTP request that we answer. `route` is the pattern, not the path.
    ///
    /// Convention: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
    pub fn serving_http(&self, method: &str, route: &str, parent: Option<Remote>) -> Span {
        let beginning =
            Beginning { name: format!("{method} {route}").into(), kind: SpanKind::Server, parent, is_linked: false };
        Span::begin(self.tracer(), beginning, || {
            let text = |key, value: &str| KeyValue::new(key, value.to_owned());
            vec![text("http.request.method", method), text("http.route", route)]
        })
    }

    /// The span of an HTTP request that we make.
    pub fn requesting_http(&self, method: &str, host: &str, template: &'static str) -> Span {
        let beginning = Beginning {
            name: format!("{method} {template}").into(),
            kind: SpanKind::Client,
            parent: None,
            is_linked: false,
        };
        Span::begin(self.tracer(), beginning, || {
            vec![
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("url.template", template),
                KeyValue::new("server.address", host.to_owned()),
            ]
        })
    }
}

fn operation(name: &'static str, kind: &'static str, template: &SubjectPattern) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "nats"),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.template", template.to_string()),
    ]
}

fn process_attributes(processing: &Processing<'_>) -> Vec<KeyValue> {
    let Processing { message, template, group, delivery } = processing;
    let mut attributes = operation("process", "process", template);
    attributes.extend([
        KeyValue::new("messaging.destination.name", message.subject.to_string()),
        KeyValue::new("messaging.consumer.group.name", (*group).to_owned()),
        KeyValue::new("messaging.message.body.size", integer(message.payload.len())),
    ]);
    let mut text = |key, value: Option<&str>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    };
    text("messaging.message.id", message.id.as_ref().map(|id| id.0.as_str()));
    text("messaging.message.conversation_id", message.correlation.as_ref().map(|id| id.0.as_str()));
    text("streamgauge.causation_id", message.causation.as_ref().map(|id| id.0.as_str()));
    if let Some(delivery) = delivery {
        attributes.extend([
            KeyValue::new("messaging.nats.stream", delivery.stream.to_string()),
            KeyValue::new("messaging.nats.consumer", delivery.consumer.to_string()),
            KeyValue::new("messaging.nats.stream_sequence", integer(delivery.stream_sequence)),
            KeyValue::new("messaging.nats.consumer_sequence", integer(delivery.consumer_sequence)),
            KeyValue::new("messaging.nats.delivery_count", integer(delivery.delivered)),
        ]);
    }
    attributes
}

pub(super) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
