//! A NATS with many consumers, none of them idle: what the benches of the observer look at.

use std::time::Duration;

use anyhow::Context;
use async_nats::{
    ConnectOptions,
    jetstream::{
        self,
        consumer::{PullConsumer, pull},
        stream,
    },
};
use futures_util::{StreamExt, TryStreamExt};
use streamgauge::config::NatsConfig;

use crate::support::nats_server::NatsServer;

/// How many streams, and consumers on each of them.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub streams: usize,
    pub each: usize,
}

/// Streams and consumers that are made at once.
const AT_ONCE: usize = 64;

/// Between two messages that are published, delivered and acked.
const PACE: Duration = Duration::from_millis(2);

/// The password of every user.
pub const PASSWORD: &str = "word";

const ACCOUNTS: &str = "
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      APP { jetstream: enabled, users: [{ user: app, password: word }] }
    }
    system_account: SYS
    jetstream {}
";

/// The server, and a way to it.
#[derive(Debug)]
pub struct Crowd {
    pub server: NatsServer,
    jetstream: jetstream::Context,
    shape: Shape,
}

impl Crowd {
    /// Starts a server and makes streams and consumers; each consumer has something pending and something in flight.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn gathered(shape: Shape) -> anyhow::Result<Self> {
        let server = NatsServer::start_configured(ACCOUNTS).await;
        let login = ConnectOptions::with_user_and_password("app".to_owned(), PASSWORD.to_owned());
        let jetstream = jetstream::new(login.connect(server.url()).await?);
        let crowd = Self { server, jetstream, shape };
        crowd.fill().await?;
        Ok(crowd)
    }

    /// How `user` logs in: `app` of the account with the streams, `sys` of the system account.
    pub fn login(&self, user: &str) -> NatsConfig {
        NatsConfig {
            url: Some(self.server.url()),
            user: Some(user.to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..NatsConfig::default()
        }
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let streams = (0..self.shape.streams).map(async |number| -> anyhow::Result<stream::Stream> {
            let config = stream::Config { name: stream_name(number), max_messages: 100, ..Default::default() };
            let made = self.jetstream.create_stream(config).await?;
            for _ in 0..3 {
                self.jetstream.publish(stream_name(number), "{}".into()).await?.await?;
            }
            Ok(made)
        });
        let streams: Vec<_> = futures_util::stream::iter(streams).buffered(AT_ONCE).try_collect().await?;
        let consumers = streams.iter().flat_map(|stream| (0..self.shape.each).map(move |number| (stream, number)));
        let consumers = consumers.map(async |(stream, number)| -> anyhow::Result<()> {
            let config = pull::Config {
                durable_name: Some(consumer_name(number)),
                filter_subject: stream.cached_info().config.name.clone(),
                ack_wait: Duration::from_secs(3_600),
                ..Default::default()
            };
            let made: PullConsumer = stream.create_consumer(config).await?;
            made.fetch()
                .max_messages(1)
                .messages()
                .await?
                .next()
                .await
                .context("there is a message")?
                .map(drop)
                .map_err(anyhow::Error::from_boxed)
        });
        futures_util::stream::iter(consumers).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Publishes without end, to one stream after the other, and has one of its consumers handle what there is.
    ///
    /// # Errors
    /// When something is not stored, delivered or acked.
    pub async fn work(&self) -> anyhow::Result<()> {
        for turn in 0.. {
            let Shape { streams, each } = self.shape;
            let (stream, number) = (stream_name(turn % streams), turn / streams % each);
            let stored = self.jetstream.publish(stream.clone(), "{}".into()).await?.await;
            stored.with_context(|| format!("message {turn} is not stored"))?;
            let consumer: PullConsumer = self.jetstream.get_consumer_from_stream(consumer_name(number), stream).await?;
            if let Some(message) = consumer.fetch().max_messages(1).messages().await?.next().await {
                message.map_err(anyhow::Error::from_boxed)?.ack().await.map_err(anyhow::Error::from_boxed)?;
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }
}

/// The name of the stream with this number.
pub fn stream_name(number: usize) -> String {
    format!("STREAM-{number:04}")
}

/// The name of the consumer with this number on its stream.
pub fn consumer_name(number: usize) -> String {
    format!("consumer-{number:04}")
}
