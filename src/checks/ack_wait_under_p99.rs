//! A handler that runs longer than `ack_wait` lives by its lease alone.

use super::{Case, Lint, support::consumer_in_words};
use crate::{
    clock::Age,
    snapshot::{Configs, Severity},
};

pub(super) const LINT: Lint = Lint {
    name: "ack_wait_under_p99",
    severity: Severity::Warning,
    rule: "One handler in a hundred takes longer than the consumer's `ack_wait`: without a lease the server delivers its message again while it runs.",
    next_step: "raise `ack_wait` above the handler's p99, or make sure that all its workers extend their leases (workers of this library do)",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let slowest = configs.consumers.iter().filter_map(|consumer| {
        let workers = configs.workers.iter();
        let own = workers.filter(|worker| worker.stream == consumer.stream && worker.consumer == consumer.durable_name);
        let p99 = own.filter_map(|worker| worker.p99).max()?;
        (p99 > consumer.ack_wait && !consumer.ack_wait.is_zero()).then_some((consumer, p99))
    });
    slowest
        .map(|(consumer, p99)| Case {
            about: consumer_in_words(consumer),
            sentence: "Its handlers may run longer than the server waits for them.".to_owned(),
            evidence: format!("p99 of its handlers is {}, ack_wait is {}", Age(p99), Age(consumer.ack_wait)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found, worker};

    fn check(p99_seconds: u64, expected: usize) {
        let workers = vec![worker("A", "c", 1, 1), worker("A", "c", 1, p99_seconds), worker("A", "d", 1, 99)];
        let configs = Configs { consumers: vec![consumer("A", "c")], workers, ..Configs::default() };
        assert_eq!(found(&LINT, &configs).len(), expected);
    }

    #[test]
    fn the_slowest_worker_counts() {
        check(31, 1);
        check(30, 0);
    }
}
