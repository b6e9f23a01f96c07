//! Messages larger than the server takes.

use serde::{Deserialize, Serialize};
use streamgauge::bus::{Payload, PublishError};

use super::{Client, Counted, declare};
use crate::support::nats_server::NatsServer;

/// The least that lets the server's own requests through.
const MAX_PAYLOAD: usize = 16 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Large {
    text: String,
}

impl Payload for Large {
    const KIND: &'static str = "Large";
    const STREAM: &'static str = "COUNTS";
    const SUBJECT: &'static str = "counts.*";

    fn key(&self) -> String {
        "large".to_owned()
    }
}

/// A payload of exactly so many bytes.
fn large(bytes: usize) -> Large {
    let frame = serde_json::to_vec(&Large { text: String::new() }).unwrap().len();
    Large { text: "x".repeat(bytes - frame) }
}

#[tokio::test]
async fn what_exceeds_max_payload_is_refused_and_the_connection_stays() {
    let server = NatsServer::start_configured(&format!("jetstream: enabled\nmax_payload: {MAX_PAYLOAD}")).await;
    let client = Client::of(server.url()).await;
    declare(&client.connection.jetstream, 1).await;
    let connected = client.connection.link.state();
    // The second fits, but not with its headers: the server counts both and would close the connection.
    for size in [MAX_PAYLOAD + 1, MAX_PAYLOAD - 1, 4 * MAX_PAYLOAD] {
        let refused = client.bus.publish(&large(size)).await;
        match refused {
            Err(error @ PublishError::TooLarge { .. }) => assert!(!error.is_transient()),
            other => panic!("{size} bytes: {other:?}"),
        }
        client.bus.publish(&Counted { number: 1 }).await.unwrap();
    }
    client.bus.publish(&large(MAX_PAYLOAD - 2_048)).await.unwrap();
    assert_eq!(client.connection.link.state(), connected, "it was connected all the while");
}
