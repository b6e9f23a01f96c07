//! The page of advisories, and those beside what they are about.

use std::sync::Arc;

use streamgauge::{
    advisory::{Advisory, Kind},
    snapshot::{Advisories, Reading, Snapshot, Why},
};

use super::{
    facts::{advisories, advisory, now, snapshot, with_app},
    page_of,
};

fn with(advisories: Advisories) -> Snapshot {
    with_app(|app| app.advisories = Reading::known(Arc::new(advisories), "stream ADVISORIES", now()))
}

#[tokio::test]
async fn the_newest_comes_first_with_its_kind_what_it_is_about_and_a_sentence() {
    let page = page_of(snapshot(), "/advisories").await;
    assert_eq!(page.text("h1"), "Advisories");
    assert_eq!(page.texts("#advisories tbody th"), ["30 s ago", "1 min ago", "5 min ago"]);
    let cells = page.texts("#advisory-a-3 td");
    assert_eq!(
        cells,
        ["gave up", "reserve on ORDERS", "The server gave up message 42 after 3 deliveries. message dead letter"]
    );
    let links = page.attributes("#advisory-a-3 a", "href");
    assert_eq!(
        links,
        [
            "/consumers/A/ORDERS/reserve",
            "/streams/A/ORDERS",
            "/messages/A/ORDERS/42",
            "/dead-letters/ORDERS/reserve/42"
        ]
    );
    assert_eq!(page.text("#advisory-a-2 .tag"), "the last of 12");
    assert_eq!(page.texts("#advisory-a-1 td")[..2], ["made", "ORDERS"]);
    let said = "All kinds have been heard for 10 min. Messages that were given up or terminated are known for 1 d: stream \
                ADVISORIES keeps them. 6 older ones were told and are not remembered here.";
    assert_eq!(page.text("#advisories .sources"), said);
    assert_eq!(page.texts(".choices a"), ["all 3", "gave up 1", "handed back 1", "made 1"]);
}

async fn check(query: &str, expected: &[&str]) {
    let mut all = advisories();
    let of_other = Advisory {
        consumer: Some("track".parse().unwrap()),
        stream: Some("GONE".parse().unwrap()),
        ..advisory("a-0", Kind::Terminated, 900, "A worker terminated message 7: no stock.")
    };
    all.rows.push(of_other);
    let page = page_of(with(all), &format!("/advisories{query}")).await;
    let ids: Vec<String> = page.attributes("#advisories tr[id]", "id");
    let ids: Vec<&str> = ids.iter().filter_map(|id| id.strip_prefix("advisory-")).collect();
    assert_eq!(ids, expected, "{query}");
}

#[tokio::test]
async fn every_state_of_the_list_has_an_address() {
    check("", &["a-3", "a-2", "a-1", "a-0"]).await;
    check("?kind=nak", &["a-2"]).await;
    check("?stream=GONE", &["a-0"]).await;
    check("?consumer=reserve", &["a-3", "a-2"]).await;
    check("?consumer=reserve&kind=exhausted", &["a-3"]).await;
    check("?q=NO+STOCK", &["a-0"]).await;
    check("?q=handed", &["a-2"]).await;
    check("?account=B", &[]).await;
    let page = page_of(snapshot(), "/advisories?q=nothing").await;
    assert_eq!(page.text("#advisories .gap"), "none No advisory is like that.");
    let page = page_of(snapshot(), "/advisories?kind=nak&stream=ORDERS").await;
    assert_eq!(page.texts(".choices [aria-current]"), ["handed back 1"]);
    assert!(page.attributes(".choices a", "href").contains(&"/advisories?kind=exhausted&stream=ORDERS".to_owned()));
    assert_eq!(page.attributes("#search-form input[name=stream]", "value"), ["ORDERS"]);
    assert_eq!(page.attributes("#search-form input[name=kind]", "value"), ["nak"]);
}

#[tokio::test]
async fn what_was_removed_has_no_page_of_its_own() {
    let rows = vec![
        advisory("gone", Kind::Removed, 1, "It went."),
        advisory("kept", Kind::Exhausted, 2, "The server gave up message 42 after 3 deliveries."),
    ];
    let page = page_of(with(Advisories { rows, total: 2, ..advisories() }), "/advisories").await;
    assert_eq!(page.texts("#advisory-gone .reads a"), ["dead letter"]);
    assert_eq!(page.texts("#advisory-kept .reads a"), ["message", "dead letter"]);
}

