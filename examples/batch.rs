//! An atomic batch: the lines of a delivery note are stored together or not at all, and the same batch again changes nothing.
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use clap::Parser;
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{
        Payload,
        topology::{StreamSpec, Topology},
    },
    config::ServiceConfig,
    message::MessageId,
    service::Service,
};

#[derive(Serialize, Deserialize)]
struct ArticleDelivered {
    note: String,
    line: u32,
    sku: String,
}

impl Payload for ArticleDelivered {
    const KIND: &'static str = "ArticleDelivered";
    const STREAM: &'static str = "DELIVERIES";
    const SUBJECT: &'static str = "deliveries.*";

    fn key(&self) -> String {
        self.note.clone()
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceConfig,
}

/// A stream takes batches only if it says so.
fn topology() -> Topology {
    let stream = StreamSpec { allow_atomic: true, ..StreamSpec::new("DELIVERIES", "warehouse", &["deliveries.>"]) };
    Topology { streams: vec![stream.carrying::<ArticleDelivered>(&["warehouse"])], ..Topology::default() }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Service::builder("warehouse").config(Settings::parse().service).start().await?;
    topology().apply(&service.connection().jetstream).await?;
    // The second time is what happens where a confirmation was lost. A handler says `because(context.cause())` instead of naming ids.
    for _ in 0..2 {
        let mut batch = service.bus().batch();
        for (line, sku) in (1..).zip(["tea", "mug", "kettle"]) {
            let delivered = ArticleDelivered { note: "17".to_owned(), line, sku: sku.to_owned() };
            batch = batch.with_as(&delivered, MessageId(format!("17-{line}")));
        }
        let receipt = batch.commit().await?;
        let how = if receipt.was_applied { "had been stored" } else { "stored" };
        println!("{how}: messages {:?} of {}", receipt.sequences, receipt.stream);
    }
    Ok(())
}
