//! A service as a process of its own has it: probes that tell the truth, presence, metrics, an orderly end.

use std::{sync::Arc, time::Duration};

use axum::{http::HeaderValue, routing::get};
use streamgauge::{
    config::{NatsConfig, ServiceConfig},
    consumer::Worker,
    handler::{Context, Outcome},
    presence::Presence,
    service::{Service, ServiceError},
    state::Documents,
    telemetry::Telemetry,
};
use tokio::sync::Notify;

use super::{LIMIT, Pinged, World};
use crate::support::{eventually, nats_server::NatsServer, nats_wire::Wire};

pub(super) fn config(server: &NatsServer) -> ServiceConfig {
    let nats = NatsConfig { url: Some(server.url()), nats_wait: 5, ..NatsConfig::default() };
    ServiceConfig { instance: Some("one".into()), grace: 2, nats, ..ServiceConfig::default() }
}

async fn done(_: Context, _: Pinged) -> Outcome {
    Outcome::Done
}

async fn service(world: &World) -> Service {
    let started =
        Service::builder("pinger").config(config(&world.server)).telemetry(Telemetry::unexported()).start().await;
    started.unwrap().worker(Worker::new("w").on(done)).unwrap()
}

async fn status(url: &str) -> u16 {
    reqwest::get(url).await.map_or(0, |answer| answer.status().as_u16())
}

async fn text(url: &str) -> String {
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Runs a service until the returned notice is given, and says how it ended.
fn run(service: Service) -> (Arc<Notify>, tokio::task::JoinHandle<Result<(), ServiceError>>) {
    let end = Arc::new(Notify::new());
    let asked = end.clone();
    let ended = spawn(service.run_until(async move {
        asked.notified().await;
        Ok(())
    }));
    (end, ended)
}

#[expect(clippy::disallowed_methods, reason = "a test has no tasks that a shutdown would wait for")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(future)
}

#[tokio::test]
async fn a_service_that_is_starting_asks_to_come_back() {
    let world = World::new().await;
    let service = service(&world).await.routes(axum::Router::new().route("/orders", get(async || "here")));
    let url = format!("http://{}/orders", service.address());
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &HeaderValue::from_static("1")));
    let (end, ended) = run(service);
    eventually(LIMIT, "its routes answer", async || status(&url).await == 200).await;
    end.notify_one();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn probes_tell_the_truth_while_nats_is_away() {
    let mut world = World::new().await;
    let service = service(&world).await;
    let url = format!("http://{}", service.address());
    assert_eq!(status(&format!("{url}/startupz")).await, 503, "it was not run yet");
    assert_eq!(status(&format!("{url}/livez")).await, 200);
    let (end, ended) = run(service);
    eventually(LIMIT, "the service is ready", async || status(&format!("{url}/readyz")).await == 200).await;
    assert_eq!(status(&format!("{url}/startupz")).await, 200);

    world.server.kill().await;
    eventually(LIMIT, "the service is not ready", async || status(&format!("{url}/readyz")).await == 503).await;
    assert_eq!(status(&format!("{url}/livez")).await, 200, "a restart would mend no broker");
    let why = text(&format!("{url}/readyz?verbose")).await;
    assert!(why.contains("[-] nats: connection lost"), "{why}");
    assert!(text(&format!("{url}/metrics")).await.contains("streamgauge_connected 0"));

    world.server.start_again().await;
    eventually(LIMIT, "the service is ready again", async || status(&format!("{url}/readyz")).await == 200).await;
    end.notify_one();
    ended.await.unwrap().unwrap();
    assert_eq!(status(&format!("{url}/livez")).await, 0, "nothing answers after the end");
}

