//! What is found: newest first over holes, on a pattern in a sparse stream, by header, from a time, and how much of it is said.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;
use streamgauge::{
    clock::Timestamp,
    peek::{Begin, End, Filter, HeaderIs, Question, Unclear},
    snapshot::{Reading, Why},
};

use super::{ACCOUNT, LIMIT, NatsServer, Observer, jetstream, newest, orders, publish, publish_with, sequences};
use crate::support::eventually;

/// Whether a stream allows direct get: its messages are read in another way where it does not.
const WAYS: [bool; 2] = [true, false];

#[tokio::test]
async fn the_newest_come_first_over_holes_and_the_way_back_leaves_none_out() {
    for allow_direct in WAYS {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        let stream = orders(&jetstream, stream::Config { allow_direct, ..Default::default() }).await;
        publish(&jetstream, 300, |number| format!("orders.{}", number % 7)).await;
        // A wide hole in the middle, and small ones everywhere.
        for sequence in
            (60..=250).chain((1..=300).filter(|sequence| sequence % 5 == 0 && !(60..=250).contains(sequence)))
        {
            stream.delete_message(sequence).await.unwrap();
        }
        let kept: Vec<u64> = (1..=300).rev().filter(|n| n % 5 != 0 && !(60..=250).contains(n)).collect();
        let observer = Observer::at(&server);
        observer.sees("ORDERS").await;
        let (mut seen, mut begin) = (Vec::new(), Begin::Newest);
        for _ in 0..20 {
            let found = observer.finds(&Question { begin, ..newest(20) }).await;
            assert_eq!(found.held.messages, kept.len() as u64);
            seen.extend(sequences(&found));
            match found.older {
                Some(before) => begin = Begin::Before(before),
                None => break,
            }
        }
        assert_eq!(seen, kept, "direct get {allow_direct}");
        let back = observer.finds(&Question { begin: Begin::From(40), ..newest(20) }).await;
        let mut expected: Vec<u64> = (40..=300).filter(|sequence| kept.contains(sequence)).take(20).collect();
        expected.reverse();
        assert_eq!((sequences(&back), back.end), (expected, End::Rows), "direct get {allow_direct}");
        assert_eq!(back.older, Some(40));
    }
}

#[tokio::test]
async fn a_pattern_is_found_in_a_sparse_stream_and_all_of_it_was_searched() {
    for allow_direct in WAYS {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        orders(&jetstream, stream::Config { allow_direct, ..Default::default() }).await;
        publish(&jetstream, 20_000, |number| {
            if [5, 6, 9_000, 19_000].contains(&number) { "orders.rare.a".to_owned() } else { "orders.usual".to_owned() }
        })
        .await;
        let observer = Observer::at(&server);
        observer.sees("ORDERS").await;
        let rare = Question { pattern: "orders.rare.*".parse().ok(), ..newest(50) };
        let all = observer.finds(&rare).await;
        assert_eq!((sequences(&all), all.end), (vec![19_000, 9_000, 6, 5], End::All), "direct get {allow_direct}");
        assert_eq!((all.searched, all.held.sequences(), all.older), (20_000, 20_000, None));
        let three = observer.finds(&Question { rows: 3, ..rare.clone() }).await;
        assert_eq!((sequences(&three), three.end), (vec![19_000, 9_000, 6], End::Rows));
        assert_eq!(
            (three.older, three.searched),
            (Some(6), 19_995),
            "what lies between the last row and the top is searched"
        );
        let rest = observer.finds(&Question { begin: Begin::Before(6), ..rare.clone() }).await;
        assert_eq!((sequences(&rest), rest.newer), (vec![5], Some(6)));
        let usual = Question { pattern: "orders.usual".parse().ok(), begin: Begin::Before(9_001), ..newest(3) };
        assert_eq!(sequences(&observer.finds(&usual).await), [8_999, 8_998, 8_997]);
        let from = Question { begin: Begin::From(6), rows: 2, ..rare.clone() };
        assert_eq!(sequences(&observer.finds(&from).await), [9_000, 6]);
        let none = observer.finds(&Question { pattern: "orders.none".parse().ok(), ..newest(50) }).await;
        assert_eq!((none.rows.len(), none.end, none.searched), (0, End::All, 20_000));
    }
}

#[tokio::test]
async fn a_dense_stretch_far_below_is_no_trouble() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
    // What is looked for is all the older half, and a single message of the newer one.
    publish(&jetstream, 20_000, |number| {
        if number <= 10_000 || number == 20_000 { "orders.a".to_owned() } else { "orders.b".to_owned() }
    })
    .await;
    let observer = Observer::at(&server);
    observer.sees("ORDERS").await;
    let found = observer.finds(&Question { pattern: "orders.a".parse().ok(), ..newest(50) }).await;
    let expected: Vec<u64> = std::iter::once(20_000).chain((9_952..=10_000).rev()).collect();
    assert_eq!((sequences(&found), found.end), (expected, End::Rows));
}

