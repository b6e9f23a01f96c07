//! The page of streams, and that of one.

use std::{sync::Arc, time::Duration};

use streamgauge::snapshot::{
    ConsumerTrend, Discard, Label, Origin, Reading, Severity, Snapshot, Stream, StreamConfig, StreamTrend,
};

use super::{
    facts::{consumer, count, now, snapshot, stream, verdict},
    page_of,
};

fn with(mut stream: Stream, change: impl FnOnce(&mut StreamConfig)) -> Stream {
    change(Arc::make_mut(&mut stream.config));
    stream
}

fn world(streams: Vec<Stream>) -> Snapshot {
    Snapshot { streams: count(streams), ..snapshot() }
}

#[tokio::test]
async fn streams_are_a_table_those_with_trouble_first_and_buckets_last() {
    let mut troubled = consumer("ZEBRA", "track");
    troubled.verdict = verdict(Label::NoWorkers, Severity::Critical, "Nobody pulls.");
    let all =
        world(vec![stream("KV_stock", Vec::new()), stream("ORDERS", Vec::new()), stream("ZEBRA", vec![troubled])]);
    let page = page_of(all.clone(), "/streams").await;
    assert_eq!(page.texts("#streams tbody th"), ["ZEBRA", "ORDERS", "KV_stock key-value"]);
    let cells = page.texts("#stream\\.A\\.ZEBRA td");
    let expected =
        ["orders.>", "1,234", "56 kB", "5 % of 1.0 MB", "5.0/s", "1 no workers", "just now", "n1", "just now"];
    assert_eq!(cells, expected);
    let found = page_of(all.clone(), "/streams?q=stock").await;
    assert_eq!(found.texts("#streams tbody th"), ["KV_stock key-value"]);
    let sorted = page_of(all, "/streams?sort=name").await;
    assert_eq!(sorted.texts("#streams tbody th"), ["KV_stock key-value", "ORDERS", "ZEBRA"]);
}

#[tokio::test]
async fn the_overview_leads_to_more_streams_where_there_are_more() {
    let orders = stream("ORDERS", Vec::new());
    let more = async |streams| page_of(world(streams), "/").await.texts("#streams .more a");
    assert_eq!(more(vec![orders.clone(), stream("KV_stock", Vec::new())]).await, ["All 2 streams, buckets included"]);
    assert!(more(vec![orders]).await.is_empty(), "all are shown");
}

#[tokio::test]
async fn a_stream_shows_its_limits_and_when_it_will_be_full() {
    let mut filling = with(stream("ORDERS", vec![consumer("ORDERS", "reserve")]), |config| {
        config.max_msgs = 2_000;
        config.discard = Discard::New;
    });
    filling.trend = Some(StreamTrend { over: Duration::from_secs(2), stored: 10, removed: 0, grown_bytes: 9_440 });
    let page = page_of(world(vec![filling]), "/streams/A/ORDERS").await;
    assert_eq!(page.text("h1"), "ORDERS");
    let limits = page.texts("#limits dd");
    assert_eq!(
        limits[0],
        "61 % used, 1,234 of 2,000, full in about 2 min 33 s at this rate, then it refuses new messages"
    );
    assert_eq!(
        limits[1],
        "5 % used, 56 kB of 1.0 MB, full in about 3 min 20 s at this rate, then it refuses new messages"
    );
    assert_eq!(limits[2], "0 % used, 0 ms of 1 d");
    assert!(page.text("#limits header").contains("kept for 1 d, up to 1.0 MB, up to 2,000 messages"));
    assert_eq!(page.texts("#consumers tbody th"), ["reserve"]);
}

