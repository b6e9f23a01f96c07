//! What kill -9 and a broker that goes away do to orders: nothing that lasts.

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LIMIT, Mesh, PAID, SERVICES, order};
use crate::support::{eventually, http};

/// Orders under way when a service is killed; more than one instance handles at once.
const BURST: usize = 12;

/// How long the provider takes for a charge, so that a kill finds charges under way.
const LATENCY_MS: u64 = 150;

#[tokio::test]
async fn a_service_that_is_killed_mid_order_changes_nothing() {
    let mut mesh = Mesh::start().await;
    let slow = reqwest::Client::new().put(mesh.provider("/settings")).json(&json!({ "latency_ms": LATENCY_MS }));
    assert_eq!(slow.send().await.unwrap().status(), 200);
    let mut ids = Vec::new();
    for service in SERVICES {
        ids.extend(burst_and_crash(&mut mesh, service).await);
    }
    for id in &ids {
        assert_eq!(mesh.ended(id, PAID).await["state"], "completed");
    }
    let orders = SERVICES.len() * BURST;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), orders);
    let ledger = mesh.ledger().await;
    assert_eq!((&ledger["charged"], &ledger["charged_more_than_once"]), (&json!(orders), &json!([])), "{ledger}");
    for (stream, pattern) in [
        ("ORDERS", "orders.placed.*"),
        ("ORDERS", "orders.completed.*"),
        ("INVENTORY", "inventory.reserved.*"),
        ("PAYMENTS", "payments.charged.*"),
    ] {
        assert_eq!(mesh.stored(stream, pattern).await, orders, "{pattern}");
    }
    eventually(LIMIT, "every reservation is used up", async || mesh.stock().await.decided.is_empty()).await;
    assert_eq!(mesh.stock().await.on_hand["tea"], 1_000_000 - orders as u64);
    eventually(LIMIT, "every customer is told once", async || {
        let mut mails = mesh.mails();
        mails.sort();
        if mails == ids { Ok(()) } else { Err(format!("{} mails", mails.len())) }
    })
    .await;
}

/// Kills the service as soon as the first order of the burst is through with it, and others are not; the customers know nothing of it.
async fn burst_and_crash(mesh: &mut Mesh, service: &'static str) -> Vec<String> {
    let url = mesh.storefront("/orders");
    let before = mesh.orders_seen_by(service);
    let customers = join_all((0..BURST).map(|at| place(url.clone(), format!("{service}-{at}"))));
    let crash = async {
        eventually(LIMIT, "an order is seen", async || mesh.orders_seen_by(service) > before).await;
        mesh.crash(service).await;
    };
    tokio::join!(customers, crash).0
}

impl Mesh {
    fn orders_seen_by(&self, service: &str) -> usize {
        let names_one = |line: &&String| line.contains("order_id");
        self.running[service].stderr().iter().filter(names_one).count()
    }
}

/// Like [`Mesh::place`], while the mesh is being changed.
async fn place(url: String, key: String) -> String {
    let taken = eventually(LIMIT, "the order is taken", async || {
        let answer = http::post(&url, &[("Idempotency-Key", &key)], &order("ada", "tea", 1)).await?;
        if answer.status == 202 { Ok(answer) } else { Err(format!("{} {}", answer.status, answer.body)) }
    });
    taken.await.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_is_lost_when_nats_goes_away_under_load() {
    let mut mesh = Mesh::start().await;
    let storefront = mesh.storefront("");
    mesh.launch("load", &["--storefront", &storefront, "--rate", "40"]);
    placed_at_least(&mesh, 40).await;
    mesh.nats.kill().await;
    mesh.nats.start_again().await;
    let before = placed_at_least(&mesh, 1).await;
    placed_at_least(&mesh, before + 40).await;

    let mut load = mesh.running.remove("load").unwrap();
    load.signal(Signal::TERM);
    assert!(load.ended(LIMIT).await.success());
    let mut lines = load.stderr().into_iter().rev().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let told = lines.find(|line| line["message"] == "orders so far").expect("the load tells what it did");
    let placed = mesh.stored("ORDERS", "orders.placed.*").await;
    assert!(placed as u64 >= told["placed"].as_u64().unwrap(), "{placed} are stored of {told}");
    assert_eq!(told["failed"], 0, "{told}");

    let ends = async || {
        let completed = mesh.stored("ORDERS", "orders.completed.*").await;
        (completed, mesh.stored("ORDERS", "orders.cancelled.*").await)
    };
    let completed = eventually(LIMIT, "every order has ended", async || {
        let (completed, cancelled) = ends().await;
        if completed + cancelled == placed {
            Ok(completed)
        } else {
            Err(format!("{completed} + {cancelled} of {placed}"))
        }
    })
    .await;
    eventually(LIMIT, "the list follows the records as before", async || {
        let list = http::get(&mesh.storefront("/orders")).await?.json();
        let newest = list["orders"].as_array().cloned().unwrap_or_default();
        if newest.len() == 50 && newest.iter().all(|order| order["phase"] != "open") {
            Ok(())
        } else {
            Err(list.to_string())
        }
    })
    .await;
    let ledger = mesh.ledger().await;
    assert_eq!((&ledger["charged"], &ledger["charged_more_than_once"]), (&json!(completed), &json!([])), "{ledger}");
    eventually(LIMIT, "nothing is decided any more", async || mesh.stock().await.decided.is_empty()).await;
}

async fn placed_at_least(mesh: &Mesh, orders: usize) -> usize {
    eventually(LIMIT, "so many orders are placed", async || {
        let placed = mesh.stored("ORDERS", "orders.placed.*").await;
        if placed >= orders { Ok(placed) } else { Err(placed) }
    })
    .await
}
