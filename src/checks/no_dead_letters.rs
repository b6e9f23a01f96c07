//! A message that no worker of the library can handle needs a place to go. Workers of other libraries write none there.

use std::collections::HashSet;

use super::{
    Case, Lint,
    support::{Kept, stream_in_words},
};
use crate::snapshot::{Configs, Retention, Severity, WORKER_METADATA};

pub(super) const LINT: Lint = Lint {
    name: "no_dead_letters",
    severity: Severity::Notice,
    rule: "Workers of the library read a stream, and no stream takes `dead.<stream>.>`, where they put what they give up: a message that no handler can take is tried for ever, or is gone; on a work queue it is gone from everywhere.",
    next_step: "apply the library's stream DEAD_LETTERS (`streamgauge topology apply --only DEAD_LETTERS`)",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let ours = configs.consumers.iter().filter(|consumer| consumer.metadata.contains_key(WORKER_METADATA));
    let ours = ours.map(|consumer| consumer.stream.as_str());
    let readers: HashSet<&str> = ours.chain(configs.workers.iter().map(|worker| worker.stream.as_str())).collect();
    let kept = Kept::of(configs, "dead.>");
    let read = configs.streams.iter().filter(|stream| {
        let is_read = readers.contains(stream.name.as_str());
        is_read && !stream.is_bucket() && !kept.has(&format!("dead.{}.>", stream.name))
    });
    read.map(|stream| Case {
        about: stream_in_words(stream),
        sentence: match stream.retention {
            Retention::WorkQueue => "A message that is given up is gone from everywhere.".to_owned(),
            _ => "A message that no handler can take has no place to go.".to_owned(),
        },
        evidence: format!("workers of the library read it, and no stream takes dead.{}.>", stream.name),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found, stream, worker};
    use crate::snapshot::ConsumerConfig;

    fn check(other: &str, reader: Option<ConsumerConfig>, expected: usize) {
        let streams = vec![stream("A", "a.>"), stream("OTHER", other)];
        let consumers = reader.into_iter().collect();
        assert_eq!(found(&LINT, &Configs { streams, consumers, ..Configs::default() }).len(), expected);
    }

    fn ours() -> Option<ConsumerConfig> {
        let metadata = [(WORKER_METADATA.to_owned(), "0.1.0".to_owned())].into();
        Some(ConsumerConfig { metadata, ..consumer("A", "c") })
    }

    #[test]
    fn what_our_workers_read_has_a_place_for_what_they_give_up() {
        check("b.>", ours(), 1);
        check("dead.>", ours(), 0);
        check("dead.B.>", ours(), 1);
        check("b.>", None, 0);
        let workers = vec![worker("A", "c", 1, 1)];
        let streams = vec![stream("A", "a.>")];
        assert_eq!(found(&LINT, &Configs { streams, workers, ..Configs::default() }), ["stream A"]);
    }

    #[test]
    fn workers_of_other_libraries_would_put_nothing_there() {
        check("b.>", Some(consumer("A", "c")), 0);
    }
}
