//! A certificate that ends takes the connections with it.

use std::time::Duration;

use super::{Audit, Scene, Seen, support::of_server};
use crate::{clock::Age, snapshot::Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "certificate_ends",
    severity: Severity::Critical,
    rule: "A server's certificate will end soon: from then on nobody can connect that asks for one.",
    evidence: "the dates in the server's certificates",
    threshold: "`--certificate-days`, 30 by default",
    next_step: "put a new certificate in its place and reload the server",
    look,
};

const DAY: Duration = Duration::from_secs(86_400);

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let days = u32::try_from(scene.thresholds.certificate_days).unwrap_or(u32::MAX);
    let near = scene.now().after(DAY.saturating_mul(days).min(FARTHEST));
    let dated = scene
        .setups()
        .flat_map(|(server, setup)| setup.certificates.iter().map(move |(purpose, end)| (server, purpose, *end)));
    dated
        .filter(|(_, _, end)| *end <= near)
        .map(|(server, purpose, end)| {
            let sentence = if end <= scene.now() {
                format!("Its certificate for {purpose} has ended.")
            } else {
                format!("Its certificate for {purpose} ends in {}.", Age(scene.now().age(end).0))
            };
            of_server(server, sentence, format!("it holds until {end}"))
        })
        .collect()
}

/// A date that is farther away than this may not be one.
const FARTHEST: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, now, set_up},
        clock::Timestamp,
        config::Thresholds,
        snapshot::ServerSetup,
    };

    fn check(end: Timestamp, certificate_days: u64, expected: &[&str]) {
        let certificates = vec![("clients".to_owned(), end)];
        let servers = vec![set_up("n1", ServerSetup { certificates, ..ServerSetup::default() })];
        let thresholds = Thresholds { certificate_days, ..Thresholds::default() };
        check_servers(&AUDIT, World { servers, thresholds, ..World::default() }, expected);
    }

    #[test]
    fn soon_is_a_month() {
        check(now().after(DAY * 30), 30, &["server n1"]);
        check(now().after(DAY * 31), 30, &[]);
        check(now().before(DAY), 0, &["server n1"]);
        check(now().after(DAY * 31), u64::MAX, &["server n1"]);
    }
}
