//! Back-pressure: how many messages of a bus may wait for their confirmation at once.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PublishError;
use crate::name::Subject;

/// How long a message waits for room. Each of those before it has its answer, or none, in 2 s, so that a window of the usual size turns
/// over several times.
const PLACE_LIMIT: Duration = Duration::from_secs(10);

/// Places for messages that wait for their confirmation.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    places: Arc<Semaphore>,
    size: usize,
}

impl Window {
    pub(crate) fn new(size: usize) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(size)), size }
    }

    /// A place, as soon as there is one.
    pub(crate) async fn place(&self, subject: &Subject) -> Result<OwnedSemaphorePermit, PublishError> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let place = tokio::time::timeout(PLACE_LIMIT, self.places.clone().acquire_owned()).await;
        match place {
            Ok(Ok(place)) => Ok(place),
            // It is never closed.
            Ok(Err(_)) | Err(_) => {
                Err(PublishError::WindowFull { subject: subject.clone(), window: self.size, waited: PLACE_LIMIT })
            }
        }
    }
}
