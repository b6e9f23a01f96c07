//! What becomes of an order.

use serde_json::json;
use streamgauge::mesh::{catalogue::LIMITED, inventory::Stock};

use super::{LIMIT, Mesh, PAID, order};
use crate::support::{eventually, http};

impl Mesh {
    async fn packing_list(&self, id: &str) -> String {
        let url = self.storefront(&format!("/orders/{id}/packing-list"));
        eventually(LIMIT, "the list is printed", async || {
            let answer = http::get(&url).await?;
            if answer.status == 200 { Ok(answer.body) } else { Err(format!("{} {}", answer.status, answer.body)) }
        })
        .await
    }

    /// Whether the list lies in the object store and not in its message.
    async fn is_checked_in(&self, id: &str) -> bool {
        let stream = self.connection().await.jetstream.get_stream("SHIPPING").await.unwrap();
        let printed = stream.get_last_raw_message_by_subject(&format!("shipping.printed.{id}")).await.unwrap();
        printed.payload.is_empty() && printed.headers.get("claim-check").is_some()
    }
}

#[tokio::test]
async fn an_order_completes() {
    let mesh = Mesh::start().await;
    let taken = mesh.post(&[], &order("ada", "tea", 3)).await;
    assert_eq!(taken.status, 202, "{}", taken.body);
    let id = taken.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(taken.header("location"), Some(format!("/orders/{id}").as_str()));
    let just_placed = http::get(&mesh.storefront(&format!("/orders/{id}"))).await.unwrap();
    assert_eq!(just_placed.status, 200, "an order that was taken is there from then on");

    let record = mesh.ended(&id, PAID).await;
    assert_eq!(record["state"], "completed");
    assert_eq!(record["summary"], "3 items for ada, 13.50 EUR");
    assert_eq!(mesh.packing_list(&id).await, format!("Order {id}\nfor ada\n\n    3 x tea\n"));
    assert!(!mesh.is_checked_in(&id).await);
    let trace_id = record["trace_id"].as_str().unwrap();
    assert!(taken.header("traceparent").unwrap().contains(trace_id));
    assert_eq!(mesh.ledger().await["total_cents"], 1_350);
    eventually(LIMIT, "the reservation is used up", async || mesh.stock().await.decided.is_empty()).await;
    assert_eq!(mesh.stock().await.on_hand["tea"], 999_997);

    let newest = eventually(LIMIT, "the order is on the list, completed", async || {
        let list = http::get(&mesh.storefront("/orders")).await?.json();
        if list["orders"][0]["state"] == "completed" { Ok(list) } else { Err(list.to_string()) }
    });
    assert_eq!(newest.await["orders"][0]["id"], id.as_str());
}

#[tokio::test]
async fn an_order_that_is_not_paid_or_not_there_leaves_the_stock_as_before() {
    let mesh = Mesh::start().await;
    let unpaid = mesh.place("1", &order("declined-ada", "tea", 3)).await;
    let steps = ["OrderPlaced", "StockReserved", "PaymentRefused", "StockReleased", "OrderCancelled"];
    let record = mesh.ended(&unpaid, &steps).await;
    assert_eq!(record["state"], "cancelled");
    assert_eq!(record["reason"], "payment declined: the bank says no");
    let too_many = mesh.place("2", &order("ada", LIMITED, 41)).await;
    let record = mesh.ended(&too_many, &["OrderPlaced", "StockRefused", "OrderCancelled"]).await;
    assert_eq!(record["reason"], format!("out of stock: {LIMITED}"));
    eventually(LIMIT, "nothing is decided any more", async || mesh.stock().await.decided.is_empty()).await;
    assert_eq!(mesh.stock().await, Stock::opening());
    assert_eq!(mesh.ledger().await["charged"], 0);
}

#[tokio::test]
async fn the_same_key_makes_one_order() {
    let mesh = Mesh::start().await;
    let (key, tea) = ([("Idempotency-Key", "my-key")], order("ada", "tea", 1));
    let refused = mesh.post(&key, &order("ada", "unicorn", 1)).await;
    assert_eq!(refused.status, 422, "an order that is refused leaves its key free");
    let (first, second) = tokio::join!(mesh.post(&key, &tea), mesh.post(&key, &tea));
    assert_eq!((first.status, second.status), (202, 202), "{} {}", first.body, second.body);
    assert_eq!(first.json()["id"], second.json()["id"]);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    mesh.ended(&id, PAID).await;
    let after = mesh.post(&key, &tea).await;
    assert_eq!((after.status, &after.json()["id"]), (202, &json!(id)), "after its end too");
    let other = mesh.post(&key, &order("ada", "tea", 2)).await;
    assert_eq!(other.status, 422);
    assert!(other.json()["error"].as_str().unwrap().contains("Idempotency-Key was used for another order"));
    assert_eq!(mesh.stored("ORDERS", "orders.placed.*").await, 1);
    assert_eq!(mesh.ledger().await["charged"], 1);
}

#[tokio::test]
async fn an_order_of_two_thousand_lines_is_compressed_and_completes_and_its_list_is_checked_in() {
    const LINES: usize = 2_000;
    let mesh = Mesh::start().await;
    let lines = vec![json!({ "sku": "pencil", "quantity": 1 }); LINES];
    let id = mesh.place("1", &json!({ "customer": "ada", "lines": lines })).await;
    assert_eq!(mesh.ended(&id, PAID).await["state"], "completed");
    let stream = mesh.connection().await.jetstream.get_stream("ORDERS").await.unwrap();
    let stored = stream.get_last_raw_message_by_subject(&format!("orders.placed.{id}")).await.unwrap();
    assert_eq!(stored.headers.get("content-encoding").unwrap().as_str(), "lz4");
    assert!(stored.payload.len() < 10 * LINES, "{} bytes", stored.payload.len());
    assert_eq!(mesh.stock().await.on_hand["pencil"], 1_000_000 - LINES as u64);
    let list = mesh.packing_list(&id).await;
    assert_eq!(list.lines().filter(|line| *line == "    1 x pencil").count(), LINES);
    assert!(mesh.is_checked_in(&id).await);
}
