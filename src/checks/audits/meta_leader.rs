//! The group of servers that keeps the list of all streams and consumers has one leader.

use std::collections::BTreeMap;

use super::{Audit, Scene, Seen, support::of_all};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "meta_leader",
    severity: Severity::Critical,
    rule: "Servers of one JetStream domain disagree on who leads the meta group, or there is no leader: nothing can be made, changed or moved.",
    evidence: "whom each server takes for the leader",
    threshold: "one that differs",
    next_step: "wait for the election to end; if it does not, look for a cut between the servers",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let mut domains: BTreeMap<&str, BTreeMap<Option<&str>, Vec<&str>>> = BTreeMap::new();
    for server in scene.servers() {
        let Some(meta) = &server.meta else { continue };
        let leaders = domains.entry(server.domain.as_deref().unwrap_or_default()).or_default();
        leaders.entry(meta.cluster.leader.as_deref()).or_default().push(&server.name);
    }
    domains.into_values().filter_map(|leaders| disagreement(&leaders)).collect()
}

fn disagreement(leaders: &BTreeMap<Option<&str>, Vec<&str>>) -> Option<Seen> {
    let said = leaders.iter().map(|(leader, by)| format!("{} by {}", leader.unwrap_or("none"), by.join(", ")));
    let evidence = format!("taken for the leader: {}", said.collect::<Vec<_>>().join("; "));
    match (leaders.len(), leaders.contains_key(&None)) {
        (1, true) => Some(of_all("Their meta group has no leader.".to_owned(), evidence)),
        (0 | 1, _) => None,
        _ => Some(of_all("They disagree on who leads the meta group.".to_owned(), evidence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, meta, server},
        snapshot::Server,
    };

    fn check(taken: [(&str, Option<&str>); 2], expected: &[&str]) {
        let of = |name, (domain, leader)| {
            let (domain, meta) = meta(domain, leader, Vec::new());
            Server { domain, meta, ..server(name) }
        };
        let [one, other] = taken;
        let servers = vec![of("n1", one), of("n2", other), server("n3")];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn a_domain_has_one_leader() {
        check([("D", Some("n1")), ("D", Some("n1"))], &[]);
        check([("D", Some("n1")), ("D", Some("n2"))], &["the servers"]);
        check([("D", Some("n1")), ("D", None)], &["the servers"]);
        check([("D", None), ("D", None)], &["the servers"]);
        check([("D", Some("n1")), ("E", Some("n2"))], &[]);
    }
}
