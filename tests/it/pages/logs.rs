//! Logs on the page of their trace, and in the answer of the API: in the order of their times, with secrets left out.

use std::sync::Arc;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use streamgauge::{traces::Traces, web::Settings};
use tokio::sync::watch;

use super::{
    facts::{TRACE, snapshot},
    router_with,
    traces::{at, hex, of_an_order, traces},
};
use crate::{
    support::{page::Page, spans::text},
    traces::{
        logs::{entry, logs},
        post_logs_to,
    },
};

fn told(millis: u64, level: i32, span: u8, body: &str) -> LogRecord {
    LogRecord { time_unix_nano: at(millis), trace_id: hex(TRACE), span_id: vec![span; 8], ..entry(0, 0, level, body) }
}

async fn with_logs(traces: Traces) -> Traces {
    let refused = LogRecord {
        attributes: vec![text("card", "4111111111111111"), text("order", "o-1")],
        event_name: "payment.refused".to_owned(),
        ..told(80, 17, 4, "the card was refused <b>by its bank</b>")
    };
    let store = traces.store();
    post_logs_to(store, &logs("payments", vec![refused, told(40, 9, 3, "charging\nwith token=abcdef")])).await;
    post_logs_to(store, &logs("storefront", vec![told(1, 13, 7, "late customer")])).await;
    traces
}

async fn page_of(traces: Traces, path: &str) -> Page {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    Page::of(&router_with(snapshots, Settings { traces, ..Settings::default() }), path).await
}

#[tokio::test]
async fn logs_stand_below_the_spans_in_the_order_of_their_times() {
    let traces = with_logs(of_an_order().await).await;
    let page = page_of(traces.clone(), &format!("/traces/{TRACE}?span=0404040404040404")).await;
    assert_eq!(page.text("#logs .note"), "3 entries by OTLP, secrets left out");
    assert_eq!(page.texts("#logs .sign"), ["warn", "info", "error"]);
    assert_eq!(
        page.texts("#logs .entry > bdi"),
        ["late customer", "charging with token=[masked: secret name]", "the card was refused <b>by its bank</b>"]
    );
    assert_eq!(page.texts("#logs time"), ["after 1.0 ms", "after 40.0 ms", "after 80.0 ms"]);
    assert_eq!(page.texts("#logs .under"), ["storefront", "payments span", "payments span"]);
    assert_eq!(page.texts("#logs .pairs"), ["card=[masked: card number] order=o-1"]);
    assert_eq!(page.texts("#logs .tag"), ["payment.refused"]);
    assert_eq!(
        page.attributes("#logs .under a", "href"),
        [3, 4].map(|span| format!("/traces/{TRACE}?span={}", format!("0{span}").repeat(8))),
        "a span that did not come has no page"
    );
    assert_eq!(page.texts("#logs li.here .tag"), ["payment.refused"]);
    assert!(page_of(traces, "/traces").await.text("#traces .sources").contains("3 log entries are kept beside them"));
}

#[tokio::test]
async fn logs_of_a_trace_whose_spans_are_not_kept_are_shown_alone() {
    let page = page_of(with_logs(traces(Vec::new()).await).await, &format!("/traces/{TRACE}")).await;
    assert_eq!(page.status, 200);
    assert!(page.text(".gap").contains("The trace is not kept"), "{}", page.text(".gap"));
    assert_eq!((page.count("#logs li"), page.count("#spans"), page.count("#logs .under a")), (3, 0, 0));
    assert!(page.texts("#logs time")[0].starts_with("20"), "{:?}", page.texts("#logs time"));
}

#[tokio::test]
async fn more_than_a_page_holds_is_said() {
    let traces = of_an_order().await;
    for part in 0..6 {
        let entries = (0..100).map(|number| told(part * 100 + number, 9, 3, "again")).collect();
        post_logs_to(traces.store(), &logs("payments", entries)).await;
    }
    let page = page_of(traces, &format!("/traces/{TRACE}")).await;
    assert_eq!(page.count("#logs li"), 500);
    assert_eq!(page.text("#logs .warning"), "100 entries more are not shown; the API answers them.");
}

#[tokio::test]
async fn the_api_answers_them_too() {
    let page = page_of(with_logs(of_an_order().await).await, &format!("/api/v1/traces/{TRACE}")).await;
    let answer: serde_json::Value = serde_json::from_str(&page.html).unwrap();
    let logs = answer["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 3);
    assert_eq!((&logs[2]["level"], &logs[2]["service"]), (&"error".into(), &"payments".into()));
    assert_eq!((&logs[2]["span_id"], &logs[2]["event"]), (&"0404040404040404".into(), &"payment.refused".into()));
    assert_eq!(logs[1]["body"], "charging\nwith token=[masked: secret name]");
    assert_eq!(logs[2]["attributes"][0]["value"], "[masked: card number]");
    assert_eq!((answer["logs_left_out"].as_u64(), answer["spans"].as_array().unwrap().len()), (Some(0), 5));
    let alone = page_of(with_logs(traces(Vec::new()).await).await, &format!("/api/v1/traces/{TRACE}")).await;
    assert_eq!(alone.status, 200);
}
