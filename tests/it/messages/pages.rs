//! The pages of messages and their answer of the API, over messages that somebody published.

use std::io::Write;

use async_nats::jetstream::stream;
use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{HOSTILE, NatsServer, Observer, jetstream, orders, publish, publish_with};
use crate::{api::faults_of, support::page::Page};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Stage {
    _server: NatsServer,
    jetstream: async_nats::jetstream::Context,
    observer: Observer,
}

impl Stage {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        orders(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
        let observer = Observer::at(&server);
        observer.sees("ORDERS").await;
        Self { _server: server, jetstream, observer }
    }

    async fn page(&self, path: &str) -> Page {
        Page::of(&self.observer.router, path).await
    }

    async fn publish(&self, headers: &[(&str, &str)], payload: impl Into<Vec<u8>>) -> u64 {
        publish_with(&self.jetstream, "orders.placed.1", headers, payload.into()).await
    }
}

#[tokio::test]
async fn the_list_says_what_was_searched_and_leads_on() {
    let stage = Stage::new().await;
    publish(&stage.jetstream, 120, |number| format!("orders.placed.{number}")).await;
    let page = stage.page("/messages/$G/ORDERS").await;
    assert_eq!((page.status.as_u16(), page.text("h1")), (200, "Messages of ORDERS".to_owned()));
    assert_eq!(page.attributes("header .into", "href"), ["/journey"]);
    assert_eq!(page.text("#searched"), "50 messages; searched 50 of 120 sequences, 120 messages held.");
    assert_eq!(page.texts(".messages tbody th").first().map(String::as_str), Some("120"));
    assert_eq!(page.texts("#message-120 td")[..3], ["orders.placed.120", "{ \"number\": 120 }", "14 B"]);
    assert!(page.text(".lead").starts_with("Read without a consumer: nothing is acked, moved or changed."));
    assert_eq!(page.texts(".pager a"), ["Older"]);
    assert_eq!(page.attributes(".pager a", "href"), ["/messages/$G/ORDERS?before=71"]);
    assert_eq!((page.count("body[data-live]"), page.text("#live")), (0, "not live: reload to see news".to_owned()));
    assert_eq!(stage.page("/live?page=/messages/$G/ORDERS").await.status, 404);
    let last = stage.page("/messages/$G/ORDERS?before=21").await;
    assert_eq!(
        (last.count(".messages tbody tr"), last.texts(".pager a")),
        (20, vec!["Newest".to_owned(), "Newer".to_owned()])
    );
    let one = stage.page("/messages/$G/ORDERS?subject=orders.*.7&header=").await;
    assert_eq!(one.text("#searched"), "1 message; searched 120 of 120 sequences, 120 messages held.");
    assert_eq!(one.attributes("#browse input[name=subject]", "value"), ["orders.*.7"]);
    let none = stage.page("/messages/$G/ORDERS?subject=orders.gone").await;
    assert_eq!(none.text("#messages .gap"), "none No message like that is there.");
    let wrong = stage.page("/messages/$G/ORDERS?subject=a..b").await;
    assert!(wrong.text(".gap").contains("subject pattern `a..b` has an empty token"), "{}", wrong.html);
    stage.publish(&[], "no JSON").await;
    let asked = stage.page("/messages/$G/ORDERS?filter=body.number+%3E+118").await;
    assert_eq!(
        asked.text("#searched"),
        "2 messages; searched 121 of 121 sequences, 121 messages held. Left out: 1 message that the filter could \
         not judge. Of the first of them: its payload is no JSON."
    );
    assert_eq!(asked.attributes("#browse input[name=filter]", "value"), ["body.number > 118"]);
    let wrong = stage.page("/messages/$G/ORDERS?filter=body.number+%3E%3E").await;
    assert!(wrong.text(".gap").contains("the filter is wrong at letter 14"), "{}", wrong.text(".gap"));
    assert_eq!(stage.page("/messages/$G/LOST").await.status, 404);
    let hidden = stage.page("/messages/OTHER/ORDERS").await;
    assert!(hidden.text(".gap").starts_with("not visible"), "{}", hidden.html);
}

