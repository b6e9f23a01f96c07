//! A snapshot with what a test puts into it.

use std::{sync::Arc, time::Duration};

use super::{AUDITS, Audit, Scene, Seen};
use crate::{
    clock::Timestamp,
    config::Thresholds,
    snapshot::{
        AccountUse, Cluster, Consumer, ConsumerConfig, ConsumerState, Contact, Listing, MetaGroup, Reading, Replica,
        Server, ServerSetup, Snapshot, Stream, StreamConfig, StreamState, Verdict,
    },
};

#[derive(Debug, Clone, Default)]
pub(in crate::checks) struct World {
    pub(in crate::checks) streams: Vec<Stream>,
    pub(in crate::checks) servers: Vec<Server>,
    pub(in crate::checks) account: AccountUse,
    pub(in crate::checks) thresholds: Thresholds,
}

pub(in crate::checks) fn now() -> Timestamp {
    Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
}

impl World {
    pub(in crate::checks) fn snapshot(&self) -> Snapshot {
        let contact = Contact::standing_since(now());
        let mut snapshot = Snapshot::before_the_first(contact, Duration::from_secs(10), now());
        snapshot.streams = Reading::known(Listing { rows: self.streams.clone(), missing: Vec::new() }, "n1", now());
        snapshot.app.name = Some("A".into());
        snapshot.app.used = Reading::known(self.account.clone(), "n1", now());
        snapshot.servers = Reading::known(self.servers.clone(), "n1", now());
        snapshot
    }
}

/// What one audit finds.
pub(super) fn found(audit: &Audit, world: &World) -> Vec<Seen> {
    assert!(AUDITS.iter().any(|listed| listed.name == audit.name), "{} is not in the list", audit.name);
    (audit.look)(&Scene { snapshot: &world.snapshot(), thresholds: &world.thresholds })
}

pub(in crate::checks) fn stream(name: &str) -> Stream {
    stream_with(name, Vec::new())
}

pub(in crate::checks) fn stream_with(name: &str, consumers: Vec<Consumer>) -> Stream {
    Stream {
        account: "A".into(),
        name: name.parse().unwrap(),
        config: Arc::new(StreamConfig { name: name.to_owned(), ..StreamConfig::default() }),
        created: now(),
        state: Reading::known(StreamState::default(), "n1", now()),
        trend: None,
        consumers: Reading::known(Listing { rows: consumers, missing: Vec::new() }, "n1", now()),
    }
}

/// The stream with notes for monitors on it.
pub(in crate::checks) fn noted(mut stream: Stream, notes: &[(&str, &str)]) -> Stream {
    let noted = notes.iter().map(|(key, value)| (format!("io.nats.monitor.{key}"), (*value).to_owned()));
    Arc::make_mut(&mut stream.config).metadata.extend(noted);
    stream
}

/// A consumer that was made an hour ago, with notes for monitors on it.
pub(in crate::checks) fn consumer(name: &str, notes: &[(&str, &str)], state: ConsumerState) -> Consumer {
    let noted = notes.iter().map(|(key, value)| (format!("io.nats.monitor.{key}"), (*value).to_owned()));
    let config =
        ConsumerConfig { durable_name: name.to_owned(), metadata: noted.collect(), ..ConsumerConfig::default() };
    Consumer {
        account: "A".into(),
        stream: "ORDERS".parse().unwrap(),
        name: name.parse().unwrap(),
        config: Arc::new(config),
        created: now().before(Duration::from_secs(3_600)),
        state: Reading::known(state, "n1", now()),
        trend: None,
        ages: Reading::not_yet(),
        failures: Reading::not_yet(),
        verdict: Verdict::unknown("not looked at", now()),
        new_leader: None,
    }
}

pub(in crate::checks) fn replica(name: &str) -> Replica {
    Replica {
        name: name.to_owned(),
        is_current: true,
        is_offline: false,
        is_silent: false,
        heard_ago: Some(Duration::from_secs(1)),
        behind: 0,
        last_sequence: None,
    }
}

/// A server with which nothing is wrong.
pub(in crate::checks) fn server(name: &str) -> Server {
    Server {
        name: name.to_owned(),
        id: name.to_owned(),
        version: "2.15.0".to_owned(),
        cluster: None,
        has_jetstream: true,
        lost_jetstream: None,
        started: now().before(Duration::from_secs(3_600)),
        cpu_percent: 1.0,
        cores: 2,
        memory_bytes: 1 << 20,
        connections: 1,
        slow_consumers: 0,
        storage_bytes: None,
        heard: now(),
        domain: None,
        subscriptions: 0,
        accounts: 1,
        routes: Vec::new(),
        gateways: Vec::new(),
        jetstream: None,
        meta: None,
        setup: None,
        health: None,
    }
}

/// A server that told how it is set up.
pub(in crate::checks) fn set_up(name: &str, setup: ServerSetup) -> Server {
    Server { setup: Some(Arc::new(setup)), ..server(name) }
}

/// A domain, and its meta group as a server sees it.
pub(in crate::checks) fn meta(
    domain: &str,
    leader: Option<&str>,
    replicas: Vec<Replica>,
) -> (Option<String>, Option<MetaGroup>) {
    let cluster = Cluster { leader: leader.map(str::to_owned), replicas };
    (Some(domain.to_owned()), Some(MetaGroup { cluster, size: 3, pending: 0, named: now() }))
}

/// What an audit of servers is expected to find, as what it is about.
#[track_caller]
pub(super) fn check_servers(audit: &Audit, world: World, expected: &[&str]) {
    let found = found(audit, &world);
    let about: Vec<&str> = found.iter().map(|seen| seen.about.as_str()).collect();
    assert_eq!(about, expected, "{found:?}");
}
