//! A leaf node's name without blanks.

use super::{
    Audit, Scene, Seen,
    support::{has_blank, of_server},
};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "leaf_spaces",
    severity: Severity::Warning,
    rule: "The name of a leaf node holds a space or another blank: tools and subjects take names apart at blanks.",
    evidence: "the leaf nodes that each server tells of",
    threshold: "one blank",
    next_step: "give the leaf node a name without blanks",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let blank = scene.setups().filter_map(|(server, setup)| {
        let mut names: Vec<&str> =
            setup.leaf_nodes.iter().flatten().map(|leaf| leaf.name.as_str()).filter(|name| has_blank(name)).collect();
        names.sort_unstable();
        names.dedup();
        let sentence = "Names of leaf nodes that are connected to it hold blanks.".to_owned();
        (!names.is_empty()).then(|| of_server(server, sentence, format!("`{}`", names.join("`, `"))))
    });
    blank.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, set_up},
        snapshot::{LeafNode, ServerSetup},
    };

    fn check(name: &str, expected: &[&str]) {
        let leaf = LeafNode { name: name.to_owned(), account: "A".to_owned(), is_spoke: false };
        let servers = vec![set_up("n1", ServerSetup { leaf_nodes: Some(vec![leaf]), ..ServerSetup::default() })];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn a_blank_in_a_leaf_is_told_by_whom_it_is_connected_to() {
        check("leaf one", &["server n1"]);
        check("leaf-one", &[]);
    }
}
