//! The map: who sends what, which streams hold it, who reads it and who is behind; what is not known is said, and the picture stands still.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::trace::v1::Span;
use streamgauge::{
    collector::History,
    presence::Worker,
    snapshot::{AgeBy, Ages, Consumer, Label, Oldest, Reading, Severity, Snapshot, Stream},
    traces::Traces,
    web::Settings,
};

use super::{
    facts::{consumer, count, now, presence, snapshot, stream, verdict},
    router_after,
    traces::traces,
};
use crate::support::{
    page::Page,
    spans::{request, text},
};

/// A consumer with a filter.
fn taking(stream: &str, name: &str, filter: &str) -> Consumer {
    let mut one = consumer(stream, name);
    Arc::make_mut(&mut one.config).filter_subject = filter.to_owned();
    one
}

/// The same, some minutes behind.
fn behind(mut one: Consumer, minutes: u64) -> Consumer {
    one.verdict = verdict(Label::FallingBehind, Severity::Warning, "More comes than goes.");
    let stored = now().before(Duration::from_secs(60 * minutes));
    let oldest = Oldest { sequence: Some(1), stored, by: AgeBy::Message };
    one.ages = Reading::known(Ages { unprocessed: Some(oldest), undelivered: None }, "n1", now());
    one
}

fn holding(name: &str, subjects: &[&str], consumers: Vec<Consumer>) -> Stream {
    let mut one = stream(name, consumers);
    Arc::make_mut(&mut one.config).subjects = subjects.iter().map(ToString::to_string).collect();
    one
}

/// Orders that are placed and completed, a consumer of each, and payments.
fn shop() -> Snapshot {
    let orders = vec![taking("ORDERS", "charge", "orders.placed.*"), taking("ORDERS", "mailer", "orders.completed.*")];
    let payments = vec![consumer("PAYMENTS", "track")];
    let streams = vec![holding("ORDERS", &["orders.>"], orders), holding("PAYMENTS", &["payments.>"], payments)];
    let mut bucket = presence(true);
    let pulls = Worker {
        stream: "ORDERS".parse().unwrap(),
        consumer: "mailer".parse().unwrap(),
        concurrency: 4,
        running: 1,
        handled: 7,
        failed: 0,
        p50_seconds: None,
        p99_seconds: None,
        breaker: None,
        kill_switch: None,
    };
    bucket.entries[0].value.workers = vec![pulls];
    let mut shop = Snapshot { streams: count(streams), ..snapshot() };
    shop.app.presence = Reading::known(bucket, "bucket presence", now());
    shop
}

fn span(id: u8, kind: i32, subject: &str, more: &[(&str, &str)]) -> Span {
    let attributes = more.iter().map(|(key, value)| text(key, value));
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        name: format!("of {subject}"),
        kind,
        attributes: [text("messaging.destination.template", subject)].into_iter().chain(attributes).collect(),
        ..Span::default()
    }
}

/// What the services of the shop send of themselves: all but who mails.
async fn traced() -> Traces {
    let charge = [("messaging.nats.stream", "ORDERS"), ("messaging.nats.consumer", "charge")];
    traces(vec![
        request("storefront", vec![span(1, 4, "orders.placed.*", &[]), span(2, 4, "pricing.quote", &[])]),
        request("orders", vec![span(3, 4, "orders.completed.*", &[])]),
        request("payments", vec![span(4, 5, "orders.placed.*", &charge), span(5, 4, "payments.charged.*", &[])]),
        request("pricing", vec![span(6, 5, "pricing.quote", &[("messaging.consumer.group.name", "pricing")])]),
    ])
    .await
}

async fn page_with(world: Snapshot, traces: Traces, path: &str) -> Page {
    let history = History::default();
    history.note(&world).unwrap();
    Page::of(&router_after(world, history, Settings { traces, ..Settings::default() }), path).await
}

/// The lines, as the list says them.
fn said(page: &Page) -> Vec<String> {
    let cell = |css: &str| page.texts(&format!("#connections tbody {css}"));
    let ends = cell("th a").into_iter().zip(cell("td[data-label='What it does']")).zip(cell("td.end a"));
    ends.map(|((from, verb), to)| format!("{from} {verb} {to}")).collect()
}

