//! The server's waits and a client's waits do not compose.

use super::{Case, Lint, support::consumer_in_words};
use crate::snapshot::{Configs, Severity};

pub(super) const LINT: Lint = Lint {
    name: "backoff_beside_nak",
    severity: Severity::Warning,
    rule: "A consumer has the server's `backoff`: it takes the place of `ack_wait`, and is added to the delays that workers ask for when they hand a message back.",
    next_step: "take `backoff` away and let the workers' retry policy wait",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let waiting = configs.consumers.iter().filter(|consumer| !consumer.backoff.is_empty());
    waiting
        .map(|consumer| Case {
            about: consumer_in_words(consumer),
            sentence: "Its redeliveries come at times that nobody asked for.".to_owned(),
            evidence: format!("backoff has {} steps", consumer.backoff.len()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found};
    use crate::snapshot::ConsumerConfig;

    fn check(backoff: &[u64], expected: usize) {
        let consumers = vec![ConsumerConfig { backoff: backoff.to_vec(), ..consumer("A", "c") }];
        assert_eq!(found(&LINT, &Configs { consumers, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn only_one_side_waits() {
        check(&[1_000_000_000], 1);
        check(&[], 0);
    }
}
