//! The requests that an instance has taken, each of which its sender may cancel.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// What runs here, by the id of the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashMap<String, CancellationToken>>>);

/// One request that was taken. It is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    running: Running,
    id: Option<String>,
    cancelled: CancellationToken,
}

impl Running {
    /// Takes a request; one without an id cannot be cancelled.
    pub(super) fn enter(&self, id: Option<&str>) -> Entered {
        let cancelled = CancellationToken::new();
        let id = id.map(str::to_owned);
        if let Some(id) = &id {
            self.lock().insert(id.clone(), cancelled.clone());
        }
        Entered { running: self.clone(), id, cancelled }
    }

    /// Ends a request, if it runs here.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(cancelled) = self.lock().get(id) {
            cancelled.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// Resolves when nobody waits for the answer any more.
    pub(super) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.running.lock().remove(id);
        }
    }
}
