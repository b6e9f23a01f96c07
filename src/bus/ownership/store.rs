//! The bucket in which a group agrees: every write is over the revision that the writer saw.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::timeout;

use super::{BUCKET, OwnershipError, view::Place};
use crate::{bus::topology, nats::Connection};

/// The records of one group.
#[derive(Debug)]
pub(super) struct Store {
    bucket: kv::Store,
    group: String,
    limit: Duration,
}

/// A record as it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) value: bytes::Bytes,
    pub(super) revision: u64,
}

impl Store {
    /// Opens the bucket, and makes it if it is missing. One operation may take `limit`.
    pub(super) async fn open(connection: &Connection, group: &str, limit: Duration) -> Result<Self, OwnershipError> {
        let jetstream = &connection.jetstream;
        let opened = async {
            let ours = topology::library().only(&[BUCKET]);
            within(limit, topology::ensure(jetstream, &ours)).await?;
            within(limit, jetstream.get_key_value(BUCKET)).await
        };
        let bucket = opened.await.map_err(|source| OwnershipError::Bucket { source })?;
        Ok(Self { bucket, group: group.to_owned(), limit })
    }

    /// Follows the group: what stands at each place, then everything as it is written.
    pub(super) async fn watch(&self) -> Result<impl Stream<Item = Written> + Unpin + use<>, OwnershipError> {
        let prefix = format!("{}.", self.group);
        let watch = within(self.limit, self.bucket.watch_with_history(format!("{prefix}>"))).await;
        let watch = watch.map_err(|source| OwnershipError::Watch { group: self.group.clone(), source })?;
        let entries = watch.take_while(|entry| std::future::ready(entry.is_ok()));
        Ok(Box::pin(entries.filter_map(move |entry| {
            let written = entry.ok().and_then(|entry| {
                let place = Place::parse(entry.key.strip_prefix(&prefix)?)?;
                Some(Written { place, value: entry.value, revision: entry.revision })
            });
            std::future::ready(written)
        })))
    }

    /// Writes over `revision` and returns what was written; `None` frees the place.
    pub(super) async fn write<T: Serialize>(
        &self,
        place: Place,
        value: Option<&T>,
        revision: u64,
    ) -> Result<Written, OwnershipError> {
        let fail = |source| OwnershipError::Write { key: place.key(&self.group), source };
        let value = bytes::Bytes::from(serde_json::to_vec(&value).map_err(|error| fail(error.into()))?);
        let update = self.bucket.update(place.key(&self.group), value.clone(), revision);
        let revision = within(self.limit, update).await.map_err(fail)?;
        Ok(Written { place, value, revision })
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

async fn within<T, E: Into<Source>>(
    limit: Duration,
    work: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, Source> {
    match timeout(limit, work).await {
        Ok(ended) => ended.map_err(Into::into),
        Err(_) => Err(format!("no answer within {} ms", limit.as_millis()).into()),
    }
}
