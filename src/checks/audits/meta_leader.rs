//! The group of servers that keeps the list of all streams and consumers has one leader.

use std::collections::BTreeMap;

use super::{Audit, Scene, Seen, support::of_all};
use crate::{clock::Timestamp, snapshot::Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "meta_leader",
    severity: Severity::Critical,
    rule: "Servers of one JetStream domain disagree on who leads the meta group, or there is no leader: nothing can be made, changed or moved.",
    evidence: "whom each server that is heard takes for the leader, and since when",
    threshold: "one that differs, and said so again after the others had said otherwise",
    next_step: "wait for the election to end; if it does not, look for a cut between the servers",
    look,
};

/// Whom a server takes for the leader: since when, and when it last said so.
struct Word<'a> {
    by: &'a str,
    leader: Option<&'a str>,
    named: Timestamp,
    heard: Timestamp,
}

impl Word<'_> {
    /// Whether both hold at the same time: each said so again after the other had begun to. In an election, or where a server is dead, the
    /// word of one is only older than that of the other.
    fn contradicts(&self, other: &Self) -> bool {
        self.leader != other.leader && self.heard > other.named && other.heard > self.named
    }
}

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let mut domains: BTreeMap<&str, Vec<Word<'_>>> = BTreeMap::new();
    // The last word of a server that says nothing any more is no word on what is now.
    for server in scene.servers().iter().filter(|server| !server.is_silent(scene.now())) {
        let Some(meta) = &server.meta else { continue };
        let leader = meta.cluster.leader.as_deref();
        let word = Word { by: &server.name, leader, named: meta.named, heard: server.heard };
        domains.entry(server.domain.as_deref().unwrap_or_default()).or_default().push(word);
    }
    domains.into_values().filter_map(|words| disagreement(&words)).collect()
}

fn disagreement(words: &[Word<'_>]) -> Option<Seen> {
    let contradicted = |word: &&Word<'_>| words.iter().any(|other| word.contradicts(other));
    let at_odds: Vec<&Word<'_>> = words.iter().filter(contradicted).collect();
    match words.iter().all(|word| word.leader.is_none()) {
        true => Some(of_all("Their meta group has no leader.".to_owned(), said(words.iter()))),
        false if at_odds.is_empty() => None,
        false => Some(of_all("They disagree on who leads the meta group.".to_owned(), said(at_odds.into_iter()))),
    }
}

fn said<'a>(words: impl Iterator<Item = &'a Word<'a>>) -> String {
    let mut leaders: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    words.for_each(|word| leaders.entry(word.leader).or_default().push(word.by));
    let said = leaders.iter().map(|(leader, by)| format!("{} by {}", leader.unwrap_or("none"), by.join(", ")));
    format!("taken for the leader: {}", said.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, meta, now, server},
        snapshot::{MetaGroup, Server},
    };

    /// A server that named its leader so many seconds ago for the first time, and a second ago for the last.
    fn one(name: &str, domain: &str, leader: Option<&str>, named: u64, heard: u64) -> Server {
        let (domain, group) = meta(domain, leader, Vec::new());
        let ago = |seconds| now().before(Duration::from_secs(seconds));
        let group = group.map(|group| MetaGroup { named: ago(named), ..group });
        Server { domain, meta: group, heard: ago(heard), ..server(name) }
    }

    fn check(taken: [(&str, Option<&str>); 2], expected: &[&str]) {
        let [first, other] = taken;
        let servers = vec![one("n1", first.0, first.1, 60, 1), one("n2", other.0, other.1, 60, 5), server("n3")];
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

    fn check_times(dead: (u64, u64), living: (u64, u64), expected: &[&str]) {
        let servers = vec![
            one("n3", "D", Some("n3"), dead.0, dead.1),
            one("n1", "D", Some("n2"), living.0, living.1),
            one("n2", "D", Some("n2"), living.0, living.1),
        ];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn the_last_word_of_a_server_that_is_dead_or_of_a_lost_election_counts_no_more() {
        check_times((600, 16), (8, 3), &[]);
        check_times((600, 105), (95, 3), &[]);
        check_times((600, 9), (2, 2), &[]);
        check_times((600, 5), (8, 3), &["the servers"]);
        check_times((600, 31), (40, 3), &[]);
    }
}
