//! Telling whoever answers that nobody waits any more.

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures_util::FutureExt;

use crate::message::{MessageId, header};

/// Cancels a request when it is dropped before it was answered.
pub(super) struct HangUp<'a> {
    client: &'a Client,
    subject: String,
    id: Option<MessageId>,
}

impl<'a> HangUp<'a> {
    pub(super) fn new(client: &'a Client, subject: String, id: Option<&MessageId>) -> Self {
        Self { client, subject, id: id.cloned() }
    }

    /// The request was answered, or never reached anybody.
    pub(super) fn not_needed(mut self) {
        self.id = None;
    }
}

impl Drop for HangUp<'_> {
    /// A drop cannot wait: where the client has no room the notice is left out, and the deadline ends the work as it would have.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let mut headers = HeaderMap::new();
        headers.insert(header::CANCEL, id.0);
        let notice = self.client.publish_with_headers(std::mem::take(&mut self.subject), headers, Bytes::new());
        if !matches!(tokio::task::unconstrained(notice).now_or_never(), Some(Ok(()))) {
            tracing::debug!("a request could not be cancelled; its deadline ends it");
        }
    }
}
