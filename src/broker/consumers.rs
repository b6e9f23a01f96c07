//! The consumers of a stream, by the list that the leaders of the consumers answer.

use std::{sync::Arc, time::Duration};

use async_nats::Client;

use super::{
    AskError,
    ask::{Page, ask_pages},
    streams::read_cluster,
    wire::{ConsumerInfo, ConsumerPage},
};
use crate::{
    clock::{Clock, Timestamp},
    name::{ConsumerName, StreamName},
    snapshot::{Consumer, ConsumerConfig, ConsumerState, Listing, Missing, Reading, Verdict, Why, limit},
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
    let (infos, left_out) = ask_pages::<ConsumerPage>(client, &subject).await?;
    let mut missing: Vec<Missing> = left_out.into_iter().map(|name| Missing::left_out(account, name)).collect();
    let now = clock.now();
    let place = Place { account, stream };
    let mut rows = Vec::with_capacity(infos.len());
    for info in infos {
        let name = info.name.clone();
        match read(info, &place, server, now) {
            Some(consumer) => rows.push(consumer),
            None => missing.push(Missing::unnamed(account, name)),
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { rows, missing })
}

/// Where consumers are.
pub(super) struct Place<'a> {
    pub(super) account: &'a Arc<str>,
    pub(super) stream: &'a StreamName,
}

/// `None` when the name is not one that we could ask for.
fn read(mut info: ConsumerInfo, place: &Place<'_>, server: &Arc<str>, now: Timestamp) -> Option<Consumer> {
    let told = match &info.cluster {
        None => Ok(server.clone()),
        Some(cluster) => match cluster.leader.as_deref().filter(|leader| !leader.is_empty()) {
            Some(leader) => Ok(leader.into()),
            // Only the leader knows how much is pending; followers answer 0.
            None => Err("the consumer has no leader, and only a leader knows its counts".to_owned()),
        },
    };
    let config = ConsumerConfig { stream: place.stream.to_string(), ..*info.config.take()? };
    let name = ConsumerName::try_from(info.name.as_str()).ok()?;
    Some(row(info, Arc::new(config), place, name, told, now))
}

/// A row: `told` is who vouches for the counts, or why nobody does.
pub(super) fn row(
    info: ConsumerInfo,
    config: Arc<ConsumerConfig>,
    place: &Place<'_>,
    name: ConsumerName,
    told: Result<Arc<str>, String>,
    now: Timestamp,
) -> Consumer {
    let created = info.created;
    Consumer {
        account: place.account.clone(),
        stream: place.stream.clone(),
        name,
        config,
        created,
        state: match told {
            Ok(source) => Reading::known(state(info), source, now),
            Err(reason) => Reading::unknown(Why::Failed, reason),
        },
        trend: None,
        ages: Reading::not_yet(),
        failures: Reading::not_yet(),
        verdict: Verdict::unknown("it was not looked at yet", now),
        new_leader: None,
    }
}

fn state(info: ConsumerInfo) -> ConsumerState {
    ConsumerState {
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
        cluster: info.cluster.map(read_cluster),
    }
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
        let place = Place { account: &"A".into(), stream: &"ORDERS".parse().unwrap() };
        read(serde_json::from_value(text).unwrap(), &place, &"asked".into(), now)
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
