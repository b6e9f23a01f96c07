//! A server that gives a message up says so once, to whoever listens then.

use super::{
    Case, Lint,
    support::{Kept, consumer_in_words},
};
use crate::snapshot::{Configs, Severity};

pub(super) const LINT: Lint = Lint {
    name: "gives_up_unseen",
    severity: Severity::Critical,
    rule: "A consumer has `max_deliver`, and no stream keeps the advisories of messages that the server gives up: they read as processed, and nothing tells of them.",
    next_step: "apply the library's stream ADVISORIES (`streamgauge topology apply --only ADVISORIES`), or take `max_deliver` away and let the workers count attempts",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let kept = Kept::of(configs, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>");
    let gives_up = configs.consumers.iter().filter(|consumer| consumer.max_deliver > 0);
    let unseen = gives_up.filter(|consumer| {
        let subject =
            format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{}.{}", consumer.stream, consumer.durable_name);
        !kept.has(&subject)
    });
    unseen
        .map(|consumer| Case {
            about: consumer_in_words(consumer),
            sentence: format!(
                "A message that fails {} times is given up and looks processed, and nothing will tell.",
                consumer.max_deliver
            ),
            evidence: format!("max_deliver is {}; no stream takes its MAX_DELIVERIES advisories", consumer.max_deliver),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found, stream};
    use crate::snapshot::ConsumerConfig;

    fn check(max_deliver: i64, advisories: &str, expected: usize) {
        let consumers = vec![ConsumerConfig { max_deliver, ..consumer("A", "c") }];
        let streams = vec![stream("A", "a.>"), stream("ADVISORIES", advisories)];
        assert_eq!(found(&LINT, &Configs { streams, consumers, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn who_gives_up_is_heard() {
        check(5, "b.>", 1);
        check(5, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", 0);
        check(5, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.B.*", 1);
        check(-1, "b.>", 0);
    }
}
