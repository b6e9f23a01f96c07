//! The page of consumers, and that of one.

use std::{sync::Arc, time::Duration};

use streamgauge::{
    presence::Worker,
    snapshot::{
        AgeBy, Ages, Cluster, Consumer, ConsumerTrend, Failures, Finding, Label, Oldest, Reading, Replica, Severity,
        Snapshot,
    },
};

use super::{
    facts::{consumer, count, now, presence, snapshot, stream, verdict},
    page_of,
};

/// Ten streams of twelve consumers: a few in trouble, the last stream in another account.
fn many() -> Snapshot {
    let streams = (0..10).map(|number| {
        let name = format!("S{number}");
        let mut stream = stream(&name, (0..12).map(|of| consumer(&name, &format!("c{of:02}"))).collect());
        if let Reading::Known(list) = &mut stream.consumers {
            let rows = &mut list.value.rows;
            if number == 3 {
                rows[5].verdict = verdict(Label::Stopped, Severity::Critical, "Nothing moves.");
                rows[6].verdict = verdict(Label::NoWorkers, Severity::Warning, "Nobody pulls.");
            }
            if number == 9 {
                rows.iter_mut().for_each(|row| row.account = "B".into());
            }
        }
        if number == 9 {
            stream.account = "B".into();
        }
        stream
    });
    Snapshot { streams: count(streams.collect()), ..snapshot() }
}

#[tokio::test]
async fn the_worst_come_first_fifty_a_page() {
    let page = page_of(many(), "/consumers").await;
    let names = page.texts("#consumers tbody th");
    assert_eq!((names.len(), &*names[0], &*names[1]), (50, "c05", "c06"));
    assert_eq!(page.text("#consumer\\.A\\.S3\\.c05 .state"), "stopped for 0 s");
    assert_eq!(page.text("#consumer\\.A\\.S3\\.c05\\.why"), "Nothing moves");
    assert_eq!(page.texts(".choices a"), ["all 120", "stopped 1", "no workers 1", "ok 118"]);
    assert_eq!(page.text(".pager"), "1 to 50 of 120 consumers Next");
    let last = page_of(many(), "/consumers?page=3").await;
    assert_eq!(
        (last.count("#consumers tbody th"), last.text(".pager")),
        (20, "101 to 120 of 120 consumers Before".to_owned())
    );
    let behind = page_of(many(), "/consumers?page=99").await;
    assert_eq!(behind.text(".pager"), last.text(".pager"), "behind the last page there is the last");
    let said = "no such page There is no page 99: the list has 3 pages. What is shown is page 3.";
    assert_eq!(behind.text("#consumers .gap"), said);
    assert_eq!(last.count("#consumers .gap"), 0);
}

async fn check(address: &str, rows: usize, first: &str) {
    let page = page_of(many(), address).await;
    let found = page.texts("#consumers tbody tr th, #consumers tbody .reads");
    let first_row = found.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ");
    let said = page.text(".pager span");
    assert!(first_row.starts_with(first), "{address}: {first_row}");
    let all = said.rsplit_once(" of ").map_or(said.as_str(), |(_, all)| all);
    assert_eq!(all.split(' ').next(), Some(&*rows.to_string()), "{address}: {said}");
}

#[tokio::test]
async fn a_list_is_narrowed_and_sorted_by_its_address() {
    check("/consumers?label=no_workers", 1, "c06 S3").await;
    check("/consumers?q=s3", 12, "c05 S3").await;
    check("/consumers?q=S3&sort=name", 12, "c00 S3").await;
    check("/consumers?account=B", 12, "c00 S9").await;
    check("/consumers?account=A&stream=S9", 0, "").await;
    check("/consumers?stream=S3&label=ok", 10, "c00 S3").await;
    check("/consumers?sort=name", 120, "c00 S0").await;
    let none = page_of(many(), "/consumers?q=nowhere").await;
    assert_eq!(none.text("#consumers .gap"), "none No consumer is like that.");
    assert_eq!(none.attributes("#q", "value"), ["nowhere"]);
    let labels = page_of(many(), "/consumers?q=S3&label=ok").await;
    assert_eq!(labels.texts(".choices a"), ["all 12", "stopped 1", "no workers 1", "ok 10"]);
    assert_eq!(labels.texts(".choices [aria-current]"), ["ok 10"]);
    assert!(labels.attributes(".choices a", "href").contains(&"/consumers?q=S3&label=stopped".to_owned()));
}

