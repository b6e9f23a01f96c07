//! What a broker tells of messages on their way, where an account has message tracing: it becomes spans of the trace that they are part of.

use std::fs;

use async_nats::{HeaderMap, jetstream::stream};
use opentelemetry_proto::tonic::trace::v1::Span;
use streamgauge::{
    broker,
    clock::Clock,
    config::NatsConfig,
    trace::{BROKER, Trace, Value},
    traces::{Receiver, Store},
};
use tokio_util::sync::CancellationToken;

use super::{ConnectOptions, LIMIT, NatsServer, Observer};
use crate::{
    support::{
        eventually,
        spans::{request, text},
    },
    traces::post_to,
};

const EVENTS: &str = "streamgauge.trace.events";

/// A server whose account tells, to an observer that may do what the page of permissions lists and no more.
async fn server() -> NatsServer {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/permissions.md")).unwrap();
    let listed = page.split_once("```nats app\n").unwrap().1.split_once("```").unwrap().0;
    let config = format!(
        "jetstream {{ max_file_store: 1GB }}\nserver_name: n1\naccounts {{ APP {{ jetstream: enabled\n\
         msg_trace {{ dest: \"{EVENTS}\", sampling: \"100%\" }}\n\
         users: [{{ user: maker, password: word }},\n\
         {{ user: observer, password: word, permissions: {{ {listed} }} }}] }} }}\n"
    );
    NatsServer::start_configured(&config).await
}

fn parent(trace: u8, is_sampled: bool) -> String {
    format!("00-{}-{}-0{}", format!("{trace:02x}").repeat(16), "0a".repeat(8), u8::from(is_sampled))
}

#[tokio::test]
async fn a_sampled_message_s_way_through_the_broker_is_part_of_its_trace_and_no_other_s() {
    let server = server().await;
    let login = ConnectOptions::with_user_and_password("maker".into(), "word".into());
    let client = login.connect(server.url()).await.unwrap();
    let maker = async_nats::jetstream::new(client.clone());
    let config = stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Default::default() };
    let mut orders = maker.create_stream(config).await.unwrap();
    let observer = Observer::start(
        NatsConfig {
            url: Some(server.url()),
            user: Some("observer".to_owned()),
            password: Some("word".to_owned()),
            inbox_prefix: Some("_INBOX_observer".to_owned()),
            ..NatsConfig::default()
        },
        None,
    );
    let store = Store::new(1 << 20, Clock::system());
    let receiver = Receiver::new(store.clone());
    let (stop, taking) = (CancellationToken::new(), receiver.clone());
    let hearing = broker::hear(
        observer.reader.sources(),
        EVENTS.parse().unwrap(),
        move |event| taking.take_event(event),
        stop.clone(),
    );
    #[expect(clippy::disallowed_methods, reason = "the test stops it by itself")]
    let hearing = tokio::spawn(hearing);
    let publish = async |trace: u8, is_sampled| {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", parent(trace, is_sampled).as_str());
        maker.publish_with_headers("orders.1", headers, "{}".into()).await.unwrap().await.unwrap();
    };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![10; 8],
        name: "publish orders.*".to_owned(),
        kind: 4,
        attributes: vec![text("messaging.message.id", "m-1")],
        ..Span::default()
    };
    post_to(&store, &request("storefront", vec![span])).await;
    let heard = async |trace: u8| -> Option<Trace> {
        let trace = store.trace(format!("{trace:02x}").repeat(16).parse().unwrap());
        trace.filter(|trace| trace.spans.iter().filter(|span| span.origin.scope == BROKER).count() >= 2)
    };
    // What is published before the observer listens is told to nobody.
    let trace = eventually(LIMIT, "the broker's spans are in the trace", async || {
        publish(1, true).await;
        heard(1).await
    })
    .await;
    let way = trace.spans.iter().find(|span| span.name == "broker takes the message in").unwrap();
    let stored = trace.spans.iter().find(|span| span.name == "broker stores it").unwrap();
    assert_eq!(way.parent.unwrap().to_string(), "0a".repeat(8), "below the span that published the message");
    assert_eq!((stored.parent, way.origin.service.as_str()), (Some(way.id), "n1"));
    assert_eq!(stored.attribute("messaging.nats.stream"), Some(&Value::Text("ORDERS".to_owned())));
    publish(2, false).await;
    client.publish(EVENTS, "no event".into()).await.unwrap();
    publish(3, true).await;
    eventually(LIMIT, "a later message is heard of", async || heard(3).await).await;
    assert_eq!(store.trace("02".repeat(16).parse().unwrap()), None, "what is not sampled is not told of");
    let events = receiver.intake().events;
    assert_eq!(events.malformed, 1);
    let published = orders.info().await.unwrap().state.messages;
    assert!(events.taken < published, "each message is told of once, and no event of an event: {events:?}");
    let log = server.log();
    assert!(!log.contains("Violation"), "{log}");
    stop.cancel();
    hearing.await.unwrap();
}
