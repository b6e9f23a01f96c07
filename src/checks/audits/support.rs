//! What several audits say alike.

use super::Seen;
use crate::{
    checks::support::stream_in_words,
    snapshot::{Consumer, Stream},
};

/// Found of a stream.
pub(super) fn of_stream(stream: &Stream, sentence: String, evidence: String) -> Seen {
    Seen { account: Some(stream.account.clone()), about: stream_in_words(&stream.config), sentence, evidence }
}

/// Found of a consumer, which need not be a durable one.
pub(super) fn of_consumer(consumer: &Consumer, sentence: String, evidence: String) -> Seen {
    let about = format!("consumer {} of stream {}", consumer.name, consumer.stream);
    Seen { account: Some(consumer.account.clone()), about, sentence, evidence }
}

/// Whether `used` is at or over `percent` of `limit`.
pub(super) fn is_near(used: u64, limit: u64, percent: u64) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * u128::from(percent)
}

/// `used` of `limit` in whole percent; 100 of a limit of nothing.
pub(super) fn percent(used: u64, limit: u64) -> u128 {
    (u128::from(used) * 100).checked_div(u128::from(limit)).unwrap_or(100)
}
