//! Records by their keys over a real nats-server: whatever the last round read, a link to a record leads to it as long as its bucket has it.

use async_nats::jetstream::{kv, stream};
use serde_json::{Value, json};

use super::{ACCOUNT, HOSTILE, LIMIT, NatsServer, Observer, jetstream, publish_with};
use crate::{
    api::faults_of,
    support::{eventually, page::Page},
};

/// More than a round reads of a bucket.
const MANY: usize = 1_500;

fn record(kind: &str, id: &str) -> Vec<u8> {
    let told = json!({
        "kind": kind, "id": id, "state": "placed", "phase": "open", "summary": format!("{kind} of {id}"),
        "started": "2030-01-31T12:00:00Z", "since": "2030-01-31T12:00:00Z",
        "steps": [{ "name": "Placed", "at": "2030-01-31T12:00:00Z", "by": "orders" }],
    });
    told.to_string().into_bytes()
}

/// A bucket with an old order and its parcel, and very many newer ones.
struct Stage {
    server: NatsServer,
    bucket: kv::Store,
    observer: Observer,
}

impl Stage {
    async fn new(is_direct: bool, many: usize) -> Self {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        let config = stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Default::default() };
        jetstream.create_stream(config).await.unwrap();
        let bucket = jetstream.create_key_value(kv::Config { bucket: "records".into(), ..Default::default() });
        let bucket = bucket.await.unwrap();
        let mut behind = jetstream.get_stream("KV_records").await.unwrap();
        let config = stream::Config { allow_direct: is_direct, ..behind.info().await.unwrap().config.clone() };
        jetstream.update_stream(config).await.unwrap();
        for (key, value) in [
            ("order.o-old", record("order", "o-old")),
            ("parcel.o-old", record("parcel", "o-old")),
            ("order.gone", record("order", "gone")),
            ("order.odd", b"{".to_vec()),
        ] {
            bucket.put(key, value.into()).await.unwrap();
        }
        bucket.delete("order.gone").await.unwrap();
        super::publish_all(&jetstream, many, |number| {
            (format!("$KV.records.order.n-{number}"), record("order", &format!("n-{number}")))
        })
        .await;
        publish_with(
            &jetstream,
            "orders.placed",
            &[("Nats-Msg-Id", "m-1"), ("correlation-id", "o-old")],
            b"{}".to_vec(),
        )
        .await;
        let observer = Observer::at(&server);
        observer.sees("KV_records").await;
        Self { server, bucket, observer }
    }

    async fn page(&self, path: &str) -> Page {
        Page::of(&self.observer.router, path).await
    }

    async fn answer(&self, path: &str) -> (u16, Value) {
        let page = self.page(path).await;
        (page.status.as_u16(), serde_json::from_str(&page.html).unwrap())
    }
}

async fn check_one(is_direct: bool) {
    let stage = Stage::new(is_direct, 200).await;
    let page = stage.page("/records/$G/order.o-old").await;
    assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "order.o-old"));
    assert!(page.text(".records > li").contains("placed") && page.text(".steps").contains("Placed by orders"));
    assert_eq!(page.attributes(".crumbs a", "href"), ["/records", "/records/order"]);
    for (key, status, said) in [
        (
            "order.none",
            404,
            "holds nothing under the key `order.none`: it was never written, or has outlived its time there.",
        ),
        ("order.gone", 404, "The record under the key `order.gone` was deleted "),
        ("order.odd", 404, "What the bucket `records` holds under the key `order.odd` is no record"),
        ("order.%2A", 404, "A bucket can hold nothing under the key `order.*`."),
        ("%3E", 404, "A bucket can hold nothing under the key `>`."),
        ("a%20b%0A", 404, ""),
    ] {
        let page = stage.page(&format!("/records/$G/{key}")).await;
        assert_eq!(page.status.as_u16(), status, "{key}");
        assert!(page.text("main").contains(said), "{key}: {}", page.text("main"));
    }
    let hostile = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC);
    let page = stage.page(&format!("/records/$G/{hostile}")).await;
    assert_eq!((page.status.as_u16(), page.count("main script, main img")), (404, 0), "{}", page.html);
    assert!(page.text(".gap").contains("can hold nothing under the key"), "{}", page.text(".gap"));
    let other = stage.page("/records/OTHER/order.o-old").await;
    assert!(other.text(".gap").starts_with("not visible"), "{}", other.text(".gap"));
    let mut behind = super::jetstream(&stage.server).await.get_stream("KV_records").await.unwrap();
    assert_eq!(behind.info().await.unwrap().state.consumer_count, 0, "reading leaves no consumer behind");
}

#[tokio::test]
async fn a_record_has_a_page_as_long_as_its_bucket_holds_it() {
    check_one(true).await;
}

#[tokio::test]
async fn a_record_has_a_page_where_its_bucket_allows_no_direct_get() {
    check_one(false).await;
}