#[tokio::test]
async fn a_service_that_says_that_it_runs_answers_all_its_routes() {
    let world = World::new().await;
    for _ in 0..10 {
        let routes = axum::Router::new().route("/own", axum::routing::get(async || "here"));
        let service = service(&world).await.routes(routes);
        let url = format!("http://{}", service.address());
        let (end, ended) = run(service);
        eventually(LIMIT, "the service has started", async || status(&format!("{url}/startupz")).await == 200).await;
        assert_eq!(status(&format!("{url}/own")).await, 200);
        end.notify_one();
        ended.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn probes_answer_in_json_to_who_asks_for_it() {
    let world = World::new().await;
    let service = service(&world).await;
    let url = format!("http://{}/readyz", service.address());
    let asked = reqwest::Client::new().get(&url).header("accept", "application/json").send().await.unwrap();
    let probe: streamgauge::presence::Probe = asked.json().await.unwrap();
    assert!(!probe.passes);
    assert!(probe.parts.iter().any(|part| part.name == "start" && !part.passes));
    drop(service);
}

#[tokio::test]
async fn an_instance_tells_its_presence() {
    let world = World::new().await;
    let bucket = async_nats::jetstream::kv::Config { bucket: "presence".into(), ..Default::default() };
    world.connection.jetstream.create_key_value(bucket).await.unwrap();
    let told: Documents<Presence> = Documents::open(&world.connection, "presence").await.unwrap();
    let (end, ended) = run(service(&world).await);
    let presence = eventually(LIMIT, "a presence that is ready", async || {
        told.read("pinger.one").await.unwrap().value.filter(|presence| presence.probes.startup.passes)
    })
    .await;
    assert_eq!((presence.service.as_str(), presence.instance.as_str()), ("pinger", "one"));
    assert_eq!(presence.workers[0].consumer.as_str(), "w");
    end.notify_one();
    ended.await.unwrap().unwrap();
    let last = told.read("pinger.one").await.unwrap().value.unwrap();
    assert!(last.probes.ready.parts.iter().any(|part| part.name == "drain"), "the last word is that it drains");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let config = ServiceConfig { listen: Some(listen), ..config(&world.server) };
    let refused = Service::builder("pinger").config(config).telemetry(Telemetry::unexported()).start().await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains(&listen.to_string()) && said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_said_to_have_none() {
    let server = NatsServer::start_configured("").await;
    let refused = Service::builder("pinger").config(config(&server)).telemetry(Telemetry::unexported()).start().await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("has no JetStream") && said.contains(&server.address()), "{said}");
}

#[tokio::test]
async fn a_refused_login_ends_the_start_at_once() {
    let server = NatsServer::start_configured("authorization { user: ada, password: word }\njetstream {}").await;
    let mut config = config(&server);
    config.nats.nats_wait = 3_600;
    config.nats.user = Some("eve".into());
    config.nats.password = Some("s3cret".into());
    let start = Service::builder("pinger").config(config).telemetry(Telemetry::unexported()).start();
    let refused = tokio::time::timeout(Duration::from_secs(10), start).await.unwrap();
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("refuses the login of eve") && !said.contains("s3cret"), "{said}");
}

#[tokio::test]
async fn a_service_whose_bucket_is_gone_is_not_ready() {
    let world = World::new().await;
    let bucket = |name: &str| async_nats::jetstream::kv::Config { bucket: name.into(), ..Default::default() };
    world.connection.jetstream.create_key_value(bucket("things")).await.unwrap();
    let service = service(&world).await;
    let _things: Documents<String> = service.documents("things").await.unwrap();
    let url = format!("http://{}/readyz?verbose", service.address());
    let (end, ended) = run(service);
    eventually(LIMIT, "the service is ready", async || status(&url).await == 200).await;
    world.connection.jetstream.delete_key_value("things").await.unwrap();
    eventually(LIMIT, "the probe names the bucket", async || {
        let said = text(&url).await;
        if said.contains("[-] bucket things") { Ok(()) } else { Err(said) }
    })
    .await;
    end.notify_one();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_whose_client_has_ended_is_not_live_and_ends_too() {
    let world = World::new().await;
    let service = service(&world).await;
    let health = service.health().clone();
    let (_never, ended) = run(service);
    // The server takes a bare carriage return in a header, and the client of the service ends over it.
    let mut wire = Wire::connect(&world.server.address(), "", "").await.unwrap();
    assert_eq!(wire.publish_with_headers("pings.x", "x: a\rb", "{}").await, None);
    let ended = tokio::time::timeout(LIMIT, ended).await.expect("it ends of itself").unwrap();
    assert!(matches!(ended, Err(ServiceError::ClientEnded)), "{ended:?}");
    assert!(!health.probes().live.passes);
}
