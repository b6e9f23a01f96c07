//! Servers of one cluster have to reach the same other clusters.

use std::collections::{BTreeMap, BTreeSet};

use super::{Audit, Scene, Seen, support::of_cluster};
use crate::snapshot::{Server, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "gateways_differ",
    severity: Severity::Warning,
    rule: "Servers of one cluster are connected to different other clusters: who reaches what depends on where a client connects.",
    evidence: "the gateways that each server of the cluster tells of",
    threshold: "one that differs",
    next_step: "give all servers of the cluster the same gateways, and look for a connection that does not come about",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let mut clusters: BTreeMap<&str, Vec<&Server>> = BTreeMap::new();
    for server in scene.servers() {
        clusters.entry(server.cluster.as_deref().unwrap_or_default()).or_default().push(server);
    }
    clusters.remove("");
    clusters.into_iter().filter_map(|(cluster, servers)| differing(cluster, &servers)).collect()
}

fn differing(cluster: &str, servers: &[&Server]) -> Option<Seen> {
    let reach =
        |server: &Server| server.gateways.iter().map(|gateway| gateway.cluster.clone()).collect::<BTreeSet<_>>();
    let kinds: BTreeSet<BTreeSet<String>> = servers.iter().map(|server| reach(server)).collect();
    let said = servers.iter().map(|server| {
        let others: Vec<String> = reach(server).into_iter().collect();
        format!("{} reaches {}", server.name, if others.is_empty() { "none".to_owned() } else { others.join(", ") })
    });
    let sentence = "Its servers are connected to different other clusters.".to_owned();
    (kinds.len() > 1).then(|| of_cluster(cluster, sentence, said.collect::<Vec<_>>().join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::Gateway,
    };

    fn check(one: &[&str], other: &[&str], expected: &[&str]) {
        let reaching = |name, clusters: &[&str]| {
            let gateway = |cluster: &&str| Gateway { cluster: (*cluster).to_owned(), inbound: 1 };
            let gateways = clusters.iter().map(gateway).collect();
            Server { cluster: Some("east".to_owned()), gateways, ..server(name) }
        };
        let servers = vec![reaching("n1", one), reaching("n2", other)];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn order_is_no_difference() {
        check(&["west", "north"], &["north", "west"], &[]);
        check(&["west"], &["north", "west"], &["cluster east"]);
        check(&[], &[], &[]);
    }
}
