//! A server that takes much more memory than the others of its cluster carries something that they do not.

use std::collections::BTreeMap;

use super::{Audit, Scene, Seen, support::of_server};
use crate::snapshot::{Server, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "memory_outlier",
    severity: Severity::Notice,
    rule: "A server takes much more memory than the others of its cluster: leaders or clients are unevenly spread, or it leaks.",
    evidence: "what the servers of a cluster say of themselves",
    threshold: "half as much again as the mean, and 256 MiB above it",
    next_step: "look at which leaders and clients it has (`nats server report jetstream`), and move some",
    look,
};

/// Of small servers one is soon half as large again as the others.
const LEAST: u64 = 256 << 20;

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let mut clusters: BTreeMap<&str, Vec<&Server>> = BTreeMap::new();
    for server in scene.servers() {
        clusters.entry(server.cluster.as_deref().unwrap_or_default()).or_default().push(server);
    }
    clusters.remove("");
    clusters.into_iter().flat_map(|(cluster, servers)| outliers(cluster, &servers)).collect()
}

fn outliers(cluster: &str, servers: &[&Server]) -> Vec<Seen> {
    let sum: u128 = servers.iter().map(|server| u128::from(server.memory_bytes)).sum();
    let mean = u64::try_from(sum / servers.len().max(1) as u128).unwrap_or(u64::MAX);
    let is_far = |server: &&&Server| {
        let above = server.memory_bytes.saturating_sub(mean);
        above > mean / 2 && above >= LEAST
    };
    let far = servers.iter().filter(is_far);
    far.map(|server| {
        let evidence =
            format!("{} MiB, the mean of cluster {cluster} is {} MiB", server.memory_bytes >> 20, mean >> 20);
        of_server(server, "It takes much more memory than the others of its cluster.".to_owned(), evidence)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, check_servers, server};

    fn check(mebibytes: [u64; 3], cluster: Option<&str>, expected: &[&str]) {
        let names = ["n1", "n2", "n3"].into_iter();
        let sized = names.zip(mebibytes).map(|(name, size)| Server {
            memory_bytes: size << 20,
            cluster: cluster.map(str::to_owned),
            ..server(name)
        });
        check_servers(&AUDIT, World { servers: sized.collect(), ..World::default() }, expected);
    }

    #[test]
    fn far_above_the_mean_is_far_in_share_and_in_bytes() {
        check([3_000, 1_000, 1_000], Some("c"), &["server n1"]);
        check([1_400, 1_000, 1_000], Some("c"), &[]);
        check([30, 10, 10], Some("c"), &[]);
        check([3_000, 1_000, 1_000], None, &[]);
    }
}
