//! A message that nobody can handle needs a place to go.

use std::collections::HashSet;

use super::{
    Case, Lint,
    support::{Kept, stream_in_words},
};
use crate::snapshot::{Configs, Retention, Severity};

pub(super) const LINT: Lint = Lint {
    name: "no_dead_letters",
    severity: Severity::Warning,
    rule: "A stream has consumers, and no stream takes `dead.<stream>.>`: a message that no handler can take is tried for ever, or is gone; on a work queue it is gone from everywhere.",
    next_step: "apply the library's stream DEAD_LETTERS (`streamgauge topology apply`)",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let readers: HashSet<&str> = configs.consumers.iter().map(|consumer| consumer.stream.as_str()).collect();
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
        evidence: format!("it has consumers, and no stream takes dead.{}.>", stream.name),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{consumer, found, stream};

    fn check(other: &str, is_read: bool, expected: usize) {
        let streams = vec![stream("A", "a.>"), stream("OTHER", other)];
        let consumers = if is_read { vec![consumer("A", "c")] } else { Vec::new() };
        assert_eq!(found(&LINT, &Configs { streams, consumers, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn what_is_read_has_a_place_for_what_cannot_be() {
        check("b.>", true, 1);
        check("dead.>", true, 0);
        check("dead.B.>", true, 1);
        check("b.>", false, 0);
    }
}
