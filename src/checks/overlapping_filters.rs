//! On a work queue each message belongs to one consumer.

use std::collections::BTreeMap;

use super::{Case, Lint, support::consumer_in_words};
use crate::{
    name::subjects_overlap,
    snapshot::{Configs, ConsumerConfig, Retention, Severity},
};

pub(super) const LINT: Lint = Lint {
    name: "overlapping_filters",
    severity: Severity::Critical,
    rule: "Two consumers of a work queue take the same subjects: the server refuses the second one.",
    next_step: "give each its own subjects, let them share one durable, or keep the stream by limits or interest",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let queues = configs.streams.iter().filter(|stream| stream.retention == Retention::WorkQueue);
    let mut readers: BTreeMap<&str, Vec<&ConsumerConfig>> = queues.map(|queue| (queue.name.as_str(), vec![])).collect();
    for consumer in &configs.consumers {
        if let Some(readers) = readers.get_mut(consumer.stream.as_str()) {
            readers.push(consumer);
        }
    }
    readers.values().flat_map(|consumers| pairs(consumers)).collect()
}

fn pairs(consumers: &[&ConsumerConfig]) -> Vec<Case> {
    let pairs =
        consumers.iter().enumerate().flat_map(|(at, one)| consumers[at + 1..].iter().map(move |other| (*one, *other)));
    pairs.filter_map(|(one, other)| overlap(one, other)).collect()
}

fn overlap(one: &ConsumerConfig, other: &ConsumerConfig) -> Option<Case> {
    let (ones, others) = (filters(one), filters(other));
    let mut both = ones.iter().flat_map(|a| others.iter().map(move |b| (*a, *b)));
    let (a, b) = both.find(|(a, b)| subjects_overlap(a, b))?;
    Some(Case {
        about: consumer_in_words(other),
        sentence: format!("It takes subjects that consumer {} takes too; a work queue allows one.", one.durable_name),
        evidence: format!("{b} overlaps {a}"),
    })
}

fn filters(consumer: &ConsumerConfig) -> Vec<&str> {
    let filters = consumer.filters();
    if filters.is_empty() { vec![">"] } else { filters }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found, stream};
    use crate::snapshot::StreamConfig;

    fn check(retention: Retention, one: &str, other: &str, expected: usize) {
        let filtered = |name, filter: &str| ConsumerConfig { filter_subject: filter.to_owned(), ..consumer("A", name) };
        let streams = vec![StreamConfig { retention, ..stream("A", "a.>") }];
        let consumers = vec![filtered("one", one), filtered("other", other)];
        assert_eq!(found(&LINT, &Configs { streams, consumers, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn a_work_queue_has_one_consumer_a_subject() {
        check(Retention::WorkQueue, "a.x.*", "a.*.y", 1);
        check(Retention::WorkQueue, "a.x.*", "", 1);
        check(Retention::WorkQueue, "a.x", "a.y", 0);
        check(Retention::Limits, "a.x", "a.x", 0);
    }
}
