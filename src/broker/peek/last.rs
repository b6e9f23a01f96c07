//! The newest message on one subject: the value under a key of a bucket, however far back it lies.

use tokio::time::timeout_at;

use super::{
    ReadError,
    search::{Search, Way},
    stored::stored,
};
use crate::{broker::get::Messages, name::Subject, peek::Stored};

impl Search<'_> {
    /// The newest message on a subject.
    pub(super) async fn last(&self, subject: &Subject) -> Result<Option<Stored>, ReadError> {
        let messages = Messages { client: &self.client, stream: self.stream.as_str(), pattern: subject.as_str() };
        let ask = async {
            if self.way != Way::Api
                && let Some(found) = messages.last_direct().await?
            {
                return Ok(Some(stored(found, self.way.adds_headers())));
            }
            // Any replica answers a direct get, one that lags too: that there is none is believed of the leader alone.
            Ok(messages.last_stored().await?.map(|found| stored(found, Way::Api.adds_headers())))
        };
        timeout_at(self.until, ask).await.unwrap_or_else(|_| Err(ReadError::Silence(self.stream.clone())))
    }
}
