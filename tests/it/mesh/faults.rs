//! Faults that are switched on in the mesh as it runs: what they do, what the observer says of it, and that no order is lost by them.

use std::time::Duration;

use streamgauge::snapshot::Label;

use super::{LIMIT, Mesh, PAID, order};
use crate::support::{
    eventually,
    observing::Observing,
    process::{run, streamgauge},
};

impl Mesh {
    /// Switches a fault that is not on, or the one that is on off, and waits until the service knows.
    pub(super) async fn switch(&self, service: &'static str, fault: &str) -> String {
        let known = || {
            let lines = self.running[service].stderr();
            lines.iter().filter(|line| line.contains("a fault was switched")).count()
        };
        let before = known();
        let said = run(&mut streamgauge(&["fault", service, fault, "--nats", &self.nats.url()]));
        eventually(LIMIT, "the service knows its fault", async || known() > before).await;
        said
    }
}

#[tokio::test]
async fn faults_are_on_until_they_are_cleared_and_no_order_is_lost() {
    let mesh = Mesh::start().await;
    let payments = &mesh.running["payments"];
    let said = mesh.switch("payments", "outage").await;
    let clear =
        said.trim().strip_prefix("payments: outage is on for 5 min, or until `").and_then(|end| end.strip_suffix('`'));
    let clear = clear.unwrap_or_else(|| panic!("{said}"));
    let first = mesh.place("1", &order("ada", "tea", 1)).await;
    payments.line(LIMIT, "that the order failed", |line| line.contains("the fault `outage` is switched on")).await;
    let cleared = run(std::process::Command::new("sh").args(["-c", clear]).env_remove("NATS_URL"));
    assert_eq!(cleared.trim(), "payments: no fault is on", "what is printed ends it as it is pasted: {clear}");
    assert_eq!(mesh.ended(&first, PAID).await["state"], "completed");

    mesh.switch("payments", "drop-acks").await;
    let second = mesh.place("2", &order("ada", "tea", 1)).await;
    payments.line(LIMIT, "that its ack is lost", |line| line.contains("the fault `drop-acks` is switched on")).await;
    assert_eq!(mesh.ended(&second, PAID).await["state"], "completed", "it was handled all the same");
    mesh.switch("payments", "clear").await;

    mesh.switch("payments", "hang").await;
    let third = mesh.place("3", &order("ada", "tea", 1)).await;
    assert_verdict(&mesh, "payments-charge", Label::Stopped).await;
    mesh.switch("payments", "clear").await;
    assert_eq!(mesh.ended(&third, PAID).await["state"], "completed");
    let ledger = mesh.ledger().await;
    assert_eq!(
        (&ledger["charged"], &ledger["charged_more_than_once"]),
        (&3.into(), &serde_json::json!([])),
        "{ledger}"
    );
}

#[test]
fn a_fault_that_a_service_cannot_have_is_refused() {
    for (service, fault) in [("load", "hang"), ("orders", "burst"), ("provider", "outage")] {
        let output = streamgauge(&["fault", service, fault, "--nats", "nats://127.0.0.1:9"]).output().unwrap();
        assert!(!output.status.success(), "{service} {fault}");
    }
}

async fn assert_verdict(mesh: &Mesh, consumer: &str, label: Label) {
    let observer = Observing::start(mesh.nats.url(), Duration::from_millis(500));
    eventually(LIMIT, "the observer sees what is wrong", async || {
        let snapshot = observer.snapshots.borrow().clone();
        let row = snapshot.known_consumers().find(|row| row.name.as_str() == consumer);
        let verdict = row.map(|row| row.verdict.clone());
        if verdict.as_ref().is_some_and(|verdict| verdict.label == label) { Ok(()) } else { Err(verdict) }
    })
    .await;
}
