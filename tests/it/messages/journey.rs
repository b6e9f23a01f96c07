//! The journey of a message over a real nats-server: out of headers alone, with spans, and where nothing is found.

use std::time::Duration;

use async_nats::jetstream::{consumer::pull, stream};
use futures_util::StreamExt;
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value as Attribute,
    trace::v1::{Span, Status},
};
use serde_json::{Value, json};
use streamgauge::{
    clock::{Clock, Timestamp},
    config::NatsConfig,
    traces::{Receiver, Store, Taking, Traces},
};

use super::{ACCOUNT, HOSTILE, LIMIT, NatsServer, Observer, jetstream, publish, publish_with};
use crate::{
    api::faults_of,
    pages::traces::hex,
    support::{
        eventually,
        page::Page,
        spans::{pair, request, text},
    },
    traces::post_to,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A NATS, a store of traces and an observer of both.
struct Stage {
    server: NatsServer,
    jetstream: jetstream::Context,
    store: Store,
    observer: Observer,
}

impl Stage {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        for (name, subjects) in [("ORDERS", "orders.>"), ("PAYMENTS", "payments.>"), ("DEAD_LETTERS", "dead.>")] {
            let subjects = vec![subjects.to_owned()];
            let config = stream::Config { name: name.to_owned(), subjects, allow_direct: true, ..Default::default() };
            jetstream.create_stream(config).await.unwrap();
        }
        let store = Store::new(1 << 20, Clock::system());
        let traces = Traces { receiver: Receiver::new(store.clone()), taking: Taking::Off };
        let app = NatsConfig { url: Some(server.url()), ..NatsConfig::default() };
        let observer = Observer::with(app, traces);
        for name in ["ORDERS", "PAYMENTS", "DEAD_LETTERS"] {
            observer.sees(name).await;
        }
        Self { server, jetstream, store, observer }
    }

    async fn send(&self, subject: &str, headers: &[(&str, &str)]) -> u64 {
        publish_with(&self.jetstream, subject, headers, b"{}".to_vec()).await
    }

    async fn page(&self, path: &str) -> Page {
        Page::of(&self.observer.router, path).await
    }

    async fn answer(&self, path: &str) -> (u16, Value) {
        let page = self.page(path).await;
        (page.status.as_u16(), serde_json::from_str(&page.html).unwrap())
    }
}

/// An order that was placed, charged for it, and given up by whoever sends mails.
async fn an_order(stage: &Stage) {
    let parent = |span: u8| format!("00-{TRACE}-{}-01", format!("{span:02x}").repeat(8));
    let (placed, charged) = (parent(1), parent(4));
    let common = [("correlation-id", "o-1")];
    let of_placed =
        [("Nats-Msg-Id", "m-1"), ("ce-type", "OrderPlaced"), ("ce-source", "storefront"), ("traceparent", &placed)];
    stage.send("orders.placed.1", &[&of_placed[..], &common].concat()).await;
    let of_charged = [
        ("Nats-Msg-Id", "m-2"),
        ("causation-id", "m-1"),
        ("ce-type", "PaymentCharged"),
        ("ce-source", "payments"),
        ("traceparent", &charged),
    ];
    stage.send("payments.charged.1", &[&of_charged[..], &common].concat()).await;
    stage.send("orders.placed.2", &[("Nats-Msg-Id", "m-9"), ("correlation-id", "o-2")]).await;
    let letter = [
        ("dead-letter-stream", "ORDERS"),
        ("dead-letter-consumer", "mail"),
        ("dead-letter-sequence", "1"),
        ("dead-letter-message-id", "m-1"),
        ("dead-letter-reason", "the mail server refuses"),
        ("dead-letter-class", "rejected"),
    ];
    stage.send("dead.ORDERS.mail", &[&letter[..], &common].concat()).await;
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.0.unix_timestamp_nanos()).unwrap()
}

fn made(id: u8, parent: u8, kind: i32, times: (u64, u64), said: &[(&str, &str)]) -> Span {
    let number = |value: &str| value.parse().map(Attribute::IntValue);
    let attribute = |(key, value): &(&str, &str)| match number(value) {
        Ok(number) => pair(key, number),
        Err(_) => text(key, value),
    };
    Span {
        trace_id: hex(TRACE),
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: "a span".to_owned(),
        kind,
        start_time_unix_nano: times.0,
        end_time_unix_nano: times.1,
        attributes: said.iter().map(attribute).collect(),
        ..Span::default()
    }
}

