//! A server without processor time left answers late.

use super::{Audit, Scene, Seen, support::of_server};
use crate::snapshot::{Server, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "cpu_high",
    severity: Severity::Warning,
    rule: "A server uses nearly all of its cores: it answers late, and elections come of late answers.",
    evidence: "its own word on its processor time and its cores",
    threshold: "`--cpu-percent`, 90 by default",
    next_step: "find out what loads it (`nats server report connections`, the streams that it leads), or spread its leaders",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let most = u32::try_from(scene.thresholds.cpu_percent).unwrap_or(u32::MAX);
    let busy = scene.servers().iter().filter(|server| share(server) >= f64::from(most));
    busy.map(|server| {
        let evidence = format!("{:.0} % of one core, of {} cores", server.cpu_percent, server.cores);
        of_server(server, format!("It uses {:.0} % of its cores.", share(server)), evidence)
    })
    .collect()
}

/// Percent of all its cores; one that does not tell how many it has counts as having one.
fn share(server: &Server) -> f64 {
    server.cpu_percent / f64::from(server.cores.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, check_servers, server};

    fn check(cpu_percent: f64, cores: u32, expected: &[&str]) {
        let servers = vec![Server { cpu_percent, cores, ..server("n1") }];
        check_servers(&AUDIT, World { servers, ..World::default() }, expected);
    }

    #[test]
    fn what_counts_is_the_share_of_all_cores() {
        check(360.0, 4, &["server n1"]);
        check(350.0, 4, &[]);
        check(90.0, 0, &["server n1"]);
    }
}
