//! A copy that is away protects from nothing.

use super::{
    Audit, Scene, Seen,
    support::{of_consumer, of_stream},
};
use crate::snapshot::{Cluster, Replica, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "offline_replicas",
    severity: Severity::Critical,
    rule: "A stream or consumer has no leader, or a server that holds a copy of it is away: with one more away it takes and gives nothing.",
    evidence: "the leader's word on its replicas, and which servers say nothing of themselves",
    threshold: "one replica",
    next_step: "bring the server back, or remove it from the stream with `nats stream cluster peer-remove`",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let streams = scene.streams().filter_map(|(stream, state)| {
        let (sentence, evidence) = away(state?.cluster.as_ref()?)?;
        Some(of_stream(stream, sentence, evidence))
    });
    let consumers = scene.consumers().filter_map(|(consumer, state)| {
        let (sentence, evidence) = away(state?.cluster.as_ref()?)?;
        Some(of_consumer(consumer, sentence, evidence))
    });
    streams.chain(consumers).collect()
}

fn away(cluster: &Cluster) -> Option<(String, String)> {
    let all = 1 + cluster.replicas.len();
    let away: Vec<&Replica> = cluster.replicas.iter().filter(|one| one.is_away()).collect();
    let said: Vec<String> = away.iter().map(|one| one.away_in_words()).collect();
    let evidence = format!("of {all} copies these are away: {}", said.join(", "));
    match (&cluster.leader, away.len()) {
        (None, _) => Some(("It has no leader: it takes nothing and gives nothing.".to_owned(), evidence)),
        (Some(_), 0) => None,
        (Some(_), 1) => Some((format!("Its copy on server {} is away.", away[0].name), evidence)),
        (Some(_), count) => Some((format!("{count} of its copies are away."), evidence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, consumer, found, replica, stream_with};
    use crate::snapshot::{ConsumerState, StreamState};

    fn check(leader: Option<&str>, is_offline: bool, is_silent: bool, expected: usize) {
        let replicas = vec![Replica { is_offline, is_silent, ..replica("n2") }, replica("n3")];
        let cluster = Some(Cluster { leader: leader.map(str::to_owned), replicas });
        let consumer = consumer("reserve", &[], ConsumerState { cluster: cluster.clone(), ..ConsumerState::default() });
        let mut stream = stream_with("ORDERS", vec![consumer]);
        stream.state = stream.state.map(|state| StreamState { cluster: cluster.clone(), ..state });
        assert_eq!(found(&AUDIT, &World { streams: vec![stream], ..World::default() }).len(), expected);
    }

    #[test]
    fn a_copy_that_is_away_is_missed_by_stream_and_consumer() {
        check(Some("n1"), false, false, 0);
        check(Some("n1"), true, false, 2);
        check(Some("n1"), false, true, 2);
        check(None, false, false, 2);
    }
}