/// A consumer with all there is to tell of one.
fn told() -> Snapshot {
    let mut one = consumer("ORDERS", "reserve");
    one.verdict = verdict(Label::Stuck, Severity::Critical, "Message 43 is delivered again and again.");
    one.verdict.evidence = vec!["the ack floor stands at 42".to_owned()];
    one.verdict.next_step = "Look at message 43.".into();
    one.verdict.since = now().before(Duration::from_secs(90));
    let oldest = Oldest { sequence: Some(43), stored: now().before(Duration::from_secs(120)), by: AgeBy::Message };
    let ages = Ages { unprocessed: Some(oldest), undelivered: None };
    one.ages = Reading::known(ages, "n2", now());
    let failures = Failures { exhausted: 2, terminated: 1, sequences: vec![41, 40], ..Failures::default() };
    one.failures = Reading::known(failures, "stream ADVISORIES", now());
    let replica = Replica {
        name: "n3".to_owned(),
        is_current: false,
        is_offline: false,
        is_silent: false,
        heard_ago: Some(Duration::from_secs(1)),
        behind: 7,
        last_sequence: None,
    };
    if let Reading::Known(fact) = &mut one.state {
        fact.value.cluster = Some(Cluster { leader: Some("n2".to_owned()), replicas: vec![replica] });
    }
    let mut all = snapshot();
    all.streams = count(vec![stream("ORDERS", vec![one])]);
    let mut instances = presence(true);
    instances.entries[0].value.workers = vec![Worker {
        stream: "ORDERS".parse().unwrap(),
        consumer: "reserve".parse().unwrap(),
        concurrency: 8,
        running: 3,
        handled: 1_000,
        failed: 2,
        p50_seconds: Some(0.012),
        p99_seconds: Some(45.0),
        breaker: Some("open".to_owned()),
        kill_switch: None,
    }];
    all.app.presence = Reading::known(instances, "bucket presence", now());
    all.findings = vec![Arc::new(Finding {
        check: "ack_wait_under_p99",
        severity: Severity::Warning,
        account: None,
        about: "consumer reserve of stream ORDERS".to_owned(),
        sentence: "Handlers take longer than ack_wait".to_owned(),
        evidence: "99 of 100 handlers take up to 45 s".to_owned(),
        next_step: "raise ack_wait".to_owned(),
        since: None,
    })];
    all
}

#[tokio::test]
async fn who_asks_for_messages_is_a_number_and_who_listens_is_not() {
    let said = async |deliver_subject: &str, waiting, has_listener| {
        let mut one = consumer("ORDERS", "reserve");
        Arc::make_mut(&mut one.config).deliver_subject = deliver_subject.to_owned();
        if let Reading::Known(fact) = &mut one.state {
            (fact.value.waiting, fact.value.has_listener) = (waiting, has_listener);
        }
        let streams = count(vec![stream("ORDERS", vec![one])]);
        page_of(Snapshot { streams, ..snapshot() }, "/consumers/A/ORDERS/reserve").await.text("#figure-waiting")
    };
    assert_eq!(said("", 1, false).await, "Waiting 1 pull request");
    assert_eq!(said("", 4, false).await, "Waiting 4 pull requests");
    assert_eq!(said("inbox", 0, false).await, "Listeners none where it sends messages");
    assert_eq!(said("inbox", 0, true).await, "Listeners some where it sends messages");
}

#[tokio::test]
async fn a_consumer_says_what_is_wrong_since_when_how_we_know_and_what_to_do() {
    let page = page_of(told(), "/consumers/A/ORDERS/reserve").await;
    assert_eq!(page.text("h1"), "reserve");
    assert_eq!(page.text("#verdict .sentence"), "Stuck for 1 min 30 s. Message 43 is delivered again and again.");
    assert_eq!(page.texts("#verdict li"), ["the ack floor stands at 42"]);
    assert_eq!(page.text("#verdict .next"), "What to do Look at message 43.");
    assert_eq!(page.text("#figure-lag dd"), "5 pending and ack pending");
    assert_eq!(page.text("#figure-ack-pending dd"), "2 of 100 delivered, not yet acked");
    assert_eq!(page.text("#figure-oldest dd"), "2 min age of the message");
    assert_eq!(page.text("#numbers .sources"), "Counts read just now from n1. Ages read just now from n2.");
    assert!(page.text("#failures").contains("3 messages given up: 2 after the last delivery allowed, 1 terminated"));
    assert_eq!(page.text("#config .findings b"), "Handlers take longer than ack_wait");
    assert_eq!(page.texts("#replicas td")[..2], ["behind", "7 operations"]);
}

#[tokio::test]
async fn a_lag_that_shrinks_says_when_it_is_gone() {
    for (before, expected) in [(13, "600 ms"), (4, "6 s"), (3, "never"), (0, "never")] {
        let mut one = consumer("ORDERS", "reserve");
        one.trend = one.trend.map(|trend| ConsumerTrend { pending_before: before, ..trend });
        let page = page_of(
            Snapshot { streams: count(vec![stream("ORDERS", vec![one])]), ..snapshot() },
            "/consumers/A/ORDERS/reserve",
        )
        .await;
        assert_eq!(page.text("#figure-drained .number"), expected, "from {before} to 3 in 2 s");
    }
}

