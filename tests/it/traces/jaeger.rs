//! A real Jaeger behind the observer: what goes on to it is there, and the link of a trace's page here opens that very trace.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use prost::Message;
use serde_json::Value;

use super::{
    interop::{SHOP, connect, prepare},
    logs::{entry, logs},
    served::post,
};
use crate::support::{
    child, eventually, http,
    nats_server::NatsServer,
    page::Page,
    port::ReservedPort,
    process::{Process, streamgauge, without_settings},
    tool::{do_without, skip},
};

const LIMIT: Duration = Duration::from_secs(60);

/// Where `make ci-tools` builds it, or says why it could not.
const JAEGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/jaeger");

/// Its own listeners, beside those that the test asks: each where nobody else is.
const OTHERS: [&str; 9] = [
    "--admin.http.host-port",
    "--collector.grpc-server.host-port",
    "--collector.http-server.host-port",
    "--collector.otlp.grpc.host-port",
    "--query.grpc-server.host-port",
    "--http-server.host-port",
    "--processor.jaeger-binary.server-host-port",
    "--processor.jaeger-compact.server-host-port",
    "--processor.zipkin-compact.server-host-port",
];

/// The program, or `None` after noting that the test is skipped for want of it.
fn jaeger() -> Option<PathBuf> {
    let program = Path::new(JAEGER).join("all-in-one");
    if program.is_file() {
        return Some(program);
    }
    match fs::read_to_string(Path::new(JAEGER).join("absent")) {
        Ok(why) => do_without(&format!("jaeger: {why}")),
        Err(_) => skip("jaeger: Jaeger is not in .tools"),
    }
    None
}

/// A Jaeger that keeps traces in memory: takes them at `otlp` and answers for them at `query`.
fn start(program: &Path, otlp: &ReservedPort, query: &ReservedPort) -> Process {
    let mut command = Command::new(program);
    without_settings(&mut command);
    // It would trace itself, and send that to whoever listens where such things are expected.
    command.envs([
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", otlp.address())),
    ]);
    command.env("SPAN_STORAGE_TYPE", "memory").arg("--collector.otlp.enabled=true");
    command.arg(format!("--collector.otlp.http.host-port={}", otlp.address()));
    command.arg(format!("--query.http-server.host-port={}", query.address()));
    command.args(OTHERS.map(|flag| format!("{flag}=127.0.0.1:0")));
    Process::start(&mut command)
}

/// What is answered at an address once it is found there.
async fn found(url: &str) -> Value {
    eventually(LIMIT, url, async || http::get(url).await.ok().filter(|answer| answer.status == 200)).await.json()
}

/// The value of a tag of a span, as Jaeger calls attributes.
fn tag<'a>(span: &'a Value, key: &str) -> &'a Value {
    let tags = span["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag["key"] == key).map_or(&Value::Null, |tag| &tag["value"])
}

#[tokio::test]
async fn a_trace_that_goes_on_is_in_jaeger_and_the_page_here_leads_there() {
    let Some(program) = jaeger() else { return };
    let (otlp, query) = (ReservedPort::new(), ReservedPort::new());
    let _jaeger = start(&program, &otlp, &query);
    let there = format!("http://{}", query.address());
    found(&format!("{there}/api/services")).await;

    let server = NatsServer::start().await;
    prepare(&connect(&server).await).await;
    let (forward, jaeger) = (format!("http://{}", otlp.address()), format!("jaeger={there}"));
    let nats = server.url();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--nats", &nats, "--otlp", "127.0.0.1:0"];
    let observer = Process::start(&mut streamgauge(
        &[&arguments[..], &["--otlp-forward", &forward, "--trace-url", &jaeger]].concat(),
    ));
    let endpoint = observer.takes_traces_at(LIMIT).await;
    let line = observer.line(LIMIT, "where the pages are", |line| line.contains("the pages are at")).await;
    let here = format!("http://{}", line.split("http://").nth(1).unwrap().split(['/', ' ', ';', ',']).next().unwrap());

    let telemetry = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let _shop = child::start_with(SHOP, &[("SERVER", &nats)], &telemetry);
    let traces = format!("{here}/api/v1/traces?service=shop&subject=pings.*");
    let id = eventually(LIMIT, "the trace is kept here", async || {
        let answer = http::get(&traces).await.ok()?.json();
        answer["rows"][0]["trace_id"].as_str().map(str::to_owned)
    })
    .await;

    // The page's link leads to that trace, and what answers there is asked for the same one.
    let answer = http::get(&format!("{here}/traces/{id}")).await.unwrap();
    let page = Page { status: answer.status.try_into().unwrap(), headers: answer.headers, html: answer.body };
    let links = page.attributes(".elsewhere a", "href");
    let link = links.iter().find(|link| link.starts_with(&there)).unwrap_or_else(|| panic!("{links:?}"));
    assert_eq!(*link, format!("{there}/trace/{id}"));
    found_page(link).await;
    let trace = found(&link.replace("/trace/", "/api/traces/")).await;
    let spans = trace["data"][0]["spans"].as_array().unwrap();
    assert_eq!((&trace["data"][0]["traceID"], spans.len()), (&Value::from(id.as_str()), 1), "{trace:#}");
    assert_eq!(spans[0]["operationName"], "publish pings.*");
    assert_eq!(tag(&spans[0], "messaging.nats.stream"), "PINGS");
    assert_eq!(tag(&spans[0], "messaging.nats.stream_sequence"), 1);
    assert_eq!(trace["data"][0]["processes"]["p1"]["serviceName"], "shop");

    // It takes no logs, which is said once.
    let body = logs("shop", vec![entry(1, 0, 9, "said")]).encode_to_vec();
    assert_eq!(post(&format!("{endpoint}/v1/logs"), body, None).await, 200);
    observer.line(LIMIT, "that logs stay here", |line| line.contains("logs stay here")).await;
}

async fn found_page(link: &str) {
    let page = http::get(link).await.unwrap();
    let kind = page.header("content-type").unwrap_or_default().to_owned();
    assert!(page.status == 200 && kind.starts_with("text/html"), "{kind}: {page:?}");
}
