//! A worker that greets customers: it tries again, pauses while too much fails, and moves what it gives up to the dead letters.
use clap::Parser;
use serde::{Deserialize, Serialize};
use streamgauge::resilience::{Breaker, RetryPolicy};
use streamgauge::{bus::Payload, config::ServiceConfig, consumer::Worker, handler::Context, service::Service};

#[derive(Serialize, Deserialize)]
struct CustomerJoined {
    id: String,
    email: String,
}

impl Payload for CustomerJoined {
    const KIND: &'static str = "CustomerJoined";
    const STREAM: &'static str = "CUSTOMERS";
    const SUBJECT: &'static str = "customers.joined.*";
    fn key(&self) -> String {
        self.id.clone()
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceConfig,
}

async fn greet(_: Context, joined: CustomerJoined) -> anyhow::Result<()> {
    anyhow::ensure!(joined.email.contains('@'), "no mail gets to {}", joined.email);
    tracing::info!("greeted {}", joined.email);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Service::builder("greeter").config(Settings::parse().service).start().await?;
    let worker = Worker::new("greeter").retry(RetryPolicy::new().attempts(3)).breaker(Breaker::new()).on(greet);
    Ok(service.worker(worker)?.run().await?)
}