/// What a consumer's page says of its oldest message, of the first loss, and of the rates.
async fn check_ages(by: AgeBy, pending_before: u64, expected: [&str; 5]) {
    let mut one = consumer("ORDERS", "reserve");
    let oldest = Oldest { sequence: None, stored: now().before(Duration::from_secs(150)), by };
    one.ages = Reading::known(Ages { unprocessed: Some(oldest), undelivered: Some(oldest) }, "n2", now());
    let arrived = 13_u64.saturating_sub(pending_before);
    one.trend = one.trend.map(|trend| ConsumerTrend { pending_before, arrived, acked: 0, passed: 0, ..trend });
    let all = Snapshot { streams: count(vec![stream("ORDERS", vec![one])]), ..snapshot() };
    let page = page_of(all.clone(), "/consumers/A/ORDERS/reserve").await;
    let figures =
        ["oldest", "undelivered", "loss", "arrived", "drain"].map(|id| page.text(&format!("#figure-{id} dd .number")));
    assert_eq!(figures, expected.map(str::to_owned));
    let row = page_of(all, "/consumers").await;
    assert_eq!(row.text("#consumer\\.A\\.ORDERS\\.reserve [data-label=Oldest]"), expected[0]);
}

#[tokio::test]
async fn ages_are_exact_or_about_and_rates_say_what_comes_and_what_goes() {
    check_ages(AgeBy::Message, 3, ["2 min 30 s", "2 min 30 s", "1 h 9 min", "5.0/s", "0/s"]).await;
    let about = "about 2 min 30 s";
    check_ages(AgeBy::Estimate, 1, [about, about, "1 h 9 min", "6.0/s", "\u{2212}1.0/s"]).await;
}

#[tokio::test]
async fn what_was_given_up_handed_back_and_removed_is_told_although_lag_is_nothing() {
    let mut one = consumer("ORDERS", "reserve");
    let failures = Failures { removed: 2, copies: Some(1), naks: 9, ..Failures::default() };
    one.failures = Reading::known(failures, "stream ADVISORIES", now());
    let all = Snapshot { streams: count(vec![stream("ORDERS", vec![one])]), ..snapshot() };
    let page = page_of(all, "/consumers/A/ORDERS/reserve").await;
    let said = "removed in flight No advisory says that it gave up a message. In the last rounds its stream removed 2 messages \
                that it had in flight. Its workers handed messages back 9 times. 1 dead letter of it waits for somebody to look at.";
    assert_eq!(page.text("#failures .gap"), said);
    assert_eq!(page.attributes("#failures a", "href"), ["/dead-letters"]);
}

#[tokio::test]
async fn dead_letters_that_nobody_could_count_are_not_told_as_none() {
    let given_up = async |copies| {
        let mut one = consumer("ORDERS", "reserve");
        one.failures = Reading::known(Failures { copies, ..Failures::default() }, "stream ADVISORIES", now());
        let all = Snapshot { streams: count(vec![stream("ORDERS", vec![one])]), ..snapshot() };
        page_of(all, "/consumers/A/ORDERS/reserve").await.text("#failures .gap")
    };
    let none = "No advisory says that it gave up a message.";
    assert_eq!(given_up(Some(0)).await, format!("none {none}"));
    let unknown = "How many dead letters of it wait is not known: nobody tells what stream DEAD_LETTERS holds.";
    assert_eq!(given_up(None).await, format!("not known {none} {unknown}"));
}

#[tokio::test]
async fn what_the_server_gave_up_has_a_next_step_that_any_nats_knows() {
    let mut one = consumer("BILLS", "print");
    let failures = Failures { exhausted: 1, copies: Some(0), sequences: vec![93], ..Failures::default() };
    one.failures = Reading::known(failures, "stream ADVISORIES", now());
    let all = Snapshot { streams: count(vec![stream("BILLS", vec![one])]), ..snapshot() };
    let page = page_of(all, "/consumers/A/BILLS/print").await;
    let given_up = &page.texts("#failures .gap")[0];
    assert!(given_up.ends_with("0 terminated by a worker. Lag does not count it."), "{given_up}");
    let step = page.text("#failures .step");
    for part in
        ["nats stream get BILLS 93", "publish it again", "nats stream rmm BILLS 93", "deleted, or acked after all"]
    {
        assert!(step.contains(part), "{part}: {step}");
    }
    assert!(!step.contains("dlq"), "there is no stream of dead letters: {step}");
}

