//! A small world in which all is well, for pages to show and tests to spoil.

use std::{sync::Arc, time::Duration};

use streamgauge::{
    advisory::{Advisory, Kind},
    clock::Timestamp,
    dead_letter::Repeat,
    presence::{Presence, Probe, ProbePart, Probes},
    record::{Phase, Record, Step},
    snapshot::{
        Advisories, AskedProbe, Bucket, Cluster, Consumer, ConsumerConfig, ConsumerState, ConsumerTrend, Contact,
        Entry, Gateway, JetStreamUse, Label, Letter, Letters, Listing, MetaGroup, Reading, Replica, RoundStats, Server,
        Severity, Snapshot, Stream, StreamConfig, StreamState, StreamTrend, Verdict, Watched, Why,
    },
};

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The time at which the pages are drawn.
pub fn now() -> Timestamp {
    Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
}

/// A reading that failed before it ever succeeded.
pub fn failed<T>() -> Reading<T> {
    Reading::unknown(Why::Failed, "the dog ate it")
}

/// Streams as a round counts them.
pub fn count(rows: Vec<Stream>) -> Reading<Listing<Stream>> {
    Reading::known(Listing { rows, missing: Vec::new() }, "n1", now())
}

pub fn snapshot() -> Snapshot {
    let consumers = vec![consumer("ORDERS", "reserve"), quiet(consumer("ORDERS", "track"))];
    Snapshot {
        round: 7,
        taken: now(),
        interval: Duration::from_secs(2),
        app: watched("A"),
        others: Vec::new(),
        servers: Reading::unknown(Why::Hidden, "only a user of the system account sees the servers"),
        streams: count(vec![stream("ORDERS", consumers)]),
        probes: Arc::default(),
        asked_probes: Arc::default(),
        findings: Vec::new(),
        stats: RoundStats::default(),
    }
}

/// The world with a change in its account.
pub fn with_app(change: impl FnOnce(&mut Watched)) -> Snapshot {
    let mut changed = snapshot();
    change(&mut changed.app);
    changed
}

/// An account in which there is something of everything.
pub fn watched(account: &str) -> Watched {
    let records = vec![order("7")];
    let records = Bucket { entries: records, deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false };
    Watched {
        name: Some(account.into()),
        contact: Contact {
            is_connected: true,
            since: now(),
            reason: "connected".to_owned(),
            url: "nats://n1:4222".to_owned(),
            user: Some("observer".to_owned()),
            server: Some(("n1".to_owned(), "2.12.0".to_owned())),
        },
        unlisted: None,
        used: Reading::unknown(Why::Hidden, "our user may not ask what the account has used"),
        presence: Reading::known(presence(true), "bucket presence", now()),
        gone: Vec::new(),
        records: Reading::known(records, "bucket records", now()),
        dead_letters: Reading::known(Arc::new(letters()), "stream DEAD_LETTERS", now()),
        advisories: Reading::known(Arc::new(advisories()), "stream ADVISORIES", now()),
        faults: Reading::unknown(Why::Absent, "there is no key-value bucket `faults`"),
    }
}

pub fn stream(name: &str, consumers: Vec<Consumer>) -> Stream {
    let state = StreamState {
        messages: 1_234,
        bytes: 56_000,
        first_sequence: 1,
        last_sequence: 1_234,
        first_stored: Some(now()),
        last_stored: Some(now()),
        deleted: 0,
        subjects: 1_000,
        consumers: consumers.len() as u64,
        cluster: None,
        origins: Vec::new(),
    };
    Stream {
        account: "A".into(),
        name: name.parse().unwrap(),
        config: Arc::new(StreamConfig {
            name: name.to_owned(),
            subjects: vec!["orders.>".to_owned()],
            num_replicas: 1,
            max_age: Duration::from_secs(86_400),
            max_bytes: 1_000_000,
            allow_direct: true,
            ..StreamConfig::default()
        }),
        created: now(),
        state: Reading::known(state, "n1", now()),
        trend: Some(StreamTrend { over: Duration::from_secs(2), stored: 10, removed: 0, grown_bytes: 0 }),
        consumers: Reading::known(Listing { rows: consumers, missing: Vec::new() }, "n1", now()),
    }
}

pub fn consumer(stream: &str, name: &str) -> Consumer {
    let state = ConsumerState {
        pending: 3,
        ack_pending: 2,
        redelivered: 0,
        waiting: 4,
        delivered: 500,
        last_delivered: Some(now()),
        ack_floor: 498,
        last_acked: Some(now()),
        ..ConsumerState::default()
    };
    Consumer {
        account: "A".into(),
        stream: stream.parse().unwrap(),
        name: name.parse().unwrap(),
        config: Arc::new(ConsumerConfig {
            stream: stream.to_owned(),
            durable_name: name.to_owned(),
            ack_policy: "explicit".to_owned(),
            ack_wait: Duration::from_secs(30),
            max_deliver: -1,
            max_ack_pending: 100,
            ..ConsumerConfig::default()
        }),
        created: now(),
        state: Reading::known(state, "n1", now()),
        trend: Some(ConsumerTrend {
            over: Duration::from_secs(2),
            delivered: 10,
            arrived: 10,
            acked: 10,
            passed: 10,
            pending_before: 3,
        }),
        ages: Reading::not_yet(),
        failures: Reading::not_yet(),
        verdict: verdict(Label::Ok, Severity::Ok, "It keeps up."),
        new_leader: None,
    }
}

pub fn verdict(label: Label, severity: Severity, sentence: &'static str) -> Verdict {
    Verdict { label, severity, sentence: sentence.into(), ..Verdict::unknown("", now()) }
}

