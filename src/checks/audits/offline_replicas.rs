//! A copy that is away protects from nothing.

use super::{
    Audit, Scene, Seen,
    support::{of_consumer, of_stream},
};
use crate::snapshot::{Cluster, Severity};

pub(super) const AUDIT: Audit = Audit {
    name: "offline_replicas",
    severity: Severity::Critical,
    rule: "A stream or consumer has no leader, or a server that holds a copy of it is away: with one more away it takes and gives nothing.",
    evidence: "the leader's word on its replicas",
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
    let away: Vec<&str> = cluster.replicas.iter().filter(|one| one.is_offline).map(|one| one.name.as_str()).collect();
    let evidence = format!("of {all} copies these are away: {}", away.join(", "));
    match (&cluster.leader, away.len()) {
        (None, _) => Some(("It has no leader: it takes nothing and gives nothing.".to_owned(), evidence)),
        (Some(_), 0) => None,
        (Some(_), 1) => Some((format!("Its copy on server {} is away.", away[0]), evidence)),
        (Some(_), count) => Some((format!("{count} of its copies are away."), evidence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, consumer, found, replica, stream_with};
    use crate::snapshot::{ConsumerState, Replica, StreamState};

    fn check(leader: Option<&str>, is_offline: bool, expected: usize) {
        let replicas = vec![Replica { is_offline, ..replica("n2") }, replica("n3")];
        let cluster = Some(Cluster { leader: leader.map(str::to_owned), replicas });
        let consumer = consumer("reserve", &[], ConsumerState { cluster: cluster.clone(), ..ConsumerState::default() });
        let mut stream = stream_with("ORDERS", vec![consumer]);
        stream.state = stream.state.map(|state| StreamState { cluster: cluster.clone(), ..state });
        assert_eq!(found(&AUDIT, &World { streams: vec![stream], ..World::default() }).len(), expected);
    }

    #[test]
    fn a_copy_that_is_away_is_missed_by_stream_and_consumer() {
        check(Some("n1"), false, 0);
        check(Some("n1"), true, 2);
        check(None, false, 2);
    }
}
