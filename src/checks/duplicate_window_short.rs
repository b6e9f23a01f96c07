//! What is published again after a redelivery has to be known again.

use super::{
    Case, Lint,
    support::{consumer_in_words, stream_in_words},
};
use crate::{
    clock::Age,
    snapshot::{Configs, Severity},
};

pub(super) const LINT: Lint = Lint {
    name: "duplicate_window_short",
    severity: Severity::Notice,
    rule: "A stream forgets message ids sooner than a consumer delivers again: a handler that published there, died, and runs again publishes twice.",
    next_step: "make the duplicate window longer than the longest `ack_wait` of those who publish there, or publish with `once()`",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let Some(patient) = configs.consumers.iter().max_by_key(|consumer| consumer.ack_wait) else { return Vec::new() };
    let streams = configs.streams.iter().filter(|stream| !stream.is_bucket());
    streams
        .filter(|stream| !stream.duplicate_window.is_zero() && stream.duplicate_window < patient.ack_wait)
        .map(|stream| Case {
            about: stream_in_words(stream),
            sentence: "A handler that is run again may publish twice.".to_owned(),
            evidence: format!(
                "its duplicate window is {}, {} delivers again after {}",
                Age(stream.duplicate_window),
                consumer_in_words(patient),
                Age(patient.ack_wait)
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::support::facts::{consumer, found, stream},
        *,
    };
    use crate::snapshot::ConsumerConfig;

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