/// The spans of the order: its message is published, handled in vain and handled.
async fn its_spans(stage: &Stage) {
    const MS: u64 = 1_000_000;
    let stored = async |stream: &str| {
        let stream = stage.jetstream.get_stream(stream).await.unwrap();
        nanos(Timestamp(stream.direct_get(1).await.unwrap().time))
    };
    let (placed, charged) = (stored("ORDERS").await, stored("PAYMENTS").await);
    let handled = [
        ("messaging.nats.stream", "ORDERS"),
        ("messaging.nats.stream_sequence", "1"),
        ("messaging.nats.consumer", "charge"),
        ("messaging.message.id", "m-1"),
        ("messaging.message.conversation_id", "o-1"),
    ];
    let attempt = |number: &'static str| [&handled[..], &[("streamgauge.attempt", number)]].concat();
    let first = made(2, 1, 5, (placed + 1_000, placed + 2_000), &attempt("1"));
    let refused = Some(Status { message: "the provider is out".to_owned(), code: 2 });
    let spans = [
        request("storefront", vec![made(1, 0, 4, (placed - MS, placed + MS), &[("messaging.message.id", "m-1")])]),
        request(
            "payments",
            vec![
                Span { status: refused, ..first },
                made(3, 1, 5, (placed + 3_000, charged + 2 * MS), &attempt("2")),
                made(4, 3, 4, (placed + 4_000, charged + MS), &[("messaging.message.id", "m-2")]),
            ],
        ),
    ];
    for request in spans {
        post_to(&stage.store, &request).await;
    }
}

#[tokio::test]
async fn headers_alone_tell_a_journey_and_that_is_said() {
    let stage = Stage::new().await;
    let orders = stage.jetstream.get_stream("ORDERS").await.unwrap();
    for name in ["done", "later"] {
        let config = pull::Config { durable_name: Some(name.into()), ..Default::default() };
        orders.create_consumer(config).await.unwrap();
    }
    an_order(&stage).await;
    let done = orders.get_consumer::<pull::Config>("done").await.unwrap();
    let mut messages = done.fetch().max_messages(1).messages().await.unwrap();
    messages.next().await.unwrap().unwrap().ack().await.unwrap();
    let states = async || {
        let page = stage.page("/journey?id=m-1").await;
        let states = [page.texts("#standings tbody th"), page.texts("#standings .sign")];
        if states == [["done", "later"], ["past it", "waiting"]] { Ok(page) } else { Err(states) }
    };
    let page = eventually(LIMIT, "the last round saw how far consumers are", states).await;
    assert_eq!(page.text("h1"), "Journey of m-1");
    assert_eq!(
        page.text("#answer .sentence"),
        "OrderPlaced, published by storefront, message 1 of ORDERS: mail gave OrderPlaced up."
    );
    assert!(page.text("#answer .details").contains("No span tells of it"), "{}", page.text("#answer"));
    let steps = page.texts("#steps .who");
    for (step, said) in steps.iter().zip([
        "storefront published OrderPlaced on orders.placed.1, stored in ORDERS as message 1",
        "payments published PaymentCharged on payments.charged.1, stored in PAYMENTS as message 1, because of OrderPlaced",
        "mail gave OrderPlaced up dead letter rejected on ORDERS the mail server refuses",
    ]) {
        assert!(step.starts_with(said), "{step}");
    }
    assert_eq!(steps.len(), 3);
    assert!(steps[1].ends_with("because of OrderPlaced, its journey"), "{steps:?}");
    let looked = page.texts("#looked tbody tr");
    assert!(looked.contains(&"ORDERSsearched 2 of 2newest first1".to_owned()), "{looked:?}");
    assert!(page.text("#looked .sources").starts_with("Traces: searched 0 of 0 traces."), "{}", page.html);
    let links = page.attributes("#answer a, #steps a", "href");
    for wanted in ["/journey?id=o-1", "/messages/$G/ORDERS/1", "/journey?id=m-2"] {
        assert!(links.contains(&wanted.to_owned()), "{wanted}: {links:?}");
    }
    for link in page.attributes("main a", "href") {
        assert_eq!(stage.page(&link).await.status, 200, "{link}");
    }
    let whole = stage.page("/journey?id=o-1").await;
    assert!(whole.text("#answer .sentence").starts_with("2 messages in 2 streams within"), "{}", whole.html);
    let message = stage.page("/messages/$G/ORDERS/1").await;
    assert!(message.attributes("#message a", "href").contains(&"/journey?id=m-1".to_owned()), "{}", message.html);
    drop(stage.server);
}

