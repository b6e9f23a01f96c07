//! A server that was asked whether it is well, and says that it is not.

use super::{Audit, Scene, Seen, server_cannot_write::cannot_write, support::of_server};
use crate::snapshot::{Health, Server, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "server_unhealthy",
    severity: Severity::Warning,
    rule: "A server says that it is not well: its JetStream has no contact with the others, or a stream or consumer that it holds is not as far as it should be. That it cannot write is told of by `server_cannot_write`.",
    evidence: "its own word, asked for every minute, and every 10 s while one is not well",
    threshold: "any answer but `ok`",
    next_step: "read its words and its log; an orchestrator that asks the same (`/healthz`) takes it out or starts it anew",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let told = scene.servers().iter().filter_map(|server| Some((server, server.health.as_ref()?)));
    let unwell = told.filter(|(_, health)| !health.is_well && !cannot_write(health));
    unwell.map(|(server, health)| seen(server, health)).collect()
}

fn seen(server: &Server, health: &Health) -> Seen {
    let sentence = "It says that it is not well.".to_owned();
    of_server(server, sentence, format!("{} (asked at {})", health.reason, health.told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, check_servers, now, server};

    fn check(health: Option<bool>, expected: &[&str]) {
        let health = health.map(|is_well| Health { is_well, reason: "no meta leader".to_owned(), told: now() });
        check_servers(&AUDIT, World { servers: vec![Server { health, ..server("n1") }], ..World::default() }, expected);
    }

    #[test]
    fn only_who_says_so_is_not_well() {
        check(Some(false), &["server n1"]);
        check(Some(true), &[]);
        check(None, &[]);
    }
}
