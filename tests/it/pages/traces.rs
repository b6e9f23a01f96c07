//! The pages of traces: what was searched is said, what failed comes first, and a message's time is told apart.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, Status, span},
};
use serde_json::json;
use streamgauge::{
    clock::{Clock, Timestamp},
    traces::{Receiver, Store, Taking, Traces},
    web::Settings,
};
use tokio::sync::watch;

use super::{
    facts::{TRACE, now, snapshot},
    router_with,
};
use crate::{
    support::{
        page::Page,
        spans::{pair, request, text},
    },
    traces::post_to,
};

/// Milliseconds after ten o'clock on the day of the tests.
pub(crate) fn at(millis: u64) -> u64 {
    u64::try_from(now().0.unix_timestamp_nanos()).unwrap() - 60_000_000_000 + millis * 1_000_000
}

pub(crate) fn hex(id: &str) -> Vec<u8> {
    (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect()
}

fn made(id: u8, parent: u8, name: &str, kind: i32, times: (u64, u64), attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: hex(TRACE),
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: name.to_owned(),
        kind,
        start_time_unix_nano: at(times.0),
        end_time_unix_nano: at(times.1),
        attributes,
        ..Span::default()
    }
}

/// An order: placed, stored after 2 ms, handled after 30 ms more, refused, and settled.
fn order() -> Vec<ExportTraceServiceRequest> {
    let published = vec![
        text("messaging.message.id", "m-1"),
        text("messaging.nats.stream", "ORDERS"),
        pair("messaging.nats.stream_sequence", Value::IntValue(42)),
    ];
    let storefront = vec![
        made(1, 0, "POST /orders", 2, (0, 10), vec![text("http.route", "/orders")]),
        made(2, 1, "publish orders.placed.*", 4, (4, 6), published),
    ];
    let message = vec![
        text("messaging.destination.name", "orders.placed.o-1"),
        text("messaging.nats.stream", "ORDERS"),
        text("messaging.nats.consumer", "payments-charge"),
        text("messaging.message.conversation_id", "o-1"),
        pair("messaging.nats.stream_sequence", Value::IntValue(42)),
        pair("messaging.nats.delivery_count", Value::IntValue(2)),
    ];
    let refused = Some(Status { message: "the card was refused".to_owned(), code: 2 });
    let link = span::Link { trace_id: vec![9; 16], span_id: vec![8; 8], ..span::Link::default() };
    let payments = vec![
        Span { links: vec![link], ..made(3, 2, "process orders.placed.*", 5, (36, 86), message) },
        Span { status: refused, ..made(4, 3, "POST /charge", 3, (40, 80), Vec::new()) },
        made(5, 3, "ack orders.placed.*", 3, (84, 85), vec![text("messaging.operation.type", "settle")]),
    ];
    vec![request("storefront", storefront), request("payments", payments)]
}

/// Traces as an observer shows them that was sent these.
pub(crate) async fn traces(sent: Vec<ExportTraceServiceRequest>) -> Traces {
    let store = Store::new(1 << 20, Clock::standing_at(now()));
    for request in sent {
        post_to(&store, &request).await;
    }
    Traces { receiver: Receiver::new(store), taking: Taking::At(["127.0.0.1:4318".parse().unwrap()].into()) }
}

/// What the broker n1 tells of the message that span 2 published, so many milliseconds after ten o'clock.
fn told_by_the_broker(traces: &Traces, millis: u64) {
    let moment = Timestamp::of_nanos(at(millis)).unwrap().to_string();
    let event = json!({
        "server": { "name": "n1", "id": "NABC", "ver": "2.15.1", "seq": 1 },
        "request": { "header": { "traceparent": [format!("00-{TRACE}-{}-01", "02".repeat(8))] } },
        "events": [
            { "type": "in", "ts": moment, "kind": 0, "cid": 6, "subj": "orders.placed.o-1" },
            { "type": "js", "ts": moment, "stream": "ORDERS" },
        ],
    });
    traces.receiver.take_event(event.to_string().as_bytes());
    assert_eq!(traces.receiver.intake().events.taken, 1);
}

/// Those of one order.
pub(crate) async fn of_an_order() -> Traces {
    traces(order()).await
}

async fn page_of(traces: Traces, path: &str) -> Page {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    Page::of(&router_with(snapshots, Settings { traces, ..Settings::default() }), path).await
}