#[tokio::test]
async fn spans_add_who_handled_it_when_and_how_that_ended() {
    let stage = Stage::new().await;
    an_order(&stage).await;
    its_spans(&stage).await;
    for id in ["m-1", "o-1", TRACE, &format!("00-{TRACE}-0101010101010101-01")] {
        let page = stage.page(&format!("/journey?id={id}")).await;
        let steps = page.texts("#steps .who");
        for said in [
            "storefront published OrderPlaced",
            "charge tried to handle OrderPlaced failed payments the provider is out",
            "charge handled OrderPlaced done payments, attempt 2",
            "payments published PaymentCharged",
        ] {
            assert!(steps.iter().any(|step| step.starts_with(said)), "{id}: {said}: {steps:#?}");
        }
        assert_eq!(page.count("#steps .wait"), 2, "{id}: the time in the stream is drawn");
        let lengths = page.texts("#steps .took title");
        assert_eq!(lengths.len(), 2, "{id}: a length is told of the handlings, and of no moment: {lengths:?}");
        assert!(!page.html.contains("No span tells of it"), "{id}");
        let looked = page.texts("#looked tbody tr");
        assert!(looked.iter().all(|row| !row.contains("newest first")), "{id}: the trace tells when: {looked:?}");
    }
    let (status, answer) = stage.answer("/api/v1/journey?id=m-1").await;
    let (_, document) = stage.answer("/api/openapi.json").await;
    assert_eq!((status, faults_of(&document, "/journey", status, &answer)), (200, Vec::new()), "{answer:#}");
    assert_eq!((&answer["is_message"], &answer["is_correlation"]), (&json!(true), &json!(false)));
    let steps: Vec<(&str, &Value)> = answer["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["what"].as_str().unwrap(), &step["outcome"]))
        .collect();
    let (failed, done, none) = (&json!("failed"), &json!("done"), &Value::Null);
    let mut expected =
        vec![("published", none), ("handled", failed), ("handled", done), ("published", none), ("died", none)];
    expected.sort_by_key(|(what, outcome)| (*what, outcome.to_string()));
    let mut found = steps;
    found.sort_by_key(|(what, outcome)| (*what, outcome.to_string()));
    assert_eq!(found, expected, "{answer:#}");
    assert_eq!(answer["messages"][1]["cause"], 0);
    assert_eq!(stage.answer("/api/v1/journey").await.0, 400);
}

#[tokio::test]
async fn where_only_the_publisher_has_told_it_is_said_who_is_to_get_it_and_that_more_may_come() {
    let stage = Stage::new().await;
    stage.send("orders.placed.1", &[("Nats-Msg-Id", "m-1"), ("ce-type", "OrderPlaced")]).await;
    let published = made(1, 0, 4, (nanos(Clock::system().now()), 0), &[("messaging.message.id", "m-1")]);
    post_to(&stage.store, &request("storefront", vec![published])).await;
    let page = stage.page("/journey?id=m-1").await;
    let said = page.text("#answer .sentence");
    assert!(said.ends_with("message 1 of ORDERS: no consumer of its stream is to get it."), "{said}");
    assert!(!page.html.contains("No span tells of it"), "{}", page.html);

    let orders = stage.jetstream.get_stream("ORDERS").await.unwrap();
    let config = pull::Config { durable_name: Some("done".into()), ..Default::default() };
    let done = orders.create_consumer(config).await.unwrap();
    let mut messages = done.fetch().max_messages(1).messages().await.unwrap();
    messages.next().await.unwrap().unwrap().ack().await.unwrap();
    let past = async || {
        let page = stage.page("/journey?id=m-1").await;
        if page.texts("#standings .sign") == ["past it"] { Ok(page) } else { Err(page.html) }
    };
    let page = eventually(LIMIT, "the last round saw how far the consumer is", past).await;
    let said = page.text("#answer .sentence");
    assert!(said.ends_with(": no handler's span has come yet, though 1 consumer is past it."), "{said}");
    assert!(page.text("#answer .details").contains("come a few seconds after it has ended"), "{}", page.html);
}

#[tokio::test]
async fn an_id_that_tells_its_time_is_found_in_a_long_stream_and_others_say_how_far_was_looked() {
    let stage = Stage::new().await;
    let new = uuid::Uuid::now_v7().to_string();
    stage.send("orders.placed.1", &[("Nats-Msg-Id", "m-old")]).await;
    stage.send("orders.placed.1", &[("Nats-Msg-Id", &new)]).await;
    publish(&stage.jetstream, 21_000, |_| "orders.2".to_owned()).await;
    let page = stage.page(&format!("/journey?id={new}")).await;
    assert!(page.text("#steps .who").contains("stored in ORDERS as message 2"), "{}", page.html);
    let page = stage.page("/journey?id=m-old").await;
    assert_eq!(
        page.text("#nothing .gap"),
        "not found Nothing that was searched mentions it. Below stands what was searched."
    );
    let row = page.texts("#looked tbody tr").into_iter().find(|row| row.starts_with("ORDERS")).unwrap();
    assert!(row.contains("of 21,002, which is as many as one search looks into"), "{row}");
    let page = stage.page("/journey?id=m-none").await;
    assert_eq!((page.count("#answer"), page.count("#steps"), page.count("#nothing li")), (0, 0, 3));
}

#[tokio::test]
async fn a_frozen_server_does_not_hold_the_page_and_what_was_not_read_is_said() {
    let stage = Stage::new().await;
    an_order(&stage).await;
    stage.server.freeze();
    let asked = std::time::Instant::now();
    let page = stage.page("/journey?id=m-1").await;
    stage.server.thaw();
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}", asked.elapsed());
    let rows = page.texts("#looked tbody tr");
    assert!(!rows.is_empty() && rows.iter().all(|row| row.contains("not read")), "{rows:?}");
    assert!(page.text("#nothing .gap").starts_with("not found Nothing that was searched"), "{}", page.html);
}

