//! A probe that the operator named does not pass.

use super::{Audit, Scene, Seen};
use crate::snapshot::{AskedProbe, Probed, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "probe_fails",
    severity: Severity::Critical,
    rule: "A probe that was named with `--probe` does not pass, or does not answer.",
    evidence: "its answers to the observer",
    threshold: "two rounds in a row",
    next_step: "look at the service that answers there: its other probes, its logs, whether it runs",
    look,
};

/// Rounds in a row: one that did not pass may be that of a restart.
const ROUNDS: usize = 2;

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let failing = scene.snapshot.asked_probes.iter().filter(|probe| !probe.passes());
    failing.filter(|probe| has_failed(scene, probe)).map(seen).collect()
}

fn has_failed(scene: &Scene<'_>, probe: &AskedProbe) -> bool {
    let key = probe.key();
    let last = scene.snapshot.probes.of("", &key).rev().take(ROUNDS);
    let mut failed = last.filter(|(_, said)| *said != Probed::Ready);
    failed.nth(ROUNDS - 1).is_some()
}

fn seen(probe: &AskedProbe) -> Seen {
    let sentence = match probe.answer {
        Ok(_) => "It does not pass.",
        Err(_) => "It does not answer.",
    };
    let evidence = format!("{}: {}", probe.url, probe.said());
    Seen { account: None, about: format!("probe {}", probe.name), sentence: sentence.to_owned(), evidence }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        checks::audits::world::{World, now},
        config::Thresholds,
        snapshot::ProbePast,
    };

    fn check(answer: Result<u16, &str>, past: &[Probed], expected: &[&str]) {
        let answer = answer.map_err(str::to_owned);
        let url = "http://a/readyz".to_owned();
        let probe = AskedProbe { name: "mail".to_owned(), url, answer, took: Duration::ZERO, at: now() };
        let mut snapshot = World::default().snapshot();
        let said = [((String::new(), probe.key()), past.to_vec())].into();
        snapshot.probes = Arc::new(ProbePast { rounds: vec![now(); past.len()], said });
        snapshot.asked_probes = Arc::from([probe]);
        let found = look(&Scene { snapshot: &snapshot, thresholds: &Thresholds::default() });
        let found: Vec<&str> = found.iter().map(|seen| seen.evidence.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn two_rounds_in_a_row_are_told_of() {
        use Probed::{NotReady, Ready, Unknown};
        check(Ok(503), &[Ready, NotReady, NotReady], &["http://a/readyz: it answers 503"]);
        check(Err("it is away"), &[Ready, NotReady, Unknown], &["http://a/readyz: it is away"]);
        check(Ok(503), &[NotReady, Ready, NotReady], &[]);
        check(Ok(503), &[NotReady], &[]);
        check(Ok(200), &[NotReady, NotReady, Ready], &[]);
    }
}