#[tokio::test]
async fn the_list_says_what_was_found_and_how_much_was_searched() {
    let page = page_of(of_an_order().await, "/traces").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text("h1 + .note"), "Searched 1 of 1 trace");
    let row = format!("#trace-{TRACE}");
    assert_eq!(page.text(&format!("{row} th")), "POST /orders storefront");
    assert_eq!(page.texts(&format!("{row} td")), ["1 min ago", "86.0 ms", "5", "1 failed", "payments, storefront"]);
    assert_eq!(page.attributes(&format!("{row} a"), "href"), [format!("/traces/{TRACE}")]);
    assert_eq!(page.texts("select[name=service] option"), ["all", "payments", "storefront"]);
    let said = page.text("#traces .sources");
    assert!(
        said.starts_with(
            "Traces are taken at http://127.0.0.1:4318 by OTLP, over HTTP and gRPC. Kept: 1 trace of 5 spans in"
        ),
        "{said}"
    );
    assert_eq!(page.count("details.finer[open]"), 0);
}

#[tokio::test]
async fn what_began_last_comes_first_in_whatever_order_spans_come() {
    let began = |trace: u8, name: &str, millis| Span {
        trace_id: vec![trace; 16],
        ..made(1, 0, name, 1, (millis, millis + 1), Vec::new())
    };
    let spans = [began(1, "second", 20), began(2, "third", 30), began(3, "first", 10)];
    let sent = spans.map(|span| request("a", vec![span])).to_vec();
    let page = page_of(traces(sent).await, "/traces").await;
    assert_eq!(page.texts("#traces tbody th a"), ["third", "second", "first"]);
}

#[tokio::test]
async fn a_beginning_is_missing_only_once_it_would_have_come() {
    let headless = |trace: u8, millis| Span {
        trace_id: vec![trace; 16],
        ..made(2, 1, "process orders.placed.*", 5, (millis, millis + 1), Vec::new())
    };
    let sent = [headless(1, 0), headless(2, 29_000), headless(3, 31_000)].map(|span| request("payments", vec![span]));
    let page = page_of(traces(sent.to_vec()).await, "/traces").await;
    assert_eq!(page.texts("#traces tbody .sign"), ["still coming", "beginning missing", "beginning missing"]);
}

#[tokio::test]
async fn secrets_are_left_out_of_what_spans_say() {
    let refused = Some(Status { message: "postgres://a:hunter2@db password=hunter2".to_owned(), code: 2 });
    let told = vec![text("password", "hunter2"), text("url.full", "https://x/?token=hunter2"), text("order", "o-1")];
    let span = Span { status: refused, ..made(1, 0, "GET /x?token=hunter2", 2, (0, 9), told) };
    let traces = traces(vec![request("shop", vec![span])]).await;
    for path in
        ["/traces".to_owned(), format!("/traces/{TRACE}?span=0101010101010101"), format!("/api/v1/traces/{TRACE}")]
    {
        let page = page_of(traces.clone(), &path).await;
        assert!(!page.html.contains("hunter2") && page.html.contains("[masked: "), "{path}: {}", page.html);
    }
}

#[tokio::test]
async fn a_broker_is_no_service() {
    let traces = of_an_order().await;
    told_by_the_broker(&traces, 5);
    let list = page_of(traces.clone(), "/traces").await;
    assert_eq!(list.texts("select[name=service] option"), ["all", "payments", "storefront"]);
    let row = list.texts(&format!("#trace-{TRACE} td"));
    assert_eq!((row[2].as_str(), row[4].as_str()), ("7", "payments, storefront"));
    let page = page_of(traces, &format!("/traces/{TRACE}")).await;
    assert_eq!(page.text("h1 + .note"), "began 1 min ago, took 86.0 ms, 7 spans, 2 services, 1 failed");
    assert_eq!(page.texts(".waterfall .tag").iter().filter(|tag| *tag == "told by the broker").count(), 2);
}

