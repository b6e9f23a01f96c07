//! A stream is over a threshold that is there to warn.

use super::{Audit, Scene, Seen, stream_threshold::subjects, support::of_stream};
use crate::{
    checks::monitor::Notes,
    snapshot::{Severity, Stream, StreamState},
    words::counted,
};

pub(super) const AUDIT: Audit = Audit {
    name: "stream_threshold_near",
    severity: Severity::Warning,
    rule: "A stream reached a threshold that its makers noted on it as a warning.",
    evidence: "what its leader says, and the note",
    threshold: "`io.nats.monitor.msgs-warn` (as few or fewer), `subjects-warn` (as many or more; as few or fewer where what is critical is no higher) in its metadata",
    next_step: "do what whoever noted the threshold had in mind before it becomes critical",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.streams().filter_map(|(stream, state)| Some((stream, state?)));
    known.flat_map(|(stream, state)| of(stream, state)).collect()
}

fn of(stream: &Stream, state: &StreamState) -> Vec<Seen> {
    let notes = Notes(&stream.config.metadata);
    let few = notes.count("msgs-warn").filter(|few| state.messages <= *few);
    let is_worse = notes.count("msgs-critical").is_some_and(|critical| state.messages <= critical);
    let messages = few.filter(|_| !is_worse);
    let messages =
        messages.map(|few| (format!("It holds {}", counted(state.messages, "message")), format!("msgs-warn is {few}")));
    let is_worse = subjects(notes, "subjects-critical", state.subjects).is_some();
    let subjects = subjects(notes, "subjects-warn", state.subjects).filter(|_| !is_worse);
    let all = messages.into_iter().chain(subjects);
    all.map(|(what, note)| of_stream(stream, format!("{what}."), format!("in its metadata {note}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, found, noted, stream};

    fn check(notes: &[(&str, &str)], messages: u64, subjects: u64, expected: usize) {
        let mut stream = noted(stream("ORDERS"), notes);
        stream.state = stream.state.map(|state| StreamState { messages, subjects, ..state });
        let found = found(&AUDIT, &World { streams: vec![stream], ..World::default() });
        assert_eq!(found.len(), expected, "{notes:?}: {found:?}");
    }

    #[test]
    fn a_warning_ends_where_the_critical_begins() {
        let messages = [("msgs-warn", "10"), ("msgs-critical", "5")];
        check(&messages, 10, 0, 1);
        check(&messages, 11, 0, 0);
        check(&messages, 5, 0, 0);
        let subjects = [("subjects-warn", "5"), ("subjects-critical", "10")];
        check(&subjects, 0, 5, 1);
        check(&subjects, 0, 4, 0);
        check(&subjects, 0, 10, 0);
    }
}
