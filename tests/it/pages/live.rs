//! Live updates: one stream of events for each tab.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::Request,
    response::Response,
};
use futures_util::StreamExt;
use streamgauge::{
    clock::Clock,
    collector::History,
    fault::Kind,
    snapshot::Snapshot,
    web::{Settings, Web},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{facts::snapshot, faults::switched, router};
use crate::support::page::Page;

const LIMIT: Duration = Duration::from_secs(5);

struct Tab {
    sender: watch::Sender<Arc<Snapshot>>,
    router: Router,
}

impl Tab {
    fn new() -> Self {
        let (sender, snapshots) = watch::channel(Arc::new(snapshot()));
        Self { sender, router: router(snapshots, None) }
    }

    fn next_round(&self) {
        self.sender.send_modify(|last| *last = Arc::new(Snapshot { round: last.round + 1, ..(**last).clone() }));
    }

    async fn open(&self, address: &str, last: Option<&str>) -> Response {
        let mut request = Request::get(address);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// The address that the page itself would follow, with the round that it shows.
    async fn address(&self, path: &str) -> String {
        let page = Page::of(&self.router, path).await;
        let [live] = page.attributes("body", "data-live").try_into().unwrap();
        let [since] = page.attributes("body", "data-since").try_into().unwrap();
        format!("{live}&since={since}")
    }
}

/// The next event, as its lines.
async fn event(events: &mut BodyDataStream) -> String {
    let bytes = tokio::time::timeout(LIMIT, events.next()).await.expect("an event comes").unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_round_sends_the_page_again_and_a_page_that_has_it_is_sent_nothing() {
    let tab = Tab::new();
    let answer = tab.open(&tab.address("/").await, None).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(!answer.headers().contains_key("content-encoding"), "a packed stream waits for more before it sends");
    let mut events = answer.into_body().into_data_stream();
    tab.next_round();
    let patch = event(&mut events).await;
    assert!(patch.starts_with("event: patch\n"), "{patch}");
    assert!(patch.contains("-8\n"), "the first to come is round 8: {patch}");
    assert!(patch.contains("data: <main id=\"main\"") && patch.contains("All 2 consumers keep up"), "{patch}");
}

#[tokio::test]
async fn whoever_comes_back_is_sent_what_he_missed_at_once() {
    let tab = Tab::new();
    let address = tab.address("/records/order").await;
    tab.next_round();
    let mut events = tab.open(&address, None).await.into_body().into_data_stream();
    assert!(event(&mut events).await.contains("OrderCompleted"));
    let mut events = tab.open("/live?page=/", Some("another-run-7")).await.into_body().into_data_stream();
    assert!(event(&mut events).await.contains("event: patch"));
}

#[tokio::test]
async fn a_fault_that_is_switched_on_is_told_of_at_once_and_gone_when_it_ended() {
    let tab = Tab::new();
    let mut events = tab.open(&tab.address("/servers").await, None).await.into_body().into_data_stream();
    let on = switched("payments", Kind::Outage, Duration::from_secs(60));
    for (app, is_told) in [(on.app, true), (snapshot().app, false)] {
        tab.sender.send_modify(|last| {
            *last = Arc::new(Snapshot { round: last.round + 1, app, ..(**last).clone() });
        });
        let patch = event(&mut events).await;
        assert_eq!(patch.contains("streamgauge fault payments clear"), is_told, "{patch}");
    }
}

#[tokio::test]
async fn a_list_is_followed_as_it_was_searched_for() {
    let tab = Tab::new();
    let address = tab.address("/consumers?q=track&sort=name").await;
    tab.next_round();
    let patch = event(&mut tab.open(&address, None).await.into_body().into_data_stream()).await;
    assert!(patch.contains("consumer.A.ORDERS.track") && !patch.contains("consumer.A.ORDERS.reserve"), "{patch}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_news_says_that_it_is_there() {
    let tab = Tab::new();
    let mut events = tab.open(&tab.address("/").await, None).await.into_body().into_data_stream();
    let first = tokio::time::timeout(Duration::from_secs(16), events.next()).await.expect("within 15 s");
    assert!(first.unwrap().unwrap().starts_with(b"event: ping\n"));
}

#[tokio::test]
async fn streams_end_when_the_server_does() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let stop = CancellationToken::new();
    let web = Web::new(snapshots, History::default(), Settings::default(), Clock::system(), stop.clone());
    let router = streamgauge::web::router(web, Router::new());
    let request = Request::get("/live?page=/").body(Body::empty()).unwrap();
    let mut events = router.oneshot(request).await.unwrap().into_body().into_data_stream();
    event(&mut events).await;
    stop.cancel();
    assert!(tokio::time::timeout(LIMIT, events.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn there_is_room_for_so_many_tabs_and_no_more() {
    let tab = Tab::new();
    let mut open = Vec::new();
    for _ in 0..512 {
        let answer = tab.open("/live?page=/", None).await;
        assert_eq!(answer.status(), 200);
        open.push(answer);
    }
    let refused = tab.open("/live?page=/", None).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "10"));
    open.pop();
    assert_eq!(tab.open("/live?page=/", None).await.status(), 200);
}

#[tokio::test]
async fn only_pages_can_be_followed() {
    let tab = Tab::new();
    assert_eq!(tab.open("/live?page=/nowhere", None).await.status(), 404);
    assert_eq!(tab.open("/live", None).await.status(), 400);
}
