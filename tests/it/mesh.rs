//! The order mesh as it runs: a real nats-server, each service a process of its own.

mod crashes;
mod declared;
mod disk;
mod ends;
mod faults;
mod input;
mod life;
mod parcels;
mod trace;
mod trouble;
mod verdicts;

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use streamgauge::{
    bus::topology::Topology,
    clock::Clock,
    config::NatsConfig,
    mesh::{
        inventory::Stock,
        topology::{STOCK, topology},
    },
    nats::{self, Connection},
    state::Documents,
};
use tempfile::TempDir;

use crate::support::{
    eventually,
    http::{self, Answer},
    nats_server::NatsServer,
    port::ReservedPort,
    process::{Process, streamgauge},
};

/// Longer than anything here takes on a machine that does much else, the ten seconds after which a killed worker's messages go to
/// another one included.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The life of an order that is paid.
pub(crate) const PAID: &[&str] = &["OrderPlaced", "StockReserved", "PaymentCharged", "OrderCompleted"];

const SERVICES: [&str; 8] =
    ["storefront", "pricing", "inventory", "payments", "orders", "notifications", "shipping", "provider"];

/// One instance of each service.
pub(crate) struct Mesh {
    nats: NatsServer,
    folder: TempDir,
    storefront: ReservedPort,
    provider: ReservedPort,
    environment: Vec<(&'static str, String)>,
    running: BTreeMap<&'static str, Process>,
    logged: Vec<String>,
}

impl Mesh {
    async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    async fn start_with(environment: Vec<(&'static str, String)>) -> Self {
        Self::start_on(NatsServer::start().await, environment).await
    }

    pub(crate) async fn start_on(nats: NatsServer, environment: Vec<(&'static str, String)>) -> Self {
        let mut mesh = Self {
            nats,
            folder: tempfile::tempdir().unwrap(),
            storefront: ReservedPort::new(),
            provider: ReservedPort::new(),
            environment,
            running: BTreeMap::new(),
            logged: Vec::new(),
        };
        // Workers make their consumers themselves.
        let stores = Topology { consumers: Vec::new(), ..topology() };
        stores.apply(&mesh.connection().await.jetstream).await.unwrap();
        for service in SERVICES {
            mesh.launch(service, &[]);
        }
        for service in SERVICES {
            mesh.runs(service).await;
        }
        mesh
    }

    pub(crate) fn launch(&mut self, service: &'static str, arguments: &[&str]) {
        self.launch_as(service, service, arguments);
    }

    /// Launches an instance of a service that this test calls `name`.
    fn launch_as(&mut self, name: &'static str, service: &str, arguments: &[&str]) {
        let (storefront, provider) = (self.storefront.address().to_string(), self.provider.address().to_string());
        let provider_url = format!("http://{provider}");
        let ledger = self.folder.path().join("ledger");
        let outbox = self.outbox();
        let own: Vec<&str> = match service {
            "notifications" => vec!["--outbox", outbox.to_str().unwrap()],
            "storefront" => vec!["--listen", &storefront],
            "provider" => vec!["--listen", &provider, "--ledger", ledger.to_str().unwrap()],
            "payments" if arguments.is_empty() => vec!["--provider", &provider_url],
            _ => Vec::new(),
        };
        let mut command = streamgauge(&[&["service", service], own.as_slice(), arguments].concat());
        command.env("NATS_URL", self.nats.url()).env("STREAMGAUGE_LOG_FORMAT", "json");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.running.insert(name, Process::start(&mut command));
    }

    /// Where `notifications` writes its mails.
    fn outbox(&self) -> PathBuf {
        self.folder.path().join("outbox")
    }

    /// The order of each mail, in the order in which they were sent.
    fn mails(&self) -> Vec<String> {
        let text = fs::read_to_string(self.outbox()).unwrap_or_default();
        let mails = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        mails.map(|mail| mail["order_id"].as_str().unwrap().to_owned()).collect()
    }

    async fn runs(&self, service: &'static str) {
        self.running[service].line(LIMIT, "that it runs", |line| line.contains("service runs")).await;
    }

    /// Stops a service as a platform does.
    pub(crate) async fn stop(&mut self, service: &'static str) {
        let mut process = self.running.remove(service).unwrap();
        process.signal(Signal::TERM);
        process.ended(LIMIT).await;
        self.logged.extend(process.stderr());
    }

    /// Ends a service as a crash would, and starts it again.
    async fn crash(&mut self, service: &'static str) {
        let mut process = self.running.remove(service).unwrap();
        process.signal(Signal::KILL);
        process.ended(LIMIT).await;
        self.logged.extend(process.stderr());
        self.launch(service, &[]);
    }

    /// Every log line of every service that ran, as far as they are JSON.
    fn log(&self) -> Vec<Value> {
        let lines = self.running.values().flat_map(Process::stderr).chain(self.logged.clone());
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    pub(crate) async fn connection(&self) -> Connection {
        let config = NatsConfig { url: Some(self.nats.url()), nats_wait: 10, ..NatsConfig::default() };
        nats::connect(&config, "test", &Clock::system()).await.unwrap()
    }

    async fn stock(&self) -> Stock {
        let documents = Documents::open(&self.connection().await, STOCK).await.unwrap();
        documents.read("warehouse").await.unwrap().value.unwrap()
    }

    /// How many messages a stream holds on subjects of this pattern, each subject holding one at most.
    async fn stored(&self, stream: &str, pattern: &str) -> usize {
        let stream = self.connection().await.jetstream.get_stream(stream).await.unwrap();
        let mut subjects = stream.info_with_subjects(pattern).await.unwrap();
        let mut found = 0;
        while let Some(subject) = futures_util::StreamExt::next(&mut subjects).await {
            let (subject, messages) = subject.unwrap();
            assert_eq!(messages, 1, "{subject}");
            found += 1;
        }
        found
    }

    fn storefront(&self, path: &str) -> String {
        format!("http://{}{path}", self.storefront.address())
    }

    fn provider(&self, path: &str) -> String {
        format!("http://{}{path}", self.provider.address())
    }

    async fn post(&self, headers: &[(&str, &str)], order: &Value) -> Answer {
        http::post(&self.storefront("/orders"), headers, order).await.unwrap()
    }

    /// Places an order as a patient customer does: again and again under one key, until it is taken.
    pub(crate) async fn place(&self, key: &str, order: &Value) -> String {
        let taken = eventually(LIMIT, "the order is taken", async || {
            let answer = http::post(&self.storefront("/orders"), &[("Idempotency-Key", key)], order).await?;
            if answer.status == 202 { Ok(answer) } else { Err(format!("{} {}", answer.status, answer.body)) }
        });
        taken.await.json()["id"].as_str().unwrap().to_owned()
    }

    /// The record of an order that has gone through these steps and has ended. Its facts come by three consumers, so the last one may be
    /// there before the others.
    pub(crate) async fn ended(&self, id: &str, steps: &[&str]) -> Value {
        let url = self.storefront(&format!("/orders/{id}"));
        eventually(LIMIT, "the order has ended, by all its steps", async || {
            let answer = http::get(&url).await?;
            let record = answer.json();
            let known = record["steps"].as_array().into_iter().flatten().filter_map(|step| step["name"].as_str());
            if known.eq(steps.iter().copied()) && record["phase"] != "open" { Ok(record) } else { Err(answer.body) }
        })
        .await
    }

    async fn ledger(&self) -> Value {
        http::get(&self.provider("/charges")).await.unwrap().json()
    }
}

pub(crate) fn order(customer: &str, sku: &str, quantity: u32) -> Value {
    json!({ "customer": customer, "lines": [{ "sku": sku, "quantity": quantity }] })
}
