//! In a cluster one copy is one server's.

use super::{Case, Lint, support::stream_in_words};
use crate::snapshot::{Configs, Severity};

pub(super) const LINT: Lint = Lint {
    name: "one_replica",
    severity: Severity::Notice,
    rule: "A stream in a cluster has one copy: while its server is away it takes nothing and gives nothing, and its disk is the only one.",
    next_step: "declare three replicas, or accept that it is away with its server",
    look,
};

fn look(configs: &Configs) -> Vec<Case> {
    let single = configs.streams.iter().filter(|stream| configs.is_clustered && stream.num_replicas <= 1);
    single
        .map(|stream| Case {
            about: stream_in_words(stream),
            sentence: "It is away whenever its one server is.".to_owned(),
            evidence: "num_replicas is 1, and the servers form a cluster".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::facts::{found, stream};
    use crate::snapshot::StreamConfig;

    fn check(is_clustered: bool, num_replicas: u32, expected: usize) {
        let streams = vec![StreamConfig { num_replicas, ..stream("A", "a.>") }];
        assert_eq!(found(&LINT, &Configs { streams, is_clustered, ..Configs::default() }).len(), expected);
    }

    #[test]
    fn a_cluster_holds_several() {
        check(true, 1, 1);
        check(true, 3, 0);
        check(false, 1, 0);
    }
}