#[tokio::test]
async fn a_stream_says_which_consumer_it_will_take_messages_from_the_soonest_first() {
    let slow = |name: &str, floor: u64| {
        let mut slow = consumer("ORDERS", name);
        slow.trend = slow.trend.map(|trend| ConsumerTrend { acked: 0, passed: 0, ..trend });
        if let Reading::Known(fact) = &mut slow.state {
            (fact.value.ack_floor_stream_sequence, fact.value.pending) = (floor, 1_234 - floor);
        }
        slow
    };
    let rows = vec![slow("audit", 1_000), slow("mailer", 200), consumer("ORDERS", "reserve")];
    let full = with(stream("ORDERS", rows), |config| (config.max_msgs, config.max_bytes) = (2_000, -1));
    let page = page_of(world(vec![full]), "/streams/A/ORDERS").await;
    let losses = page.texts("#losses li");
    let expected = [
        "soon At this rate max_msgs removes the first message that mailer has not processed in about 3 min 13 s. \
         It has 1,036 messages to process.",
        "soon At this rate max_msgs removes the first message that audit has not processed in about 5 min 53 s. \
         It has 236 messages to process.",
    ];
    assert_eq!(losses, expected);
    assert_eq!(page.attributes("#losses a", "href")[0], "/consumers/A/ORDERS/mailer");
    let well = page_of(snapshot(), "/streams/A/ORDERS").await;
    assert_eq!(well.count("#losses"), 0, "{}", well.html);
}

#[tokio::test]
async fn a_stream_says_where_its_messages_come_from() {
    let copy = with(stream("COPY", Vec::new()), |config| {
        config.subjects = Vec::new();
        config.mirror = Some(Origin { name: "ORDERS".to_owned() });
        config.sources = vec![Origin { name: "ELSEWHERE".to_owned() }];
    });
    let page = page_of(world(vec![stream("ORDERS", Vec::new()), copy]), "/streams/A/COPY").await;
    assert_eq!(page.text("#config a[href='/streams/A/ORDERS']"), "ORDERS");
    assert!(page.text("#config").contains("Gathers from ELSEWHERE"), "{}", page.html);
    assert_eq!(page.text("#consumers .gap"), "none Nobody has made a consumer on it.");
}

#[tokio::test]
async fn a_stream_that_is_gone_is_not_found() {
    let page = page_of(snapshot(), "/streams/A/LOST").await;
    assert_eq!(page.status, 404);
    assert!(page.text(".gap").contains("There is no stream LOST in account A any more."));
}

#[tokio::test]
async fn what_is_old_of_a_stream_says_so() {
    let mut old = stream("ORDERS", Vec::new());
    old.state = super::failed().or_last(&Reading::known(old.state.value().unwrap().clone(), "n1", now()));
    let page = page_of(world(vec![old]), "/streams/A/ORDERS").await;
    assert!(
        page.text("#numbers .sources").starts_with("Counts old: read just now from n1"),
        "{}",
        page.text("#numbers .sources")
    );
    // A paragraph in a paragraph would end it.
    assert_eq!(page.text("#numbers .sources"), "Counts old: read just now from n1. The dog ate it.");
}

#[tokio::test]
async fn what_bounds_a_stream_without_limits_on_messages_is_said() {
    let age = with(stream("AGED", Vec::new()), |config| config.max_bytes = -1);
    let newest = with(stream("NEWEST", Vec::new()), |config| {
        (config.max_bytes, config.max_msgs_per_subject) = (-1, 2);
        config.max_age = Duration::ZERO;
    });
    let page = page_of(world(vec![age, newest]), "/streams").await;
    assert_eq!(page.texts("#streams [data-label='Fullest limit']"), ["kept for 1 d", "2 a subject"]);
}

#[tokio::test]
async fn of_two_that_are_critical_the_one_that_loses_messages_comes_first() {
    let with_verdict = |name: &str, label| {
        let mut one = consumer(name, "track");
        one.verdict = verdict(label, Severity::Critical, "It is bad.");
        stream(name, vec![one])
    };
    let all = world(vec![with_verdict("A", Label::NoWorkers), with_verdict("B", Label::Losing)]);
    assert_eq!(page_of(all, "/streams").await.texts("#streams tbody th"), ["B", "A"]);
}