#[tokio::test]
async fn a_header_is_looked_for_within_limits_that_are_said() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
    let first = publish_with(&jetstream, "orders.1", &[("ce-type", "OrderPlaced")], b"{}".to_vec()).await;
    publish(&jetstream, 21_000, |_| "orders.2".to_owned()).await;
    let last = publish_with(&jetstream, "orders.3", &[("CE-Type", "OrderPaid")], b"{}".to_vec()).await;
    let observer = Observer::at(&server);
    observer.sees("ORDERS").await;
    let with = |header: &str| Question { header: HeaderIs::parse(header), ..newest(50) };
    let found = observer.finds(&with("ce-type")).await;
    assert_eq!((sequences(&found), found.end), (vec![last], End::Looked));
    assert!((20_000..21_002).contains(&found.searched), "{}", found.searched);
    let rest = observer.finds(&Question { begin: Begin::Before(found.older.unwrap()), ..with("ce-type") }).await;
    assert_eq!((sequences(&rest), rest.end), (vec![first], End::All), "the next search goes on where this one ended");
    let narrow = Question { pattern: "orders.3".parse().ok(), ..with("ce-type=OrderPlaced") };
    let found = observer.finds(&narrow).await;
    assert_eq!(
        (found.rows.len(), found.end, found.searched),
        (0, End::All, 21_002),
        "the server skips what is on others"
    );
}

