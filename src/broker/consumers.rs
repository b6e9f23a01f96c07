//! The consumers of a stream, by the list that the leaders of the consumers answer.

use std::{sync::Arc, time::Duration};

use async_nats::Client;

use super::{
    AskError,
    ask::{Page, ask_pages},
    streams::{leader_or, read_cluster},
    wire::{ConsumerInfo, ConsumerPage},
};
use crate::{
    clock::{Clock, Timestamp},
    name::{ConsumerName, StreamName},
    snapshot::{Consumer, ConsumerConfig, ConsumerState, Listing, Reading, Verdict, Why, limit},
};

impl Page for ConsumerPage {
    type Row = ConsumerInfo;

    fn total(&self) -> usize {
        self.total
    }

    fn into_rows(self) -> (Vec<ConsumerInfo>, Vec<String>) {
        (self.consumers.unwrap_or_default(), self.missing.unwrap_or_default())
    }
}

/// Lists the consumers of `stream`. `server` is who answers where there is no cluster.
pub(super) async fn list(
    client: &Client,
    account: &Arc<str>,
    stream: &StreamName,
    server: &Arc<str>,
    clock: &Clock,
) -> Result<Listing<Consumer>, AskError> {
    let subject = format!("$JS.API.CONSUMER.LIST.{stream}");
    let (infos, mut missing) = ask_pages::<ConsumerPage>(client, &subject).await?;
    let now = clock.now();
    let mut rows = Vec::with_capacity(infos.len());
    for info in infos {
        let name = info.name.clone();
        match read(info, account, stream, server, now) {
            Some(consumer) => rows.push(consumer),
            None => missing.push(name),
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { rows, missing })
}

/// `None` when the name is not one that we could ask for.
fn read(
    info: ConsumerInfo,
    account: &Arc<str>,
    stream: &StreamName,
    server: &Arc<str>,
    now: Timestamp,
) -> Option<Consumer> {
    let cluster = info.cluster.map(read_cluster);
    let source = leader_or(cluster.as_ref(), server);
    let has_leader = cluster.as_ref().is_none_or(|cluster| cluster.leader.is_some());
    let state = ConsumerState {
        pending: info.num_pending,
        ack_pending: info.num_ack_pending,
        redelivered: info.num_redelivered,
        waiting: info.num_waiting,
        delivered: info.delivered.consumer_seq,
        delivered_stream_sequence: info.delivered.stream_seq,
        last_delivered: info.delivered.last_active,
        ack_floor: info.ack_floor.consumer_seq,
        ack_floor_stream_sequence: info.ack_floor.stream_seq,
        last_acked: info.ack_floor.last_active,
        is_paused: info.paused,
        pause_left: limit(info.pause_remaining).map(Duration::from_nanos),
        has_listener: info.push_bound,
        pinned: info.priority_groups.into_iter().flatten().find_map(|group| group.pinned_client_id),
        cluster,
    };
    Some(Consumer {
        account: account.clone(),
        stream: stream.clone(),
        name: ConsumerName::try_from(info.name).ok()?,
        config: Arc::new(ConsumerConfig { stream: stream.to_string(), ..info.config }),
        created: info.created,
        // Only the leader knows how much is pending; followers answer 0.
        state: if has_leader {
            Reading::known(state, source, now)
        } else {
            Reading::unknown(Why::Failed, "the consumer has no leader, and only a leader knows its counts")
        },
        trend: None,
        ages: Reading::not_yet(),
        failures: Reading::not_yet(),
        verdict: Verdict::unknown("it was not looked at yet", now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Mode;

    /// A consumer as a server lists it, with what a test adds.
    fn row(added: serde_json::Value) -> Option<Consumer> {
        let mut text = serde_json::json!({
            "stream_name": "ORDERS", "name": "reserve", "created": "2030-01-31T12:00:00.123456789Z",
            "config": { "durable_name": "reserve", "ack_policy": "explicit", "ack_wait": 30_000_000_000_u64,
                        "max_deliver": -1, "max_ack_pending": 1000, "num_replicas": 3 },
            "delivered": { "consumer_seq": 9, "stream_seq": 12, "last_active": "2030-01-31T12:00:01Z" },
            "ack_floor": { "consumer_seq": 7, "stream_seq": 10 },
            "num_ack_pending": 2, "num_redelivered": 1, "num_waiting": 5, "num_pending": 40,
        });
        let (Some(text_fields), Some(added)) = (text.as_object_mut(), added.as_object()) else { unreachable!() };
        text_fields.extend(added.clone());
        let now = Timestamp::parse("2030-01-31T12:00:02Z").unwrap();
        read(serde_json::from_value(text).unwrap(), &"A".into(), &"ORDERS".parse().unwrap(), &"asked".into(), now)
    }

    fn check_source(cluster: serde_json::Value, expected: Option<&str>) {
        let consumer = row(serde_json::json!({ "cluster": cluster })).unwrap();
        assert_eq!(consumer.state.fact().map(|fact| fact.source.as_ref()), expected);
    }

    #[test]
    fn the_leader_vouches_and_without_one_nobody_does() {
        let replicas = serde_json::json!([{ "name": "n2", "current": true, "active": 1_000, "lag": 3 }]);
        check_source(serde_json::json!({ "name": "c", "leader": "n1", "replicas": replicas }), Some("n1"));
        check_source(serde_json::json!({ "name": "c", "replicas": replicas }), None);
        check_source(serde_json::Value::Null, Some("asked"));
    }

    #[test]
    fn a_row_says_all_that_the_server_says() {
        let consumer = row(serde_json::json!({})).unwrap();
        let state = consumer.state.value().unwrap();
        assert_eq!((state.pending, state.ack_pending, state.redelivered, state.waiting), (40, 2, 1, 5));
        assert_eq!((state.delivered, state.ack_floor), (9, 7));
        assert_eq!((state.delivered_stream_sequence, state.ack_floor_stream_sequence), (12, 10));
        let config = &consumer.config;
        assert_eq!((config.deliver_limit(), config.ack_pending_limit()), (None, Some(1_000)));
        assert_eq!((config.mode(), config.is_durable(), config.ack_wait.as_secs()), (Mode::Pull, true, 30));
    }

    fn check_filters(config: serde_json::Value, expected: &[&str]) {
        let consumer = row(serde_json::json!({ "config": config })).unwrap();
        assert_eq!(consumer.config.filters(), expected);
    }

    #[test]
    fn one_filter_or_many_are_read_alike() {
        check_filters(serde_json::json!({}), &[]);
        check_filters(serde_json::json!({ "filter_subject": "a.*" }), &["a.*"]);
        check_filters(serde_json::json!({ "filter_subjects": ["a.*", "b"] }), &["a.*", "b"]);
        check_filters(serde_json::json!({ "filter_subject": "", "filter_subjects": null }), &[]);
    }
}
