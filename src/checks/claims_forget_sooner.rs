//! A claim check is worth what it stands for.

use super::{
    Case, Lint,
    support::{CLAIMS, is_limited, is_of_server, stream_in_words},
};
use crate::{
    clock::Age,
    snapshot::{Configs, Severity},
};

pub(super) const LINT: Lint = Lint {
    name: "claims_forget_sooner",
    severity: Severity::Warning,
    rule: "The object store of large payloads forgets sooner than a stream that may refer to it: a message is still there, its payload is not.",
    next_step: "give the bucket `claims` a longer age than any stream, or the stream a shorter one",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let Some(claims) = configs.streams.iter().find(|stream| stream.name == CLAIMS) else { return Vec::new() };
    if claims.max_age.is_zero() {
        return Vec::new();
    }
    // What a server publishes has no claim check.
    let streams = configs.streams.iter().filter(|stream| !stream.is_bucket() && !is_of_server(stream));
    streams
        // One that has no limit at all is another lint's.
        .filter(|stream| if stream.max_age.is_zero() { is_limited(stream) } else { stream.max_age > claims.max_age })
        .map(|stream| {
            let kept = if stream.max_age.is_zero() {
                "no max_age".to_owned()
            } else {
                format!("max_age {}", Age(stream.max_age))
            };
            Case {
                about: stream_in_words(stream),
                sentence: "A large payload may be gone while its message is still there.".to_owned(),
                evidence: format!("the stream has {kept}, bucket claims forgets after {}", Age(claims.max_age)),
            }
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

    fn check(claims_hours: u64, stream_hours: u64, expected: &[&str]) {
        let hours = |hours| Duration::from_secs(hours * 3_600);
        let claims = StreamConfig { max_age: hours(claims_hours), ..stream(CLAIMS, "$O.claims.C.>") };
        let orders = StreamConfig { max_age: hours(stream_hours), ..stream("ORDERS", "orders.>") };
        assert_eq!(found(&LINT, &Configs { streams: vec![claims, orders], ..Configs::default() }), expected);
    }

    #[test]
    fn claims_outlive_messages() {
        check(1, 2, &["stream ORDERS"]);
        check(1, 0, &["stream ORDERS"]);
        check(2, 2, &[]);
        check(0, 0, &[]);
        let open = StreamConfig { max_age: Duration::ZERO, max_bytes: -1, ..stream("ORDERS", "orders.>") };
        let streams = vec![stream(CLAIMS, "$O.claims.C.>"), open];
        assert!(found(&LINT, &Configs { streams, ..Configs::default() }).is_empty(), "`no_limits` says it");
    }
}
