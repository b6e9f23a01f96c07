//! Each replicated stream and consumer is a raft group, and a server can keep only so many in step.

use super::{Audit, Scene, Seen, support::of_server};
use crate::{snapshot::Severity, words::count};

pub(super) const AUDIT: Audit = Audit {
    name: "ha_assets",
    severity: Severity::Warning,
    rule: "A server holds copies of very many replicated streams and consumers: each is a raft group of its own, and their heartbeats add up.",
    evidence: "its own count",
    threshold: "`--ha-assets`, 1000 by default",
    next_step: "let fewer streams and consumers be replicated, or add servers",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let most = scene.thresholds.ha_assets;
    let crowded = scene.servers().iter().filter_map(|server| {
        let held = server.jetstream.map(|used| used.ha_assets).filter(|held| *held > most)?;
        let sentence = format!("It holds copies of {} replicated streams and consumers.", count(held));
        Some(of_server(server, sentence, format!("more than {} are told of", count(most))))
    });
    crowded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::{JetStreamUse, Server},
    };

    fn check(ha_assets: u64, expected: &[&str]) {
        let jetstream = Some(JetStreamUse { ha_assets, ..JetStreamUse::default() });
        check_servers(
            &AUDIT,
            World { servers: vec![Server { jetstream, ..server("n1") }], ..World::default() },
            expected,
        );
    }

    #[test]
    fn a_thousand_is_not_too_many() {
        check(1_000, &[]);
        check(1_001, &["server n1"]);
    }
}
