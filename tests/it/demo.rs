//! The demo as its user has it: everything up, watched over, kept between runs, and gone in the end.

use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    eventually,
    http::{get, post},
    nats_server::NatsServer,
    process::{Process, streamgauge},
    process_tree::{is_running, kill_all, tree},
};

/// A debug build on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(60);

/// What the demo promises.
const END_LIMIT: Duration = Duration::from_secs(10);

struct Demo {
    process: Process,
    urls: Value,
}

impl Demo {
    async fn start(data: &Path, arguments: &[&str]) -> Self {
        let file = data.with_extension("urls");
        _ = fs::remove_file(&file);
        let mut all = vec!["demo", "--data", data.to_str().unwrap(), "--urls-file", file.to_str().unwrap()];
        all.extend(arguments);
        let process = Process::start(&mut streamgauge(&all));
        let urls = eventually(LIMIT, "the demo says where everything is", async || {
            fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok())
        });
        Self { urls: urls.await, process }
    }

    fn url(&self, name: &str, path: &str) -> String {
        format!("{}{path}", self.urls[name].as_str().unwrap())
    }

    async fn orders(&self) -> Vec<Value> {
        let orders = get(&self.url("storefront", "/orders")).await.unwrap().json();
        orders["orders"].as_array().cloned().unwrap_or_default()
    }

    async fn completed_order(&self) -> String {
        eventually(LIMIT, "an order completes", async || {
            let orders = self.orders().await;
            let done = orders.iter().find(|order| order["state"] == "completed")?;
            done["id"].as_str().map(str::to_owned)
        })
        .await
    }

    /// Places an order and returns its id.
    async fn placed(&self) -> Option<String> {
        let order = json!({ "customer": "ada", "lines": [{ "sku": "tea", "quantity": 2 }] });
        let answer = post(&self.url("storefront", "/orders"), &[], &order).await.ok()?;
        (answer.status == 202).then(|| answer.json()["id"].as_str().unwrap().to_owned())
    }

    fn pids(&self) -> Vec<u32> {
        tree(self.process.pid())
    }

    /// The process of the demo whose command line holds these words.
    fn pid_of(&self, words: &str) -> Option<u32> {
        self.pids().into_iter().find(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
            line.contains(words)
        })
    }
}

