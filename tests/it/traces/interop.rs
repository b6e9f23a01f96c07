//! A service in another language in the middle of a trace: it leads from Rust through Python to Rust without a break.

use std::{collections::HashSet, path::Path, time::Duration};

use axum::Router;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use streamgauge::{
    bus::{
        Payload,
        topology::{StreamSpec, Topology},
    },
    clock::Clock,
    config::{NatsConfig, ServiceConfig},
    consumer::Worker,
    handler::{Context, Outcome},
    nats::{self, Connection},
    service::Service,
    trace::{LogLevel, SpanKind, Trace},
    traces::{Query, Taking as Where, Traces},
};

use super::{Taking, grpc::listening};
use crate::{
    messages::Observer,
    scenarios::python,
    support::{child, eventually, nats_server::NatsServer, page::Page, process::Process, tool::skip},
};

const LIMIT: Duration = Duration::from_secs(40);

/// Where `make ci-tools` puts the SDK.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/opentelemetry-python");

/// The part of [`a_service_of_this_library`].
pub(super) const SHOP: &str = "traces::interop::a_service_of_this_library";

/// What is published first, and what the one in the middle publishes on.
macro_rules! payload {
    ($name:ident, $stream:literal, $subject:literal) => {
        #[derive(Debug, Serialize, Deserialize)]
        struct $name {
            key: String,
        }

        impl Payload for $name {
            const KIND: &'static str = stringify!($name);
            const STREAM: &'static str = $stream;
            const SUBJECT: &'static str = $subject;

            fn key(&self) -> String {
                self.key.clone()
            }
        }
    };
}

payload!(Pinged, "PINGS", "pings.*");
payload!(Ponged, "PONGS", "pongs.*");

async fn done(_: Context, _: Ponged) -> Outcome {
    Outcome::Done
}

/// Not a test: a process of the test below, so that its spans leave it as those of a service do. It publishes once, and takes what comes of it.
#[tokio::test]
#[ignore = "the test below runs it as a process"]
async fn a_service_of_this_library() {
    let Some(url) = child::variable("SERVER") else { return };
    let nats = NatsConfig { url: Some(url), nats_wait: 10, ..NatsConfig::default() };
    let config = ServiceConfig { grace: 5, nats, ..ServiceConfig::default() };
    let service = Service::builder("shop").config(config).start().await.unwrap();
    service.bus().publish(&Pinged { key: "x".to_owned() }).await.unwrap();
    service.worker(Worker::new("shop").on(done)).unwrap().run().await.unwrap();
}

fn config(server: &NatsServer) -> NatsConfig {
    NatsConfig { url: Some(server.url()), nats_wait: 10, ..NatsConfig::default() }
}

pub(super) async fn connect(server: &NatsServer) -> Connection {
    nats::connect(&config(server), "test", &Clock::system()).await.unwrap()
}

/// The streams that the service publishes to and reads.
pub(super) async fn prepare(connection: &Connection) {
    let streams =
        [("PINGS", "pings.>"), ("PONGS", "pongs.>")].map(|(name, subject)| StreamSpec::new(name, "test", &[subject]));
    Topology { streams: streams.to_vec(), ..Topology::default() }.apply(&connection.jetstream).await.unwrap();
}

/// The trace once it holds what all three have to say.
async fn whole(taking: &Taking) -> Trace {
    eventually(LIMIT, "every span of the trace", async || {
        let rows = taking.store.search(&Query::of_query("service=billing"), 10).rows;
        let found = rows.first().and_then(|row| taking.store.trace(row.id));
        let named = |trace: &Trace, name: &str| trace.spans.iter().any(|span| span.name.starts_with(name));
        let is_whole = |trace: &Trace| {
            named(trace, "process pongs") && named(trace, "process pings") && named(trace, "publish pings")
        };
        found.filter(|trace| is_whole(trace) && trace.spans.len() >= 4)
    })
    .await
}

