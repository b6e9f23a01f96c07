//! A stream without any limit ends with the disk.

use super::{Case, Lint, support::stream_in_words};
use crate::snapshot::{Configs, Retention, Severity};

pub(super) const LINT: Lint = Lint {
    name: "no_limits",
    severity: Severity::Warning,
    rule: "A stream has neither `max_age`, `max_bytes` nor `max_msgs`: it grows until the account or the disk is full, and then every publisher fails.",
    next_step: "say how long or how much it is to keep",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let open = configs
        .streams
        .iter()
        .filter(|stream| stream.max_age.is_zero() && stream.max_bytes <= 0 && stream.max_msgs <= 0);
    open.map(|stream| Case {
        about: stream_in_words(stream),
        sentence: match (stream.retention, stream.discard) {
            (Retention::Limits, _) => "It keeps everything for ever.".to_owned(),
            _ => "It keeps everything for as long as nobody reads it.".to_owned(),
        },
        evidence: "max_age, max_bytes and max_msgs are all open".to_owned(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checks::support::facts::{found, stream};
    use crate::snapshot::StreamConfig;

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
}
