//! Typed documents in a key-value bucket, each changed only by whoever saw its latest revision.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::{Serialize, de::DeserializeOwned};

use crate::{nats::Connection, resilience::Backoff};

/// Attempts to change a document that others change too.
const ATTEMPTS: u32 = 32;

/// Waits between these attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(2), most: Duration::from_millis(100) };

/// A bucket of documents of type `T`; clones are the same bucket.
pub struct Documents<T> {
    store: Store,
    bucket: String,
    kind: PhantomData<fn() -> T>,
}

#[derive(Clone)]
enum Store {
    Bucket(Arc<kv::Store>),
    Memory(Arc<Mutex<HashMap<String, (Bytes, u64)>>>),
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The document; `None` where there is none.
    pub value: Option<T>,
    /// The revision to write over; 0 where there was never a document.
    pub revision: u64,
}

/// Why a document cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The bucket is not there.
    #[error("bucket {bucket} cannot be opened: is it declared, and may this user see it?")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store did not do it.
    #[error("{doing} {key} in bucket {bucket}")]
    Store {
        /// What was tried.
        doing: &'static str,
        /// The key.
        key: String,
        /// The bucket.
        bucket: String,
        /// What the server says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others changed it each time.
    #[error("changing {key} in bucket {bucket}: others changed it first, {ATTEMPTS} times in a row")]
    Contended {
        /// The key.
        key: String,
        /// The bucket.
        bucket: String,
    },
}

impl<T> Clone for Documents<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), bucket: self.bucket.clone(), kind: PhantomData }
    }
}

impl<T> fmt::Debug for Documents<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Documents").field(&self.bucket).finish()
    }
}

impl<T: Serialize + DeserializeOwned> Documents<T> {
    /// Opens a bucket that exists.
    ///
    /// # Errors
    /// When it does not exist or JetStream does not answer.
    pub async fn open(connection: &Connection, bucket: &str) -> Result<Self, DocumentError> {
        match connection.jetstream.get_key_value(bucket).await {
            Ok(store) => Ok(Self::over(Store::Bucket(Arc::new(store)), bucket)),
            Err(error) => Err(DocumentError::Bucket { bucket: bucket.to_owned(), source: error.into() }),
        }
    }

    /// A bucket in memory, for unit tests.
    pub fn in_memory() -> Self {
        Self::over(Store::Memory(Arc::default()), "memory")
    }

