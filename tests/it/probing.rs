//! Probes that the operator named: asked by the program, shown, and found fault with while they do not pass.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::{
    eventually, http,
    nats_server::NatsServer,
    port::ReservedPort,
    process::{Process, streamgauge},
};

const LIMIT: Duration = Duration::from_secs(60);

/// A service that answers with this status, and with a way elsewhere that nobody is to go.
async fn service(status: Arc<AtomicU16>) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || {
        let status = StatusCode::from_u16(status.load(SeqCst)).unwrap();
        std::future::ready((status, [("location", "/well")]))
    };
    let router = Router::new().route("/readyz", get(answer)).route("/well", get(async || "well"));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}/readyz"), serving)
}

/// What the observer tells of the probes, and which of them it finds fault with.
async fn told(home: &str) -> Result<(Vec<Value>, Vec<String>), String> {
    let services = http::get(&format!("{home}/api/v1/services")).await?.json();
    let findings = http::get(&format!("{home}/api/v1/findings?q=probe_fails")).await?.json();
    let asked = services["asked"].as_array().cloned().ok_or_else(|| services.to_string())?;
    let about = findings["rows"].as_array().into_iter().flatten();
    Ok((asked, about.map(|finding| finding["about"].as_str().unwrap_or_default().to_owned()).collect()))
}

#[tokio::test]
async fn probes_that_were_named_are_asked_and_found_fault_with_until_they_pass() {
    let (nats, port, away) = (NatsServer::start().await, ReservedPort::new(), ReservedPort::new());
    let status = Arc::new(AtomicU16::new(200));
    let (url, _service) = service(status.clone()).await;
    let (url_of_nats, address) = (nats.url(), port.address().to_string());
    let (mail, gone) = (format!("mail={url}"), format!("gone=http://{}/readyz", away.address()));
    let arguments = ["serve", "--nats", &url_of_nats, "--listen", &address, "--interval", "0.2"];
    let arguments = [&arguments[..], &["--probe", &mail, "--probe", &gone]].concat();
    let _observer = Process::start(&mut streamgauge(&arguments));
    let home = format!("http://{address}");
    let asked = |passing: bool, faults: &'static [&'static str]| {
        let home = home.clone();
        eventually(LIMIT, "the probes are as they should be", async move || {
            let (asked, found) = told(&home).await?;
            let states: Vec<_> =
                asked.iter().map(|probe| (probe["name"].as_str(), probe["passes"].as_bool())).collect();
            let is_so = states == [(Some("mail"), Some(passing)), (Some("gone"), Some(false))] && found == faults;
            if is_so { Ok(asked) } else { Err(format!("{asked:?} {found:?}")) }
        })
    };
    let probes = asked(true, &["probe gone"]).await;
    assert_eq!((&probes[0]["status"], &probes[1]["status"]), (&200.into(), &Value::Null));
    assert!(probes[1]["said"].as_str().unwrap().starts_with("it does not answer"), "{probes:?}");
    status.store(307, SeqCst);
    asked(false, &["probe mail", "probe gone"]).await;
    status.store(204, SeqCst);
    asked(true, &["probe gone"]).await;
}

#[test]
fn probes_of_one_name_are_refused_at_start() {
    let twice = ["--probe", "a=http://127.0.0.1:9/", "--probe", "a=http://127.0.0.1:8/"];
    let arguments = [&["serve", "--nats", "nats://127.0.0.1:9", "--listen", "127.0.0.1:0"][..], &twice].concat();
    let output = streamgauge(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("two probes are called `a`"), "{said}");
}
