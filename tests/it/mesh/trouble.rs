//! Trouble that the library answers for: a provider that is out, and messages that a bad deployment gives up.

use rustix::process::Signal;
use serde_json::json;
use streamgauge::consumer::dead_letter::{DeadLetters, Filter};

use super::{LIMIT, Mesh, PAID, order};
use crate::support::{
    eventually,
    process::{run, streamgauge},
};

impl Mesh {
    async fn dead_letters(&self) -> usize {
        let letters = DeadLetters::open(&self.connection().await).await.unwrap();
        letters.list(&Filter::default(), 100).await.unwrap().letters.len()
    }

    pub(super) async fn set_provider(&self, settings: serde_json::Value) {
        let answer = reqwest::Client::new().put(self.provider("/settings")).json(&settings).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_breaker_opens_while_the_provider_is_out_and_every_order_is_charged_once_when_it_is_back() {
    const ORDERS: usize = 15;
    let mesh = Mesh::start().await;
    mesh.set_provider(json!({ "outage": true })).await;
    let mut ids = Vec::new();
    for at in 0..ORDERS {
        ids.push(mesh.place(&at.to_string(), &order("ada", "tea", 1)).await);
    }
    let opens = |line: &str| line.contains("opened; the worker pauses") && line.contains(r#""kind":"breaker""#);
    mesh.running["payments"].line(LIMIT, "that its breaker opens", opens).await;
    mesh.set_provider(json!({})).await;
    for id in &ids {
        assert_eq!(mesh.ended(id, PAID).await["state"], "completed");
    }
    let ledger = mesh.ledger().await;
    assert_eq!((&ledger["charged"], &ledger["charged_more_than_once"]), (&json!(ORDERS), &json!([])), "{ledger}");
    assert_eq!(mesh.dead_letters().await, 0);
}

#[tokio::test]
async fn an_order_that_a_bad_deployment_gave_up_completes_when_it_is_replayed() {
    let mut mesh = Mesh::start().await;
    let mut good = mesh.running.remove("payments").unwrap();
    good.signal(Signal::TERM);
    good.ended(LIMIT).await;
    // Somebody who answers, and is no provider.
    let wrong = mesh.storefront("");
    mesh.launch("payments", &["--provider", &wrong]);
    let id = mesh.place("1", &order("ada", "tea", 1)).await;
    eventually(LIMIT, "the charge is a dead letter", async || mesh.dead_letters().await == 1).await;

    mesh.running.remove("payments");
    mesh.launch("payments", &[]);
    let url = mesh.nats.url();
    let replay = ["dlq", "replay", "--durable", "payments-charge", "--yes", "--nats", &url];
    let said = run(&mut streamgauge(&replay));
    assert_eq!(mesh.ended(&id, PAID).await["state"], "completed", "{said}");
    assert_eq!(mesh.ledger().await["charged"], 1);
    eventually(LIMIT, "the customer is told", async || mesh.mails() == [id.clone()]).await;
}
