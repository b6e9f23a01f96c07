//! A client that reads too slowly is cut off.

use super::{Audit, Scene, Seen, support::of_server};
use crate::{snapshot::Severity, words::counted};

pub(super) const AUDIT: Audit = Audit {
    name: "slow_consumers",
    severity: Severity::Notice,
    rule: "A server cut off clients that read more slowly than messages came for them.",
    evidence: "its own count since it started",
    threshold: "one",
    next_step: "look for `Slow Consumer` in the server's log: it names the client",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let cut = scene.servers().iter().filter(|server| server.slow_consumers > 0);
    cut.map(|server| {
        let evidence = format!("since it started {} ago", server.started.age(scene.now()));
        of_server(server, format!("It cut off slow clients {}.", counted(server.slow_consumers, "time")), evidence)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::Server,
    };

    #[test]
    fn one_is_told_of() {
        let servers = vec![server("n1"), Server { slow_consumers: 1, ..server("n2") }];
        check_servers(&AUDIT, World { servers, ..World::default() }, &["server n2"]);
    }
}