#[tokio::test]
async fn a_filter_is_asked_of_each_message_and_what_it_cannot_judge_is_counted() {
    for allow_direct in WAYS {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        orders(&jetstream, stream::Config { allow_direct, ..Default::default() }).await;
        publish(&jetstream, 600, |number| format!("orders.{number}")).await;
        publish_with(&jetstream, "orders.text", &[], b"hello".to_vec()).await;
        let observer = Observer::at(&server);
        observer.sees("ORDERS").await;
        let asked = |filter: &str| Question { filter: Some(Filter::parse(filter).unwrap()), ..newest(50) };
        let rare = asked("body.number % 200 == 0");
        for begin in [Begin::Newest, Begin::From(1)] {
            let found = observer.finds(&Question { begin, ..rare.clone() }).await;
            assert_eq!((sequences(&found), found.end), (vec![600, 400, 200], End::All), "{begin:?}");
            let unclear = Unclear { count: 1, why: "its payload is no JSON".to_owned() };
            assert_eq!((found.searched, found.unclear), (601, Some(unclear)), "{begin:?}");
        }
        let two = observer.finds(&Question { rows: 2, ..rare.clone() }).await;
        assert_eq!((sequences(&two), two.end, two.older), (vec![600, 400], End::Rows, Some(400)));
        let rest = observer.finds(&Question { begin: Begin::Before(400), ..rare }).await;
        assert_eq!((sequences(&rest), rest.unclear), (vec![200], None));
        let one = observer.finds(&asked(r#"subject == "orders.7" && sequence == 7u"#)).await;
        assert_eq!((sequences(&one), one.unclear), (vec![7], None), "what asks of no body reads none");
    }
}

#[tokio::test]
async fn a_time_is_found_wherever_messages_are_missing() {
    for allow_direct in WAYS {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        let stream = orders(&jetstream, stream::Config { allow_direct, ..Default::default() }).await;
        publish(&jetstream, 200, |_| "orders.1".to_owned()).await;
        let observer = Observer::at(&server);
        observer.sees("ORDERS").await;
        let times: Vec<Timestamp> = {
            let all = observer.finds(&newest(200)).await;
            all.rows.iter().rev().map(|row| row.stored).collect()
        };
        for sequence in 101..=150 {
            stream.delete_message(sequence).await.unwrap();
        }
        let since = async |at: Timestamp| {
            let found = observer.finds(&Question { begin: Begin::At(at), ..newest(1) }).await;
            sequences(&found).first().copied()
        };
        // The first of those that were stored at the same time.
        let first = |time: Timestamp| times.iter().position(|stored| *stored >= time).unwrap() as u64 + 1;
        for sequence in [1, 2, 77, 100, 151, 200] {
            let at = times[sequence as usize - 1];
            assert_eq!(since(at).await, Some(first(at)), "{sequence}, direct get {allow_direct}");
        }
        assert_eq!(since(times[120]).await, Some(151), "what was removed is passed over");
        assert_eq!(since(times[199].after(Duration::from_secs(1))).await, None);
        assert_eq!(since(Timestamp::parse("2000-01-01T00:00:00Z").unwrap()).await, Some(1));
    }
}

#[tokio::test]
async fn one_message_knows_its_neighbours() {
    for allow_direct in WAYS {
        let server = NatsServer::start().await;
        let jetstream = jetstream(&server).await;
        let stream = orders(&jetstream, stream::Config { allow_direct, ..Default::default() }).await;
        publish(&jetstream, 30, |_| "orders.1".to_owned()).await;
        for sequence in 5..=20 {
            stream.delete_message(sequence).await.unwrap();
        }
        let observer = Observer::at(&server);
        observer.sees("ORDERS").await;
        let one = async |sequence| {
            let reading = observer.reader.one(ACCOUNT, &"ORDERS".parse().unwrap(), sequence).await;
            let one = reading.value().unwrap_or_else(|| panic!("{reading:?}"));
            (one.message.as_ref().map(|message| message.sequence), one.older, one.newer)
        };
        assert_eq!(one(1).await, (Some(1), None, Some(2)));
        assert_eq!(one(4).await, (Some(4), Some(3), Some(21)));
        assert_eq!(one(21).await, (Some(21), Some(4), Some(22)));
        assert_eq!(one(10).await, (None, Some(4), Some(21)));
        assert_eq!(one(30).await, (Some(30), Some(29), None));
        assert_eq!(one(31).await, (None, Some(30), None));
        assert_eq!(one(0).await.0, None);
    }
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let mut server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, stream::Config::default()).await;
    let observer = Observer::at(&server);
    let before = Observer::start(streamgauge::config::NatsConfig {
        url: Some("nats://127.0.0.1:1".to_owned()),
        ..Default::default()
    });
    observer.sees("ORDERS").await;
    let why = |reading: Reading<_>| match reading {
        Reading::Unknown { why, reason } => (why, reason),
        other => panic!("{other:?}"),
    };
    let (kind, reason) = why(observer.reader.find("OTHER", &newest(1)).await);
    assert_eq!(kind, Why::Hidden);
    assert!(reason.contains("needs a user in account OTHER"), "{reason}");
    let lost = Question { stream: "LOST".parse().unwrap(), ..newest(1) };
    assert_eq!(why(observer.reader.find(ACCOUNT, &lost).await).0, Why::Absent);
    assert_eq!(
        why(before.reader.find(ACCOUNT, &newest(1)).await),
        (Why::NotYet, "NATS has not answered yet".to_owned())
    );
    let empty = observer.finds(&newest(50)).await;
    assert_eq!(
        (empty.rows.len(), empty.end, empty.held.sequences(), empty.older, empty.newer),
        (0, End::All, 0, None, None)
    );
    server.freeze();
    let (kind, reason) = why(observer.reader.find(ACCOUNT, &newest(1)).await);
    server.thaw();
    assert_eq!(kind, Why::Failed);
    assert!(reason.contains("within 3 s") || reason.contains("busy"), "{reason}");
    server.kill().await;
    eventually(LIMIT, "the reader knows that its connection is lost", async || {
        let asked = Instant::now();
        let (kind, reason) = why(observer.reader.find(ACCOUNT, &newest(1)).await);
        let is_lost = kind == Why::Failed && reason.contains("the connection to NATS is lost");
        let is_at_once = asked.elapsed() < Duration::from_secs(1);
        if is_lost && is_at_once { Ok(()) } else { Err((reason, asked.elapsed())) }
    })
    .await;
}

#[tokio::test]
async fn more_than_two_readings_wait_and_are_told_so_when_it_takes_too_long() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
    publish(&jetstream, 10, |_| "orders.1".to_owned()).await;
    let observer = Observer::at(&server);
    observer.sees("ORDERS").await;
    let question = newest(5);
    let ask = || observer.reader.find(ACCOUNT, &question);
    let all = futures_util::future::join_all((0..8).map(|_| ask())).await;
    assert!(all.iter().all(|reading| reading.fresh().is_some()), "short readings wait for each other: {all:?}");
    server.freeze();
    let all = futures_util::future::join_all((0..3).map(|_| ask())).await;
    server.thaw();
    let busy =
        all.iter().filter(|reading| reading.reason().is_some_and(|reason| reason.contains("others are reading")));
    assert_eq!(busy.count(), 1, "{all:?}");
}

#[tokio::test]
async fn large_messages_are_read_within_the_bytes_of_a_reading() {
    let server = NatsServer::start().await;
    let jetstream = jetstream(&server).await;
    orders(&jetstream, stream::Config { allow_direct: true, ..Default::default() }).await;
    for _ in 0..40 {
        publish_with(&jetstream, "orders.1", &[], vec![b'x'; 900_000]).await;
    }
    let observer = Observer::at(&server);
    observer.sees("ORDERS").await;
    let found = observer.finds(&newest(50)).await;
    let expected: Vec<u64> = (1..=40).rev().take(found.rows.len()).collect();
    assert_eq!((sequences(&found), found.end), (expected, End::Bytes));
    assert!((8..=21).contains(&found.rows.len()), "{}", found.rows.len());
    assert_eq!(found.older, found.rows.last().map(|row| row.sequence));
}
