//! What several audits say alike.

use super::Seen;
use crate::{
    checks::support::stream_in_words,
    snapshot::{Consumer, Server, Stream},
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

/// Found of a server.
pub(super) fn of_server(server: &Server, sentence: String, evidence: String) -> Seen {
    Seen { account: None, about: format!("server {}", server.name), sentence, evidence }
}

/// Found of a cluster of servers.
pub(super) fn of_cluster(cluster: &str, sentence: String, evidence: String) -> Seen {
    Seen { account: None, about: format!("cluster {cluster}"), sentence, evidence }
}

/// Found of the servers together.
pub(super) fn of_all(sentence: String, evidence: String) -> Seen {
    Seen { account: None, about: "the servers".to_owned(), sentence, evidence }
}

/// Whether a name holds a space, a tab or a new line.
pub(super) fn has_blank(name: &str) -> bool {
    name.chars().any(char::is_whitespace)
}
