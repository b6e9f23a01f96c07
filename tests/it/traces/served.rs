//! `serve` takes traces where it says so, from those who may send.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::{Code, transport::Channel};

use super::logs::{entry, logs};
use crate::support::{
    http,
    otlp::Collector,
    port::ReservedPort,
    process::{Process, streamgauge},
    spans::{processing, request},
};

const LIMIT: Duration = Duration::from_secs(20);

const TOKEN: &str = "hush0123456789abcdef";

/// An observer of a NATS that is not there.
fn serve(arguments: &[&str]) -> Process {
    let nobody = ReservedPort::new();
    let nats = format!("nats://{}", nobody.address());
    Process::start(&mut streamgauge(&[&["serve", "--listen", "127.0.0.1:0", "--nats", &nats][..], arguments].concat()))
}

async fn receiver_of(process: &Process) -> String {
    format!("{}/v1/traces", process.takes_traces_at(LIMIT).await)
}

async fn send(url: &str, token: Option<&str>) -> u16 {
    post(url, request("a", vec![processing(1, 0)]).encode_to_vec(), token).await
}

pub(super) async fn post(url: &str, body: Vec<u8>, token: Option<&str>) -> u16 {
    let post = reqwest::Client::new().post(url).header("content-type", "application/x-protobuf").body(body);
    let post = token.into_iter().fold(post, |post, token| post.bearer_auth(token));
    post.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn spans_are_taken_from_this_machine() {
    let process = serve(&["--otlp", "127.0.0.1:0, [::1]:0", "--trace-memory", "4"]);
    let url = receiver_of(&process).await;
    assert_eq!(send(&url, None).await, 200);
    let answer = http::post(&url.replace("traces", "metrics"), &[], &serde_json::json!({})).await.unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("OTEL_METRICS_EXPORTER"), "{}", answer.body);
    let rebound = http::post(&url, &[("host", "rebound.example.org")], &serde_json::json!({})).await.unwrap();
    assert_eq!(rebound.status, 421, "a page of somebody else's sends nothing here");
}

#[tokio::test]
async fn beyond_this_machine_senders_give_the_token() {
    let process = serve(&["--otlp", "0.0.0.0:0", "--token", TOKEN]);
    let url = receiver_of(&process).await.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(send(&url, None).await, 401);
    assert_eq!(send(&url, Some("hush0123456789abcdeg")).await, 401);
    assert_eq!(send(&url, Some(TOKEN)).await, 200);

    let open = serve(&["--otlp", "0.0.0.0:0"]);
    let said = open.line(LIMIT, "why it does not start", |line| line.contains("0.0.0.0:0 is reachable")).await;
    assert!(said.contains("--token-file"), "{said}");
}

#[tokio::test]
async fn an_address_answers_grpc_as_it_answers_http() {
    let process = serve(&["--otlp", "0.0.0.0:0", "--token", TOKEN]);
    let url = process.takes_traces_at(LIMIT).await.replace("0.0.0.0", "127.0.0.1");
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let call = async |token: Option<&str>| {
        let mut call = tonic::Request::new(request("a", vec![processing(1, 0)]));
        if let Some(token) = token {
            call.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        TraceServiceClient::new(channel.clone()).export(call).await
    };
    for token in [None, Some("hush0123456789abcdeg")] {
        let refused = call(token).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        assert!(refused.message().contains("token"), "{refused:?}");
    }
    call(Some(TOKEN)).await.unwrap();
}

#[tokio::test]
async fn what_is_taken_goes_on_and_never_comes_back() {
    let behind = Collector::start().await;
    let process = serve(&["--otlp", "127.0.0.1:0", "--otlp-forward", &behind.endpoint()]);
    let url = receiver_of(&process).await;
    process.line(LIMIT, "where they go", |line| line.contains(&format!("traces go on to {}", behind.endpoint()))).await;
    assert_eq!(send(&url, None).await, 200);
    behind.wait_until(LIMIT, "the span that was sent", |spans| spans.len() == 1).await;
    // What is behind takes no logs, which is said once.
    for _ in 0..3 {
        let body = logs("a", vec![entry(1, 0, 9, "said")]).encode_to_vec();
        assert_eq!(post(&url.replace("traces", "logs"), body, None).await, 200);
        process.line(LIMIT, "that logs stay here", |line| line.contains("logs stay here")).await;
    }
    assert_eq!(process.stderr().iter().filter(|line| line.contains("logs stay here")).count(), 1);
    assert_eq!(send(&url, None).await, 200);
    behind.wait_until(LIMIT, "the next span", |spans| spans.len() == 2).await;

    let port = ReservedPort::new();
    let free = port.address().to_string();
    let round = serve(&["--otlp", &free, "--otlp-forward", &format!("http://{free}")]);
    let said = round.line(LIMIT, "why it does not start", |line| line.contains("go round for ever")).await;
    assert!(said.contains("--otlp-forward"), "{said}");
}

#[tokio::test]
async fn it_can_be_off_and_says_so() {
    let process = serve(&["--otlp", "off"]);
    process.line(LIMIT, "that it takes none", |line| line.contains("traces are not taken: --otlp is off")).await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let process = serve(&["--otlp", &address]);
    let said = process.line(LIMIT, "what to do", |line| line.contains("for traces")).await;
    assert!(said.contains(&address) && said.contains("--otlp off"), "{said}");
}
