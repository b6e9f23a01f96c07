//! What a customer may get wrong, and what they are told.

use std::time::Duration;

use serde_json::{Value, json};

use super::{LIMIT, Mesh, PAID, order};
use crate::support::{
    eventually,
    http::{self, Answer},
};

#[track_caller]
fn check(answer: &Answer, status: u16, sentence: &str) {
    let said = answer.json();
    let said = said["error"].as_str().unwrap_or(&answer.body);
    assert!(answer.status == status && said.contains(sentence), "{} {said}: wanted {status} {sentence}", answer.status);
}

async fn post(mesh: &Mesh, content_type: &str, body: String) -> Answer {
    let request = reqwest::Client::new().post(mesh.storefront("/orders")).header("content-type", content_type);
    let answer = request.body(body).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: answer.text().await.unwrap() }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_a_sentence_and_nothing_is_published() {
    let mesh = Mesh::start().await;
    let json = async |body: &str| post(&mesh, "application/json", body.to_owned()).await;
    check(&json("{").await, 400, "Failed to parse the request body as JSON");
    check(&json("{}").await, 422, "missing field `customer`");
    check(&json(r#"{"customer":"ada","lines":[{"sku":"tea","quantity":-1}]}"#).await, 422, "quantity");
    check(&post(&mesh, "text/plain", "{}".into()).await, 415, "content-type: application/json");
    check(&post(&mesh, "application/json", format!("\"{}\"", "x".repeat(262_144))).await, 413, "larger than 256 KB");
    let place = async |order: Value| mesh.post(&[], &order).await;
    check(&place(order("ada", "tea", 0)).await, 422, "`lines[0]` asks for 0 of tea");
    check(&place(order("ada", "tea", 1_000_000_000)).await, 422, "`quantity` is 1 to 1000");
    check(&place(order("", "tea", 1)).await, 422, "`customer`");
    check(&place(json!({ "customer": "ada", "lines": [] })).await, 422, "`lines` must hold");
    check(&place(order("ada", "t\ne\ta", 1)).await, 422, "visible ASCII");
    check(&place(order("ada", "coffee", 1)).await, 422, "there is no article `coffee`");
    check(&mesh.post(&[("Idempotency-Key", "")], &order("ada", "tea", 1)).await, 422, "`Idempotency-Key` must be");
    let get = async |path: &str| http::get(&mesh.storefront(path)).await.unwrap();
    check(&get("/orders/7").await, 404, "there is no such order");
    check(&get("/orders/01890000-0000-7000-8000-000000000000").await, 404, "there is no such order");
    check(&get("/orders/01890000-0000-7000-8000-000000000000/packing-list").await, 404, "has no parcel yet");
    check(&get("/lost").await, 404, "there is nothing at /lost");
    assert_eq!(get("/").await.status, 200);
    assert_eq!(mesh.stored("ORDERS", "orders.>").await, 0);
}

#[tokio::test]
async fn a_good_traceparent_is_continued_and_a_bad_one_begins_a_new_trace() {
    let mesh = Mesh::start().await;
    let trace_of = async |sent: &str| {
        let answer = mesh.post(&[("traceparent", sent)], &order("ada", "tea", 1)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.header("traceparent").unwrap()[3..35].to_owned()
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(trace_of(&format!("00-{trace}-00f067aa0ba902b7-01")).await, trace);
    assert_ne!(trace_of(&format!("00-{trace}-0000000000000000-01")).await, trace);
    assert_ne!(trace_of("nonsense").await, trace);
}

#[tokio::test]
async fn an_order_that_cannot_be_taken_is_refused_in_time_with_the_reason() {
    let mut mesh = Mesh::start().await;
    let refused = async |mesh: &Mesh, reason: &str| {
        eventually(LIMIT, "503 with the reason", async || {
            let answer = mesh.post(&[], &order("ada", "tea", 1)).await;
            let is_told = answer.status == 503 && answer.header("retry-after") == Some("2");
            if is_told && answer.body.contains(reason) {
                Ok(())
            } else {
                Err(format!("{} {}", answer.status, answer.body))
            }
        })
        .await;
    };
    drop(mesh.running.remove("pricing"));
    refused(&mesh, "nobody answers requests on pricing.quote: is the service running?").await;
    mesh.launch("pricing", &[]);
    mesh.place("1", &order("ada", "tea", 1)).await;

    mesh.nats.kill().await;
    refused(&mesh, &format!("NATS at {}: connection lost", mesh.nats.url())).await;
    let tea = order("ada", "tea", 1);
    let soon = tokio::time::timeout(Duration::from_secs(1), mesh.post(&[], &tea)).await;
    assert_eq!(soon.expect("who knows that NATS is away says so at once").status, 503);
    mesh.nats.start_again().await;
    let id = mesh.place("2", &order("ada", "tea", 1)).await;
    assert_eq!(mesh.ended(&id, PAID).await["state"], "completed");
}
