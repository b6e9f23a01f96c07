//! The group of servers that keeps the list of all streams and consumers needs a majority.

use super::{Audit, Scene, Seen, support::of_server};
use crate::{
    snapshot::{Replica, Severity},
    words::agree,
};

pub(super) const AUDIT: Audit = Audit {
    name: "meta_offline",
    severity: Severity::Critical,
    rule: "A server of the meta group is away: without a majority of them nothing can be made, changed or moved.",
    evidence: "the word of the group's leader, and which servers say nothing of themselves",
    threshold: "one server",
    next_step: "bring the server back, or remove it for good with `nats server cluster peer-remove`",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let heard = scene.servers().iter().filter(|server| !server.is_silent(scene.now()));
    let groups = heard.filter_map(|server| Some((server, server.meta.as_ref()?)));
    let lacking = groups.filter_map(|(server, meta)| {
        let replicas = meta.cluster.replicas.iter().filter(|replica| replica.is_away());
        let away: Vec<String> = replicas.map(Replica::away_in_words).collect();
        let are = agree(away.len() as u64, "is", "are");
        let sentence = format!("Of the meta group, as it sees it, {} of {} servers {are} away.", away.len(), meta.size);
        (!away.is_empty()).then(|| of_server(server, sentence, format!("away: {}", away.join(", "))))
    });
    lacking.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, meta, replica, server},
        snapshot::Server,
    };

    fn check(is_offline: bool, is_silent: bool, expected: &[&str]) {
        let meta = meta("D", Some("n1"), vec![Replica { is_offline, is_silent, ..replica("n2") }, replica("n3")]).1;
        check_servers(&AUDIT, World { servers: vec![Server { meta, ..server("n1") }], ..World::default() }, expected);
    }

    #[test]
    fn one_that_is_away_is_told_of() {
        check(true, false, &["server n1"]);
        check(false, true, &["server n1"]);
        check(false, false, &[]);
    }
}
