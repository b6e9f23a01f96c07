//! What a bus over NATS holds beside the connection: the window of unconfirmed messages, and whoever reads confirmations.

use std::sync::Arc;

use async_nats::RequestError;
use tokio::sync::RwLock;
use tokio_util::sync::DropGuard;

use super::{
    batch,
    publish::{Confirmations, Window},
};
use crate::{nats::Connection, tasks::Tasks};

/// The way of a bus to its streams.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) window: Window,
    pub(super) batches: Window,
    reader: RwLock<Option<Arc<Confirmations>>>,
    tasks: Tasks,
    _ends_with_the_bus: DropGuard,
}

impl Link {
    pub(super) fn new(connection: Connection, window: usize) -> Self {
        let tasks = Tasks::default();
        let _ends_with_the_bus = tasks.cancel_on_drop();
        let batches = Window::new(batch::AT_ONCE);
        Self { connection, window: Window::new(window), batches, reader: RwLock::default(), tasks, _ends_with_the_bus }
    }

    /// Confirmations are read from the first message on, in the runtime that publishes it; should that runtime end, in the next.
    pub(super) async fn confirmations(&self) -> Result<Arc<Confirmations>, RequestError> {
        let is_read = |confirmations: &&Arc<Confirmations>| !confirmations.are_over();
        if let Some(confirmations) = self.reader.read().await.as_ref().filter(is_read) {
            return Ok(confirmations.clone());
        }
        let mut reader = self.reader.write().await;
        if let Some(confirmations) = reader.as_ref().filter(is_read) {
            return Ok(confirmations.clone());
        }
        let (confirmations, subscriber) = Confirmations::open(&self.connection.client).await?;
        self.tasks.spawn(|stop| confirmations.clone().read(subscriber, stop));
        *reader = Some(confirmations.clone());
        Ok(confirmations)
    }
}
