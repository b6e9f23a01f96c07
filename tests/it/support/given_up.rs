//! Waiting until a server tells that it gave up a message.

use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt;

/// Longer than a message takes to be tried as often as it may be.
const LIMIT: Duration = Duration::from_secs(60);

/// What is told from now on of one consumer.
pub struct GivenUp(Subscriber);

impl GivenUp {
    pub async fn of(url: &str, stream: &str, consumer: &str) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}");
        let told = client.subscribe(subject).await.unwrap();
        client.flush().await.unwrap();
        Self(told)
    }

    pub async fn waits(mut self) {
        tokio::time::timeout(LIMIT, self.0.next()).await.expect("a message is given up").expect("the connection lasts");
    }
}
