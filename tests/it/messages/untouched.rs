//! Looking changes nothing: no consumer appears, and the counters of one that works are its own.

use async_nats::jetstream::{consumer::pull, stream};
use futures_util::StreamExt;
use streamgauge::peek::{Begin, Question};

use super::{LIMIT, NatsServer, Observer, jetstream, newest, orders, publish};
use crate::support::{eventually, page::Page};

#[tokio::test]
async fn paging_through_a_work_queue_takes_nothing_from_its_owner() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let config =
        stream::Config { retention: stream::RetentionPolicy::WorkQueue, allow_direct: true, ..Default::default() };
    let mut stream = orders(&jetstream, config).await;
    let config = pull::Config { durable_name: Some("owner".into()), ..Default::default() };
    let mut owner = stream.create_consumer(config).await.unwrap();
    publish(&jetstream, 300, |_| "orders.1".to_owned()).await;
    let observer = Observer::at(&server);
    observer.sees("ORDERS").await;
    let mut acked = 0;
    while acked < 300 {
        let mut batch = owner.fetch().max_messages(30).messages().await.unwrap();
        // Everything is looked at while these are in flight, and once more when they are acked.
        look_at_all(&observer).await;
        let mut held = Vec::new();
        while let Some(message) = batch.next().await {
            held.push(message.unwrap());
        }
        assert_eq!(held.len(), 30, "nobody else took any");
        for message in held {
            assert_eq!(message.info().unwrap().delivered, 1, "a look delivers nothing");
            message.ack().await.unwrap();
            acked += 1;
        }
        look_at_all(&observer).await;
        eventually(LIMIT, "the acks are counted", async || {
            let info = owner.info().await.unwrap();
            if info.ack_floor.consumer_sequence == acked { Ok(()) } else { Err(info.clone()) }
        })
        .await;
        let info = owner.cached_info();
        assert_eq!((info.delivered.consumer_sequence, info.num_ack_pending, info.num_redelivered), (acked, 0, 0));
        assert_eq!((info.num_pending, info.num_waiting), (300 - acked, 0));
    }
    let info = stream.info().await.unwrap();
    assert_eq!((info.state.consumer_count, info.state.messages), (1, 0), "no consumer appeared, and nothing is left");
}

async fn look_at_all(observer: &Observer) {
    let mut begin = Begin::Newest;
    loop {
        let found = observer.finds(&Question { begin, ..newest(50) }).await;
        match found.older {
            Some(before) => begin = Begin::Before(before),
            None => break,
        }
    }
    let page = Page::of(&observer.router, "/messages/$G/ORDERS?header=a").await;
    assert_eq!(page.status, 200);
    let journey = Page::of(&observer.router, "/journey?id=m-1").await;
    assert!(journey.text("#looked tbody tr").contains("searched"), "{}", journey.html);
}

#[tokio::test]
async fn a_stream_that_is_kept_by_interest_keeps_what_was_looked_at() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    let config = stream::Config { retention: stream::RetentionPolicy::Interest, ..Default::default() };
    let mut stream = orders(&jetstream, config).await;
    let config = pull::Config { durable_name: Some("owner".into()), ..Default::default() };
    stream.create_consumer(config).await.unwrap();
    publish(&jetstream, 20, |_| "orders.1".to_owned()).await;
    let observer = Observer::at(&server);
    observer.sees("ORDERS").await;
    look_at_all(&observer).await;
    eventually(LIMIT, "a page of each", async || {
        let page = Page::of(&observer.router, "/messages/$G/ORDERS/7").await;
        page.status == 200
    })
    .await;
    let state = &stream.info().await.unwrap().state;
    assert_eq!((state.messages, state.consumer_count), (20, 1));
}