/// The consumer with nothing to do.
fn quiet(mut consumer: Consumer) -> Consumer {
    let state = ConsumerState { delivered: 500, last_delivered: Some(now()), ..ConsumerState::default() };
    consumer.state = Reading::known(state, "n1", now());
    consumer
}

/// One instance, ready or not.
pub fn presence(is_ready: bool) -> Bucket<Presence> {
    let reason = if is_ready { "connected" } else { "connection lost" };
    let part = ProbePart { name: "nats".to_owned(), passes: is_ready, reason: reason.to_owned(), age_seconds: 40.0 };
    let well = Probe { passes: true, parts: Vec::new() };
    let value = Presence {
        service: "mail".to_owned(),
        instance: "1".to_owned(),
        version: "0.1.0".to_owned(),
        started: now(),
        written: now(),
        address: None,
        probes: Probes { live: well.clone(), ready: Probe { passes: is_ready, parts: vec![part] }, startup: well },
        workers: Vec::new(),
    };
    let entry = Entry { key: "mail.1".to_owned(), revision: 3, written: now(), value };
    Bucket { entries: vec![entry], deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false }
}

/// An order that was completed.
pub fn order(id: &str) -> Entry<Record> {
    let step = |name: &str, by: &str, millis: u64| Step {
        name: name.to_owned(),
        at: now().after(Duration::from_millis(millis)),
        by: by.to_owned(),
        message: None,
    };
    let value = Record {
        kind: "order".to_owned(),
        id: format!("order-{id}-of-a-long-name"),
        state: "completed".to_owned(),
        phase: Phase::Succeeded,
        started: now(),
        since: now(),
        summary: "3 items for ada, 59.70 EUR".to_owned(),
        reason: None,
        trace_id: Some(TRACE.to_owned()),
        steps: vec![step("OrderPlaced", "storefront", 0), step("OrderCompleted", "orders", 350)],
    };
    Entry { key: format!("order.{id}"), revision: 9, written: now(), value }
}

/// One message that died, came back and died again.
pub fn letters() -> Letters {
    let letter = Letter {
        place: "ORDERS.reserve.42".parse().unwrap(),
        subject: "orders.placed.7".to_owned(),
        message_id: Some("m-42".to_owned()),
        reason: "the warehouse does not know the item".to_owned(),
        class: "rejected".to_owned(),
        attempts: Some(5),
        deliveries: Some(6),
        published: Some(now().before(Duration::from_secs(60))),
        died: now(),
        repeat: Some(Repeat { first: "ORDERS.reserve.41".to_owned(), generation: 1 }),
        trace_id: Some(TRACE.to_owned()),
        headers: vec![("ce-type".to_owned(), "OrderPlaced".to_owned())],
        size: 14,
        head: br#"{"item":"soap"}"#.to_vec(),
        is_elsewhere: false,
    };
    Letters { rows: vec![letter], total: 3, malformed: 0 }
}

/// What a server told, so many seconds ago.
pub fn advisory(id: &str, kind: Kind, ago: u64, sentence: &str) -> Advisory {
    Advisory {
        id: id.to_owned(),
        time: now().before(Duration::from_secs(ago)),
        kind,
        account: "A".into(),
        stream: Some("ORDERS".parse().unwrap()),
        consumer: Some("reserve".parse().unwrap()),
        sequence: Some(42),
        reason: String::new(),
        sentence: sentence.to_owned(),
        count: 1,
    }
}

/// A message that was given up, and what was told before it.
pub fn advisories() -> Advisories {
    let made =
        Advisory { consumer: None, sequence: None, ..advisory("a-1", Kind::Created, 300, "The stream was made.") };
    let naks =
        Advisory { count: 12, ..advisory("a-2", Kind::Nak, 60, "A worker handed message 42 back, at delivery 12.") };
    let gave_up = advisory("a-3", Kind::Exhausted, 30, "The server gave up message 42 after 3 deliveries.");
    Advisories {
        account: "A".into(),
        rows: vec![gave_up, naks, made],
        total: 20,
        since: now().before(Duration::from_secs(600)),
        stored_since: Some(now().before(Duration::from_secs(86_400))),
    }
}

/// A server of a cluster, which has told of itself and not how it is set up.
pub fn server(name: &str) -> Server {
    Server {
        name: name.to_owned(),
        id: name.to_owned(),
        version: "2.12.0".to_owned(),
        cluster: Some("C".to_owned()),
        has_jetstream: true,
        lost_jetstream: None,
        started: now(),
        cpu_percent: 3.0,
        cores: 2,
        memory_bytes: 20_000_000,
        connections: 5,
        slow_consumers: 0,
        storage_bytes: Some(900),
        heard: now(),
        domain: None,
        subscriptions: 7,
        accounts: 1,
        routes: vec!["n2".to_owned(), "n3".to_owned()],
        gateways: vec![Gateway { cluster: "EAST".to_owned(), inbound: 3 }],
        jetstream: Some(JetStreamUse { storage: 900, storage_limit: Some(1_000), ..JetStreamUse::default() }),
        meta: Some(group("n1", Vec::new())),
        setup: None,
        health: None,
    }
}

/// The meta group as one of its three servers sees it.
pub fn group(leader: &str, replicas: Vec<Replica>) -> MetaGroup {
    MetaGroup {
        cluster: Cluster { leader: Some(leader.to_owned()), replicas },
        size: 3,
        pending: 1,
        named: now().before(Duration::from_secs(60)),
    }
}

/// What a probe answered just now.
pub fn asked(name: &str, answer: Result<u16, &str>) -> AskedProbe {
    let answer = answer.map_err(str::to_owned);
    AskedProbe {
        name: name.to_owned(),
        url: "http://a/readyz".to_owned(),
        answer,
        took: Duration::from_millis(7),
        at: now(),
    }
}
