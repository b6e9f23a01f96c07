//! A server that says that what it is given cannot be written.

use super::{Audit, Scene, Seen, support::of_server};
use crate::snapshot::{Health, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "server_cannot_write",
    severity: Severity::Critical,
    rule: "A server cannot write what it is given: messages are refused, and copies fall behind.",
    evidence: "its own word, asked for every minute, and every 10 s while one is not well",
    threshold: "a write that failed, or a disk that is full",
    next_step: "make room on its disk or mend it, then start the server anew: it does not try again by itself",
    look,
};

/// What its words hold then.
const WORDS: [&str; 3] = ["write error", "no space left", "out of space"];

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let told = scene.servers().iter().filter_map(|server| Some((server, server.health.as_ref()?)));
    let failing = told.filter(|(server, health)| !server.is_silent(scene.now()) && cannot_write(health));
    let seen = failing.map(|(server, health)| {
        let sentence = "It cannot write what it is given.".to_owned();
        of_server(server, sentence, format!("{} (asked at {})", health.reason, health.told))
    });
    seen.collect()
}

/// Whether what it says of itself is that; what else is not well is a finding of another kind.
pub(super) fn cannot_write(health: &Health) -> bool {
    let words = health.reason.to_ascii_lowercase();
    !health.is_well && WORDS.iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, now, server},
        snapshot::Server,
    };

    fn check(reason: &str, is_well: bool, expected: &[&str]) {
        let health = Some(Health { is_well, reason: reason.to_owned(), told: now() });
        check_servers(&AUDIT, World { servers: vec![Server { health, ..server("n1") }], ..World::default() }, expected);
    }

    #[test]
    fn a_write_that_failed_is_told_of() {
        check("stream write error: write /data/1.blk: no space left on device", false, &["server n1"]);
        check("JetStream is not current with the meta leader", false, &[]);
        check("ok", true, &[]);
    }
}
