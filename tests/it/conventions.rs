//! The names of spans, attributes and metrics are those of OpenTelemetry's semantic conventions, as the conventions' own crate spells them.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_semantic_conventions::{attribute, metric};
use streamgauge::telemetry::{Metrics, metrics::FAMILIES};

use crate::support::otlp::{Span, SpanKind, outline};

/// What every span of messaging says.
const MESSAGING: [&str; 4] = [
    attribute::MESSAGING_SYSTEM,
    attribute::MESSAGING_OPERATION_NAME,
    attribute::MESSAGING_OPERATION_TYPE,
    attribute::MESSAGING_DESTINATION_TEMPLATE,
];

/// What a span of one message says of it beside that.
const OF_ONE_MESSAGE: [&str; 4] = [
    attribute::MESSAGING_DESTINATION_NAME,
    attribute::MESSAGING_MESSAGE_ID,
    attribute::MESSAGING_MESSAGE_CONVERSATION_ID,
    attribute::MESSAGING_MESSAGE_BODY_SIZE,
];

/// What the conventions have no name for: where NATS keeps a message, what became of it, and which message was the cause of it.
const OURS: [&str; 9] = [
    "messaging.nats.stream",
    "messaging.nats.duplicate",
    "messaging.nats.consumer",
    "messaging.nats.stream_sequence",
    "messaging.nats.consumer_sequence",
    "messaging.nats.delivery_count",
    "messaging.nats.outcome",
    "streamgauge.attempt",
    "streamgauge.causation_id",
];

/// Operations and their types, with the kind of their spans.
///
/// Convention: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/#operation-types>
const OPERATIONS: [(&str, &str, SpanKind); 4] = [
    ("publish", "send", SpanKind::Producer),
    ("request", "send", SpanKind::Producer),
    ("process", "process", SpanKind::Consumer),
    ("ack", "settle", SpanKind::Client),
];

/// Fails where a span does not speak as the conventions do.
pub fn spans_keep_to_them(spans: &[Span]) {
    let mut operations = BTreeSet::new();
    for span in spans {
        let said: BTreeSet<&str> = span.attributes.keys().map(String::as_str).collect();
        match span.attributes.get(attribute::MESSAGING_OPERATION_NAME) {
            Some(name) => {
                operations.insert(name.as_str());
                speaks_of_messaging(span, name, &said);
            }
            None => speaks_of_http(span, &said),
        }
    }
    assert_eq!(operations, OPERATIONS.map(|(name, _, _)| name).into(), "\n{}", outline(spans));
}

fn speaks_of_messaging(span: &Span, name: &str, said: &BTreeSet<&str>) {
    let (_, of_type, kind) = OPERATIONS.into_iter().find(|(known, _, _)| *known == name).unwrap();
    let value = |key: &str| span.attributes[key].as_str();
    assert_eq!((value(attribute::MESSAGING_OPERATION_TYPE), span.kind), (of_type, kind), "{span:?}");
    assert_eq!(span.name, format!("{name} {}", value(attribute::MESSAGING_DESTINATION_TEMPLATE)));
    assert_eq!(value(attribute::MESSAGING_SYSTEM), "nats");
    let mut expected: BTreeSet<&str> = MESSAGING.into();
    if of_type != "settle" {
        expected.extend(OF_ONE_MESSAGE);
    }
    if of_type != "send" {
        expected.insert(attribute::MESSAGING_CONSUMER_GROUP_NAME);
    }
    // Who publishes hears from the stream where the message lies; who asks does not.
    if name == "publish" {
        expected.extend(["messaging.nats.stream", "messaging.nats.stream_sequence"]);
    }
    let ours: BTreeSet<&str> = match name {
        "process" => OURS.into(),
        "publish" => ["messaging.nats.duplicate"].into(),
        _ => BTreeSet::new(),
    };
    let missing: Vec<_> = expected.difference(said).collect();
    let strange: Vec<_> = said.iter().filter(|key| !expected.contains(*key) && !ours.contains(*key)).collect();
    assert!(missing.is_empty() && strange.is_empty(), "{}: {missing:?} missing, {strange:?} strange", span.name);
}

fn speaks_of_http(span: &Span, said: &BTreeSet<&str>) {
    let both = [attribute::HTTP_REQUEST_METHOD, attribute::HTTP_RESPONSE_STATUS_CODE];
    let own: &[&str] = match span.kind {
        SpanKind::Server => &[attribute::HTTP_ROUTE],
        _ => &[attribute::URL_TEMPLATE, attribute::SERVER_ADDRESS],
    };
    assert_eq!(*said, both.iter().chain(own).copied().collect(), "{}", span.name);
    let target = if span.kind == SpanKind::Server { attribute::HTTP_ROUTE } else { attribute::URL_TEMPLATE };
    let value = |key: &str| span.attributes[key].as_str();
    assert_eq!(span.name, format!("{} {}", value(attribute::HTTP_REQUEST_METHOD), value(target)));
}

/// A name as Prometheus writes it.
fn written(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", name.replace('.', "_"))
}

#[test]
fn metrics_are_named_as_the_conventions_name_them() {
    let expected = BTreeMap::from([
        (written(metric::MESSAGING_CLIENT_OPERATION_DURATION, "_seconds"), "Histogram".to_owned()),
        (written(metric::MESSAGING_CLIENT_SENT_MESSAGES, "_total"), "Counter".to_owned()),
        (written(metric::MESSAGING_CLIENT_CONSUMED_MESSAGES, "_total"), "Counter".to_owned()),
        (written(metric::MESSAGING_PROCESS_DURATION, "_seconds"), "Histogram".to_owned()),
    ]);
    let ours = FAMILIES.iter().filter(|family| family.name.starts_with("messaging_"));
    let found = ours.map(|family| (family.name.to_owned(), format!("{:?}", family.kind)));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn labels_of_those_metrics_are_attributes_of_the_conventions() {
    let known = [
        attribute::MESSAGING_OPERATION_NAME,
        attribute::MESSAGING_DESTINATION_TEMPLATE,
        attribute::MESSAGING_CONSUMER_GROUP_NAME,
        attribute::ERROR_TYPE,
    ]
    .map(|name| written(name, ""));
    for family in FAMILIES.iter().filter(|family| family.name.starts_with("messaging_")) {
        for label in family.labels {
            assert!(known.iter().any(|name| name == label), "{}: {label}", family.name);
        }
    }
}

#[test]
fn durations_fall_into_the_buckets_that_the_conventions_ask_for() {
    let metrics = Metrics::default();
    let _route = metrics.route("orders.placed.*", "reserve");
    let text = metrics.exposition();
    for family in ["messaging_client_operation_duration_seconds", "messaging_process_duration_seconds"] {
        let of_family = text.lines().filter(|line| line.starts_with(&format!("{family}_bucket")));
        let bounds: Vec<&str> =
            of_family.filter_map(|line| line.split_once("le=\"")?.1.split_once('"')).map(|(bound, _)| bound).collect();
        let expected = [
            "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5", "7.5", "10",
            "+Inf",
        ];
        assert_eq!(bounds, expected, "{family}\n{text}");
    }
}
