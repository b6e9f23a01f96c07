//! A mirror, or a stream that gathers from others, whose origin is not heard.

use super::{Audit, Scene, Seen, support::of_stream};
use crate::{
    clock::{Age, Timestamp},
    snapshot::{OriginState, SILENCE, Severity, Stream},
};

pub(super) const AUDIT: Audit = Audit {
    name: "origin_fails",
    severity: Severity::Warning,
    rule: "A stream that takes its messages from another gets none: the other is gone, may not be read, or is not heard. What it holds grows old without a word.",
    evidence: "the stream's own word on each of its origins: its error, when it was last heard of, and what is still to come",
    threshold: "an error, or 30 s without a sign of life; a healthy origin gives one every second",
    next_step: "see whether the origin still exists and may be read from there; `nats stream info` of the stream tells the same",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.streams().filter_map(|(stream, state)| Some((stream, state?)));
    known.flat_map(|(stream, state)| state.origins.iter().filter_map(|one| seen(stream, one, scene.now()))).collect()
}

fn seen(stream: &Stream, origin: &OriginState, now: Timestamp) -> Option<Seen> {
    let OriginState { name, lag, heard_ago, error } = origin;
    let is_young = stream.created.age(now).0 <= SILENCE;
    let sentence = match (error, heard_ago) {
        (Some(error), _) => format!("It gets nothing from {name}: {error}."),
        (None, Some(ago)) if *ago > SILENCE => format!("It has heard nothing from {name} for {}.", Age(*ago)),
        (None, None) if !is_young => format!("It has never heard from {name}."),
        _ => return None,
    };
    let heard = heard_ago.map_or_else(|| "never heard of".to_owned(), |ago| format!("last heard of {} ago", Age(ago)));
    let evidence = format!("by its own word: {heard}, and when it was, this many messages were still to come: {lag}");
    Some(of_stream(stream, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        checks::audits::world::{World, found, now, stream},
        snapshot::StreamState,
    };

    fn check(age: u64, heard_ago: Option<u64>, error: Option<&str>, expected: Option<&str>) {
        let mut stream = stream("COPY");
        stream.created = now().before(Duration::from_secs(age));
        let origin = OriginState {
            name: "ORDERS".to_owned(),
            lag: 7,
            heard_ago: heard_ago.map(Duration::from_secs),
            error: error.map(str::to_owned),
        };
        stream.state = stream.state.map(|state| StreamState { origins: vec![origin.clone()], ..state });
        let found = found(&AUDIT, &World { streams: vec![stream], ..World::default() });
        assert_eq!(found.first().map(|seen| seen.sentence.as_str()), expected);
    }

    #[test]
    fn an_origin_that_is_gone_or_silent_is_told_of() {
        check(3_600, Some(1), None, None);
        check(3_600, Some(30), None, None);
        check(3_600, Some(31), None, Some("It has heard nothing from ORDERS for 31 s."));
        check(3_600, None, None, Some("It has never heard from ORDERS."));
        check(5, None, None, None);
        check(5, None, Some("stream not found"), Some("It gets nothing from ORDERS: stream not found."));
    }
}
