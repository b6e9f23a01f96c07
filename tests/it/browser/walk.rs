//! The walk from a lagging consumer to its message, the message's trace and back, over the order mesh while one service is away.

use serde_json::{Value, json};
use streamgauge::clock::{Clock, Timestamp};

use super::{at, driver::Browser, has_no_faults};
use crate::{
    mesh::{LIMIT, Mesh, PAID, order},
    support::{
        eventually,
        http::get,
        nats_server::NatsServer,
        port::ReservedPort,
        process::{Process, streamgauge},
    },
};

/// What waits while payments are away, and how the pages call it.
const DURABLE: &str = "payments-charge";
const CONSUMER: &str = "/consumers/$G/INVENTORY/payments-charge";

/// The mesh, and an observer that it sends its traces to.
struct Stage {
    mesh: Mesh,
    home: String,
    _observer: Process,
}

impl Stage {
    async fn set() -> Self {
        let (nats, port) = (NatsServer::start().await, ReservedPort::new());
        let (url, address) = (nats.url(), port.address().to_string());
        let looks = ["--interval", "0.5", "--otlp", "127.0.0.1:0"];
        let arguments = [&["serve", "--nats", &url, "--listen", &address], &looks[..]].concat();
        let observer = Process::start(&mut streamgauge(&arguments));
        let traces = observer.takes_traces_at(LIMIT).await;
        let environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", traces), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())];
        let mesh = Mesh::start_on(nats, environment).await;
        Self { mesh, home: format!("http://{address}"), _observer: observer }
    }

    /// When the message was stored that waits, once the dashboard tells that nobody works on it.
    async fn waits(&self) -> Timestamp {
        eventually(LIMIT, "it is seen that nobody charges", async || {
            let answer = get(&format!("{}/api/v1{CONSUMER}", self.home)).await.ok()?;
            (answer.status == 200 && answer.json()["verdict"]["label"] == "no_workers").then_some(())
        })
        .await;
        let stream = self.mesh.connection().await.jetstream.get_stream("INVENTORY").await.unwrap();
        let last = stream.get_last_raw_message_by_subject("inventory.reserved.*").await.unwrap();
        Timestamp(last.time)
    }
}

/// Seconds of a time in words, such as `5.21 s`, `12.3 ms` or `2 min 5 s`.
fn seconds(words: &str) -> f64 {
    let words: Vec<&str> = words.split_whitespace().collect();
    let part = |part: &[&str]| {
        let unit = match part[1] {
            "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            other => panic!("{other} is no unit of {words:?}"),
        };
        part[0].parse::<f64>().unwrap() * unit
    };
    words.chunks(2).map(part).sum()
}

#[tokio::test]
async fn a_lagging_consumer_leads_to_its_message_the_trace_and_back_by_clicks_and_by_keyboard() {
    let Some(browser) = Browser::find("the walk from a consumer to a trace") else { return };
    let mut stage = Stage::set().await;
    stage.mesh.stop("payments").await;
    let id = stage.mesh.place("walk", &order("ada", "tea", 1)).await;
    let stored = stage.waits().await;
    let told = json!({ "home": stage.home, "consumer": CONSUMER, "durable": DURABLE });
    let session = browser.start("walk.mjs", told);
    session.reaches("waiting").await;
    let gone = stored.age(Clock::system().now()).0.as_secs_f64();
    stage.mesh.launch("payments", &[]);
    stage.mesh.ended(&id, PAID).await;
    let said = session.ended().await;

    let before = at(&said, "waiting")["walkers"].as_array().unwrap();
    for walker in before {
        assert!(!walker["before"].to_string().contains(DURABLE), "nobody has charged yet: {walker}");
    }
    let walked: Vec<&Value> = said.iter().filter(|line| line["at"] == "walked").collect();
    assert_eq!(walked.iter().map(|line| &line["by"]).collect::<Vec<_>>(), [&json!("clicks"), &json!("keyboard")]);
    for line in walked {
        let (waiting, processing) = (&line["waiting"], &line["processing"]);
        let waited = seconds(waiting.as_str().unwrap());
        // The page says it with three figures.
        assert!(waited >= gone * 0.99, "it waited for {waited} s and nobody was there for {gone} s: {line}");
        assert!(seconds(processing.as_str().unwrap()) < waited, "waiting and processing are told apart: {line}");
        let widths = line["widths"].as_array().unwrap();
        assert!(widths.iter().map(|part| &part[0]).eq([&json!("wait"), &json!("took")]), "{line}");
        let [wait, took] = [&widths[0][1], &widths[1][1]].map(|width| width.as_f64().unwrap());
        assert!(wait > took, "what waited long is drawn long: {line}");
        assert_eq!(line["message"], line["left"], "back at the message");
        has_no_faults(std::slice::from_ref(line));
    }
    let journey = get(&format!("{}/api/v1/journey?id={id}", stage.home)).await.unwrap().json();
    let steps = journey["steps"].as_array().unwrap();
    let charged = steps.iter().find(|step| step["what"] == "handled" && step["consumer"] == DURABLE).unwrap();
    let [waited, took] = ["waited_seconds", "took_seconds"].map(|time| charged[time].as_f64().unwrap());
    assert!(waited >= gone && took < waited, "{charged}: {gone} s");
}
