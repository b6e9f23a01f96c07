//! What became of messages that were given up: how many dead letters lie there of each consumer, and which of them were replayed.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use serde_json::json;

use super::{AskError, Broker, ask::Deadline, ask::ask};
use crate::{
    dead_letter::{self, Replayed},
    name::{ConsumerName, StreamName},
    snapshot::{Bucket, Listing, Reading, Stream},
};

/// Replays that are read, the newest: each is one key of the bucket.
const REPLAYS_MOST: usize = 1_024;

/// Dead letters by the stream and the consumer that they are of.
pub type LetterCounts = HashMap<(StreamName, ConsumerName), u64>;

#[derive(Deserialize)]
struct Info {
    state: Subjects,
}

#[derive(Deserialize)]
struct Subjects {
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

impl Broker {
    /// Counts the dead letters of each consumer.
    ///
    /// # Errors
    /// When the server did not say `within` that time.
    pub async fn letter_counts(&self, within: Duration) -> Result<LetterCounts, AskError> {
        let subject = format!("$JS.API.STREAM.INFO.{}", dead_letter::STREAM);
        let question = json!({ "subjects_filter": "dead.>" });
        let ask = ask::<Info>(&self.connection.client, &subject, &question);
        let info = Deadline::after(within).wait("the numbers of dead letters", ask).await?;
        let counts = info.state.subjects.into_iter().flatten();
        Ok(counts.filter_map(|(subject, count)| Some((of_whom(&subject)?, count))).collect())
    }

    /// The newest replays of dead letters, by the bucket that whoever replays writes to.
    pub async fn replays(&self, streams: Option<&Listing<Stream>>, within: Duration) -> Reading<Bucket<Replayed>> {
        let account = self.account().map_or("", |account| account);
        self.bucket(account, streams, dead_letter::REPLAYS, REPLAYS_MOST, Deadline::after(within)).await
    }
}

/// Whose dead letters have this subject.
fn of_whom(subject: &str) -> Option<(StreamName, ConsumerName)> {
    let (stream, consumer) = subject.strip_prefix("dead.")?.split_once('.')?;
    Some((stream.parse().ok()?, consumer.parse().ok()?))
}