    fn over(store: Store, bucket: &str) -> Self {
        Self { store, bucket: bucket.to_owned(), kind: PhantomData }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Whether the bucket answers. The store's own status is what it was when the bucket was opened, so the stream behind it is asked.
    ///
    /// # Errors
    /// When it does not.
    pub async fn reach(&self) -> Result<(), DocumentError> {
        match &self.store {
            Store::Memory(_) => Ok(()),
            Store::Bucket(store) => store
                .stream
                .get_info()
                .await
                .map(drop)
                .map_err(|error| DocumentError::Bucket { bucket: self.bucket.clone(), source: error.into() }),
        }
    }

    /// Reads a document and the revision to write over.
    ///
    /// # Errors
    /// When the store does not answer, or holds something else under the key.
    pub async fn read(&self, key: &str) -> Result<Versioned<T>, DocumentError> {
        let (bytes, revision) = match &self.store {
            Store::Memory(all) => match lock(all).get(key) {
                Some((bytes, revision)) => (Some(bytes.clone()), *revision),
                None => (None, 0),
            },
            Store::Bucket(store) => match store.entry(key).await.map_err(|error| self.fail("reading", key, error))? {
                Some(entry) if entry.operation == kv::Operation::Put => (Some(entry.value), entry.revision),
                Some(gone) => (None, gone.revision),
                None => (None, 0),
            },
        };
        let value = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(Versioned { value: value.map_err(|error| self.fail("reading", key, error))?, revision })
    }

    /// Writes a document over the revision that was read; `false` if another was there first.
    ///
    /// # Errors
    /// When the store does not confirm it; it may have been written all the same.
    pub async fn write(&self, key: &str, value: &T, revision: u64) -> Result<bool, DocumentError> {
        Ok(self.replace(key, value, revision).await?.is_some())
    }

    /// Writes a document over the revision that was read and returns its new one; `None` if another was there first.
    ///
    /// # Errors
    /// When the store does not confirm it; it may have been written all the same.
    pub async fn replace(&self, key: &str, value: &T, revision: u64) -> Result<Option<u64>, DocumentError> {
        let bytes = serde_json::to_vec(value).map_err(|error| self.fail("writing", key, error))?;
        match &self.store {
            Store::Memory(all) => Ok(write_in_memory(&mut lock(all), key, bytes.into(), revision)),
            Store::Bucket(store) => match store.update(key, bytes.into(), revision).await {
                Ok(revision) => Ok(Some(revision)),
                Err(error) if is_conflict(&error) => Ok(None),
                Err(error) => Err(self.fail("writing", key, error)),
            },
        }
    }

    /// Changes a document however often others come first: `change` is given what is there and returns what is to be there, or `None` to
    /// leave it. It may be given the fruit of its own work, where a confirmation was lost. Returns what is there in the end.
    ///
    /// # Errors
    /// When the store fails, or others come first too often.
    pub async fn change(
        &self,
        key: &str,
        mut change: impl FnMut(Option<&T>) -> Option<T>,
    ) -> Result<Option<T>, DocumentError> {
        for attempt in 1..=ATTEMPTS {
            let found = self.read(key).await?;
            let Some(changed) = change(found.value.as_ref()) else {
                return Ok(found.value);
            };
            if self.write(key, &changed, found.revision).await? {
                return Ok(Some(changed));
            }
            tokio::time::sleep(BACKOFF.wait(attempt, fastrand::f64())).await;
        }
        Err(DocumentError::Contended { key: key.to_owned(), bucket: self.bucket.clone() })
    }

    /// Follows the bucket: what was written lately (at most `back` writes ago), then everything as it is written. The stream ends when
    /// the bucket goes away; a document that does not read is left out.
    ///
    /// # Errors
    /// When the bucket cannot be followed.
    pub async fn follow(&self, back: u64) -> Result<impl Stream<Item = (String, T)> + use<T>, DocumentError> {
        let fail = |error: Box<dyn std::error::Error + Send + Sync>| self.fail("following", "every key", error);
        let store = match &self.store {
            Store::Bucket(store) => store,
            Store::Memory(_) => return Err(fail("a bucket in memory cannot be followed".into())),
        };
        let last = store.stream.get_info().await.map_err(|error| fail(error.into()))?.state.last_sequence;
        let from = last.saturating_sub(back).max(1);
        let watch = store.watch_all_from_revision(from).await.map_err(|error| fail(error.into()))?;
        let puts = watch.take_while(|entry| std::future::ready(entry.is_ok())).filter_map(|entry| async {
            let entry = entry.ok().filter(|entry| entry.operation == kv::Operation::Put)?;
            Some((entry.key, serde_json::from_slice(&entry.value).ok()?))
        });
        Ok(puts)
    }

    fn fail(
        &self,
        doing: &'static str,
        key: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> DocumentError {
        DocumentError::Store { doing, key: key.to_owned(), bucket: self.bucket.clone(), source: source.into() }
    }
}

/// Whether another was there first. A bucket with replicas says it by a code that the client does not know, while they still agree on
/// what the other has written.
fn is_conflict(error: &kv::UpdateError) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    let code = std::iter::successors(Some(first), |&error| error.source())
        .find_map(|cause| cause.downcast_ref::<jetstream::Error>())
        .map(jetstream::Error::error_code);
    let in_doubt = jetstream::ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT;
    error.kind() == kv::UpdateErrorKind::WrongLastRevision || code == Some(in_doubt)
}

fn write_in_memory(all: &mut HashMap<String, (Bytes, u64)>, key: &str, bytes: Bytes, revision: u64) -> Option<u64> {
    let found = all.get(key).map_or(0, |(_, revision)| *revision);
    (found == revision).then(|| {
        all.insert(key.to_owned(), (bytes, revision + 1));
        revision + 1
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_over_an_old_revision_changes_nothing() {
        let documents = Documents::<u32>::in_memory();
        assert_eq!(documents.read("a").await.unwrap(), Versioned { value: None, revision: 0 });
        assert!(documents.write("a", &1, 0).await.unwrap());
        assert!(!documents.write("a", &2, 0).await.unwrap());
        assert_eq!(documents.read("a").await.unwrap(), Versioned { value: Some(1), revision: 1 });
    }

    fn check_conflict(code: u64, expected: bool) {
        let kind = match code {
            10071 => jetstream::context::PublishErrorKind::WrongLastSequence,
            _ => jetstream::context::PublishErrorKind::Other,
        };
        let said = format!(r#"{{"code": 400, "err_code": {code}, "description": "said by the server"}}"#);
        let said: jetstream::Error = serde_json::from_str(&said).unwrap();
        let error = jetstream::context::PublishError::with_source(kind, said);
        assert_eq!(is_conflict(&error.into()), expected, "{code}");
    }

    #[test]
    fn another_was_first_whichever_code_says_so() {
        check_conflict(10071, true);
        check_conflict(10164, true);
        check_conflict(10077, false);
    }

    #[tokio::test]
    async fn a_change_may_leave_the_document_alone() {
        let documents = Documents::<u32>::in_memory();
        let add = |found: Option<&u32>| Some(found.copied().unwrap_or(0) + 1);
        assert_eq!(documents.change("a", add).await.unwrap(), Some(1));
        assert_eq!(documents.change("a", add).await.unwrap(), Some(2));
        assert_eq!(documents.change("a", |_| None).await.unwrap(), Some(2));
    }
}
