//! What is published again after a redelivery has to be known again.

use super::{
    Case, Lint,
    support::{consumer_in_words, is_of_server},
};
use crate::{
    clock::Age,
    snapshot::{Configs, ConsumerConfig, Severity, StreamConfig},
};

pub(super) const LINT: Lint = Lint {
    name: "duplicate_window_short",
    severity: Severity::Notice,
    rule: "A consumer delivers again later than streams forget message ids: a handler that published there, died, and runs again publishes twice.",
    next_step: "make the duplicate window of the streams that its handlers publish on longer than its `ack_wait`, or publish with `once()`",
    look,
};

/// Streams that are named; with thousands of them their names would be more than anybody reads, for each consumer anew.
const NAMED_MOST: usize = 5;

fn look(configs: &Configs) -> Vec<Case> {
    let streams = configs.streams.iter().filter(|stream| !stream.is_bucket() && !is_of_server(stream));
    let mut forgetful: Vec<&StreamConfig> = streams.filter(|stream| !stream.duplicate_window.is_zero()).collect();
    forgetful.sort_by_key(|stream| stream.duplicate_window);
    configs.consumers.iter().filter_map(|consumer| case(&forgetful, consumer)).collect()
}

/// `streams` come with the shortest window first.
fn case(streams: &[&StreamConfig], consumer: &ConsumerConfig) -> Option<Case> {
    let forgetful = &streams[..streams.partition_point(|stream| stream.duplicate_window < consumer.ack_wait)];
    let names: Vec<&str> = forgetful.iter().take(NAMED_MOST).map(|stream| stream.name.as_str()).collect();
    let more = forgetful.len() - names.len();
    (!forgetful.is_empty()).then(|| Case {
        about: consumer_in_words(consumer),
        sentence: "A handler that is run again may publish twice.".to_owned(),
        evidence: format!(
            "it delivers again after {}, and by then these streams have forgotten message ids: {}{}",
            Age(consumer.ack_wait),
            names.join(", "),
            if more > 0 { format!(", and {more} more") } else { String::new() }
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checks::support::facts::{consumer, found, stream};

    fn check(ack_wait_seconds: u64, expected: usize) {
        let ack_wait = Duration::from_secs(ack_wait_seconds);
        let consumers = vec![ConsumerConfig { ack_wait, ..consumer("B", "c") }];
        assert_eq!(
            found(&LINT, &Configs { streams: vec![stream("A", "a.>")], consumers, ..Configs::default() }).len(),
            expected
        );
    }

    #[test]
    fn ids_outlive_a_redelivery() {
        check(121, 1);
        check(120, 0);
    }
}