#[tokio::test]
async fn nothing_is_wrong_only_once_all_are_judged() {
    let mut early = taking("ORDERS", "charge", "orders.placed.*");
    early.verdict = verdict(Label::Unknown, Severity::Notice, "It was looked at in 1 round so far.");
    let orders = holding("ORDERS", &["orders.>"], vec![early, taking("ORDERS", "mailer", "orders.completed.*")]);
    let world = Snapshot { streams: count(vec![orders]), ..shop() };
    let said = page_with(world, traced().await, "/map").await.text("#verdict");
    assert!(said.ends_with(", 2 consumers; how 1 consumer stands is not known."), "{said}");
}

#[tokio::test]
async fn messages_are_followed_from_who_sends_to_who_handles() {
    let page = page_with(shop(), traced().await, "/map").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        said(&page),
        [
            "orders publishes on orders.completed.*",
            "payments publishes on payments.charged.*",
            "storefront publishes on pricing.quote",
            "storefront publishes on orders.placed.*",
            "pricing.quote is processed by pricing",
            "orders.completed.* is stored in ORDERS",
            "orders.placed.* is stored in ORDERS",
            "payments.charged.* is stored in PAYMENTS",
            "ORDERS is read by charge",
            "ORDERS is read by mailer",
            "PAYMENTS is read by track",
            "charge is processed by payments",
            "mailer is processed by mail",
        ]
    );
    assert_eq!(page.count(".sheet path"), 13, "the picture has a line for each");
    assert_eq!(page.text("#verdict"), "5 services, 2 streams, 3 consumers; nothing is wrong with any of them.");
    let mail = page.attributes("[id='to-service:mail'] a", "href");
    assert_eq!(mail, ["/services#service-mail", "/map?focus=service:mail"]);
    assert_eq!(page.attributes("[id='at-service:orders'] a", "href")[0], "/traces?service=orders");
    assert_eq!(
        page.attributes("[id='at-subject:A/orders.placed.%2A'] a", "href")[0],
        "/messages/A/ORDERS?subject=orders.placed.*"
    );
}

#[tokio::test]
async fn who_is_behind_is_said_first_and_by_how_much() {
    let mut late = shop();
    if let Reading::Known(fact) = &mut late.streams {
        let list = fact.value.rows[0].consumers.value_mut().unwrap();
        list.rows = list.rows.drain(..).map(|one| behind(one, 2)).collect();
        let mailer = &mut list.rows[1];
        mailer.verdict.severity = Severity::Critical;
    }
    let page = page_with(late, traced().await, "/map").await;
    let sentence = "5 services, 2 streams, 3 consumers; mail is behind by 2 min: mailer on ORDERS is falling behind, and 1 more consumer needs you.";
    assert_eq!(page.text("#verdict"), sentence);
    let mailer = "[id='at-consumer:A/ORDERS/mailer']";
    assert_eq!(page.text(&format!("{mailer} .said")), "falling behind · 2 min · 5.0/s");
    assert_eq!(page.count(&format!("{mailer}.critical svg.at.critical")), 1, "a mark stands beside the colour");
    assert_eq!(page.count("[id='at-stream:A/ORDERS'].critical"), 1, "a stream is as bad as its worst consumer");
    assert_eq!(page.count(".sheet path.critical"), 2, "the lines to it and behind it");
}

#[tokio::test]
async fn without_spans_it_is_not_known_who_sends_and_that_is_said() {
    let page = page_with(shop(), Traces::default(), "/map").await;
    assert_eq!(said(&page)[..2], ["orders.> is stored in ORDERS", "payments.> is stored in PAYMENTS"]);
    assert_eq!(page.texts(".sheet .none"), ["not known: no spans"]);
    assert!(page.text("#map .sources").contains("Who publishes is not known: no service has sent a span"));
    let rates = page.texts("#connections .number.unknown");
    assert_eq!(rates, ["? unknown: no service has sent a span about a message"; 3]);
    assert_eq!(
        page.count(".sheet path.unseen-rate"),
        3,
        "a line that nobody counted looks otherwise than one without messages"
    );
}

