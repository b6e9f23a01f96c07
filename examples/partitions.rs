//! Partitions: all readings of one gauge are handled in order, one at a time, in whichever instance. Start it twice and end one.
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use clap::Parser;
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{
        Payload,
        topology::{self, ConsumerSpec, StreamSpec, Topology},
    },
    config::ServiceConfig,
    consumer::Worker,
    handler::{Context, Outcome},
    service::Service,
};

#[derive(Serialize, Deserialize)]
struct LevelMeasured {
    gauge: String,
    millimetres: u32,
}

impl Payload for LevelMeasured {
    const KIND: &'static str = "LevelMeasured";
    const STREAM: &'static str = "LEVELS";
    const SUBJECT: &'static str = "levels.*";
    const PARTITIONS: Option<u32> = Some(4);

    fn key(&self) -> String {
        self.gauge.clone()
    }
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceConfig,
}

/// The fence is what a store compares, so that an instance which was frozen and lost its partition cannot write over the new holder's work.
async fn chart(context: Context, measured: LevelMeasured) -> Outcome {
    let fence = context.fence().unwrap_or_default();
    println!("gauge {} stands at {} mm (fence {fence})", measured.gauge, measured.millimetres);
    Outcome::Done
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Service::builder("charts").config(Settings::parse().service).start().await?;
    let stream = StreamSpec::new("LEVELS", "gauges", &["levels.>"]).carrying::<LevelMeasured>(&["gauges"]);
    let consumers = ConsumerSpec::partitioned::<LevelMeasured>("charts", "charts");
    let stores = Topology { streams: vec![stream], consumers, ..Topology::default() }.joined(topology::library());
    stores.apply(&service.connection().jetstream).await?;
    for millimetres in 1..=5 {
        for gauge in ["cologne", "dresden", "passau"] {
            service.bus().publish(&LevelMeasured { gauge: gauge.to_owned(), millimetres }).await?;
        }
    }
    Ok(service.worker(Worker::new("charts").partitioned().on(chart))?.run().await?)
}
