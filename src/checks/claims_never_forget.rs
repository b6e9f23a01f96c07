//! A store that takes and never gives back is full one day.

use super::{
    Case, Lint,
    support::{CLAIMS, is_limited, stream_in_words},
};
use crate::snapshot::{Configs, Severity};

pub(super) const LINT: Lint = Lint {
    name: "claims_never_forget",
    severity: Severity::Warning,
    rule: "The object store of large payloads has no age, and nothing else deletes them: once it is full, messages with large payloads are not published any more.",
    next_step: "give the bucket `claims` an age: that of the stream that keeps longest, and of the dead letters after it",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let claims = configs.streams.iter().filter(|stream| stream.name == CLAIMS);
    // Without any limit it is another lint's.
    let unending = claims.filter(|claims| claims.max_age.is_zero() && is_limited(claims));
    unending
        .map(|claims| Case {
            about: stream_in_words(claims),
            sentence: "Large payloads are kept for ever, in a bucket that takes no more when it is full.".to_owned(),
            evidence: format!("it has no max_age, and max_bytes {}", claims.max_bytes),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        checks::support::facts::{found, stream},
        snapshot::StreamConfig,
    };

    fn check(name: &str, hours: u64, max_bytes: i64, expected: &[&str]) {
        let max_age = Duration::from_secs(hours * 3_600);
        let claims = StreamConfig { max_age, max_bytes, ..stream(name, "$O.claims.C.>") };
        assert_eq!(found(&LINT, &Configs { streams: vec![claims], ..Configs::default() }), expected);
    }

    #[test]
    fn claims_come_to_an_end() {
        check(CLAIMS, 0, 1_000, &["bucket claims"]);
        check(CLAIMS, 1, 1_000, &[]);
        check(CLAIMS, 0, -1, &[]);
        check("OBJ_other", 0, 1_000, &[]);
    }
}
