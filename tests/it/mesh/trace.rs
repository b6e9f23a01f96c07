//! One trace follows each order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{LIMIT, Mesh, PAID, order};
use crate::{
    conventions,
    support::otlp::{Collector, Span, SpanKind, orphans, outline, pieces},
};

/// Service, kind and name of each span of an order that completes, and how many there are.
const EXPECTED: &[(&str, SpanKind, &str, usize)] = &[
    ("storefront", SpanKind::Server, "POST /orders", 1),
    ("storefront", SpanKind::Producer, "request pricing.quote", 1),
    ("pricing", SpanKind::Consumer, "process pricing.quote", 1),
    ("storefront", SpanKind::Producer, "publish orders.placed.*", 1),
    ("inventory", SpanKind::Consumer, "process orders.placed.*", 1),
    ("inventory", SpanKind::Producer, "publish inventory.reserved.*", 1),
    ("inventory", SpanKind::Client, "ack orders.placed.*", 1),
    ("payments", SpanKind::Consumer, "process inventory.reserved.*", 1),
    ("payments", SpanKind::Client, "POST /charges", 1),
    ("provider", SpanKind::Server, "POST /charges", 1),
    ("payments", SpanKind::Producer, "publish payments.charged.*", 1),
    ("payments", SpanKind::Client, "ack inventory.reserved.*", 1),
    ("orders", SpanKind::Consumer, "process orders.placed.*", 1),
    ("orders", SpanKind::Client, "ack orders.placed.*", 1),
    ("orders", SpanKind::Consumer, "process inventory.reserved.*", 1),
    ("orders", SpanKind::Client, "ack inventory.reserved.*", 1),
    ("orders", SpanKind::Consumer, "process payments.charged.*", 1),
    ("orders", SpanKind::Producer, "publish orders.completed.*", 1),
    ("orders", SpanKind::Client, "ack payments.charged.*", 1),
    ("orders", SpanKind::Consumer, "process orders.completed.*", 1),
    ("orders", SpanKind::Client, "ack orders.completed.*", 1),
    ("inventory", SpanKind::Consumer, "process orders.completed.*", 1),
    ("inventory", SpanKind::Client, "ack orders.completed.*", 1),
    ("notifications", SpanKind::Consumer, "process orders.completed.*", 1),
    ("notifications", SpanKind::Client, "ack orders.completed.*", 1),
    ("shipping", SpanKind::Consumer, "process orders.completed.*", 1),
    ("shipping", SpanKind::Producer, "publish shipping.printed.*", 1),
    ("shipping", SpanKind::Producer, "publish shipping.moved.*.*", 3),
    ("shipping", SpanKind::Client, "ack orders.completed.*", 1),
    ("shipping", SpanKind::Consumer, "process shipping.moved.*.*", 3),
    ("shipping", SpanKind::Client, "ack shipping.moved.*.*", 3),
];

#[tokio::test]
async fn the_spans_of_an_order_are_one_graph_and_its_log_lines_name_it() {
    let collector = Collector::start().await;
    let mesh = Mesh::start_with(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ])
    .await;
    let taken = mesh.post(&[], &order("ada", "tea", 3)).await;
    assert_eq!(taken.status, 202, "{}", taken.body);
    let id = taken.json()["id"].as_str().unwrap().to_owned();
    let trace_id = mesh.ended(&id, PAID).await["trace_id"].as_str().unwrap().to_owned();
    let of_order =
        |spans: &[Span]| -> Vec<Span> { spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect() };
    let count: usize = EXPECTED.iter().map(|(_, _, _, count)| count).sum();
    let spans = collector.wait_until(LIMIT, "every span", |spans| of_order(spans).len() >= count).await;
    let spans = of_order(&spans);

    let mut found: BTreeMap<(&str, String, &str), usize> = BTreeMap::new();
    for span in &spans {
        *found.entry((&span.service, format!("{:?}", span.kind), &span.name)).or_default() += 1;
    }
    let expected = EXPECTED.iter().map(|(service, kind, name, count)| ((*service, format!("{kind:?}"), *name), *count));
    assert_eq!(found, expected.collect(), "\n{}", outline(&spans));
    assert!(orphans(&spans).is_empty(), "\n{}", outline(&spans));
    assert_eq!(pieces(&spans), 1, "\n{}", outline(&spans));
    assert_eq!(spans.iter().filter(|span| span.parent.is_none()).count(), 1);
    assert!(spans.iter().all(|span| !span.failed), "\n{}", outline(&spans));
    for span in spans.iter().filter(|span| span.kind == SpanKind::Consumer) {
        comes_from_its_sender(span, &spans, &id);
    }
    conventions::spans_keep_to_them(&spans);
    lines_name_the_trace(&mesh, &id, &trace_id);
}

fn comes_from_its_sender(span: &Span, spans: &[Span], order_id: &str) {
    let parent = spans.iter().find(|other| Some(&other.span_id) == span.parent.as_ref()).unwrap();
    let template = span.name.strip_prefix("process ").unwrap();
    assert_eq!(parent.kind, SpanKind::Producer, "{}", span.name);
    assert!(parent.name.ends_with(template), "{} < {}", span.name, parent.name);
    assert_eq!(span.links, [(parent.trace_id.clone(), parent.span_id.clone())], "{}", span.name);
    for both in ["messaging.message.id", "messaging.destination.name", "messaging.destination.template"] {
        assert_eq!(span.attributes[both], parent.attributes[both], "{}", span.name);
    }
    if parent.name.starts_with("publish ") {
        for place in ["messaging.nats.stream", "messaging.nats.stream_sequence"] {
            assert_eq!(span.attributes[place], parent.attributes[place], "{} lies where its sender says", span.name);
        }
    }
    assert_eq!(span.attributes["messaging.system"], "nats");
    assert_eq!(span.attributes["messaging.message.conversation_id"], order_id);
    assert!(!span.name.contains(order_id));
}

fn lines_name_the_trace(mesh: &Mesh, order_id: &str, trace_id: &str) {
    let lines = mesh.log();
    let of_order: Vec<_> = lines.iter().filter(|line| line.to_string().contains(order_id)).collect();
    for line in &of_order {
        assert_eq!((&line["trace_id"], &line["order_id"]), (&json!(trace_id), &json!(order_id)), "{line}");
    }
    let services: BTreeSet<_> = of_order.iter().filter_map(|line| line["service"].as_str()).collect();
    let all = ["inventory", "notifications", "orders", "payments", "pricing", "provider", "shipping", "storefront"];
    assert_eq!(services, all.into());
}
