//! A server that says nothing of itself is away, frozen or cut off.

use super::{Audit, Scene, Seen, support::of_server};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "server_silent",
    severity: Severity::Critical,
    rule: "A server that was there has said nothing of itself for a while: it is away, frozen, or cut off from the others.",
    evidence: "when it was last heard of; servers tell of themselves every 10 s unasked",
    threshold: "30 s",
    next_step: "look at the machine and at the server's log; what it leads alone is away with it",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let silent = scene.servers().iter().filter_map(|server| {
        let silence = server.heard.age(scene.now());
        server.is_silent(scene.now()).then(|| {
            let evidence = format!("it was last heard of at {}", server.heard);
            of_server(server, format!("It has said nothing of itself for {silence}."), evidence)
        })
    });
    silent.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, now, server},
        snapshot::Server,
    };

    #[test]
    fn three_words_missed_are_silence() {
        let heard = |ago| vec![Server { heard: now().before(Duration::from_secs(ago)), ..server("n1") }];
        check_servers(&AUDIT, World { servers: heard(31), ..World::default() }, &["server n1"]);
        check_servers(&AUDIT, World { servers: heard(30), ..World::default() }, &[]);
    }
}
