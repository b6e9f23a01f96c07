//! The durable consumer on the server: made if it is missing, updated if it differs.

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::GetStreamError,
    stream::ConsumerError,
};

use super::{Worker, status::Status};
use crate::{nats::Connection, snapshot::WORKER_METADATA};

/// Messages that all workers of a consumer may hold together; far above any sum of credits, so that the workers' own bounds decide.
const MAX_ACK_PENDING: i64 = 10_000;

/// What a worker asks of its consumer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) filters: Vec<String>,
    pub(super) ack_wait: std::time::Duration,
    pub(super) max_ack_pending: i64,
}

impl Asked {
    /// What a worker asks that handles messages in whatever order.
    pub(super) fn by(worker: &Worker) -> Self {
        Self { filters: worker.routes.patterns(), ack_wait: worker.ack_wait, max_ack_pending: MAX_ACK_PENDING }
    }
}

/// Why the consumer is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeclareError {
    #[error("stream {stream} cannot be read: is it declared, and may this user see it?")]
    Stream {
        stream: String,
        #[source]
        source: GetStreamError,
    },
    #[error("consumer {consumer} of stream {stream} cannot be made or updated")]
    Consumer {
        stream: String,
        consumer: String,
        #[source]
        source: ConsumerError,
    },
}

/// Makes sure that the consumer exists as the worker wants it.
///
/// A worker that `begins_anew` leaves a consumer the subjects that it reads beyond the worker's: a newer instance beside it may have
/// handlers for them, and what a consumer passes over while it does not read a subject it never delivers.
pub(super) async fn declare(
    connection: &Connection,
    asked: &Asked,
    status: &Status,
    begins_anew: bool,
) -> Result<(), DeclareError> {
    let name = status.stream.as_str();
    let stream = connection.jetstream.get_stream_no_info(name).await;
    let stream = stream.map_err(|source| DeclareError::Stream { stream: name.to_owned(), source })?;
    let mut config = config(asked, status);
    if begins_anew && let Ok(found) = stream.consumer_info(status.consumer.as_str()).await {
        config.filter_subjects = kept(found.config.filter_subjects, config.filter_subjects);
    }
    match stream.create_consumer(config).await {
        Ok(_) => Ok(()),
        Err(source) => {
            Err(DeclareError::Consumer { stream: name.to_owned(), consumer: status.consumer.to_string(), source })
        }
    }
}

/// The subjects that are there, if all that are asked for are among them.
fn kept(there: Vec<String>, asked: Vec<String>) -> Vec<String> {
    if asked.iter().all(|pattern| there.contains(pattern)) { there } else { asked }
}

/// No `max_deliver`, no `backoff`: retries are the worker's, and a message that the server gave up on would look processed.
fn config(asked: &Asked, status: &Status) -> pull::Config {
    pull::Config {
        durable_name: Some(status.consumer.to_string()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: asked.ack_wait,
        max_deliver: -1,
        max_ack_pending: asked.max_ack_pending,
        filter_subjects: asked.filters.clone(),
        metadata: [(WORKER_METADATA.to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        ..pull::Config::default()
    }
}