#[tokio::test]
async fn fifty_are_a_page() {
    let rows = (0..120).map(|number| advisory(&number.to_string(), Kind::Removed, number, "It went.")).collect();
    let all = with(Advisories { rows, total: 120, ..advisories() });
    let page = page_of(all, "/advisories?kind=removed&page=3").await;
    assert_eq!(
        (page.count("#advisories tbody tr"), page.text(".pager")),
        (20, "101 to 120 of 120 advisories Before".to_owned())
    );
    assert_eq!(page.attributes(".pager a", "href"), ["/advisories?kind=removed&page=2"]);
    assert!(!page.text("#advisories .sources").contains("not remembered"), "{}", page.html);
}

#[tokio::test]
async fn nothing_told_and_nothing_known_are_two_things() {
    let none = Advisories { rows: Vec::new(), total: 0, stored_since: None, ..advisories() };
    let page = page_of(with(none), "/advisories").await;
    assert_eq!(page.text("#advisories .gap"), "none No server has told of anything.");
    let said = page.text("#advisories .sources");
    assert!(said.contains("heard for 10 min. What was told before is not known: no stream ADVISORIES"), "{said}");
    let hidden = with_app(|app| app.advisories = Reading::unknown(Why::Hidden, "our user may not"));
    let page = page_of(hidden.clone(), "/advisories").await;
    assert_eq!(page.text("#advisories .gap"), "not visible The advisories are not known: our user may not.");
    let beside = page_of(hidden, "/consumers/A/ORDERS/reserve").await;
    assert_eq!(beside.text("#advisories .gap"), "not visible The advisories are not known: our user may not.");
}

#[tokio::test]
async fn the_same_can_be_heard_by_other_means() {
    let page = page_of(snapshot(), "/advisories").await;
    let asks = page.texts("#equivalents code[data-copy]");
    assert_eq!(asks, ["nats events --js-advisory", "nats stream view ADVISORIES", "/api/v1/advisories"]);
    let page = page_of(snapshot(), "/advisories?stream=ORDERS").await;
    let asks = page.texts("#equivalents code[data-copy]");
    let heard = [
        "nats subscribe '$JS.EVENT.ADVISORY.CONSUMER.*.ORDERS.*'",
        "nats subscribe '$JS.EVENT.ADVISORY.STREAM.*.ORDERS'",
    ];
    assert_eq!(asks[1..3], heard);
    assert_eq!(asks[4], "/api/v1/advisories?stream=ORDERS");
    let page = page_of(snapshot(), "/advisories?stream=ORDERS&consumer=reserve").await;
    assert_eq!(
        page.texts("#equivalents code[data-copy]")[1],
        "nats subscribe '$JS.EVENT.ADVISORY.CONSUMER.*.ORDERS.reserve'"
    );
}

#[tokio::test]
async fn a_consumer_and_a_stream_show_the_newest_of_their_own() {
    let page = page_of(snapshot(), "/consumers/A/ORDERS/reserve").await;
    assert_eq!(page.texts("#advisories tbody .state"), ["gave up", "handed back"]);
    assert_eq!(page.count("#advisories .about"), 0, "all of them are about it");
    assert_eq!(
        page.attributes("#advisories .more a", "href"),
        ["/advisories?account=A&stream=ORDERS&consumer=reserve"]
    );
    let page = page_of(snapshot(), "/streams/A/ORDERS").await;
    assert_eq!(page.texts("#advisories tbody .about"), ["reserve on ORDERS", "reserve on ORDERS", "ORDERS"]);
    assert_eq!(page.attributes("#advisories .more a", "href"), ["/advisories?account=A&stream=ORDERS"]);
    let page = page_of(snapshot(), "/consumers/A/ORDERS/track").await;
    assert_eq!(page.text("#advisories .gap"), "none No server has told of it.");
}

#[tokio::test]
async fn of_another_account_nothing_is_heard() {
    let of_b = Advisories { account: "B".into(), rows: Vec::new(), ..advisories() };
    let mut of_b = with(of_b);
    of_b.app.name = Some("B".into());
    let page = page_of(of_b, "/streams/A/ORDERS").await;
    let expected = "not visible Advisories are heard in account B only: it takes a user in account A.";
    assert_eq!(page.text("#advisories .gap"), expected);
    assert_eq!(page.count("#advisories .sources"), 0);
}