#[tokio::test]
async fn hostile_ids_and_headers_stay_text() {
    let stage = Stage::new().await;
    let long = "x".repeat(20_000);
    let headers =
        [("Nats-Msg-Id", "m-1"), ("ce-type", HOSTILE), ("ce-source", HOSTILE), ("causation-id", HOSTILE), ("x", &long)];
    stage.send("orders.placed.1", &headers).await;
    stage
        .send("orders.placed.1", &[("Nats-Msg-Id", HOSTILE), ("causation-id", "m-1"), ("session-id", "m-secret")])
        .await;
    let mut span = made(
        2,
        0,
        5,
        (nanos(Timestamp::parse("2030-01-31T12:00:00Z").unwrap()), u64::MAX),
        &[
            ("messaging.message.id", "m-1"),
            ("messaging.nats.consumer", HOSTILE),
            ("messaging.nats.stream", HOSTILE),
            ("messaging.nats.stream_sequence", "99999999999999999999"),
        ],
    );
    span.status = Some(Status { message: HOSTILE.repeat(50), code: 2 });
    post_to(&stage.store, &request(HOSTILE, vec![span])).await;
    let hostile: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for id in ["m-1", &hostile, "m-secret", "%00%0a", &"%C3%A9".repeat(3_000)] {
        let page = stage.page(&format!("/journey?id={id}")).await;
        assert_eq!(page.status, 200, "{id}");
        assert_eq!((page.count("script"), page.count("img"), page.count("[onerror]")), (1, 0, 0), "{id}");
        assert!(!page.html.contains('\u{202e}') && !page.html.contains('\0'), "{id}");
        let links = page.attributes("a", "href");
        assert!(links.iter().all(|link| link.starts_with(['/', '#'])), "{id} {links:?}");
        assert!(page.html.len() < 100_000, "{id}: {} bytes", page.html.len());
        assert_eq!(page.count("#steps") == 0, ["m-secret", "%00%0a"].contains(&id) || id.len() > 1_000, "{id}");
    }
    let accounts = stage.observer.reader.accounts();
    assert_eq!(accounts.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), [ACCOUNT]);
}
