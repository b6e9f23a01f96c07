//! An inbox: a message that comes twice, here because its sender published it twice, has its effect once.
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Duration;

use clap::Parser;
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{
        Payload,
        topology::{self, StreamSpec, Topology},
    },
    config::ServiceConfig,
    consumer::Worker,
    handler::Context,
    service::Service,
};

#[derive(Serialize, Deserialize)]
struct InvoiceSent {
    invoice: String,
    cents: u64,
}

impl Payload for InvoiceSent {
    const KIND: &'static str = "InvoiceSent";
    const STREAM: &'static str = "INVOICES";
    const SUBJECT: &'static str = "invoices.sent.*";

    fn key(&self) -> String {
        self.invoice.clone()
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceConfig,
}

/// How long a message waits for another of its invoice that is being paid, unless the payment takes longer.
const HOLD: Duration = Duration::from_secs(2);

/// What cannot be taken back.
async fn pay(_: Context, sent: InvoiceSent) -> std::io::Result<()> {
    println!("paid {} cents for invoice {}", sent.cents, sent.invoice);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Service::builder("cashier").config(Settings::parse().service).start().await?;
    let stream = StreamSpec::new("INVOICES", "suppliers", &["invoices.>"]).carrying::<InvoiceSent>(&["suppliers"]);
    let stores = Topology { streams: vec![stream], ..Topology::default() }.joined(topology::library());
    stores.apply(&service.connection().jetstream).await?;

    // Two messages with ids of their own that ask for one effect, so the invoice is what tells them apart; `guard` goes by message id.
    for _ in 0..2 {
        service.bus().publish(&InvoiceSent { invoice: "2030-7".to_owned(), cents: 1_290 }).await?;
    }
    let inbox = service.inbox(topology::INBOX).await?.hold(HOLD);
    let once = inbox.guard_by(|_: &Context, sent: &InvoiceSent| sent.invoice.clone(), pay);
    Ok(service.worker(Worker::new("cashier").on(once))?.run().await?)
}
