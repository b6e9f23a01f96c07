//! A server whose JetStream is full refuses what is published.

use super::{
    Audit, Scene, Seen,
    support::{is_near, of_server, percent},
};
use crate::{
    snapshot::{JetStreamUse, Severity},
    words::count,
};

pub(super) const AUDIT: Audit = Audit {
    name: "jetstream_full",
    severity: Severity::Warning,
    rule: "A server has little room left for streams: at its limit it refuses new streams, and then messages.",
    evidence: "its own word on what it holds and has reserved, against `max_mem` and `max_file`",
    threshold: "`--limit-percent`, 90 by default",
    next_step: "give its JetStream more room, or streams lower limits",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let with = scene.servers().iter().filter_map(|server| Some((server, server.jetstream?)));
    with.flat_map(|(server, used)| {
        full(used, scene.thresholds.limit_percent).map(|(sentence, evidence)| of_server(server, sentence, evidence))
    })
    .collect()
}

fn full(used: JetStreamUse, most: u64) -> impl Iterator<Item = (String, String)> {
    let kinds = [
        ("memory", used.memory, used.memory_reserved, used.memory_limit),
        ("disk", used.storage, used.storage_reserved, used.storage_limit),
    ];
    kinds.into_iter().filter_map(move |(kind, held, reserved, limit)| {
        let limit = limit?;
        let what = if is_near(held, limit, most) {
            format!("holds {} %", percent(held, limit))
        } else if is_near(reserved, limit, most) {
            format!("has reserved {} %", percent(reserved, limit))
        } else {
            return None;
        };
        let evidence = format!("{} bytes held and {} reserved, of {}", count(held), count(reserved), count(limit));
        Some((format!("Its JetStream {what} of the {kind} that it may."), evidence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::Server,
    };

    fn check(held: u64, reserved: u64, limit: Option<u64>, expected: &[&str]) {
        let used =
            JetStreamUse { storage: held, storage_reserved: reserved, storage_limit: limit, ..JetStreamUse::default() };
        let servers = vec![Server { jetstream: Some(used), ..server("n1") }];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn what_is_held_or_reserved_counts_against_the_limit() {
        check(90, 0, Some(100), &["server n1"]);
        check(0, 90, Some(100), &["server n1"]);
        check(89, 89, Some(100), &[]);
        check(90, 90, None, &[]);
    }
}
