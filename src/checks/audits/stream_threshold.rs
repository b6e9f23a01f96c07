//! A stream is over a critical threshold that somebody noted on it.

use super::{Audit, Scene, Seen, support::of_stream};
use crate::{
    checks::monitor::{Kind, Notes},
    clock::Age,
    snapshot::{Severity, Stream, StreamState},
    words::counted,
};

pub(super) const AUDIT: Audit = Audit {
    name: "stream_threshold",
    severity: Severity::Critical,
    rule: "A stream reached a critical threshold that its makers noted on it.",
    evidence: "what its leader says, and the note",
    threshold: "`io.nats.monitor.msgs-critical` (as few or fewer), `subjects-critical` (as many or more; as few or fewer where the warning is no lower), `peer-expect`, `peer-lag-critical`, `peer-seen-critical`, `min-sources`, `max-sources` in its metadata",
    next_step: "do what whoever noted the threshold had in mind, or note another",
    look,
};

const COUNTS: &[&str] = &[
    "lag-critical",
    "min-sources",
    "max-sources",
    "peer-expect",
    "peer-lag-critical",
    "msgs-warn",
    "msgs-critical",
    "subjects-warn",
    "subjects-critical",
];

const LENGTHS: &[&str] = &["seen-critical", "peer-seen-critical"];

/// How the notes on a stream are to be read.
pub(super) fn kind(key: &str) -> Option<Kind> {
    match key {
        "enabled" => Some(Kind::Flag),
        key if COUNTS.contains(&key) => Some(Kind::Count),
        key if LENGTHS.contains(&key) => Some(Kind::Length),
        _ => None,
    }
}

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.streams().filter_map(|(stream, state)| Some((stream, state?)));
    known.flat_map(|(stream, state)| of(stream, state)).collect()
}

fn of(stream: &Stream, state: &StreamState) -> Vec<Seen> {
    let notes = Notes(&stream.config.metadata);
    let few = notes.count("msgs-critical").filter(|few| state.messages <= *few);
    let messages =
        few.map(|few| (format!("It holds {}", counted(state.messages, "message")), format!("msgs-critical is {few}")));
    let subjects = subjects(notes, "subjects-critical", state.subjects);
    let all = messages.into_iter().chain(subjects).chain(sources(notes, stream)).chain(peers(notes, state));
    all.map(|(what, note)| of_stream(stream, format!("{what}; that is critical."), format!("in its metadata {note}")))
        .collect()
}

/// Subjects as many as `key` says, or as few where the warning is no lower than what is critical.
pub(super) fn subjects(notes: Notes<'_>, key: &str, subjects: u64) -> Option<(String, String)> {
    let threshold = notes.count(key)?;
    let is_upward =
        notes.count("subjects-warn").unwrap_or_default() < notes.count("subjects-critical").unwrap_or_default();
    let is_over = if is_upward { subjects >= threshold } else { subjects <= threshold };
    is_over.then(|| (format!("It holds {}", counted(subjects, "subject")), format!("{key} is {threshold}")))
}

fn sources(notes: Notes<'_>, stream: &Stream) -> Option<(String, String)> {
    let count = stream.config.sources.len() as u64;
    let least =
        notes.count("min-sources").filter(|least| count < *least).map(|least| format!("min-sources is {least}"));
    let most = || notes.count("max-sources").filter(|most| count > *most).map(|most| format!("max-sources is {most}"));
    least.or_else(most).map(|note| (format!("It has {}", counted(count, "source")), note))
}

fn peers(notes: Notes<'_>, state: &StreamState) -> Vec<(String, String)> {
    let replicas = state.cluster.as_ref().map_or(&[][..], |cluster| &cluster.replicas);
    let count = 1 + replicas.len() as u64;
    let expected = notes.count("peer-expect").filter(|expected| count != *expected);
    let behind = notes.count("peer-lag-critical");
    let unseen = notes.length("peer-seen-critical");
    let far = replicas.iter().filter_map(|replica| {
        let threshold = behind.filter(|threshold| replica.behind > *threshold)?;
        Some((
            format!("Its replica {} lacks {} operations", replica.name, replica.behind),
            format!("peer-lag-critical is {threshold}"),
        ))
    });
    let silent = replicas.iter().filter_map(|replica| {
        let (threshold, ago) = unseen.zip(replica.heard_ago).filter(|(threshold, ago)| ago > threshold)?;
        let what = format!("Its replica {} was not heard of for {}", replica.name, Age(ago));
        Some((what, format!("peer-seen-critical is {}", Age(threshold))))
    });
    let expected = expected
        .map(|expected| (format!("It is on {}", counted(count, "server")), format!("peer-expect is {expected}")));
    expected.into_iter().chain(far).chain(silent).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checks::audits::world::{World, found, replica, stream};
    use crate::snapshot::{Cluster, Origin};

    fn check(notes: &[(&str, &str)], change: impl FnOnce(&mut Stream, &mut StreamState), expected: usize) {
        let mut stream = crate::checks::audits::world::noted(stream("ORDERS"), notes);
        let mut state = stream.state.fresh().unwrap().clone();
        change(&mut stream, &mut state);
        stream.state = stream.state.map(|_| state);
        let found = found(&AUDIT, &World { streams: vec![stream], ..World::default() });
        assert_eq!(found.len(), expected, "{notes:?}: {found:?}");
    }

    #[test]
    fn too_few_messages_are_critical() {
        check(&[("msgs-critical", "5")], |_, state| state.messages = 5, 1);
        check(&[("msgs-critical", "5")], |_, state| state.messages = 6, 0);
        check(&[("msgs-critical", "5"), ("enabled", "false")], |_, state| state.messages = 5, 0);
    }

    #[test]
    fn subjects_are_critical_upwards_or_downwards() {
        let up = [("subjects-warn", "5"), ("subjects-critical", "10")];
        check(&up, |_, state| state.subjects = 10, 1);
        check(&up, |_, state| state.subjects = 9, 0);
        let down = [("subjects-warn", "10"), ("subjects-critical", "5")];
        check(&down, |_, state| state.subjects = 5, 1);
        check(&down, |_, state| state.subjects = 6, 0);
    }

    #[test]
    fn sources_and_peers_are_counted() {
        let two = |stream: &mut Stream| {
            std::sync::Arc::make_mut(&mut stream.config).sources = vec![Origin::default(), Origin::default()];
        };
        check(&[("min-sources", "3")], |stream, _| two(stream), 1);
        check(&[("max-sources", "1")], |stream, _| two(stream), 1);
        check(&[("min-sources", "2"), ("max-sources", "2")], |stream, _| two(stream), 0);
        check(&[("peer-expect", "3")], |_, _| (), 1);
        check(&[("peer-expect", "1")], |_, _| (), 0);
    }

    #[test]
    fn replicas_are_measured() {
        let with = |state: &mut StreamState| {
            let replica =
                crate::snapshot::Replica { behind: 7, heard_ago: Some(Duration::from_secs(20)), ..replica("n2") };
            state.cluster = Some(Cluster { leader: Some("n1".to_owned()), replicas: vec![replica] });
        };
        check(&[("peer-lag-critical", "6")], |_, state| with(state), 1);
        check(&[("peer-lag-critical", "7")], |_, state| with(state), 0);
        check(&[("peer-seen-critical", "19s")], |_, state| with(state), 1);
        check(&[("peer-seen-critical", "20s")], |_, state| with(state), 0);
    }
}
