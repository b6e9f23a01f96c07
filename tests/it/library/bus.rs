//! Publishing: confirmed, once, and told apart when it fails.

use std::time::Duration;

use streamgauge::{
    bus::PublishError,
    errors::ErrorChain,
    message::{Cause, CorrelationId, MessageId, Schema},
};

use super::{LIMIT, Pinged, World, ping};
use crate::support::eventually;

#[tokio::test]
async fn a_message_carries_the_whole_contract() {
    let world = World::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let cause = Cause {
        correlation: CorrelationId("order-7".into()),
        message: Some(MessageId("m-0".into())),
        trace: Some(trace),
        trace_state: Some("vendor=1".into()),
        deadline: None,
    };
    let receipt = world.bus.publish(&ping(7)).because(cause).await.unwrap();
    assert_eq!((receipt.stream.as_str(), receipt.sequence, receipt.is_duplicate), ("PINGS", Some(1), false));

    let stored = world.bus.last::<Pinged>("k7").await.unwrap().unwrap();
    assert_eq!(stored.id, Some(receipt.id));
    assert_eq!(stored.correlation, Some(CorrelationId("order-7".into())));
    assert_eq!(stored.causation, Some(MessageId("m-0".into())));
    assert_eq!(stored.schema, Some(Schema { kind: "Pinged".into(), version: 1 }));
    assert_eq!(stored.source.as_deref(), Some("test"));
    let sent = stored.trace.unwrap();
    assert_eq!(sent.trace_id, trace.trace_id);
    assert_ne!(sent.span_id, trace.span_id, "the parent of what comes next is the span that published");
    assert_eq!(stored.trace_state.as_deref(), Some("vendor=1"));
    assert!(stored.time.is_some());
}

#[tokio::test]
async fn the_same_cause_publishes_the_same_message_once() {
    let world = World::new().await;
    let cause = || Cause { message: Some(MessageId("m-0".into())), ..Cause::outside(CorrelationId("c".into()), None) };
    let first = world.bus.publish(&ping(1)).because(cause()).await.unwrap();
    let again = world.bus.publish(&ping(1)).because(cause()).await.unwrap();
    assert_eq!((first.is_duplicate, again.is_duplicate), (false, true));
    assert_eq!((first.id, first.sequence), (again.id, again.sequence));
}

#[tokio::test]
async fn once_holds_beyond_the_duplicate_window_and_tells_ours_from_anothers() {
    let world = World::new().await;
    let stream = world.connection.jetstream.get_stream("PINGS").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.duplicate_window = Duration::from_millis(100);
    world.connection.jetstream.update_stream(config).await.unwrap();

    let id = MessageId("ours".into());
    world.bus.publish(&ping(1)).with_id(id.clone()).once().await.unwrap();
    // Whether the window or the subject's one place answers, nothing is stored twice: wait until it is no longer the window.
    eventually(LIMIT, "the window has passed", async || {
        let again = world.bus.publish(&ping(1)).with_id(id.clone()).once().await.unwrap();
        assert!(again.is_duplicate);
        again.sequence.is_none()
    })
    .await;
    let other = world.bus.publish(&ping(1)).with_id(MessageId("theirs".into())).once().await;
    match other {
        Err(PublishError::Conflict { holder, .. }) => assert_eq!(holder, "ours"),
        other => panic!("{other:?}"),
    }
    assert_eq!(stream.get_info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_subject_without_a_stream_is_named() {
    let server = crate::support::nats_server::NatsServer::start().await;
    let connection = super::connect(&server).await;
    let telemetry = streamgauge::telemetry::Telemetry::unexported();
    let bus = streamgauge::bus::Bus::new(connection, "test", telemetry, streamgauge::clock::Clock::system());
    let error = bus.publish(&ping(1)).await.unwrap_err();
    assert!(error.is_transient());
    let said = ErrorChain(&error).to_string();
    assert!(said.contains("pings.k1") && said.contains("PINGS"), "{said}");
}

#[tokio::test]
async fn what_the_server_would_not_take_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let big = Pinged { key: "x".repeat(2 << 20), number: 0 };
    assert!(world.bus.publish(&big).await.is_err());
    let spaced = Pinged { key: "a b".into(), number: 0 };
    let error = world.bus.publish(&spaced).await.unwrap_err();
    assert!(matches!(error, PublishError::Payload { .. }), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_full_stream_is_told_at_once_with_what_to_do() {
    let world = World::new().await;
    let stream = world.connection.jetstream.get_stream("PINGS").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_messages = 1;
    config.discard = async_nats::jetstream::stream::DiscardPolicy::New;
    world.connection.jetstream.update_stream(config).await.unwrap();
    world.bus.publish(&ping(1)).await.unwrap();
    let began = std::time::Instant::now();
    let error = world.bus.publish(&ping(2)).await.unwrap_err();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "what may pass is tried for 10 s, and this does not: {took:?}");
    assert!(matches!(&error, PublishError::Full { why, .. } if why == "maximum messages exceeded"), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("stream PINGS is full") && said.contains("nats stream purge PINGS"), "{said}");
    assert!(error.is_transient(), "room may come later");
    stream.purge().await.unwrap();
    world.bus.publish(&ping(2)).await.unwrap();
}

#[tokio::test]
async fn publishing_outlives_a_restart_of_the_server() {
    let mut world = World::new().await;
    world.server.kill().await;
    let bus = world.bus.clone();
    let (restarted, receipt) = tokio::join!(world.server.start_again(), async {
        let ping = ping(1);
        bus.publish(&ping).await
    });
    let () = restarted;
    assert_eq!(receipt.unwrap().sequence, Some(1));
}

#[tokio::test]
async fn an_answer_that_is_not_the_servers_is_no_confirmation() {
    use streamgauge::bus::settle::{Settlement, Unconfirmed, settle};
    let world = World::new().await;
    let client = world.connection.client.clone();
    let nobody = settle(&client, &"acks.1".into(), &Settlement::Ack).await;
    assert!(matches!(nobody, Err(Unconfirmed::Silent(_))), "{nobody:?}");
    let mut asked = client.subscribe("acks.1").await.unwrap();
    client.flush().await.unwrap();
    let stranger = async {
        let request = futures_util::StreamExt::next(&mut asked).await.unwrap();
        client.publish(request.reply.unwrap(), "hello".into()).await.unwrap();
    };
    let reply = "acks.1".into();
    let (foreign, ()) = tokio::join!(settle(&client, &reply, &Settlement::Ack), stranger);
    assert!(matches!(&foreign, Err(Unconfirmed::Foreign(words)) if words == "hello"), "{foreign:?}");
}