#[tokio::test]
async fn a_trace_leads_through_a_service_in_python_without_a_break() {
    let Some(python) = python::with_nats_py("interop") else { return };
    if !Path::new(SDK).join("opentelemetry/sdk").is_dir() {
        return skip("interop: the Python SDK of OpenTelemetry is not in .tools");
    }
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    prepare(&connection).await;
    let stream = connection.jetstream.get_stream("PINGS").await.unwrap();
    let durable = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("billing".to_owned()),
        ..Default::default()
    };
    stream.create_consumer(durable).await.unwrap();

    let (taking, endpoint, _serving) = listening().await;
    let mut command = python.command("tests/it/traces/interop.py");
    let path = format!("{}:{SDK}", python::NATS_PY);
    let billing = Process::start(command.args([&server.url(), &endpoint]).env("PYTHONPATH", path));
    billing.line(LIMIT, "that it works", |line| line.contains("at work")).await;
    let telemetry = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let shop = child::start_with(SHOP, &[("SERVER", &server.url())], &telemetry);
    let trace = whole(&taking).await;

    let ids: HashSet<_> = trace.spans.iter().map(|span| span.id).collect();
    let roots: Vec<_> =
        trace.spans.iter().filter(|span| span.parent.is_none_or(|parent| !ids.contains(&parent))).collect();
    assert_eq!(roots.len(), 1, "{trace:#?}");
    assert_eq!((roots[0].kind, roots[0].origin.service.as_str()), (SpanKind::Producer, "shop"), "{trace:#?}");
    let services: HashSet<&str> = trace.spans.iter().map(|span| span.origin.service.as_str()).collect();
    assert_eq!(services, HashSet::from(["shop", "billing"]));

    // What the service in Python logged belongs to the trace.
    let logs =
        eventually(LIMIT, "its log", async || Some(taking.store.logs(trace.id)).filter(|logs| !logs.rows.is_empty()))
            .await;
    let log = &logs.rows[0];
    assert_eq!((log.level, log.origin.service.as_str()), (LogLevel::Warn, "billing"));
    assert_eq!(log.body.to_string(), "billed with token=[masked: secret name]");

    // The page tells both messages, from the publisher to the handler, and nothing of a break.
    let taken_at = Where::At(["127.0.0.1:4318".parse().unwrap()].into());
    let traces = Traces { receiver: taking.receiver.clone(), taking: taken_at };
    let observer = Observer::with(config(&server), traces);
    for stream in ["PINGS", "PONGS"] {
        observer.sees(stream).await;
    }
    let page = Page::of(&observer.router, &format!("/traces/{}", trace.id)).await;
    assert_eq!(page.count("#hops tbody tr"), 2, "{}", page.html);
    assert_eq!(page.texts("#hops td")[0], "billing");
    assert!(!page.html.contains("parent missing") && page.count("#logs li") == 1, "{}", page.html);
    is_one_line(&observer.router, &trace.id.to_string()).await;
    drop((billing, shop));
}

/// The journey leads from Rust through Python to Rust, each message because of the one before it, on the page and in the API.
async fn is_one_line(router: &Router, trace: &str) {
    let page = Page::of(router, &format!("/journey?id={trace}")).await;
    let steps = page.texts("#steps .who");
    let expected = [
        "shop published Pinged on pings.x, stored in PINGS as message 1",
        "billing handled Pinged done billing",
        "billing published pongs.x on pongs.x, stored in PONGS as message 1, because of Pinged",
        "shop handled pongs.x done shop",
    ];
    assert_eq!(steps.len(), expected.len(), "{steps:#?}");
    for (step, said) in steps.iter().zip(expected) {
        assert!(step.starts_with(said), "{said}: {steps:#?}");
    }
    assert_eq!(page.texts("#steps time.after").len(), expected.len());
    let waited = page.count("#steps .wait");
    assert!(waited >= 1, "the time in the streams is drawn: {}", page.html);
    let answer = Page::of(router, &format!("/api/v1/journey?id={trace}")).await;
    let answer: Value = serde_json::from_str(&answer.html).unwrap();
    let steps: Vec<Value> = answer["steps"].as_array().unwrap().iter().map(told).collect();
    let expected = [
        json!(["published", 0, null, null]),
        json!(["handled", 0, "billing", "done"]),
        json!(["published", 1, null, null]),
        json!(["handled", 1, "shop", "done"]),
    ];
    assert_eq!(steps, expected, "{answer:#}");
    assert_eq!((&answer["messages"][0]["cause"], &answer["messages"][1]["cause"]), (&Value::Null, &json!(0)));
    assert_eq!((&answer["trace_id"], &answer["has_spans"]), (&json!(trace), &json!(true)));
}

/// What a step of the API's answer is, of which message, by whom and how it ended.
fn told(step: &Value) -> Value {
    json!([step["what"], step["message"], step["consumer"], step["outcome"]])
}
