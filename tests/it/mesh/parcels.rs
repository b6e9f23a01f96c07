//! Parcels: every move of each one, in order, whichever instance of shipping lives.

use rustix::process::Signal;
use streamgauge::{
    bus::{Bus, codec},
    clock::Clock,
    mesh::events::ParcelMoved,
    record::{self, Phase, Record},
    state::Documents,
    telemetry::Telemetry,
};

use super::{LIMIT, Mesh, PAID, order};
use crate::support::eventually;

const MOVES: [&str; 3] = ["packed", "handed over", "delivered"];

#[tokio::test]
async fn parcels_move_in_order_though_a_member_of_shipping_is_killed() {
    const ORDERS: usize = 12;
    let mut mesh = Mesh::start().await;
    mesh.launch_as("shipping-2", "shipping", &[]);
    mesh.runs("shipping-2").await;
    let mut ids = Vec::new();
    for at in 0..ORDERS {
        ids.push(mesh.place(&at.to_string(), &order("ada", "tea", 1)).await);
    }
    // Killed as soon as it has sent a parcel; what it held goes to the other, which nobody starts again.
    let sent = |line: &str| line.contains("parcel on its way");
    mesh.running["shipping"].line(LIMIT, "that a parcel is on its way", sent).await;
    let mut killed = mesh.running.remove("shipping").unwrap();
    killed.signal(Signal::KILL);
    killed.ended(LIMIT).await;

    let connection = mesh.connection().await;
    let records: Documents<Record> = Documents::open(&connection, record::BUCKET).await.unwrap();
    for id in &ids {
        mesh.ended(id, PAID).await;
        let parcel = eventually(LIMIT, "the parcel is delivered", async || {
            let record = records.read(&format!("parcel.{id}")).await.unwrap().value;
            record.filter(|record| record.phase == Phase::Succeeded)
        });
        let parcel = parcel.await;
        let steps: Vec<&str> = parcel.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(steps, MOVES, "{id}");
        assert!(parcel.steps.is_sorted_by_key(|step| step.at), "{parcel:?}");
    }
    let bus = Bus::new(connection.clone(), "test", Telemetry::unexported(), Clock::system());
    let last = bus.last::<ParcelMoved>(&ids[0]).await.unwrap().expect("it was just delivered");
    assert_eq!(codec::decode::<ParcelMoved>(&last).unwrap().to, MOVES[2]);
    let mut shipping = connection.jetstream.get_stream("SHIPPING").await.unwrap();
    let stored = shipping.info().await.unwrap().state.messages;
    assert_eq!(stored, (ORDERS * (MOVES.len() + 1)) as u64, "each list is printed once, and each move told once");
}
