//! A threshold that nobody can read watches over nothing.

use super::{
    Audit, Scene, Seen, consumer_threshold, stream_threshold,
    support::{of_consumer, of_stream},
};
use crate::{
    checks::monitor::{Notes, PREFIX},
    snapshot::Severity,
};

pub(super) const AUDIT: Audit = Audit {
    name: "notes_unreadable",
    severity: Severity::Notice,
    rule: "A threshold in the metadata of a stream or consumer cannot be read, and so nothing watches over it.",
    evidence: "the metadata",
    threshold: "any `io.nats.monitor.*` that is known and is no whole number, length of time or truth as it should be",
    next_step: "write it as `nats server check` reads it: `100`, `1m30s`, `true`",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let said = |(key, value): (&str, &str)| {
        let value: String = value.chars().take(50).collect();
        (format!("Its `{PREFIX}{key}` cannot be read."), format!("it is `{value}`"))
    };
    let streams = scene.streams().flat_map(|(stream, _)| {
        let unreadable = Notes(&stream.config.metadata).unreadable(stream_threshold::kind).map(said);
        unreadable.map(move |(sentence, evidence)| of_stream(stream, sentence, evidence))
    });
    let consumers = scene.consumers().flat_map(|(consumer, _)| {
        let unreadable = Notes(&consumer.config.metadata).unreadable(consumer_threshold::kind).map(said);
        unreadable.map(move |(sentence, evidence)| of_consumer(consumer, sentence, evidence))
    });
    streams.chain(consumers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, consumer, found, noted, stream_with};
    use crate::snapshot::ConsumerState;

    fn check(of_stream: (&str, &str), of_consumer: (&str, &str), expected: usize) {
        let consumer = consumer("reserve", &[of_consumer], ConsumerState::default());
        let stream = noted(stream_with("ORDERS", vec![consumer]), &[of_stream]);
        assert_eq!(found(&AUDIT, &World { streams: vec![stream], ..World::default() }).len(), expected);
    }

    #[test]
    fn what_should_be_a_number_and_is_none_is_told() {
        check(("msgs-warn", "5"), ("last-ack-critical", "1m"), 0);
        check(("msgs-warn", "five"), ("last-ack-critical", "1m"), 1);
        check(("msgs-warn", "five"), ("last-ack-critical", "soon"), 2);
        check(("unheard-of", "five"), ("pinned", "perhaps"), 1);
        check(("enabled", "no"), ("enabled", "yes"), 2);
    }
}
