//! Copies on servers that say nothing: a leader may take minutes to call one away, and we hear ourselves that its server is silent.

use crate::snapshot::{Cluster, Replica, SILENCE, Snapshot};

/// Marks the copies on servers that are silent for us, where their leader has heard nothing of them either.
pub(super) fn mark(next: &mut Snapshot) {
    let now = next.taken;
    let servers = next.servers.fresh().map_or(&[][..], Vec::as_slice);
    let silent: Vec<String> =
        servers.iter().filter(|server| server.is_silent(now)).map(|server| server.name.clone()).collect();
    let groups = next.servers.value_mut().into_iter().flatten().filter_map(|server| server.meta.as_mut());
    groups.for_each(|meta| mark_in(Some(&mut meta.cluster), &silent));
    for stream in next.streams.value_mut().into_iter().flat_map(|list| &mut list.rows) {
        mark_in(stream.state.value_mut().and_then(|state| state.cluster.as_mut()), &silent);
        for consumer in stream.consumers.value_mut().into_iter().flat_map(|list| &mut list.rows) {
            mark_in(consumer.state.value_mut().and_then(|state| state.cluster.as_mut()), &silent);
        }
    }
}

fn mark_in(cluster: Option<&mut Cluster>, silent: &[String]) {
    for replica in cluster.into_iter().flat_map(|cluster| &mut cluster.replicas) {
        replica.is_silent = is_unheard(replica) && silent.contains(&replica.name);
    }
}

/// A leader that hears of a copy knows better than we.
fn is_unheard(replica: &Replica) -> bool {
    replica.heard_ago.is_none_or(|ago| ago > SILENCE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(name: &str, heard_ago: Option<u64>, expected: bool) {
        let replica = Replica {
            name: name.to_owned(),
            is_current: false,
            is_offline: false,
            is_silent: !expected,
            heard_ago: heard_ago.map(Duration::from_secs),
            behind: 0,
            last_sequence: None,
        };
        let mut cluster = Cluster { leader: Some("n1".to_owned()), replicas: vec![replica] };
        mark_in(Some(&mut cluster), &["n3".to_owned()]);
        assert_eq!(cluster.replicas[0].is_silent, expected, "{name} {heard_ago:?}");
    }

    #[test]
    fn a_copy_is_away_when_neither_we_nor_its_leader_hear_of_it() {
        check("n3", None, true);
        check("n3", Some(31), true);
        check("n3", Some(1), false);
        check("n2", None, false);
    }
}
