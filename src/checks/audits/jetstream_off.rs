//! A server that ran JetStream and runs without it now, or no server that runs it.

use super::{
    Audit, Scene, Seen,
    support::{of_all, of_server},
};
use crate::snapshot::{Server, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "jetstream_off",
    severity: Severity::Critical,
    rule: "A server that held streams runs without JetStream, or no server runs it: what it holds is neither read nor written. Servers switch it off by themselves when their disk is full or their files are damaged.",
    evidence: "the servers' own word, and which of them belong to the meta group",
    threshold: "one server",
    next_step: "read the server's log for why (a full disk, a `jetstream` block that is gone from its configuration), make room or put it right, and start the server anew",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let heard: Vec<&Server> = scene.servers().iter().filter(|server| !server.is_silent(scene.now())).collect();
    let is_nowhere = !heard.is_empty() && heard.iter().all(|server| !server.has_jetstream);
    let lost: Vec<Seen> = heard
        .iter()
        .filter(|server| !server.has_jetstream)
        .filter_map(|server| seen(server, scene.servers()))
        .collect();
    match lost.is_empty() && is_nowhere {
        true => vec![of_all("None of them runs JetStream: there are no streams to be seen.".to_owned(), names(&heard))],
        false => lost,
    }
}

fn seen(server: &Server, all: &[Server]) -> Option<Seen> {
    let sentence = "It runs without JetStream: the streams and consumers that it holds are neither read nor written.";
    let evidence = match server.lost_jetstream {
        Some(since) => format!("it ran with JetStream before, and says since {since} that it does not"),
        None => format!("it says so itself, and server {} counts it to the meta group", counts_it(server, all)?.name),
    };
    Some(of_server(server, sentence.to_owned(), evidence))
}

/// Who takes it for one of the servers that run JetStream together.
fn counts_it<'a>(server: &Server, all: &'a [Server]) -> Option<&'a Server> {
    all.iter().find(|other| {
        let group = other.meta.iter().flat_map(|meta| &meta.cluster.replicas);
        group.into_iter().any(|peer| peer.name == server.name)
    })
}

/// Servers that the evidence names.
const NAMED_MOST: usize = 5;

fn names(servers: &[&Server]) -> String {
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).take(NAMED_MOST).collect();
    format!("by the word of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, check_servers, meta, now, replica, server};

    fn check(servers: Vec<Server>, expected: &[&str]) {
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn who_ran_it_before_or_belongs_to_the_group_is_told_of() {
        let without = |name: &str| Server { has_jetstream: false, ..server(name) };
        let lost = |name: &str| Server { lost_jetstream: Some(now()), ..without(name) };
        check(vec![server("n1"), server("n2")], &[]);
        check(vec![server("n1"), without("n2")], &[]);
        check(vec![server("n1"), lost("n2")], &["server n2"]);
        check(vec![without("n1"), without("n2")], &["the servers"]);
        check(vec![lost("n1"), lost("n2")], &["server n1", "server n2"]);
        let (domain, meta) = meta("D", Some("n1"), vec![replica("n2")]);
        check(vec![Server { domain, meta, ..server("n1") }, without("n2")], &["server n2"]);
        let silent = Server { heard: now().before(std::time::Duration::from_secs(60)), ..lost("n2") };
        check(vec![server("n1"), silent], &[]);
        check(Vec::new(), &[]);
    }
}
