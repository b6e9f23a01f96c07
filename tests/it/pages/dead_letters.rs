//! The page of dead letters, and that of one.

use std::sync::Arc;

use serde_json::{Value, json};
use streamgauge::snapshot::{Letters, Reading, Snapshot, Why};

use super::{
    facts::{letters, now, snapshot, with_app},
    page_of,
};

fn with(letters: Letters) -> Snapshot {
    with_app(|app| app.dead_letters = Reading::known(Arc::new(letters), "stream DEAD_LETTERS", now()))
}

#[tokio::test]
async fn the_newest_are_listed_with_their_reason_and_what_came_back_is_marked() {
    let page = page_of(snapshot(), "/dead-letters").await;
    assert_eq!(page.text("header .note"), "the newest 1 of 3");
    assert_eq!(page.text("#letter-ORDERS\\.reserve\\.42 th"), "ORDERS.reserve.42 orders.placed.7");
    let cells = page.texts("#letter-ORDERS\\.reserve\\.42 td");
    let why = "rejected came back from replay 1 the warehouse does not know the item";
    assert_eq!(cells, [why, "5", "just now"]);
    let none = page_of(with(Letters::default()), "/dead-letters").await;
    assert_eq!(none.text("#letters .gap"), "none No worker has given up a message that is still kept.");
    let absent = Reading::unknown(Why::Absent, "there is no stream `DEAD_LETTERS`");
    let absent = page_of(with_app(|app| app.dead_letters = absent), "/dead-letters").await;
    assert_eq!(absent.text("#letters .gap"), "none here There is no stream `DEAD_LETTERS`.");
    let more = |page: &crate::support::page::Page| page.text("#letters > .more");
    assert!(more(&none).contains("streamgauge dlq list"), "{}", more(&none));
    assert!(!more(&absent).contains("dlq"), "it would have nothing to list: {}", more(&absent));
}

#[tokio::test]
async fn one_says_what_it_died_of_and_how_to_try_it_again() {
    let page = page_of(snapshot(), "/dead-letters/ORDERS/reserve/42").await;
    assert_eq!(page.text("h1"), "ORDERS.reserve.42");
    assert_eq!(page.text("#verdict .sentence"), "Rejected, just now. The warehouse does not know the item.");
    assert!(page.text("#verdict .reasons").contains("It was replayed as ORDERS.reserve.41, replay 1, and died again."));
    let commands = page.texts("#commands code");
    let expected = [
        "streamgauge dlq replay ORDERS.reserve.42 --dry-run",
        "streamgauge dlq replay ORDERS.reserve.42",
        "streamgauge dlq show ORDERS.reserve.42",
    ];
    assert_eq!(commands, expected);
    assert_eq!(page.texts("#headers dt, #headers dd"), ["ce-type", "OrderPlaced"]);
    assert_eq!(page.text("#payload pre"), r#"{ "item": "soap" }"#);
    assert_eq!(page.count("#masked"), 0);
    let ways = ["/journey?id=m-42", "/consumers/A/ORDERS/reserve", "/messages/A/ORDERS/42"];
    assert_eq!(page.attributes("#letter .more a", "href"), ways);
}

async fn check(head: &[u8], size: u64, is_elsewhere: bool, expected: &str) {
    let mut all = letters();
    (all.rows[0].head, all.rows[0].size, all.rows[0].is_elsewhere) = (head.to_vec(), size, is_elsewhere);
    let page = page_of(with(all), "/dead-letters/ORDERS/reserve/42").await;
    assert_eq!(page.text("#payload"), expected, "{head:?}");
}

#[tokio::test]
async fn a_payload_is_shown_as_what_it_is() {
    check(b"hello", 5, false, "Payload Shown as text. hello").await;
    check(b"\x81\xa1a\x01", 4, false, r#"Payload Shown as MessagePack. { "a": 1 }"#).await;
    check(&[0x00, 0xff, 0x10], 3, false, "Payload Shown as hex digits. 00000000 00 ff 10 ...").await;
    let beginning = format!("Payload The first 2.0 kB of 9.0 kB, as text. {}", "a".repeat(1_984));
    check("a".repeat(2_048).as_bytes(), 9_000, false, &beginning).await;
    check(b"", 0, false, "Payload It is empty.").await;
    check(b"", 9_000, true, "Payload The copy had no room for the payload, which lies elsewhere; `dlq show` finds it.")
        .await;
}

#[tokio::test]
async fn secrets_are_left_out_on_the_page_and_in_the_api_and_that_is_said() {
    let mut all = letters();
    let letter = &mut all.rows[0];
    letter.reason = "refused: password=hunter2".to_owned();
    letter.class = "pin=hunter2".to_owned();
    letter.headers.push(("Authorization".to_owned(), "Bearer abcdefghijk".to_owned()));
    letter.head = br#"{"item":"soap","password":{"is":"hunter2"},"paid":4111111111111111}"#.to_vec();
    letter.size = letter.head.len() as u64;
    let list = page_of(with(all.clone()), "/dead-letters").await;
    let page = page_of(with(all.clone()), "/dead-letters/ORDERS/reserve/42").await;
    let masked = r#"{ "item": "soap", "password": "[masked: secret name]", "paid": "[masked: card number]" }"#;
    assert_eq!(page.text("#payload pre"), masked);
    assert_eq!(page.text("#masked"), "Left out: 2 by secret name, 1 by card number.");
    assert_eq!(page.texts("#headers dd"), ["OrderPlaced", "[masked: secret name]"]);
    assert!(page.text("#verdict .sentence").ends_with("Refused: password=[masked: secret name]."), "{}", page.html);
    let one = page_of(with(all.clone()), "/api/v1/dead-letters/ORDERS/reserve/42").await;
    let rows = page_of(with(all), "/api/v1/dead-letters").await;
    let answer: Value = serde_json::from_str(&one.html).unwrap();
    assert_eq!(answer["masked"], json!(["2 by secret name", "1 by card number"]));
    assert_eq!(answer["headers"]["Authorization"], json!(["[masked: secret name]"]));
    let begins = answer["payload_begins"].as_str().unwrap();
    assert_eq!(begins.split_whitespace().collect::<Vec<_>>().join(" "), masked);
    for html in [list.html, page.html, one.html, rows.html] {
        assert!(!["hunter2", "abcdefghijk", "41111111"].iter().any(|secret| html.contains(secret)), "{html}");
    }
}

#[tokio::test]
async fn one_that_is_not_among_the_newest_says_where_to_look() {
    let page = page_of(snapshot(), "/dead-letters/ORDERS/reserve/7").await;
    assert_eq!(page.status, 404);
    assert!(page.text("main").contains("streamgauge dlq show ORDERS.reserve.7"), "{}", page.html);
}