#[tokio::test]
async fn what_is_looked_at_is_shown_with_where_it_comes_from_and_goes() {
    let names = async |path: &str| {
        let page = page_with(shop(), traced().await, path).await;
        let mut names = page.texts(".sheet .name");
        names.sort();
        (names.join(" "), page.texts("#focus"))
    };
    let (charge, focus) = names("/map?focus=consumer:A/ORDERS/charge").await;
    assert_eq!(charge, "ORDERS charge orders.placed.* payments storefront");
    assert_eq!(
        focus,
        ["Only what is connected with consumer charge: where its messages come from, and where they go. More about it"]
    );
    assert_eq!(names("/map?focus=subject:/pricing.quote").await.0, "pricing pricing.quote storefront");
    assert_eq!(names("/map?focus=service:orders").await.0, "ORDERS mail mailer orders orders.completed.*");
    let payments = "ORDERS PAYMENTS charge orders.placed.* payments payments payments.charged.* storefront track";
    assert_eq!(names("/map?focus=service:payments").await.0, payments, "on both sides");
    assert_eq!(names("/map?q=TRACK").await.0, "PAYMENTS payments payments.charged.* track");
    assert_eq!(names("/map?focus=stream:A/PAYMENTS").await.0, "PAYMENTS payments payments.charged.* track");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words() {
    let gap = async |path: &str| page_with(shop(), traced().await, path).await.text("#map .gap");
    assert_eq!(
        gap("/map").await,
        "The drawing needs a wider screen; below is the same as a list.",
        "where it is hidden"
    );
    let gone = "none Nothing of that name is on the map: it is gone, or no service has told of it.";
    assert_eq!(gap("/map?focus=stream:A/GONE").await, gone);
    assert_eq!(gap("/map?q=nothing").await, "none Nothing on the map is called like that.");
}

#[tokio::test]
async fn a_copy_leads_from_one_stream_to_the_other() {
    let mut copied = shop();
    if let Reading::Known(fact) = &mut copied.streams {
        let mut copy = holding("COPY", &[], Vec::new());
        Arc::make_mut(&mut copy.config).mirror = Some(streamgauge::snapshot::Origin { name: "ORDERS".to_owned() });
        fact.value.rows.push(copy);
    }
    let page = page_with(copied.clone(), Traces::default(), "/map?focus=stream:A/COPY").await;
    assert_eq!(said(&page), ["ORDERS is copied to COPY"]);
    let page = page_with(copied, Traces::default(), "/map?focus=stream:A/ORDERS").await;
    assert!(said(&page).contains(&"ORDERS is copied to COPY".to_owned()), "{:?}", said(&page));
}

#[tokio::test]
async fn names_that_somebody_chose_to_do_harm_stay_text() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\n{{ 7 }}";
    let told = [("messaging.nats.stream", "ORDERS"), ("messaging.nats.consumer", "charge")];
    let long = "x".repeat(5_000);
    let spans =
        vec![span(1, 4, HOSTILE, &[]), span(2, 5, HOSTILE, &told), span(3, 4, &long, &[]), span(4, 4, "orders.>", &[])];
    for path in ["/map", "/map?q=%3Cimg", "/map?focus=service:%253Cimg%2520src&over=2h", "/map?focus=x:%FF"] {
        let page = page_with(shop(), traces(vec![request(HOSTILE, spans.clone())]).await, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!((page.count("script"), page.count("img"), page.count("[onerror]")), (1, 0, 0), "{path}");
        assert!(page.attributes("a", "href").iter().all(|link| link.starts_with(['/', '#'])), "{path}");
        assert!(page.html.len() < 60_000, "{path}: {} bytes", page.html.len());
    }
}

#[tokio::test]
async fn the_picture_stands_still_while_numbers_change() {
    let boxes = |page: &Page| {
        ["id", "x", "y", "height"].map(|name| page.attributes(".sheet > svg > g, .sheet > svg > g > rect", name))
    };
    let before = page_with(shop(), traced().await, "/map").await;
    let mut later = shop();
    if let Reading::Known(fact) = &mut later.streams {
        fact.value.rows[1].consumers.value_mut().unwrap().rows[0] = behind(consumer("PAYMENTS", "track"), 9);
        fact.value.rows[0].trend.as_mut().unwrap().stored = 100_000;
    }
    let after = page_with(later, traced().await, "/map").await;
    assert_eq!(boxes(&before), boxes(&after));
    assert_ne!(before.texts(".sheet .said"), after.texts(".sheet .said"));
}

#[tokio::test]
async fn of_a_thousand_streams_the_worst_are_shown_and_the_rest_is_counted() {
    let streams = (0..1_000).map(|number| {
        let name = format!("S{number:04}");
        let mut consumers: Vec<Consumer> = (0..10).map(|one| consumer(&name, &format!("c{one}"))).collect();
        if number == 777 {
            consumers[7] = behind(consumers[7].clone(), 3);
        }
        holding(&name, &[&format!("s{number}.>")], consumers)
    });
    let crowd = Snapshot { streams: count(streams.collect()), ..shop() };
    let page = page_with(crowd.clone(), traced().await, "/map").await;
    assert_eq!((page.count("g.stream"), page.count("g.consumer")), (40, 80));
    let part = page.text("#part");
    assert!(part.starts_with("Showing 40 of 1,000 streams and 80 of 10,000 consumers"), "{part}");
    assert_eq!(page.count("[id='at-consumer:A/S0777/c7']"), 1, "the worst is among them");
    assert!(page.text("#verdict").contains("c7 on S0777 is falling behind"), "{}", page.text("#verdict"));
    assert!(page.html.len() < 400_000, "{} bytes", page.html.len());
    let one = page_with(crowd, Traces::default(), "/map?focus=stream:A/S0100").await;
    assert_eq!((one.count("g.stream"), one.count("g.consumer"), one.count("#part")), (1, 10, 0));
}

#[tokio::test]
async fn a_time_that_has_passed_is_told_by_what_was_kept_of_it() {
    let page = page_with(shop(), traced().await, "/map?over=2h").await;
    assert_eq!(page.text("#map .spans [aria-current]"), "2 hours");
    assert!(page.text("#then").starts_with("Rates are the means of the last 2 hours"), "{}", page.text("#then"));
    assert_eq!(page.text("[id='at-consumer:A/ORDERS/charge'] .said"), "5.0/s · lag 5");
    let router = router_after(shop(), History::default(), Settings::default());
    let unkept = Page::of(&router, "/map?over=2h").await;
    assert_eq!(unkept.text("[id='at-consumer:A/ORDERS/charge'] .said"), "rate unknown · lag unknown");
}

#[tokio::test]
async fn a_moment_that_has_passed_is_told_by_what_was_kept_of_it() {
    let history = History::default();
    let mut before = shop();
    before.taken = now().before(Duration::from_secs(300));
    if let Reading::Known(fact) = &mut before.streams {
        let charge = &mut fact.value.rows[0].consumers.value_mut().unwrap().rows[0];
        charge.state.value_mut().unwrap().pending = 70;
    }
    history.note(&before).unwrap();
    history.note(&shop()).unwrap();
    let router = router_after(shop(), history, Settings::default());
    for (at, expected) in [
        ("2030-01-31T11:55", "5.0/s · lag 72"),
        ("2030-01-31T12:00", "5.0/s · lag 5"),
        ("2030-01-31T11:57", "rate unknown · lag unknown"),
        ("2030-01-29T11:55", "rate unknown · lag unknown"),
    ] {
        let page = Page::of(&router, &format!("/map?at={at}")).await;
        assert_eq!(page.text("[id='at-consumer:A/ORDERS/charge'] .said"), expected, "{at}");
        assert_eq!(page.attributes("#search-form [name=at]", "value"), [format!("{at}:00")]);
        assert_eq!(page.count("body[data-live]"), 0, "what has passed does not change");
    }
    let page = Page::of(&router, "/map?at=2030-02-31+12:00").await;
    assert_eq!(
        page.text("#misread"),
        "`at` is `2030-02-31 12:00`, and takes a time such as 2030-01-31T12:00, in UTC, or with a zone as RFC 3339 writes it. It is left \
         out."
    );
    assert_eq!(page.attributes("#search-form [name=at]", "value"), ["2030-02-31 12:00"]);
    assert_eq!(page.count("body[data-live]"), 1);
}

#[tokio::test]
async fn pages_of_what_is_on_the_map_lead_there() {
    for (path, href) in [
        ("/streams/A/ORDERS", "/map?focus=stream:A/ORDERS"),
        ("/consumers/A/ORDERS/mailer", "/map?focus=consumer:A/ORDERS/mailer"),
        ("/services", "/map?focus=service:mail"),
    ] {
        let page = page_with(shop(), Traces::default(), path).await;
        assert!(page.attributes("main a", "href").iter().any(|link| link == href), "{path}");
    }
}