#[tokio::test]
async fn a_consumers_workers_are_held_against_its_ack_wait() {
    let page = page_of(told(), "/consumers/A/ORDERS/reserve").await;
    let cells = page.texts("#workers tbody td");
    assert_eq!(cells[..5], ["3 of 8", "1,000", "2", "12 ms", "45.0 s"]);
    assert_eq!(cells[5], "over ack wait of 30 s breaker open");
    let nobody = page_of(snapshot(), "/consumers/A/ORDERS/reserve").await;
    assert!(nobody.text("#workers .gap").starts_with("none No instance says of itself"), "{}", nobody.html);
}

#[tokio::test]
async fn a_number_can_be_asked_for_by_other_means() {
    let page = page_of(told(), "/consumers/A/ORDERS/reserve").await;
    let texts = page.texts("#equivalents code[data-copy]");
    for expected in [
        "nats consumer info ORDERS reserve",
        "nats request '$JS.API.CONSUMER.INFO.ORDERS.reserve' ''",
        r#"nats_consumer_num_pending{account="A", stream_name="ORDERS", consumer_name="reserve"}"#,
        r#"streamgauge_consumer_lag_age_seconds{account="A", stream_name="ORDERS", consumer_name="reserve"}"#,
    ] {
        assert!(texts.iter().any(|text| text == expected), "{expected} in {texts:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_is_gone_is_not_found_and_one_that_is_unknown_is_not_gone() {
    let gone = page_of(snapshot(), "/consumers/A/ORDERS/nobody").await;
    assert_eq!((gone.status.as_u16(), gone.text("h1")), (404, "nobody".to_owned()));
    assert!(gone.text(".gap").contains("There is no consumer nobody on stream ORDERS"), "{}", gone.html);
    assert_eq!(page_of(snapshot(), "/consumers/B/ORDERS/reserve").await.status, 404, "another account");
    let mut unread = snapshot();
    unread.streams = super::failed();
    let page = page_of(unread, "/consumers/A/ORDERS/reserve").await;
    assert_eq!(page.status, 200);
    assert!(page.text(".gap").contains("the dog ate it"), "{}", page.html);
}

#[tokio::test]
async fn the_overview_names_the_consumers_that_need_somebody() {
    let page = page_of(told(), "/").await;
    assert_eq!(page.text("h1"), "critical: 1 consumer needs you");
    assert_eq!(page.text("title"), "1 consumer needs you · Streamgauge");
    let [detail, finding] = page.texts("#headline .details li").try_into().unwrap();
    assert!(detail.starts_with("reserve on ORDERS stuck for 1 min 30 s Message 43"), "{detail}");
    assert!(detail.contains("Look at message 43.") && detail.contains("the ack floor stands at 42"), "{detail}");
    assert!(finding.starts_with("consumer reserve of stream ORDERS Handlers take longer"), "{finding}");
    assert_eq!(page.texts("#severities a"), ["all 1", "critical 0", "warning 1", "notice 0"]);
    let links = page.attributes("#headline a", "href");
    assert_eq!(links, ["/consumers/A/ORDERS/reserve", "/findings"]);
}

#[tokio::test]
async fn ten_thousand_consumers_are_a_page_like_any_other() {
    let streams = (0..1_000).map(|number| {
        let name = format!("S{number}");
        stream(&name, (0..10).map(|of| consumer(&name, &format!("c{of}"))).collect::<Vec<Consumer>>())
    });
    let all = Arc::new(Snapshot { streams: count(streams.collect()), ..snapshot() });
    let (_sender, snapshots) = tokio::sync::watch::channel(all);
    let router = super::router(snapshots, None);
    for address in ["/", "/consumers", "/consumers?q=S99&sort=lag", "/streams"] {
        let page = crate::support::page::Page::of(&router, address).await;
        assert_eq!(page.status, 200, "{address}");
        assert!(page.html.len() < 200_000, "{address}: {} bytes", page.html.len());
    }
}

#[tokio::test]
async fn what_is_searched_for_may_be_an_id_and_its_journey_is_one_step_away() {
    let id = "019a6f3e-0001-7000-8000-000000000001";
    let page = page_of(many(), &format!("/consumers?q={id}")).await;
    assert_eq!(page.text("#consumers .gap"), "none No consumer is like that.");
    assert_eq!(page.attributes("#journey a", "href"), [format!("/journey?id={id}")]);
    assert_eq!(page_of(many(), &format!("/journey?id={id}")).await.text("h1"), format!("Journey of {id}"));
    assert_eq!(page_of(many(), "/consumers").await.count("#journey"), 0);
    let alone = page_of(many(), "/journey").await;
    assert_eq!((alone.status.as_u16(), alone.count("#follow input[name=id]")), (200, 1));
    assert!(alone.text(".lead").starts_with("One time line of a message or of all that belongs together"));
    assert!(page_of(many(), "/traces").await.attributes("header a", "href").contains(&"/journey".to_owned()));
}
