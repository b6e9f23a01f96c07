//! The observer's pages, asked for through its router and read as a reader reads them, scripts off.

pub(crate) mod accounts;
mod advisories;
mod consumers;
mod dead_letters;
mod elsewhere;
pub(crate) mod facts;
pub(crate) mod faults;
mod findings;
mod hostile;
mod live;
mod logs;
mod map;
mod past;
mod servers;
mod services;
mod streams;
pub(crate) mod traces;

use std::{collections::HashSet, sync::Arc};

use axum::{Router, body::Body, http::Request};
use streamgauge::{
    clock::Clock,
    collector::History,
    config::{ToolUrl, ToolsConfig},
    snapshot::{Bucket, Label, Listing, Reading, Severity, Snapshot, Why},
    web::{self, Settings, Web},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::page::Page;
use facts::{TRACE, consumer, count, failed, now, order, presence, snapshot, stream, verdict};

const PAGES: [&str; 18] = [
    "/",
    "/map",
    "/streams",
    "/streams/A/ORDERS",
    "/messages/A/ORDERS",
    "/messages/A/ORDERS/42",
    "/consumers",
    "/consumers/A/ORDERS/reserve",
    "/dead-letters",
    "/dead-letters/ORDERS/reserve/42",
    "/advisories",
    "/services",
    "/records",
    "/records/order",
    "/servers",
    "/findings",
    "/traces",
    "/journey?id=m-42",
];

/// The router over snapshots that the test sends.
pub(crate) fn router(snapshots: watch::Receiver<Arc<Snapshot>>, trace_url: Option<&str>) -> Router {
    let trace_url = trace_url.map(|url| ToolUrl::of_traces(url).unwrap()).into_iter().collect();
    router_with(
        snapshots,
        Settings { tools: ToolsConfig { trace_url, ..ToolsConfig::default() }, ..Settings::default() },
    )
}

pub(crate) fn router_with(snapshots: watch::Receiver<Arc<Snapshot>>, settings: Settings) -> Router {
    router_over(snapshots, History::default(), settings)
}

fn router_over(snapshots: watch::Receiver<Arc<Snapshot>>, history: History, settings: Settings) -> Router {
    let clock = Clock::standing_at(now());
    web::router(Web::new(snapshots, history, settings, clock, CancellationToken::new()), Router::new())
}

/// The router after one round, with what was noted of it and of those before.
fn router_after(round: Snapshot, history: History, settings: Settings) -> Router {
    let (_, snapshots) = watch::channel(Arc::new(round));
    router_over(snapshots, history, settings)
}

async fn page_of(snapshot: Snapshot, path: &str) -> Page {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot));
    Page::of(&router(snapshots, None), path).await
}

#[tokio::test]
async fn the_overview_says_that_it_does_not_know_yet_how_a_consumer_stands() {
    let mut early = consumer("ORDERS", "charge");
    early.verdict = verdict(Label::Unknown, Severity::Notice, "It was looked at in 1 round so far.");
    let title = async |consumers| {
        let streams = count(vec![stream("ORDERS", consumers)]);
        page_of(Snapshot { streams, ..snapshot() }, "/").await.text("h1")
    };
    let both = vec![consumer("ORDERS", "mailer"), early.clone()];
    assert_eq!(title(both).await, "unknown: How 1 of 2 consumers stands is not known");
    assert_eq!(title(vec![early]).await, "unknown: How 1 consumer stands is not known");
}

