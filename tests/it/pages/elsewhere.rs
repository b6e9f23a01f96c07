//! The ways out of a page: to its traces here, and to traces, logs and metrics in the operator's own tools.

use std::{sync::Arc, time::Duration};

use streamgauge::{
    config::{ToolUrl, ToolsConfig},
    presence::Worker,
    snapshot::{Reading, Snapshot},
    web::Settings,
};
use tokio::sync::watch;

use super::{
    facts::{TRACE, now, presence, snapshot},
    router_with,
    traces::of_an_order,
};
use crate::support::page::Page;

fn tools() -> ToolsConfig {
    ToolsConfig {
        trace_url: ["jaeger=http://jaeger:16686", "Lens=http://lens/{trace_id}?at={from}"]
            .map(|url| ToolUrl::of_traces(url).unwrap())
            .to_vec(),
        log_url: ["http://logs/{trace_id}", "http://logs/?service={service}"]
            .map(|url| ToolUrl::of_logs(url).unwrap())
            .to_vec(),
        metric_url: vec![ToolUrl::of_metrics("http://m/{account}/{stream}/{consumer}?over={from}-{to}").unwrap()],
    }
}

/// `mail` works on `reserve`, and its slowest handlers take a quarter of a second.
fn worked_on() -> Snapshot {
    let mut worked_on = snapshot();
    let mut bucket = presence(true);
    bucket.entries[0].value.workers = vec![Worker {
        stream: "ORDERS".parse().unwrap(),
        consumer: "reserve".parse().unwrap(),
        concurrency: 1,
        running: 0,
        handled: 9,
        failed: 1,
        p50_seconds: Some(0.02),
        p99_seconds: Some(0.25),
        breaker: None,
        kill_switch: None,
    }];
    worked_on.app.presence = Reading::known(bucket, "bucket presence", now());
    worked_on
}

async fn page_of(path: &str, tools: ToolsConfig) -> Page {
    let (_sender, snapshots) = watch::channel(Arc::new(worked_on()));
    let settings = Settings { traces: of_an_order().await, tools, ..Settings::default() };
    Page::of(&router_with(snapshots, settings), path).await
}

fn ways(page: &Page) -> Vec<(String, String)> {
    page.texts(".elsewhere a").into_iter().zip(page.attributes(".elsewhere a", "href")).collect()
}

#[track_caller]
fn check(page: &Page, expected: &[(&str, &str)]) {
    let ways = ways(page);
    let ways: Vec<(&str, &str)> = ways.iter().map(|(text, href)| (text.as_str(), href.as_str())).collect();
    assert_eq!(ways, expected);
    let outside = page.attributes(".elsewhere a[target=_blank]", "rel");
    assert_eq!(outside.len(), expected.iter().filter(|(_, href)| href.starts_with("http")).count());
    assert!(outside.iter().all(|rel| rel == "noreferrer"), "{outside:?}");
}

#[tokio::test]
async fn a_consumer_leads_to_its_traces_and_to_other_tools() {
    let path = "/consumers/A/ORDERS/reserve";
    let ours = [
        ("Traces", "/traces?stream=ORDERS&consumer=reserve"),
        ("Failed traces", "/traces?stream=ORDERS&consumer=reserve&status=error"),
        ("Traces of at least 250 ms", "/traces?stream=ORDERS&consumer=reserve&min=250ms"),
    ];
    check(&page_of(path, ToolsConfig::default()).await, &ours);
    let millis = |before: Duration| now().before(before).0.unix_timestamp_nanos() / 1_000_000;
    let (to, from) = (millis(Duration::ZERO), millis(Duration::from_secs(600)));
    let metrics = format!("http://m/A/ORDERS/reserve?over={from}-{to}");
    let search = format!(
        "http://jaeger:16686/search?service=mail&lookback=custom&start={from}000&end={to}000&tags=%7B%22messaging.nats.consumer%22%3A%22reserve%22%7D"
    );
    let theirs = [
        ("Metrics in m", metrics.as_str()),
        ("Traces in Jaeger", &search),
        ("Logs of mail in logs", "http://logs/?service=mail"),
    ];
    check(&page_of(path, tools()).await, &[&ours[..], &theirs].concat());
}

#[tokio::test]
async fn a_stream_and_a_service_lead_there_too() {
    check(&page_of("/streams/A/ORDERS", ToolsConfig::default()).await, &[("Traces", "/traces?stream=ORDERS")]);
    let expected = [("Traces", "/traces?service=mail"), ("Logs in logs", "http://logs/?service=mail")];
    check(&page_of("/services", tools()).await, &expected);
}

#[tokio::test]
async fn a_trace_is_opened_in_other_tools_whether_it_is_kept_here_or_not() {
    let began = now().before(Duration::from_secs(120)).0.unix_timestamp_nanos() / 1_000_000;
    let page = page_of(&format!("/traces/{TRACE}"), tools()).await;
    check(
        &page,
        &[
            ("Trace in Jaeger", &format!("http://jaeger:16686/trace/{TRACE}")),
            ("Trace in Lens", &format!("http://lens/{TRACE}?at={began}")),
            ("Logs in logs", &format!("http://logs/{TRACE}")),
        ],
    );
    let page = page_of(&format!("/traces/{TRACE}?span=0303030303030303"), tools()).await;
    assert_eq!(ways(&page)[0].1, format!("http://jaeger:16686/trace/{TRACE}?uiFind=0303030303030303"));
    let gone = "5bf92f3577b34da6a3ce929d0e0e4736";
    let page = page_of(&format!("/traces/{gone}"), tools()).await;
    assert_eq!(
        (page.status.as_u16(), ways(&page)[0].1.as_str()),
        (404, format!("http://jaeger:16686/trace/{gone}").as_str())
    );
}

#[tokio::test]
async fn a_record_and_a_dead_letter_lead_to_their_trace_here_and_there() {
    for (path, within) in [("/records/order", ".records"), ("/dead-letters/ORDERS/reserve/42", "#letter")] {
        let page = page_of(path, tools()).await;
        let links = page.attributes(&format!("{within} a.trace"), "href");
        assert_eq!(links.len(), 3, "{path}: {links:?}");
        assert_eq!(links[..2], [format!("/traces/{TRACE}"), format!("http://jaeger:16686/trace/{TRACE}")], "{path}");
        assert_eq!(page.texts(&format!("{within} a.trace"))[1..], ["in Jaeger", "in Lens"], "{path}");
        let page = page_of(path, ToolsConfig::default()).await;
        assert_eq!(page.attributes(&format!("{within} a.trace"), "href"), [format!("/traces/{TRACE}")], "{path}");
    }
}
