//! A cluster's name without blanks.

use std::collections::BTreeSet;

use super::{
    Audit, Scene, Seen,
    support::{has_blank, of_cluster},
};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "cluster_spaces",
    severity: Severity::Warning,
    rule: "A cluster's name holds a space or another blank: tools and subjects take names apart at blanks.",
    evidence: "the names of clusters",
    threshold: "one blank",
    next_step: "give the cluster a name without blanks",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let names: BTreeSet<&str> = scene.servers().iter().filter_map(|server| server.cluster.as_deref()).collect();
    let blank = names.into_iter().filter(|name| has_blank(name));
    blank.map(|name| of_cluster(name, "Its name holds a blank.".to_owned(), format!("it is `{name}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::Server,
    };

    #[test]
    fn a_blank_is_found_once_for_the_cluster() {
        let of = |name: &str, cluster: &str| Server { cluster: Some(cluster.to_owned()), ..server(name) };
        let servers = vec![of("n1", "far east"), of("n2", "far east"), of("n3", "west")];
        check_servers(&AUDIT, World { servers, ..World::default() }, &["cluster far east"]);
    }
}
