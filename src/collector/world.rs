//! Rounds for tests: one stream, and one consumer for which messages wait that nobody asks for.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    snapshot::{
        Consumer, ConsumerState, Contact, Listing, Reading, Snapshot, Stream, StreamConfig, StreamState, Verdict,
    },
};

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
}

/// A round that read `streams`.
pub(super) fn round(second: u64, streams: Reading<Listing<Stream>>) -> Snapshot {
    let contact = Contact::standing_since(at(0));
    let mut snapshot = Snapshot::before_the_first(contact, Duration::from_secs(10), at(second));
    snapshot.app.name = Some("A".into());
    Snapshot { streams, ..snapshot }
}

/// What is read: a stream that was made at second `made`, and its consumer.
pub(super) fn listed(second: u64, made: u64) -> Reading<Listing<Stream>> {
    let consumers = Listing { rows: vec![consumer(second)], missing: Vec::new() };
    let config = StreamConfig { name: "ORDERS".to_owned(), num_replicas: 1, ..StreamConfig::default() };
    let stream = Stream {
        account: "A".into(),
        name: "ORDERS".parse().unwrap(),
        config: Arc::new(config),
        created: at(made),
        state: Reading::known(StreamState::default(), "n1", at(second)),
        trend: None,
        consumers: Reading::known(consumers, "n1", at(second)),
    };
    Reading::known(Listing { rows: vec![stream], missing: Vec::new() }, "n1", at(second))
}

fn consumer(second: u64) -> Consumer {
    Consumer {
        account: "A".into(),
        stream: "ORDERS".parse().unwrap(),
        name: "reserve".parse().unwrap(),
        config: Arc::default(),
        created: at(0),
        state: Reading::known(ConsumerState { pending: 5, ..ConsumerState::default() }, "n1", at(second)),
        trend: None,
        ages: Reading::not_yet(),
        failures: Reading::not_yet(),
        verdict: Verdict::unknown("not looked at", at(second)),
        new_leader: None,
    }
}
