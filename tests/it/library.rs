//! The library against a real server: what is published, processed, settled and asked.

mod adaptive;
mod batch;
mod bus;
mod dead_letters;
mod gate;
mod handlers;
mod inbox;
mod not_allowed;
mod packing;
mod partitions;
mod publisher;
mod pubsub;
mod requests;
mod retry;
mod runners;
mod schedule;
mod serial;
mod service;
mod topology;
mod versions;
mod worker;

use std::time::Duration;

use async_nats::jetstream::{consumer::Info, context::ConsumerInfoError, message::StreamMessage};
use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::{
        Bus, Payload,
        topology::{StreamSpec, Topology},
    },
    clock::Clock,
    config::NatsConfig,
    nats::{self, Connection},
    telemetry::Telemetry,
};

use crate::support::nats_server::NatsServer;

/// Longer than anything here takes on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(20);

/// What these tests publish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pinged {
    key: String,
    number: u32,
}

impl Payload for Pinged {
    const KIND: &'static str = "Pinged";
    const STREAM: &'static str = "PINGS";
    const SUBJECT: &'static str = "pings.*";

    fn key(&self) -> String {
        self.key.clone()
    }
}

fn ping(number: u32) -> Pinged {
    Pinged { key: format!("k{number}"), number }
}

/// A server, a stream on it, and a bus to it.
struct World {
    server: NatsServer,
    connection: Connection,
    bus: Bus,
}

impl World {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let connection = connect(&server).await;
        topology().apply(&connection.jetstream).await.unwrap();
        let bus = Bus::new(connection.clone(), "test", Telemetry::unexported(), Clock::system());
        Self { server, connection, bus }
    }

    async fn publish(&self, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            self.bus.publish(&ping(number)).await.unwrap();
        }
    }

    async fn publish_as(&self, key: &str, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            self.bus.publish(&Pinged { key: key.to_owned(), number }).await.unwrap();
        }
    }

    /// The dead letters; none while their stream is missing.
    async fn dead_letters(&self) -> Vec<StreamMessage> {
        let Ok(mut stream) = self.connection.jetstream.get_stream("DEAD_LETTERS").await else {
            return Vec::new();
        };
        let last = stream.info().await.unwrap().state.last_sequence;
        let mut letters = Vec::new();
        for sequence in 1..=last {
            letters.push(stream.get_raw_message(sequence).await.unwrap());
        }
        letters
    }

    async fn consumer_info(&self, name: &str) -> Info {
        self.consumer_info_if_there(name).await.unwrap()
    }

    /// A worker declares its consumer in its own time after it was started.
    async fn consumer_info_if_there(&self, name: &str) -> Result<Info, ConsumerInfoError> {
        self.connection.jetstream.get_stream("PINGS").await.unwrap().consumer_info(name).await
    }
}

async fn connect(server: &NatsServer) -> Connection {
    connect_to(server.url()).await
}

async fn connect_to(url: String) -> Connection {
    let config = NatsConfig { url: Some(url), nats_wait: 10, ..NatsConfig::default() };
    nats::connect(&config, "test", &Clock::system()).await.unwrap()
}

async fn connect_as(server: &NatsServer, user: &str, password: &str) -> Connection {
    let (url, user, password) = (Some(server.url()), Some(user.to_owned()), Some(password.to_owned()));
    let config = NatsConfig { url, user, password, nats_wait: 10, ..NatsConfig::default() };
    nats::connect(&config, "test", &Clock::system()).await.unwrap()
}

fn topology() -> Topology {
    let stream = StreamSpec {
        max_age: Some(Duration::from_secs(3_600)),
        max_bytes: Some(64 << 20),
        ..StreamSpec::new("PINGS", "test", &["pings.>"])
    };
    Topology { streams: vec![stream], ..Topology::default() }
}