#[tokio::test]
async fn a_message_shows_where_it_lies_and_what_it_says() {
    let stage = Stage::new().await;
    let headers = [
        ("Nats-Msg-Id", "m-1"),
        ("correlation-id", "order-7"),
        ("traceparent", TRACEPARENT),
        ("Authorization", "Bearer abcdefghijk"),
    ];
    let sequence = stage.publish(&headers, r#"{"item":"soap","password":"hunter2","paid":4111111111111111}"#).await;
    stage.publish(&[], "next").await;
    let page = stage.page(&format!("/messages/$G/ORDERS/{sequence}")).await;
    assert_eq!((page.status.as_u16(), page.text("h1")), (200, "Message 1 of ORDERS".to_owned()));
    let text = page.text("#message");
    for said in
        ["Subject orders.placed.1", "Message id m-1", "Correlation id order-7", "4bf92f3577b34da6a3ce929d0e0e4736"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let expected =
        "{ \"item\": \"soap\", \"password\": \"[masked: secret name]\", \"paid\": \"[masked: card number]\" }";
    assert_eq!(page.text("#payload pre"), expected);
    assert_eq!(page.text("#masked"), "Left out: 2 by secret name, 1 by card number.");
    assert!(!page.html.contains("hunter2") && !page.html.contains("abcdefghijk") && !page.html.contains("41111111"));
    assert_eq!(page.texts("main > nav.choices a"), ["Newer"]);
    let codes = page.texts("#equivalents code");
    assert_eq!(codes[0], "nats stream get ORDERS 1");
    let hex = stage.page(&format!("/messages/$G/ORDERS/{sequence}?as=hex")).await;
    assert!(hex.text("#payload pre").contains("** **"), "{}", hex.html);
    assert!(!hex.text("#payload pre").contains("hunter2"));
    let gone = stage.page("/messages/$G/ORDERS/99").await;
    assert_eq!(gone.status, 404);
    assert!(gone.text(".gap").contains("has not stored a message with this sequence yet"));
    for path in ["/streams/$G/ORDERS", "/messages/$G/ORDERS", "/messages/$G/ORDERS/2"] {
        for link in stage.page(path).await.attributes("main a:not([download])", "href") {
            assert_eq!(stage.page(&link).await.status, 200, "{path} -> {link}");
        }
    }
}

#[tokio::test]
async fn a_payload_is_taken_away_as_it_is_shown() {
    let stage = Stage::new().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(br#"{"a":[1.10],"token":"x"}"#).unwrap();
    let packed = stage.publish(&[("content-encoding", "gzip")], encoder.finish().unwrap()).await;
    let binary = stage.publish(&[], b"\xff\xfepwd=ab\x00\x01".to_vec()).await;
    let taken = async |sequence: u64| {
        let path = format!("/messages/$G/ORDERS/{sequence}/payload");
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = stage.observer.router.clone().oneshot(request).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
        (kind, name, axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec())
    };
    let (kind, name, bytes) = taken(packed).await;
    assert_eq!((kind.as_str(), name.as_str()), ("application/json", "attachment; filename=\"ORDERS-1.json\""));
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json, json!({ "a": [1.1], "token": "[masked: secret name]" }));
    let (kind, _, bytes) = taken(binary).await;
    assert_eq!((kind.as_str(), bytes.as_slice()), ("application/octet-stream", &b"\xff\xfepwd=**\x00\x01"[..]));
    assert_eq!(stage.page("/messages/$G/ORDERS/99/payload").await.status, 404);
    assert_eq!(stage.page("/messages/OTHER/ORDERS/1/payload").await.status, 503);
}

#[tokio::test]
async fn hostile_messages_stay_text_and_bounded() {
    let stage = Stage::new().await;
    let long = "x".repeat(40_000);
    let headers = [("ce-type", HOSTILE), ("Nats-Msg-Id", HOSTILE), ("x", &long), ("content-type", HOSTILE)];
    let payloads = [
        HOSTILE.as_bytes().to_vec(),
        "[".repeat(900_000).into_bytes(),
        format!("{{\"{HOSTILE}\":\"{}\"}}", "y".repeat(500_000)).replace("\"'", "").into_bytes(),
        [HOSTILE.as_bytes(), b"\0\xff\xfe\x1b"].concat(),
        Vec::new(),
    ];
    let count = payloads.len();
    for (number, payload) in payloads.into_iter().enumerate() {
        let id = format!("{number}{HOSTILE}");
        let mut headers = headers;
        headers[1].1 = &id;
        stage.publish(&headers, payload).await;
    }
    let list = "/messages/$G/ORDERS?subject=%3Cimg%3E&header=%22%3E%3Cscript%3E&at=%3Cimg".to_owned();
    let each = (1..=count).map(|sequence| format!("/messages/$G/ORDERS/{sequence}"));
    for path in each.chain([
        list,
        "/messages/$G/ORDERS".to_owned(),
        "/messages/$G/ORDERS?header=ce-type".to_owned(),
        "/messages/$G/ORDERS?filter=%3Cscript%3E".to_owned(),
        "/messages/$G/ORDERS?filter=body.a+%3D%3D+1".to_owned(),
    ]) {
        let page = stage.page(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!((page.count("script"), page.count("img"), page.count("[onerror]")), (1, 0, 0), "{path}");
        assert!(!page.html.contains('\u{202e}') && !page.html.contains('\0'), "{path}");
        let links = page.attributes("a", "href");
        assert!(links.iter().all(|link| link.starts_with(['/', '#'])), "{path} {links:?}");
        assert!(page.html.len() < 400_000, "{path}: {} bytes", page.html.len());
    }
}

#[tokio::test]
async fn the_answer_of_the_api_is_what_its_document_says() {
    let stage = Stage::new().await;
    stage
        .publish(&[("ce-type", "OrderPlaced"), ("Nats-Msg-Id", "m-1"), ("a", "1"), ("a", "2")], r#"{"pin":"1234"}"#)
        .await;
    stage.publish(&[("traceparent", TRACEPARENT)], b"\xff\x00".to_vec()).await;
    let ask = async |path: &str| {
        let page = stage.page(path).await;
        (page.status.as_u16(), serde_json::from_str::<Value>(&page.html).unwrap())
    };
    let (status, answer) = ask("/api/v1/streams/$G/ORDERS/messages").await;
    let (_, document) = ask("/api/openapi.json").await;
    let faults = faults_of(&document, "/streams/{account}/{stream}/messages", status, &answer);
    assert_eq!((status, faults), (200, Vec::new()), "{answer:#}");
    assert_eq!((&answer["searched"], &answer["held"], &answer["ended"]), (&json!(2), &json!(2), &json!("all")));
    let [newest, oldest] = answer["rows"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
    assert_eq!((&newest["form"], &newest["trace_id"]), (&json!("hex"), &json!("4bf92f3577b34da6a3ce929d0e0e4736")));
    assert_eq!((&oldest["message_id"], &oldest["headers"]["a"]), (&json!("m-1"), &json!(["1", "2"])));
    assert_eq!(oldest["payload"], "{\n  \"pin\": \"[masked: secret name]\"\n}");
    assert_eq!(oldest["masked"], json!(["1 by secret name"]));
    let (_, first) = ask("/api/v1/streams/$G/ORDERS/messages?from=1&limit=1").await;
    assert_eq!(
        (&first["rows"][0]["sequence"], &first["newer"], &first["ended"]),
        (&json!(1), &json!(2), &json!("rows"))
    );
    for (path, status, code) in [
        ("/api/v1/streams/$G/LOST/messages", 404, "not_found"),
        ("/api/v1/streams/$G/a.b/messages", 404, "not_found"),
        ("/api/v1/streams/OTHER/ORDERS/messages", 503, "unknown"),
        ("/api/v1/streams/$G/ORDERS/messages?at=soon", 400, "unclear"),
        ("/api/v1/streams/$G/ORDERS/messages?filter=topic+%3D%3D+1", 400, "unclear"),
        ("/api/v1/streams/$G/ORDERS/messages?limit=x", 400, "unclear"),
        ("/api/v1/streams/$G/ORDERS/messages?limit=51", 400, "unclear"),
        ("/api/v1/streams/$G/ORDERS/messages?before=x", 400, "unclear"),
        ("/api/v1/streams/$G/ORDERS/messages?from=-1", 400, "unclear"),
    ] {
        let (found, answer) = ask(path).await;
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{path}");
    }
    let (_, wrong) = ask("/api/v1/streams/$G/ORDERS/messages?before=x").await;
    assert_eq!(wrong["error"]["message"], "`before` is `x`, and takes a whole number from 0 on");
    for (query, given) in
        [("from=x", "`from` is `x`"), ("before=-1", "`before` is `-1`"), ("at=soon", "`at` is `soon`")]
    {
        let page = stage.page(&format!("/messages/$G/ORDERS?{query}")).await;
        let said = page.text("#main .panel .gap");
        assert!(page.status == 200 && said.contains(&format!("{given}, and takes ")), "{query}: {said}");
    }
}
