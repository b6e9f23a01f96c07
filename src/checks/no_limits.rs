//! A stream without any limit ends with the disk.

use super::{
    Case, Lint,
    support::{is_limited, stream_in_words},
};
use crate::snapshot::{Configs, Retention, Severity, StreamConfig};

pub(super) const LINT: Lint = Lint {
    name: "no_limits",
    severity: Severity::Notice,
    rule: "A stream has neither `max_age`, `max_bytes`, `max_msgs` nor `max_msgs_per_subject`: it grows until the account or the disk is full, and then every publisher fails. A bucket keeps what somebody put there until somebody takes it away, which is what it is for.",
    next_step: "say how long or how much it is to keep",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let open = configs.streams.iter().filter(|stream| {
        !stream.is_bucket() && stream.max_age.is_zero() && !is_limited(stream) && !keeps_the_newest(stream)
    });
    open.map(|stream| Case {
        about: stream_in_words(stream),
        sentence: match (stream.retention, stream.discard) {
            (Retention::Limits, _) => "It keeps everything for ever.".to_owned(),
            _ => "It keeps everything for as long as nobody reads it.".to_owned(),
        },
        evidence: "max_age, max_bytes, max_msgs and max_msgs_per_subject are all open".to_owned(),
    })
    .collect()
}

/// It keeps some messages of each subject, as a bucket does.
fn keeps_the_newest(stream: &StreamConfig) -> bool {
    stream.max_msgs_per_subject > 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checks::support::facts::{found, stream};

    fn check(max_age: u64, max_bytes: i64, max_msgs: i64, expected: usize) {
        let max_age = Duration::from_secs(max_age);
        let streams = vec![StreamConfig { max_age, max_bytes, max_msgs, ..stream("A", "a.>") }];
        assert_eq!(found(&LINT, &Configs { streams, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn one_limit_is_enough() {
        check(0, -1, -1, 1);
        check(0, 0, 0, 1);
        check(1, -1, -1, 0);
        check(0, 1, -1, 0);
        check(0, -1, 1, 0);
    }

    #[test]
    fn what_keeps_the_newest_of_each_subject_is_no_log_that_grows() {
        let open = |name: &str| StreamConfig { max_age: Duration::ZERO, max_bytes: -1, ..stream(name, "a.>") };
        let check = |stream: StreamConfig, expected| {
            let configs = Configs { streams: vec![stream], ..Configs::default() };
            assert_eq!(found(&LINT, &configs).len(), expected);
        };
        check(open("A"), 1);
        check(StreamConfig { max_msgs_per_subject: 1, ..open("A") }, 0);
        check(open("KV_stock"), 0);
        check(open("OBJ_files"), 0);
    }
}
