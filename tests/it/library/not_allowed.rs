//! Publishing where NATS does not let our user: nobody answers, and the error says why and what to do.

use std::time::{Duration, Instant};

use streamgauge::{bus::Bus, clock::Clock, telemetry::Telemetry};

use super::{connect_as, ping, topology};
use crate::support::{nats_server::NatsServer, otlp::Sink};

const EVENTS: &str = "streamgauge.trace.events";

/// A server whose account traces messages, with a user who may publish what a service publishes, and on these subjects.
async fn server(more: &str) -> NatsServer {
    let config = format!(
        "jetstream {{ max_file_store: 1GB }}\naccounts {{ APP {{ jetstream: enabled\n\
         msg_trace {{ dest: \"{EVENTS}\", sampling: \"100%\" }}\n\
         users: [{{ user: maker, password: word }},\n\
         {{ user: service, password: word, permissions: {{ publish: [\"$JS.API.>\", {more}], subscribe: [\"_INBOX.>\"] }} }}] }} }}\n"
    );
    let server = NatsServer::start_configured(&config).await;
    topology().apply(&connect_as(&server, "maker", "word").await.jetstream).await.unwrap();
    server
}

/// A bus of the service, whose messages are sampled or not.
async fn bus(server: &NatsServer, sink: &Sink, is_sampled: bool) -> Bus {
    let telemetry = Telemetry::exporting_to(&sink.endpoint(), f64::from(u8::from(is_sampled))).unwrap();
    Bus::new(connect_as(server, "service", "word").await, "test", telemetry, Clock::system())
}

async fn stored(server: &NatsServer) -> u64 {
    let maker = connect_as(server, "maker", "word").await;
    maker.jetstream.get_stream("PINGS").await.unwrap().get_info().await.unwrap().state.messages
}

#[tokio::test]
async fn a_sampled_message_is_refused_where_its_user_may_not_tell_of_it_and_the_error_says_what_to_do() {
    let (server, sink) = (server("\"pings.>\"").await, Sink::start().await);
    bus(&server, &sink, false).await.publish(&ping(1)).await.unwrap();
    let error = bus(&server, &sink, true).await.publish(&ping(2)).await.unwrap_err();
    let expected = "publishing on pings.k2: no stream took it, and NATS lets our user not publish on streamgauge.trace.events; if the \
                    account's message tracing (`msg_trace`) tells there, allow it: sampled messages of users that may not are refused";
    assert_eq!(error.to_string(), expected);
    assert!(error.is_transient(), "it is taken as soon as somebody allows it");
    assert_eq!(stored(&server).await, 1, "the server stores nothing that it may not tell of");
}

#[tokio::test]
async fn a_user_who_may_tell_of_them_has_sampled_messages_stored() {
    let (server, sink) = (server(&format!("\"pings.>\", \"{EVENTS}\"")).await, Sink::start().await);
    bus(&server, &sink, true).await.publish(&ping(1)).await.unwrap();
    assert_eq!(stored(&server).await, 1);
}

#[tokio::test]
async fn a_subject_on_which_its_user_may_not_publish_is_told_of_at_once() {
    let (server, sink) = (server("\"other\"").await, Sink::start().await);
    let began = Instant::now();
    let error = bus(&server, &sink, false).await.publish(&ping(1)).await.unwrap_err();
    let expected =
        "publishing on pings.k1: no stream took it, and NATS lets our user not publish on pings.k1; allow it";
    assert_eq!(error.to_string(), expected);
    assert!(began.elapsed() < Duration::from_secs(8), "nobody tries again what nobody allows: {:?}", began.elapsed());
}
