//! Dead letters: the newest are read without a consumer, and again only when there are others.

use async_nats::HeaderMap;
use streamgauge::{
    dead_letter::{STREAM, header},
    snapshot::Why,
};

use super::{Observer, jetstream};
use crate::support::nats_server::NatsServer;

async fn dead_letters(jetstream: &jetstream::Context, allow_direct: bool) {
    let config = jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["dead.>".to_owned()],
        allow_direct,
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
}

async fn bury(jetstream: &jetstream::Context, sequence: u64, payload: Vec<u8>) {
    let mut headers = HeaderMap::new();
    headers.insert(header::STREAM, "ORDERS");
    headers.insert(header::CONSUMER, "mail");
    headers.insert(header::SEQUENCE, sequence.to_string());
    headers.insert(header::REASON, "the mail server refuses");
    let sent = jetstream.publish_with_headers("dead.ORDERS.mail", headers, payload.into()).await.unwrap();
    sent.await.unwrap();
}

async fn check(allow_direct: bool) {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    dead_letters(&jetstream, allow_direct).await;
    for sequence in 1..=105 {
        bury(&jetstream, sequence, b"hello".to_vec()).await;
    }
    jetstream.publish("dead.ORDERS.mail", "no copy of anything".into()).await.unwrap().await.unwrap();
    let observer = Observer::at(&server);
    let snapshot = observer.sees("the letters", |snapshot| snapshot.app.dead_letters.fresh().is_some()).await;
    let letters = snapshot.app.dead_letters.fresh().unwrap();
    let ends = [letters.rows.first(), letters.rows.last()].map(|letter| letter.unwrap().place.to_string());
    assert_eq!(ends, ["ORDERS.mail.105", "ORDERS.mail.7"]);
    assert_eq!((letters.rows.len(), letters.malformed, letters.total), (99, 1, 106));
    assert_eq!(letters.rows[0].head, b"hello");

    bury(&jetstream, 200, vec![7; 100_000]).await;
    let is_there = |snapshot: &streamgauge::snapshot::Snapshot| {
        snapshot.app.dead_letters.fresh().is_some_and(|letters| letters.rows[0].place.sequence == 200)
    };
    let snapshot = observer.sees("the letter that came later", is_there).await;
    let newest = &snapshot.app.dead_letters.fresh().unwrap().rows[0];
    assert_eq!((newest.size, newest.head.len()), (100_000, 2_048), "no more is kept than is shown");
    let mut stream = jetstream.get_stream(STREAM).await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.consumer_count, 0, "reading leaves no consumer behind");
}

#[tokio::test]
async fn the_newest_dead_letters_are_read() {
    check(true).await;
}

#[tokio::test]
async fn dead_letters_that_allow_no_direct_get_are_read_too() {
    check(false).await;
}

#[tokio::test]
async fn without_the_stream_there_are_none_and_that_is_said() {
    let server = NatsServer::start().await;
    jetstream(&server).await;
    let observer = Observer::at(&server);
    let snapshot = observer.looks_anew().await;
    let streamgauge::snapshot::Reading::Unknown { why, reason } = &snapshot.app.dead_letters else {
        panic!("{:?}", snapshot.app.dead_letters)
    };
    assert_eq!(*why, Why::Absent);
    assert!(reason.contains("there is no stream `DEAD_LETTERS`"), "{reason}");
}