#[tokio::test]
async fn a_trace_is_called_after_what_a_service_did_where_one_tells() {
    // The broker tells at once, the handler when it has ended, and the publisher nothing.
    let headless = traces(Vec::new()).await;
    told_by_the_broker(&headless, 0);
    let alone = page_of(headless.clone(), "/traces").await;
    assert_eq!(alone.text(&format!("#trace-{TRACE} th")), "broker takes the message in n1");
    assert_eq!(alone.texts(&format!("#trace-{TRACE} td"))[4], "a broker alone");
    let page = page_of(headless.clone(), &format!("/traces/{TRACE}")).await;
    assert_eq!(page.text("h1"), "broker takes the message in");
    assert_eq!(page.text("h1 + .note"), "began 1 min ago, took 0 µs, 2 spans");

    let refused = Some(Status { message: "the card was refused".to_owned(), code: 2 });
    let handler = Span { status: refused, ..made(3, 2, "process orders.placed.*", 5, (36, 86), Vec::new()) };
    post_to(headless.store(), &request("payments", vec![handler])).await;
    let list = page_of(headless.clone(), "/traces").await;
    assert_eq!(list.text(&format!("#trace-{TRACE} th")), "process orders.placed.* payments");
    let row = list.texts(&format!("#trace-{TRACE} td"));
    assert_eq!(row[1..], ["86.0 ms", "3", "1 failed", "payments"]);
    let page = page_of(headless, &format!("/traces/{TRACE}")).await;
    assert_eq!(page.text("h1"), "process orders.placed.*");
    assert_eq!(page.text("h1 + .note"), "began 1 min ago, took 86.0 ms, 3 spans, 1 service, 1 failed");
}

#[tokio::test]
async fn a_search_is_told_by_its_address() {
    for (query, rows) in [
        ("?service=payments&status=error", 1),
        ("?service=storefront&status=error", 0),
        ("?stream=ORDERS&consumer=payments-charge", 1),
        ("?correlation=o-1", 1),
        ("?subject=orders.placed.%3E", 1),
        ("?min=1s", 0),
    ] {
        let page = page_of(of_an_order().await, &format!("/traces{query}")).await;
        assert_eq!(page.count("#traces tbody tr"), rows, "{query}");
        assert_eq!(page.count("#traces .gap"), 1 - rows, "{query}");
    }
    let page = page_of(of_an_order().await, "/traces?min=soon&stream=ORDERS").await;
    assert_eq!(page.text("p.gap.warning"), "Not asked for: `soon` is not a duration such as 250ms, 1.5s or 2m.");
    assert_eq!(page.attributes("input[name=stream]", "value"), ["ORDERS"]);
    assert_eq!(page.count("details.finer[open]"), 1, "what is asked for is seen");
}

#[tokio::test]
async fn the_journey_of_what_is_searched_for_is_one_step_away() {
    for (query, journey) in [
        ("", "/journey"),
        ("?q=o-1", "/journey?id=o-1"),
        ("?message=m-1&q=process", "/journey?id=m-1"),
        ("?correlation=o-1", "/journey?id=o-1"),
        ("?q=publish+orders.placed.*", "/journey"),
        ("?service=payments", "/journey"),
    ] {
        let page = page_of(of_an_order().await, &format!("/traces{query}")).await;
        assert_eq!(page.attributes("header .into", "href"), [journey], "{query}");
        assert_eq!(page.text("header .into"), "Journey of a message or order");
    }
}

