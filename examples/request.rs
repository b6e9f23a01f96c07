//! Request and reply: instances share the questions, who asks says how long it waits, and a refusal is a type.
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Duration;

use clap::Parser;
use serde::{Deserialize, Serialize};
use streamgauge::{
    config::ServiceConfig,
    handler::Context,
    rpc::{Call, CallError, Client, Refusal},
    service::Service,
};

/// The question.
#[derive(Serialize, Deserialize)]
struct PriceOf {
    sku: String,
}

/// Why there is no answer.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum NoPrice {
    #[error("nobody sells {sku}")]
    Unknown { sku: String },
}

impl Call for PriceOf {
    type Reply = u64;
    type Error = NoPrice;
    const SUBJECT: &'static str = "prices.of";
    const ENDPOINT: &'static str = "price";
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceConfig,
}

async fn price(_: Context, PriceOf { sku }: PriceOf) -> Result<u64, Refusal<NoPrice>> {
    match sku.as_str() {
        "tea" => Ok(450),
        // Dropped where it waits when the deadline passes, or when whoever asked goes away.
        "a pearl" => std::future::pending().await,
        _ => Err(Refusal { code: 404, error: NoPrice::Unknown { sku } }),
    }
}

async fn ask(client: &Client, sku: &str) {
    let question = PriceOf { sku: sku.to_owned() };
    match client.call(&question).within(Duration::from_millis(500)).await {
        Ok(cents) => println!("{sku} costs {cents} cents"),
        Err(CallError::Refused { error: NoPrice::Unknown { sku }, .. }) => println!("{sku} is not for sale"),
        Err(error) => println!("no price of {sku}: {error}"),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Service::builder("prices").config(Settings::parse().service).start().await?;
    let client = service.client();
    let asking = async move {
        for sku in ["tea", "the moon", "a pearl"] {
            ask(&client, sku).await;
        }
    };
    Ok(service.answers(price).await?.task(|_| asking).run().await?)
}
