//! A copy that lags cannot take over at once.

use super::{
    Audit, Scene, Seen,
    support::{is_near, of_stream},
};
use crate::{
    clock::Age,
    snapshot::{Replica, Severity},
    words::{count, counted},
};

pub(super) const AUDIT: Audit = Audit {
    name: "replicas_behind",
    severity: Severity::Warning,
    rule: "A copy of a stream is far behind its leader: should the leader go, what the copy lacks is missing until the leader is back.",
    evidence: "the leader's word on its replicas",
    threshold: "a tenth of the stream's last sequence, and a thousand operations",
    next_step: "look at the disk and the network of the server that holds the copy",
    look,
};

/// Part of all that a stream ever stored.
const PERCENT: u64 = 10;

/// In a stream that is young a tenth is little.
const LEAST: u64 = 1_000;

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let known = scene.streams().filter_map(|(stream, state)| Some((stream, state?)));
    let behind = known.flat_map(|(stream, state)| {
        let replicas = state.cluster.iter().flat_map(|cluster| &cluster.replicas);
        let far = replicas.filter(|replica| is_far(replica, state.last_sequence));
        far.map(move |replica| {
            let behind = counted(replica.behind, "operation");
            let sentence = format!("Its copy on server {} is {behind} behind.", replica.name);
            let heard = match replica.heard_ago {
                Some(ago) => format!("heard of the copy {} ago", Age(ago)),
                None => "has never heard of the copy".to_owned(),
            };
            let evidence = format!("the stream is at {}; its leader {heard}", count(state.last_sequence));
            of_stream(stream, sentence, evidence)
        })
    });
    behind.collect()
}

/// One that is away is told of as such.
fn is_far(replica: &Replica, last: u64) -> bool {
    !replica.is_away() && replica.behind >= LEAST && is_near(replica.behind, last, PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, found, replica, stream};
    use crate::snapshot::{Cluster, StreamState};

    fn check(behind: u64, last_sequence: u64, is_offline: bool, expected: usize) {
        let replicas = vec![Replica { behind, is_offline, ..replica("n2") }];
        let cluster = Some(Cluster { leader: Some("n1".to_owned()), replicas });
        let mut stream = stream("ORDERS");
        stream.state = stream.state.map(|state| StreamState { cluster: cluster.clone(), last_sequence, ..state });
        assert_eq!(found(&AUDIT, &World { streams: vec![stream], ..World::default() }).len(), expected);
    }

    #[test]
    fn far_is_much_of_the_stream_and_many_operations() {
        check(1_000, 10_000, false, 1);
        check(999, 9_990, false, 0);
        check(1_000, 10_001, false, 0);
        check(1_000, 10_000, true, 0);
    }
}