#[tokio::test]
async fn an_empty_list_says_what_to_do() {
    let none = |taking| Traces { receiver: Receiver::new(Store::new(1 << 20, Clock::standing_at(now()))), taking };
    let busy = "127.0.0.1:4318".parse().unwrap();
    for (taking, said) in [
        (Taking::Off, "start the observer with --otlp"),
        (Taking::Busy(busy), "another program listens on 127.0.0.1:4318"),
        (Taking::At([busy].into()), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"),
    ] {
        let page = page_of(none(taking), "/traces").await;
        let gap = page.text("#traces .gap");
        assert!(gap.contains(said), "{gap}");
    }
}

#[tokio::test]
async fn what_failed_comes_first_and_a_message_s_time_is_told_apart() {
    let page = page_of(of_an_order().await, &format!("/traces/{TRACE}")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text("h1"), "POST /orders");
    assert_eq!(page.text("h1 + .note"), "began 1 min ago, took 86.0 ms, 5 spans, 2 services, 1 failed");
    assert_eq!(page.texts("#failures li"), ["POST /charge in payments: the card was refused"]);
    assert_eq!(page.text("#hops tbody th"), "orders.placed.o-1");
    let cells = page.texts("#hops tbody td");
    assert_eq!(cells, ["payments-charge delivery 2", "2.0 ms", "30.0 ms", "50.0 ms", "1.0 ms"]);
    let names = page.texts(".waterfall .who a");
    assert_eq!(
        names,
        ["POST /orders", "publish orders.placed.*", "process orders.placed.*", "POST /charge", "ack orders.placed.*"]
    );
    assert_eq!(page.texts(".waterfall .under")[3..], ["payments asks", "payments settles"]);
    for (depth, spans) in [("d0", 1), ("d1", 1), ("d2", 1), ("d3", 2)] {
        assert_eq!(page.count(&format!(".waterfall .{depth}")), spans, "{depth}");
    }
    assert_eq!(page.texts(".waterfall .path .who a"), names[..3]);
    assert_eq!(page.count(".waterfall .failed"), 1);
    assert_eq!(page.attributes(".waterfall .wait", "x"), ["69"]);
    assert_eq!(page.attributes(".waterfall .wait", "width"), ["349"]);
    assert_eq!(page.count("#chosen"), 0);
    assert_eq!(page.count("[style]"), 0);
}

#[tokio::test]
async fn a_span_is_looked_at_by_its_address() {
    let span = "03".repeat(8);
    let page = page_of(of_an_order().await, &format!("/traces/{TRACE}?span={span}")).await;
    assert_eq!(page.text("#chosen h2"), "process orders.placed.*");
    let said = page.texts("#chosen dl:first-of-type div");
    assert!(said.contains(&"Service payments".to_owned()) && said.contains(&"Took 50.0 ms".to_owned()), "{said:?}");
    let attributes = page.texts("#chosen dt");
    assert!(attributes.contains(&"messaging.nats.stream".to_owned()), "{attributes:?}");
    let other = format!("/traces/{}?span={}", "09".repeat(16), "08".repeat(8));
    let links = page.attributes("#chosen a", "href");
    assert!(links.contains(&other), "{links:?}");
    let message = "/messages/A/ORDERS/42".to_owned();
    assert!(links.contains(&message), "the message as its stream holds it: {links:?}");
    let publishing = page_of(of_an_order().await, &format!("/traces/{TRACE}?span={}", "02".repeat(8))).await;
    assert!(publishing.attributes("#chosen a", "href").contains(&message), "from who published it too");
    assert_eq!(page.attributes(".waterfall [aria-current]", "href"), [format!("/traces/{TRACE}?span={span}")]);
}

#[tokio::test]
async fn a_trace_that_is_not_kept_says_why_it_may_not_be() {
    let page = page_of(of_an_order().await, &format!("/traces/{}", "ab".repeat(16))).await;
    assert_eq!(page.status, 404);
    assert!(page.text(".gap").contains("it made room for newer ones"), "{}", page.text(".gap"));
}

#[tokio::test]
async fn a_trace_that_is_not_whole_and_one_that_makes_no_sense_are_shown_with_a_note() {
    let spans = vec![
        made(1, 7, "<b>orphan</b>", 1, (5, 9), vec![text("<i>", "\"><script>")]),
        made(2, 1, "early", 1, (1, 3), Vec::new()),
        made(2, 1, "early", 1, (1, 3), Vec::new()),
        made(4, 5, "round", 1, (1, 3), Vec::new()),
        made(5, 4, "and round", 1, (1, 3), Vec::new()),
    ];
    let page =
        page_of(traces(vec![request("", spans)]).await, &format!("/traces/{TRACE}?span={}", "01".repeat(8))).await;
    assert_eq!(page.texts(".waterfall .who a"), ["<b>orphan</b>", "early", "round", "and round"]);
    let notes = page.texts("#spans p.gap");
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].starts_with("1 span below a span that has not come"), "{notes:?}");
    assert!(notes[1].starts_with("1 span begin before their parent"), "{notes:?}");
    assert!(notes[2].starts_with("1 span came more than once"), "{notes:?}");
    assert_eq!(page.count("#spans b b, #chosen script, #chosen i"), 0);
    assert_eq!(page.texts(".waterfall .tag"), ["parent missing", "clock differs"]);
}

#[tokio::test]
async fn a_trace_of_thousands_of_spans_is_drawn_in_part_and_says_so() {
    let spans = (0..4_000_u32).map(|number| Span {
        span_id: (u64::from(number) + 1).to_be_bytes().to_vec(),
        ..made(1, 0, "step", 1, (u64::from(number), u64::from(number) + 1), Vec::new())
    });
    let spans: Vec<Span> = spans.collect();
    let sent = spans.chunks(500).map(|part| request("a", part.to_vec())).collect();
    let page = page_of(traces(sent).await, &format!("/traces/{TRACE}")).await;
    assert_eq!(page.count(".waterfall > li"), 1_000);
    let notes = page.texts("#spans p.gap");
    assert!(notes.iter().any(|note| note.contains("more are not drawn")), "{notes:?}");
}

#[tokio::test]
async fn a_record_leads_to_its_trace() {
    let page = page_of(of_an_order().await, "/records/order").await;
    assert!(page.attributes("a.trace", "href").contains(&format!("/traces/{TRACE}")), "{}", page.html);
    assert!(page.attributes("a.trace", "target").is_empty());
}