#[tokio::test]
async fn the_overview_answers_first_and_shows_all_without_scripts() {
    let page = page_of(snapshot(), "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text("h1"), "ok: All 2 consumers keep up");
    assert_eq!(page.text("#figure-stored dd"), "5.0/s in 1 message stream");
    assert_eq!(page.text("#figure-pending dd"), "3 not yet delivered");
    assert_eq!(page.text("#figure-ack-pending dd"), "2 delivered, not yet acked");
    assert_eq!(page.text("#figure-ready dd"), "1 / 1 instances of services");
    assert_eq!(page.text("#stream\\.A\\.ORDERS th"), "ORDERS");
    assert_eq!(page.texts("#verdicts a"), ["all 2", "ok 2"]);
    assert_eq!(page.texts("#instance-mail\\.1 .probes .sign"), ["live", "ready", "startup"]);
    assert!(page.text("#record-order\\.7").contains("completed …"), "{}", page.text("#record-order\\.7"));
    assert!(page.text("#status").contains("NATS at nats://n1:4222 server n1 2.12.0"), "{}", page.text("#status"));
}

#[tokio::test]
async fn the_other_pages_show_the_rest() {
    let services = page_of(snapshot(), "/services").await;
    assert!(services.text("#instance-mail\\.1").contains("nats connected for 40 s"), "{}", services.html);
    let records = page_of(snapshot(), "/records/order").await;
    assert_eq!(records.texts(".steps li"), ["OrderPlaced by storefront +0 ms", "OrderCompleted by orders +350 ms"]);
    assert_eq!(page_of(snapshot(), "/records/saga").await.text(".gap"), "none No service has told of sagas yet.");
}

#[tokio::test]
async fn nothing_is_said_in_words_and_is_no_error() {
    let mut empty = snapshot();
    empty.streams = Reading::known(Listing::default(), "n1", now());
    empty.app.presence = Reading::unknown(Why::Absent, "there is no key-value bucket `presence`");
    empty.app.records = Reading::unknown(Why::Absent, "there is no key-value bucket `records`");
    let page = page_of(empty, "/").await;
    assert_eq!(page.text("h1"), "idle: NATS answers and holds no stream yet");
    assert_eq!(page.text("#streams .gap"), "none NATS holds no stream yet.");
    assert_eq!(page.text("#services .gap"), "none here There is no key-value bucket `presence`.");
    assert_eq!(page.text("#figure-ready .number").chars().next(), Some('?'), "no bucket says how many there are");
    assert_eq!(page.count(".critical, .warning"), 0);
}

#[tokio::test]
async fn unknown_is_never_zero() {
    for path in PAGES {
        let mut unknown = snapshot();
        (unknown.servers, unknown.streams) = (failed(), failed());
        (unknown.app.presence, unknown.app.records) = (failed(), failed());
        (unknown.app.dead_letters, unknown.app.advisories) = (failed(), failed());
        let page = page_of(unknown, path).await;
        assert_eq!(page.status, 200, "{path}");
        let numbers = page.texts(".number");
        assert!(numbers.iter().all(|number| number == "? unknown: the dog ate it"), "{path} {numbers:?}");
        // Messages are read when they are asked for, and by nobody here.
        let why = if path.starts_with("/messages") { "NATS has not answered yet" } else { "the dog ate it" };
        // Traces do not come from NATS.
        let says_why = !matches!(path, "/findings" | "/traces");
        assert!(!says_why || page.html.contains(why), "{path}");
    }
    let mut one = stream("ORDERS", vec![consumer("ORDERS", "reserve"), consumer("ORDERS", "track")]);
    if let Reading::Known(fact) = &mut one.consumers {
        fact.value.rows[1].state = Reading::unknown(Why::Failed, "no leader");
        fact.value.rows[1].trend = None;
    }
    let unknown = Snapshot { streams: count(vec![one]), ..snapshot() };
    let page = page_of(unknown.clone(), "/consumers").await;
    assert_eq!(page.texts("#consumer\\.A\\.ORDERS\\.track .number")[0], "? unknown: no leader");
    let page = page_of(unknown, "/").await;
    assert_eq!(page.text("#figure-pending dd"), "at least 3 not yet delivered; 1 of 2 consumers not known");
    let mut none = stream("ORDERS", vec![consumer("ORDERS", "track")]);
    if let Reading::Known(fact) = &mut none.consumers {
        fact.value.rows[0].state = Reading::unknown(Why::Failed, "no leader");
    }
    let page = page_of(Snapshot { streams: count(vec![none]), ..snapshot() }, "/").await;
    assert!(page.text("#figure-pending .number").starts_with('?'), "nothing known is no zero");
}

#[tokio::test]
async fn what_is_old_says_so_and_why() {
    let mut old = snapshot();
    old.streams = failed().or_last(&old.streams);
    old.app.presence = failed().or_last(&old.app.presence);
    old.app.contact.is_connected = false;
    old.app.contact.reason = "connection lost, connecting again".to_owned();
    let page = page_of(old, "/").await;
    assert_eq!(page.text("h1"), "critical: NATS has not answered for 0 s");
    assert!(page.text("#headline .details").starts_with("Connection lost, connecting again."));
    assert_eq!(page.text("#streams .stamp"), "old: read just now from n1");
    let status = page.text("#status");
    assert!(status.contains("last round that was answered just now"), "an attempt is no answer: {status}");
    assert_eq!(page.text("#streams .reason"), "The dog ate it.");
    assert_eq!(page.text("#service-mail > header .sign"), "stale");
    assert!(page.text("#figure-ready .number").starts_with('?'), "nobody knows who is ready now");
}

#[tokio::test]
async fn what_is_wrong_comes_first() {
    let mut sick = snapshot();
    sick.app.presence = Reading::known(presence(false), "bucket presence", now());
    let page = page_of(sick, "/").await;
    assert_eq!(page.text("h1"), "critical: 1 of 1 instance is not ready");
    assert_eq!(page.text("#headline .details"), "mail 1 not ready: nats: connection lost");
    assert_eq!(page.text("title"), "1 of 1 instance is not ready · Streamgauge");
}

#[tokio::test]
async fn an_instance_that_fell_silent_is_still_told_of() {
    let mut silent = snapshot();
    let bucket = presence(true);
    silent.app.gone = bucket.entries.clone();
    silent.app.presence = Reading::known(Bucket { entries: Vec::new(), ..bucket }, "bucket presence", now());
    let page = page_of(silent, "/").await;
    assert_eq!(page.text("h1"), "critical: 1 of 1 instance is gone");
    assert_eq!(page.text("#figure-ready .number"), "0 / 1");
    assert_eq!(page.text("#service-mail > header .sign"), "0 of 1 ready");
}

#[tokio::test]
async fn a_long_text_does_not_take_over_the_page() {
    let mut long = snapshot();
    let mut record = order("7");
    record.value.summary = "x".repeat(60_000);
    record.value.steps = vec![record.value.steps[0].clone(); 10_000];
    let bucket =
        Bucket { entries: vec![record], deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false };
    long.app.records = Reading::known(bucket, "bucket records", now());
    let page = page_of(long, "/records/order").await;
    assert!(page.html.len() < 30_000, "{} bytes", page.html.len());
}

#[tokio::test]
async fn records_that_are_not_the_newest_are_not_called_so() {
    for (lacks_newest, expected) in [(false, "the newest are read"), (true, "The newest are not shown")] {
        let mut cut = snapshot();
        let entries = vec![order("7")];
        let bucket = Bucket { entries, deleted: Vec::new(), malformed: 0, is_cut: true, lacks_newest };
        cut.app.records = Reading::known(bucket, "bucket records", now());
        let page = page_of(cut, "/records/order").await;
        let said =
            ["the newest are read", "The newest are not shown"].map(|text| page.html.contains(text).then_some(text));
        assert_eq!(said.into_iter().flatten().collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn a_trace_is_a_link_where_the_settings_say_what_shows_traces() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let page = Page::of(&router(snapshots.clone(), Some("http://traces/trace/{trace_id}")), "/").await;
    assert_eq!(page.attributes("a.trace", "href"), [format!("http://traces/trace/{TRACE}")]);
    let page = Page::of(&router(snapshots, None), "/").await;
    assert_eq!((page.count("a.trace"), page.text("code.trace")), (0, TRACE.to_owned()));
}

#[tokio::test]
async fn pages_keep_to_their_policy() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let router = router(snapshots, None);
    let mut nonces = HashSet::new();
    for path in PAGES.into_iter().chain(["/nowhere"]) {
        let page = Page::of(&router, path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        let [nonce] = page.attributes("script", "nonce").try_into().unwrap();
        assert!(policy.contains(&format!("script-src 'nonce-{nonce}'")), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!((page.text("script"), page.count("[style], style")), (String::new(), 0), "{path}");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        let ids = page.attributes("[id]", "id");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{path}: an id stands twice in {ids:?}");
        assert!(nonces.insert(nonce), "a nonce came twice");
    }
}

#[tokio::test]
async fn every_link_of_a_page_leads_somewhere() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let router = router(snapshots, None);
    for path in PAGES {
        links_lead_somewhere(&router, path, &Page::of(&router, path).await).await;
    }
}

async fn links_lead_somewhere(router: &Router, path: &str, page: &Page) {
    for link in page.attributes("a", "href") {
        let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let there = if target.is_empty() { page.clone() } else { Page::of(router, target).await };
        assert_eq!(there.status, 200, "{path} -> {link}");
        let ids = there.attributes("[id]", "id");
        assert!(anchor.is_empty() || ids.iter().any(|id| id == anchor), "{path} -> {link}: {ids:?}");
    }
}

#[tokio::test]
async fn the_pages_can_stand_behind_a_path() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let router = router_with(snapshots, Settings { base_path: "/gauge".parse().unwrap(), ..Settings::default() });
    for path in PAGES {
        let page = Page::of(&router, &format!("/gauge{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        let mut addresses = page.attributes("a", "href");
        addresses.extend(page.attributes("link", "href"));
        addresses.extend(page.attributes("script", "src"));
        addresses.extend(page.attributes("form", "action"));
        addresses.extend(page.attributes("body", "data-live"));
        for address in addresses {
            assert!(address.starts_with("/gauge/") || address.starts_with('#'), "{path}: {address}");
        }
    }
    let live = &Page::of(&router, "/gauge/consumers?q=a").await.attributes("body", "data-live")[0];
    assert_eq!(live, "/gauge/live?page=%2Fconsumers%3Fq%3Da");
    assert_eq!(Page::of(&router, "/gauge/nowhere").await.text("h1"), "No such page");
    assert_eq!(Page::of(&router, "/streams").await.status, 404);
    for beside in ["/", "/gauge"] {
        let page = Page::of(&router, beside).await;
        assert_eq!((page.status.as_u16(), &page.headers["location"].to_str().unwrap()), (307, &"/gauge/"), "{beside}");
    }
}

#[tokio::test]
async fn every_page_has_one_field_to_search_in() {
    for path in PAGES {
        let page = page_of(snapshot(), path).await;
        assert_eq!(page.count("form[role=search] input#q[type=search]"), 1, "{path}");
        assert_eq!(page.count("nav[aria-label=Pages] [aria-current=page]"), 1, "{path}");
        assert_eq!(page.count("h1"), 1, "{path}");
    }
}

#[tokio::test]
async fn styles_and_scripts_may_be_kept_for_ever() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let router = router(snapshots, None);
    let page = Page::of(&router, "/").await;
    let mut files = page.attributes("script", "src");
    files.extend(page.attributes("link", "href"));
    assert_eq!(files.len(), 3);
    for file in files {
        let plain = Page::of(&router, &file).await;
        assert_eq!((plain.status.as_u16(), plain.html.is_empty()), (200, false), "{file}");
        assert!(plain.headers["cache-control"].to_str().unwrap().contains("immutable"));
        let packed = Request::get(&file).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
        let packed = tower::ServiceExt::oneshot(router.clone(), packed).await.unwrap();
        assert_eq!(packed.headers()["content-encoding"], "gzip");
    }
    assert_eq!(Page::of(&router, "/assets/0/live.js").await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_done_is_said_on_a_page() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let router = router(snapshots, None);
    let lost = Page::of(&router, "/nowhere").await;
    assert_eq!((lost.status.as_u16(), lost.text("h1")), (404, "No such page".to_owned()));
    assert_eq!(Page::of(&router, &format!("/records/{}", "x".repeat(65))).await.status, 404);
    let post = Request::post("/").body(Body::empty()).unwrap();
    let refused = Page::answering(&router, post).await;
    assert_eq!((refused.status.as_u16(), refused.text("h1")), (405, "Not possible".to_owned()));
}

#[tokio::test]
async fn every_page_says_how_else_its_numbers_are_had_and_no_series_is_made_up() {
    let families: HashSet<&str> = streamgauge::exporter::families().iter().map(|family| family.name).collect();
    for path in PAGES {
        let page = page_of(snapshot(), path).await;
        let ways = page.texts("#equivalents td[data-label=By]");
        let asks = page.texts("#equivalents code[data-copy]");
        assert!(!asks.is_empty() && asks.len() == ways.len(), "{path}: {asks:?}");
        assert!(ways.iter().any(|way| way.starts_with("API")), "{path}: {ways:?}");
        let series = asks.iter().zip(&ways).filter(|(_, way)| *way == "PromQL").map(|(ask, _)| ask.as_str());
        for ask in series {
            let names = ask.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let names: Vec<_> =
                names.filter(|word| word.starts_with("nats_") || word.starts_with("streamgauge_")).collect();
            assert!(!names.is_empty() && names.iter().all(|name| families.contains(name)), "{path}: {ask}");
        }
    }
}
