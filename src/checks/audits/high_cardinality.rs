//! A stream keeps all its subjects in memory.

use super::{Audit, Scene, Seen, support::of_stream};
use crate::{
    snapshot::Severity,
    words::{count, counted},
};

pub(super) const AUDIT: Audit = Audit {
    name: "high_cardinality",
    severity: Severity::Warning,
    rule: "A stream holds very many different subjects: its servers keep them all in memory, and questions by subject become slow.",
    evidence: "the subjects that its leader counts",
    threshold: "`--subjects`, a million by default",
    next_step: "keep ids out of subjects that nobody reads by, or let messages go sooner",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let most = scene.thresholds.subjects;
    let crowded = scene.streams().filter_map(|(stream, state)| {
        let subjects = state.map(|state| state.subjects).filter(|subjects| *subjects > most)?;
        Some(of_stream(
            stream,
            format!("It holds {}.", counted(subjects, "different subject")),
            format!("more than {} are told of", count(most)),
        ))
    });
    crowded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, found, stream};
    use crate::snapshot::{Reading, StreamState, Why};

    #[test]
    fn only_what_is_over_the_limit_is_found() {
        let of = |subjects| {
            let mut stream = stream("ORDERS");
            stream.state = stream.state.map(|state| StreamState { subjects, ..state });
            stream
        };
        let mut stale = of(2_000_000);
        stale.state = Reading::unknown(Why::Failed, "no answer").or_last(&stale.state);
        for (stream, expected) in [(of(1_000_000), 0), (of(1_000_001), 1), (stale, 0)] {
            assert_eq!(found(&AUDIT, &World { streams: vec![stream], ..World::default() }).len(), expected);
        }
    }
}
