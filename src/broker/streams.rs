//! Streams, by the list of the account, each with its consumers.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use futures_util::{StreamExt, stream};

use super::{
    AskError,
    ask::{Deadline, Page, ask_pages},
    consumers,
    wire::{self, ClusterInfo, OriginInfo, StreamInfo, StreamPage},
};
use crate::{
    clock::{Clock, Timestamp},
    name::StreamName,
    snapshot::{Cluster, Consumer, Listing, Missing, OriginState, Reading, Replica, Stream, StreamState, limit},
};

/// Streams whose consumers are asked for at once. The API drops all that it has queued when the queue is full, so this stays low.
const IN_FLIGHT: usize = 32;

impl Page for StreamPage {
    type Row = StreamInfo;

    fn total(&self) -> usize {
        self.total
    }

    fn into_rows(self) -> (Vec<StreamInfo>, Vec<String>) {
        (self.streams.unwrap_or_default(), self.missing.unwrap_or_default())
    }
}

/// Lists the streams, whose consumers are not asked for yet. `server` is who answers where there is no cluster.
pub(super) async fn list(
    client: &Client,
    account: &Arc<str>,
    server: &Arc<str>,
    clock: &Clock,
) -> Result<Listing<Stream>, AskError> {
    let (infos, left_out) = ask_pages::<StreamPage>(client, "$JS.API.STREAM.LIST").await?;
    let mut missing: Vec<Missing> = left_out.into_iter().map(|name| Missing::left_out(account, name)).collect();
    let now = clock.now();
    let mut rows: Vec<Stream> = Vec::with_capacity(infos.len());
    for info in infos {
        let name = info.config.name.clone();
        match read(info, account, server, now) {
            Some(stream) => rows.push(stream),
            None => missing.push(Missing::unnamed(account, name)),
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { rows, missing })
}

/// The consumers of those `streams` that have some, each with the place of its stream. Lists that are not answered before `deadline` are
/// unknown, and take none of the others with them.
pub(super) async fn consumers(
    client: &Client,
    streams: &[Stream],
    server: &Arc<str>,
    clock: &Clock,
    deadline: Deadline,
) -> Vec<(usize, Reading<Listing<Consumer>>)> {
    let has_some = |stream: &Stream| stream.state.value().is_none_or(|state| state.consumers > 0);
    let asked: Vec<_> = streams.iter().enumerate().filter(|(_, stream)| has_some(stream)).collect();
    let list = |(place, stream): (usize, &Stream)| {
        let (account, name) = (stream.account.clone(), stream.name.clone());
        async move {
            let what = format!("the consumers of `{name}`");
            let listed = deadline.wait(&what, consumers::list(client, &account, &name, server, clock)).await;
            let reading = listed.map(|listing| Reading::known(listing, server.clone(), clock.now()));
            (place, reading.unwrap_or_else(AskError::into_reading))
        }
    };
    stream::iter(asked.into_iter().map(list)).buffer_unordered(IN_FLIGHT).collect().await
}

/// `None` when the name is not one that we could ask for.
fn read(info: StreamInfo, account: &Arc<str>, server: &Arc<str>, now: Timestamp) -> Option<Stream> {
    let StreamInfo { config, created, state, cluster, mirror, sources } = info;
    let cluster = cluster.map(read_cluster);
    let source = leader_or(cluster.as_ref(), server);
    let state = self::state(state, cluster, origins(mirror, sources));
    Some(Stream {
        account: account.clone(),
        name: StreamName::try_from(config.name.as_str()).ok()?,
        config: Arc::new(config),
        created,
        consumers: Reading::known(Listing::default(), source.clone(), now),
        state: Reading::known(state, source, now),
        trend: None,
    })
}

/// How a stream gets on with those that it takes its messages from.
pub(super) fn origins(mirror: Option<OriginInfo>, sources: Vec<OriginInfo>) -> Vec<OriginState> {
    let read = |info: OriginInfo| OriginState {
        name: info.name,
        lag: info.lag,
        heard_ago: u64::try_from(info.active).ok().map(Duration::from_nanos),
        error: info.error.map(|error| error.description),
    };
    mirror.into_iter().chain(sources).map(read).collect()
}

/// What a stream held, as `cluster` holds it.
pub(super) fn state(state: wire::StreamState, cluster: Option<Cluster>, origins: Vec<OriginState>) -> StreamState {
    StreamState {
        messages: state.messages,
        bytes: state.bytes,
        first_sequence: state.first_seq,
        last_sequence: state.last_seq,
        first_stored: state.first_ts.filter(|_| state.messages > 0),
        last_stored: state.last_ts.filter(|_| state.last_seq > 0),
        deleted: state.num_deleted,
        subjects: state.num_subjects,
        consumers: state.consumer_count,
        cluster,
        origins,
    }
}

/// Who holds it, as its leader tells.
pub(super) fn read_cluster(info: ClusterInfo) -> Cluster {
    let peers = info.replicas.unwrap_or_default();
    let leader = info.leader.filter(|name| !name.is_empty());
    let replicas = peers.into_iter().map(|peer| Replica {
        name: peer.name,
        is_current: peer.current,
        is_offline: peer.offline,
        heard_ago: limit(peer.active).map(Duration::from_nanos),
        is_silent: false,
        behind: peer.lag,
        last_sequence: None,
    });
    Cluster { leader, replicas: replicas.collect() }
}

/// Who vouches for a row: its leader, or `server` where there is no cluster.
pub(super) fn leader_or(cluster: Option<&Cluster>, server: &Arc<str>) -> Arc<str> {
    match cluster.and_then(|cluster| cluster.leader.as_deref()) {
        Some(leader) => leader.into(),
        None => server.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Held;

    fn row(config: serde_json::Value, cluster: serde_json::Value) -> Option<Stream> {
        let text = serde_json::json!({
            "config": config, "created": "2030-01-31T12:00:00Z", "cluster": cluster,
            "state": { "messages": 3, "bytes": 90, "first_seq": 2, "last_seq": 4, "last_ts": "2030-01-31T12:00:01Z" },
        });
        let now = Timestamp::parse("2030-01-31T12:00:02Z").unwrap();
        read(serde_json::from_value(text).unwrap(), &"A".into(), &"asked".into(), now)
    }

    fn check_held(name: &str, expected: Held) {
        assert_eq!(row(serde_json::json!({ "name": name }), serde_json::Value::Null).unwrap().held(), expected);
    }

    #[test]
    fn buckets_are_known_by_their_names() {
        check_held("ORDERS", Held::Messages);
        check_held("KV", Held::Messages);
        check_held("KV_stock", Held::KeyValue);
        check_held("OBJ_images", Held::Objects);
    }

    #[test]
    fn a_limit_that_is_none_is_not_read_as_one() {
        let config = serde_json::json!({ "name": "A", "max_age": 0, "max_bytes": -1, "max_msgs": 5, "subjects": null });
        let config = row(config, serde_json::Value::Null).unwrap().config;
        assert_eq!((config.age_limit(), config.byte_limit(), config.message_limit()), (None, None, Some(5)));
    }

    #[test]
    fn a_stream_without_a_leader_says_so() {
        let cluster = serde_json::json!({ "replicas": [{ "name": "n2", "offline": true, "active": -1 }] });
        let stream = row(serde_json::json!({ "name": "A", "num_replicas": 2 }), cluster).unwrap();
        let cluster = stream.state.value().unwrap().cluster.as_ref().unwrap();
        assert_eq!((cluster.leader.as_ref(), cluster.replicas[0].is_offline), (None, true));
        assert!(row(serde_json::json!({ "name": "not a name" }), serde_json::Value::Null).is_none());
    }
}