async fn all_gone(pids: Vec<u32>) {
    eventually(END_LIMIT, "no process is left", async || {
        let left: Vec<u32> = pids.iter().copied().filter(|pid| is_running(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// What breaks a service and mends it works as the demo prints it.
async fn breaks_and_mends_as_it_is_printed(demo: &Demo) {
    let printed = demo.process.line(LIMIT, "how to break it", |line| line.contains("Break it")).await;
    let outage = printed.split_once("Break it").unwrap().1.trim();
    for (fault, said) in [("outage", "payments: outage is on for 5 min"), ("clear", "payments: no fault is on")] {
        let command = outage.replace(" outage ", &format!(" {fault} "));
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(said), "{command}: {output:?}");
    }
}

#[tokio::test]
async fn a_demo_completes_orders_mends_itself_and_ends_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = Demo::start(&data, &[]).await;
    let order = demo.completed_order().await;
    let page = get(&demo.url("dashboard", "/")).await.unwrap();
    assert_eq!(page.status, 200);

    // The alert on lost connections is quiet: who has a connection says so, who needs none says nothing.
    for name in ["dashboard", "storefront", "provider"] {
        let metrics = get(&demo.url(name, "/metrics")).await.unwrap().body;
        assert_eq!(metrics.contains("streamgauge_connected 1"), name != "provider", "{name}");
        assert!(!metrics.contains("streamgauge_connected 0"), "{name}");
    }

    breaks_and_mends_as_it_is_printed(&demo).await;

    // A second demo keeps away from the folder.
    let second = streamgauge(&["demo", "--data", data.to_str().unwrap()]).output().unwrap();
    assert!(String::from_utf8_lossy(&second.stderr).contains("another demo runs on"));
    assert!(!second.status.success());

    // A dead service, and a dead broker, are started again.
    kill_all(&[demo.pid_of("service orders").unwrap()]);
    demo.process.line(LIMIT, "that it starts orders again", |line| line.contains("was killed by signal 9")).await;
    kill_all(&[demo.pid_of("nats-server").unwrap()]);
    demo.process.line(LIMIT, "that it starts NATS again", |line| line.contains("nats-server was killed")).await;
    eventually(LIMIT, "the storefront takes orders again", async || demo.placed().await.is_some()).await;
    let after = demo.placed().await.unwrap();
    eventually(LIMIT, "an order placed after all that completes", async || {
        let order = get(&demo.url("storefront", &format!("/orders/{after}"))).await.unwrap().json();
        if order["state"] == "completed" { Ok(()) } else { Err(order) }
    })
    .await;

    let pids = demo.pids();
    assert!(pids.len() >= 16, "the demo, NATS and fifteen services: {pids:?}");
    demo.process.signal(Signal::INT);
    let status = demo.process.ended(END_LIMIT).await;
    assert!(status.success(), "{status}: {:?}", demo.process.stderr());
    assert!(demo.process.stdout().iter().any(|line| line == "ended; no process is left"));
    all_gone(pids).await;

    // What was kept is there again.
    let demo = Demo::start(&data, &["--no-load"]).await;
    let found = get(&demo.url("storefront", &format!("/orders/{order}"))).await.unwrap();
    assert_eq!((found.status, found.json()["state"].as_str()), (200, Some("completed")));

    // A demo that is killed takes everything with it.
    let pids = demo.pids();
    demo.process.signal(Signal::KILL);
    all_gone(pids).await;
}

/// The server of a demo whose stream of retries was one like any other.
const EARLIER: &str = r#"
    jetstream {}
    accounts { APP { jetstream: enabled, users: [{ user: topology, password: word }] } }
"#;

#[tokio::test]
async fn a_folder_of_another_version_is_refused_with_what_differs_and_what_to_do_which_helps() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = NatsServer::start_configured(EARLIER).await;
    let login = async_nats::ConnectOptions::with_user_and_password("topology".into(), "word".into());
    let client = login.connect(server.url()).await.unwrap();
    let retries = async_nats::jetstream::stream::Config {
        name: "RETRIES".into(),
        subjects: vec!["retries.>".into()],
        max_age: Duration::from_secs(60),
        ..Default::default()
    };
    async_nats::jetstream::new(client).create_stream(retries).await.unwrap();
    server.stop().await;
    fs::create_dir(&data).unwrap();
    fs::rename(server.store(), data.join("jetstream")).unwrap();

    let (code, said) = end_of(&["demo", "--data", data.to_str().unwrap(), "--no-load"]);
    assert_eq!(code, Some(1), "{said}");
    let differs = "stream RETRIES has retention limits and is to have workqueue. Give another folder with --data, or";
    assert!(said.contains(differs) && !said.contains("max_age"), "{said}");
    let (_, store) = said.rsplit_once("rm -r '").unwrap_or_else(|| panic!("{said}"));
    let store = store.trim_end().trim_end_matches('\'');
    assert!(store.starts_with(data.to_str().unwrap()) && store.ends_with("/RETRIES"), "{store}");
    fs::remove_dir_all(store).unwrap();
    let mut demo = Demo::start(&data, &["--no-load"]).await;
    demo.process.signal(Signal::INT);
    assert!(demo.process.ended(END_LIMIT).await.success());
}

/// Runs to the end and says how: the exit code and what was said on standard error.
fn end_of(arguments: &[&str]) -> (Option<i32>, String) {
    let output = streamgauge(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_cannot_be_started_is_said_in_a_sentence_with_its_code() {
    let (code, said) = end_of(&["service", "catering"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("'catering'"), "{said}");

    let (code, said) = end_of(&["service", "pricing", "--nats", "nats://127.0.0.1:1", "--nats-wait", "0"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("no NATS server answers at nats://127.0.0.1:1"), "{said}");

    let (code, said) = end_of(&["service", "pricing", "--nats", "nats://a b", "--nats-wait", "0"]);
    assert_eq!(code, Some(78), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for arguments in [&["service", "pricing", "--listen", &address][..], &["serve", "--listen", &address]] {
        let (code, said) = end_of(arguments);
        assert_ne!(code, Some(0));
        assert!(said.contains(&address) && said.contains("--listen"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }

    let (code, said) = end_of(&["demo", "--rate", "0"]);
    assert_ne!(code, Some(0));
    assert!(said.contains("--rate"), "{said}");

    let (code, said) = end_of(&["demo", "--trace-url", "nope"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--trace-url") && said.contains("{trace_id}"), "{said}");

    let (code, said) = end_of(&["demo", "--data", "/dev/null/x"]);
    assert_ne!(code, Some(0));
    assert!(said.contains("/dev/null/x"), "{said}");
}
