//! An instance says that it is ready, and the consumer that it pulls from stands still.

use super::{Audit, Scene, Seen};
use crate::{
    presence::{Presence, Worker},
    snapshot::{Consumer, Label, Severity, Watched},
};

pub(super) const AUDIT: Audit = Audit {
    name: "ready_not_consuming",
    severity: Severity::Warning,
    rule: "An instance says that it is ready, and messages wait on a consumer that it says it pulls from: whoever goes by its readiness sees nothing wrong.",
    evidence: "what the instance says of itself, and the verdict of the consumer",
    threshold: "a verdict of `no workers`, `stopped` or `stuck` that is critical",
    next_step: "look at the worker in this instance: its breaker and kill switch, its logs, and whether it is connected to the NATS that is watched",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let consumers: Vec<&Consumer> = scene.consumers().map(|(consumer, _)| consumer).filter(|one| stands(one)).collect();
    scene.snapshot.watched().flat_map(|watched| of_account(watched, &consumers)).collect()
}

/// The instances of an account that pull from one of the consumers that stand still.
fn of_account(watched: &Watched, consumers: &[&Consumer]) -> Vec<Seen> {
    let entries = watched.presence.fresh().into_iter().flat_map(|bucket| &bucket.entries);
    let ready = entries.map(|entry| &entry.value).filter(|presence| presence.probes.ready.passes);
    let pulls = ready.flat_map(|presence| presence.workers.iter().map(move |worker| (presence, worker)));
    let standing = pulls.filter_map(|(presence, worker)| {
        let is_its =
            |one: &&&Consumer| watched.is(&one.account) && one.name == worker.consumer && one.stream == worker.stream;
        consumers.iter().find(is_its).map(|consumer| seen(presence, worker, consumer))
    });
    standing.collect()
}

fn stands(consumer: &Consumer) -> bool {
    let verdict = &consumer.verdict;
    verdict.severity == Severity::Critical && matches!(verdict.label, Label::NoWorkers | Label::Stopped | Label::Stuck)
}

fn seen(presence: &Presence, worker: &Worker, consumer: &Consumer) -> Seen {
    let (name, stream) = (&consumer.name, &consumer.stream);
    let gates = [("breaker", &worker.breaker), ("kill switch", &worker.kill_switch)].into_iter();
    let open = gates.filter_map(|(gate, state)| {
        let state = state.as_deref().filter(|state| *state != "closed")?;
        Some(format!("; its {gate} is {state}"))
    });
    let verdict = &consumer.verdict;
    Seen {
        account: Some(consumer.account.clone()),
        about: format!("instance {} of {}", presence.instance, presence.service),
        sentence: format!("It is ready, and consumer {name} of stream {stream}, which it pulls from, stands still."),
        evidence: format!("the consumer: {}{}", verdict.sentence, open.collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, consumer, now, stream_with},
        config::Thresholds,
        presence::{Probe, Probes},
        snapshot::{Bucket, ConsumerState, Entry, Reading, Verdict},
    };

    fn instance(is_ready: bool) -> Entry<Presence> {
        let text = serde_json::json!({
            "service": "mail", "instance": "1", "started": now(), "written": now(),
            "workers": [{ "stream": "ORDERS", "consumer": "send", "concurrency": 1, "running": 0, "handled": 0, "failed": 0, "breaker": "open" }],
        });
        let mut value: Presence = serde_json::from_value(text).unwrap();
        value.probes = Probes { ready: Probe { passes: is_ready, parts: Vec::new() }, ..Probes::default() };
        Entry { key: "mail.1".to_owned(), revision: 1, written: now(), value }
    }

    fn check(is_ready: bool, label: Label, severity: Severity, expected: &[&str]) {
        let mut row = consumer("send", &[], ConsumerState::default());
        row.verdict = Verdict { label, severity, sentence: "5 messages wait.".into(), ..Verdict::unknown("", now()) };
        let mut snapshot = World { streams: vec![stream_with("ORDERS", vec![row])], ..World::default() }.snapshot();
        let entries = vec![instance(is_ready)];
        let bucket = Bucket { entries, deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false };
        snapshot.app.presence = Reading::known(bucket, "bucket presence", now());
        let found = look(&Scene { snapshot: &snapshot, thresholds: &Thresholds::default() });
        assert_eq!(found.iter().map(|seen| seen.evidence.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn who_says_it_is_ready_has_to_consume() {
        let said = ["the consumer: 5 messages wait.; its breaker is open"];
        check(true, Label::NoWorkers, Severity::Critical, &said);
        check(true, Label::Stopped, Severity::Critical, &said);
        check(true, Label::Stuck, Severity::Warning, &[]);
        check(true, Label::Ok, Severity::Ok, &[]);
        check(false, Label::NoWorkers, Severity::Critical, &[]);
    }
}
