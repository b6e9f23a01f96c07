//! Servers of several versions behave in several ways.

use std::collections::BTreeMap;

use super::{Audit, Scene, Seen, support::of_all};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "versions_differ",
    severity: Severity::Warning,
    rule: "The servers are of different versions: what the newest can do fails on the others, at the latest when a leader moves.",
    evidence: "what each server says of itself",
    threshold: "two versions",
    next_step: "end the upgrade that was begun",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in scene.servers() {
        versions.entry(&server.version).or_default().push(&server.name);
    }
    if versions.len() < 2 {
        return Vec::new();
    }
    let said: Vec<String> =
        versions.iter().map(|(version, names)| format!("{version} on {}", names.join(", "))).collect();
    vec![of_all(format!("They run {} versions.", versions.len()), said.join("; "))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::Server,
    };

    fn check(other: &str, expected: &[&str]) {
        let servers = vec![server("n1"), Server { version: other.to_owned(), ..server("n2") }];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn one_that_differs_is_enough() {
        check("2.15.0", &[]);
        check("2.15.1", &["the servers"]);
    }
}