#[tokio::test]
async fn records_are_searched_by_key_and_how_many_were_is_said() {
    let stage = Stage::new(true, MANY).await;
    let list = stage.page("/records/order").await;
    assert!(!list.html.contains("o-old"), "a round reads the newest alone");
    assert_eq!(list.attributes("#search-form", "action"), ["/records/order"]);
    let links = list.attributes(".records .who a", "href");
    assert_eq!(links[0], format!("/records/{ACCOUNT}/order.n-{MANY}"));
    let found = stage.page("/records/order?q=O-OLD").await;
    assert_eq!(found.attributes(".records .who a", "href"), ["/records/$G/order.o-old"]);
    assert_eq!(found.text(".searched"), "1 record; searched 1,505 of 1,505 sequences of the bucket.");
    let both = stage.page("/records?q=o-old").await;
    assert_eq!(both.count(".records > li"), 2);
    let part = stage.page("/records/order?q=n-150").await;
    assert_eq!(part.texts(".records > li").len(), 2, "n-150 and n-1500");
    let none = stage.page("/records/order?q=nowhere").await;
    assert_eq!((none.status.as_u16(), none.text(".gap")), (200, "none No record has this in its key.".to_owned()));
    let hostile = stage.page("/records/order?q=%22%27%3Cscript%3E%5B%7B%28*.%3E").await;
    assert_eq!((hostile.status.as_u16(), hostile.count("main script")), (200, 0));
    assert_eq!(hostile.text(".gap"), "none No record has this in its key.");
    let no_kind = stage.page("/records/a%20b?q=x").await;
    assert!(no_kind.text(".gap").contains("No key of a bucket begins with such a kind"), "{}", no_kind.text(".gap"));

    let (status, answer) = stage.answer("/api/v1/records/order?q=o-old").await;
    let (_, document) = stage.answer("/api/openapi.json").await;
    assert_eq!((status, faults_of(&document, "/records/{kind}", status, &answer)), (200, Vec::new()), "{answer:#}");
    assert_eq!((&answer["total"], &answer["rows"][0]["id"]), (&json!(1), &json!("o-old")));
    let (status, one) = stage.answer("/api/v1/records/$G/order.o-old").await;
    assert_eq!((status, faults_of(&document, "/records/{account}/{key}", status, &one)), (200, Vec::new()), "{one:#}");
    assert_eq!((&one["id"], &one["steps"][0]["by"]), (&json!("o-old"), &json!("orders")));
    for (key, part) in
        [("order.none", "holds nothing under"), ("order.gone", "was deleted at"), ("order.%3E", "can hold nothing")]
    {
        let (status, answer) = stage.answer(&format!("/api/v1/records/$G/{key}")).await;
        assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")), "{key}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(part), "{answer}");
    }
}

#[tokio::test]
async fn what_one_search_cannot_reach_is_said_and_a_whole_id_is_found_all_the_same() {
    let stage = Stage::new(true, 21_000).await;
    let part = stage.page("/records/order?q=-old").await;
    assert_eq!(part.count(".records > li"), 0);
    assert!(
        part.text(".searched").contains(", which is as many as one search looks into."),
        "{}",
        part.text(".searched")
    );
    assert!(part.text(".gap").contains("One whose whole id or key is given is always found."), "{}", part.text(".gap"));
    for q in ["o-old", "order.o-old"] {
        let found = stage.page(&format!("/records/order?q={q}")).await;
        assert_eq!(found.attributes(".records .who a", "href"), ["/records/$G/order.o-old"], "{q}");
    }
    let (_, answer) = stage.answer("/api/v1/records?q=-old").await;
    let missing = answer["missing"][0].as_str().unwrap();
    assert!(missing.starts_with("what is older than the 2") && missing.ends_with("account $G"), "{missing}");
}

#[tokio::test]
async fn a_journey_finds_its_records_by_their_keys() {
    let stage = Stage::new(true, 400).await;
    let page = stage.page("/journey?id=o-old").await;
    let links = page.attributes("#answer a", "href");
    for wanted in ["/records/$G/order.o-old", "/records/$G/parcel.o-old"] {
        assert!(links.contains(&wanted.to_owned()), "{wanted}: {links:?}");
        assert_eq!(stage.page(wanted).await.status, 200);
    }
    assert!(page.text("#steps").contains("Placed"), "{}", page.text("#steps"));
    stage.bucket.delete("parcel.o-old").await.unwrap();
    eventually(LIMIT, "the parcel is known no more", async || {
        let links = stage.page("/journey?id=o-old").await.attributes("#answer a", "href");
        !links.iter().any(|link| link.contains("parcel"))
    })
    .await;
    let nothing = stage.page("/journey?id=nowhere.%3E").await;
    assert_eq!(nothing.status, 200, "an id that no key can have is looked for elsewhere");
}
