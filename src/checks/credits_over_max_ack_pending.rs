//! Workers that ask for more than a consumer gives stand idle.

use super::{Case, Lint, support::consumer_in_words};
use crate::snapshot::{Configs, Severity};

pub(super) const LINT: Lint = Lint {
    name: "credits_over_max_ack_pending",
    severity: Severity::Warning,
    rule: "The workers of a consumer may run more handlers than it allows messages in flight: some of them never get any.",
    next_step: "raise `max_ack_pending`, or start fewer handlers",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let limited = configs.consumers.iter().filter(|consumer| consumer.max_ack_pending > 0);
    limited
        .filter_map(|consumer| {
            let workers = configs.workers.iter();
            let own = workers.filter(|one| one.stream == consumer.stream && one.consumer == consumer.durable_name);
            // One in flight is the way to keep order, with members that stand by.
            let handlers: i64 = own.map(|worker| i64::from(worker.concurrency)).sum();
            (consumer.max_ack_pending > 1 && handlers > consumer.max_ack_pending).then(|| Case {
                about: consumer_in_words(consumer),
                sentence: "Some of its handlers never get a message.".to_owned(),
                evidence: format!("{handlers} handlers, max_ack_pending is {}", consumer.max_ack_pending),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found, worker};
    use crate::snapshot::ConsumerConfig;

    fn check(max_ack_pending: i64, expected: usize) {
        let consumers = vec![ConsumerConfig { max_ack_pending, ..consumer("A", "c") }];
        let workers = vec![worker("A", "c", 8, 1), worker("A", "c", 8, 1)];
        assert_eq!(found(&LINT, &Configs { consumers, workers, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn all_workers_count_together() {
        check(15, 1);
        check(16, 0);
        check(-1, 0);
        check(1, 0);
    }
}
