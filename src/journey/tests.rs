//! Journeys out of facts, each told in a few words.

mod accounts;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    clock::Timestamp,
    peek::Stored,
    snapshot::{Contact, Letter, Letters, Reading},
    trace::{Attribute, Origin, Span, SpanId, SpanKind, SpanStatus, Trace, Value},
};

const TRACE: [u8; 16] = [0xab; 16];

fn at(millis: i64) -> Timestamp {
    let noon = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
    Timestamp(noon.0 + time::Duration::milliseconds(millis))
}

fn nanos(millis: i64) -> u64 {
    u64::try_from(at(millis).0.unix_timestamp_nanos()).unwrap()
}

/// A snapshot in which nothing is known but these dead letters.
fn world(letters: Vec<Letter>) -> Snapshot {
    let contact = Contact {
        is_connected: true,
        since: at(0),
        reason: String::new(),
        url: String::new(),
        user: None,
        server: None,
    };
    let mut snapshot = Snapshot::before_the_first(contact, Duration::from_secs(1), at(0));
    snapshot.app.name = Some("A".into());
    let total = letters.len() as u64;
    snapshot.app.dead_letters = Reading::known(Arc::new(Letters { rows: letters, total, malformed: 0 }), "test", at(0));
    snapshot
}

/// A stored message with headers, each written `name=value`.
fn kept(stream: &str, sequence: u64, millis: i64, subject: &str, headers: &[&str]) -> Kept {
    let headers = headers.iter().map(|header| header.split_once('=').unwrap());
    let message = Stored {
        sequence,
        stored: at(millis),
        subject: subject.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        payload: Bytes::from_static(b"{}"),
    };
    Kept::of("A", &stream.parse().unwrap(), message)
}

/// The header that says which span published a message.
fn by(span: u8) -> String {
    format!("traceparent=00-{}-{}-01", "ab".repeat(16), format!("{span:02x}").repeat(8))
}

/// A span: of a service, from and until so many milliseconds, with attributes written `name=value`.
fn span(id: u8, parent: u8, kind: SpanKind, service: &str, times: (i64, i64), said: &[&str]) -> Span {
    let said = said.iter().map(|pair| pair.split_once('=').unwrap());
    let value = |text: &str| match text.parse() {
        Ok(number) => Value::Number(number),
        Err(_) => Value::Text(text.to_owned()),
    };
    Span {
        id: SpanId([id; 8]),
        parent: (parent > 0).then_some(SpanId([parent; 8])),
        name: format!("{kind:?}"),
        kind,
        start: nanos(times.0),
        end: nanos(times.1),
        status: SpanStatus::Unset,
        message: String::new(),
        attributes: said.map(|(key, text)| Attribute { key: key.to_owned(), value: value(text) }).collect(),
        events: Vec::new(),
        links: Vec::new(),
        state: String::new(),
        left_out: 0,
        origin: Arc::new(Origin { service: service.to_owned(), ..Origin::default() }),
    }
}

fn failed(span: Span, why: &str) -> Span {
    Span { status: SpanStatus::Error, message: why.to_owned(), ..span }
}

/// What is known of `id`.
fn facts(id: &str, messages: Vec<Kept>, spans: Vec<Span>) -> Facts {
    let trace = Trace { id: TraceId(TRACE), spans, left_out: 0 };
    let traces = if trace.spans.is_empty() { Vec::new() } else { vec![trace] };
    Facts { id: id.to_owned(), messages, traces, ..Facts::default() }
}

/// A step in a few words, with the milliseconds since noon.
fn told(entry: &Entry, journey: &Journey) -> String {
    let millis = (entry.at.0 - at(0).0).whole_milliseconds();
    let passage = entry.passage.map(|index| &journey.passages[index]);
    let name = passage.map_or("-", Passage::name);
    let what = match &entry.what {
        What::Began { name, service, .. } => format!("{service} began {name}"),
        What::Published(_) => {
            let places = passage.into_iter().flat_map(|passage| &passage.places);
            let places: Vec<_> = places.map(|place| format!("{} {}", place.stream, place.sequence)).collect();
            let publisher = passage.and_then(|passage| passage.publisher.as_deref()).unwrap_or("?");
            let cause = passage.and_then(|passage| passage.cause).map(|cause| journey.passages[cause].name());
            let cause = cause.map(|cause| format!(" because of {cause}")).unwrap_or_default();
            let replay = passage.and_then(|passage| passage.replay.as_ref());
            let replay = replay.map(|replay| format!(" again for {}", replay.durable.as_deref().unwrap_or("?")));
            format!("{publisher} published {name} at {}{cause}{}", places.join(" and "), replay.unwrap_or_default())
        }
        What::Handled(Handling { consumer, attempt, waited, outcome, why, .. }) => {
            let attempt = attempt.map(|attempt| format!(" attempt {attempt}")).unwrap_or_default();
            let waited = waited.map(|waited| format!(" after {}", waited / 1_000_000)).unwrap_or_default();
            format!("{consumer} {outcome:?} {name}{attempt}{waited} {why}").trim_end().to_owned()
        }
        What::Waits { consumer } => format!("{consumer} waits with {name}"),
        What::Died(Death { letter, is_replayed, .. }) => {
            format!("{letter} died{}", if *is_replayed { " and was replayed" } else { "" })
        }
        What::Advised { consumer, .. } => format!("{consumer} advised of {name}"),
        What::Told { name, by, .. } => format!("{by} told {name}"),
    };
    format!("{millis} {what}{}", if entry.is_corrected { " (corrected)" } else { "" })
}

#[track_caller]
fn check(facts: &Facts, letters: Vec<Letter>, expected: &[&str]) -> Journey {
    let journey = Journey::of(facts, &world(letters));
    let lines: Vec<String> = journey.entries.iter().map(|entry| told(entry, &journey)).collect();
    assert_eq!(lines, expected);
    journey
}

const PLACED: &[&str] = &["Nats-Msg-Id=m-1", "correlation-id=o-1", "ce-type=OrderPlaced", "ce-source=storefront"];
const CHARGED: &[&str] =
    &["Nats-Msg-Id=m-2", "correlation-id=o-1", "causation-id=m-1", "ce-type=PaymentCharged", "ce-source=payments"];

fn with<'a>(headers: &[&'a str], more: &'a str) -> Vec<&'a str> {
    headers.iter().copied().chain([more]).collect()
}

fn charging(attempt: &'static str, id: u8, times: (i64, i64)) -> Span {
    let said = [
        "messaging.nats.stream=ORDERS",
        "messaging.nats.stream_sequence=42",
        "messaging.nats.consumer=charge",
        "messaging.message.id=m-1",
        attempt,
    ];
    span(id, 1, SpanKind::Consumer, "payments", times, &said)
}

#[test]
fn headers_alone_tell_who_published_what_and_what_followed() {
    let messages = vec![
        kept("PAYMENTS", 7, 90, "payments.charged.1", CHARGED),
        kept("ORDERS", 42, 0, "orders.placed.1", PLACED),
        kept("OTHER", 1, 5, "other", &["Nats-Msg-Id=m-9", "correlation-id=o-2"]),
    ];
    let lines = [
        "0 storefront published OrderPlaced at ORDERS 42",
        "90 payments published PaymentCharged at PAYMENTS 7 because of OrderPlaced",
    ];
    let journey = check(&facts("m-1", messages.clone(), Vec::new()), Vec::new(), &lines);
    assert!(journey.scope.is_message && !journey.scope.is_correlation && !journey.has_spans);
    let journey = check(&facts("o-1", messages[..2].to_vec(), Vec::new()), Vec::new(), &lines);
    assert!(!journey.scope.is_message && journey.scope.is_correlation);
    let journey = check(&facts("m-3", Vec::new(), Vec::new()), Vec::new(), &[]);
    assert!(journey.is_empty());
}

#[test]
fn spans_tell_of_each_attempt_and_of_what_no_stream_holds_any_more() {
    let (placed, charged) = (by(1), by(4));
    let messages = vec![
        kept("ORDERS", 42, 1, "orders.placed.1", &with(PLACED, &placed)),
        kept("PAYMENTS", 7, 90, "payments.charged.1", &with(CHARGED, &charged)),
    ];
    let spans = vec![
        span(9, 0, SpanKind::Server, "storefront", (-5, 10), &[]),
        span(1, 9, SpanKind::Producer, "storefront", (0, 3), &["messaging.message.id=m-1"]),
        failed(charging("streamgauge.attempt=1", 2, (20, 30)), "the provider is out"),
        charging("streamgauge.attempt=2", 3, (50, 95)),
        span(4, 3, SpanKind::Producer, "payments", (80, 92), &["messaging.message.id=m-2"]),
        // Its message is gone from its stream; nothing but its trace and its cause tell what it belongs to.
        span(
            5,
            3,
            SpanKind::Producer,
            "payments",
            (93, 94),
            &[
                "messaging.message.id=m-5",
                "messaging.destination.name=x",
                "messaging.nats.stream=PAYMENTS",
                "messaging.nats.stream_sequence=6",
            ],
        ),
        // Questions and answers are no journey of a message.
        span(6, 3, SpanKind::Producer, "payments", (60, 70), &["messaging.operation.name=request"]),
        span(7, 6, SpanKind::Consumer, "pricing", (62, 68), &[]),
        // Another message of the trace.
        span(
            8,
            9,
            SpanKind::Producer,
            "storefront",
            (7, 8),
            &["messaging.message.id=m-8", "messaging.destination.name=y"],
        ),
    ];
    let handled = [
        "20 charge Failed OrderPlaced attempt 1 after 19 the provider is out",
        "50 charge Done OrderPlaced attempt 2 after 49",
        "90 payments published PaymentCharged at PAYMENTS 7 because of OrderPlaced",
        "93 payments published x at PAYMENTS 6 because of OrderPlaced",
    ];
    let own = [&["1 storefront published OrderPlaced at ORDERS 42"], &handled[..]].concat();
    let journey = check(&facts("m-1", messages.clone(), spans.clone()), Vec::new(), &own);
    assert!(journey.has_spans && journey.clocks.is_empty());
    let before = [
        "-5 storefront began Server",
        "1 storefront published OrderPlaced at ORDERS 42",
        "7 storefront published y at ",
    ];
    let all = [&before[..], &handled].concat();
    check(&facts(&"ab".repeat(16), messages, spans), Vec::new(), &all);
}

#[test]
fn a_message_that_no_stream_holds_is_told_of_by_its_spans() {
    let spans = vec![
        span(
            1,
            0,
            SpanKind::Producer,
            "storefront",
            (0, 3),
            &["messaging.message.id=m-1", "messaging.destination.name=a"],
        ),
        charging("streamgauge.attempt=1", 2, (20, 30)),
    ];
    let journey = check(
        &facts("m-1", Vec::new(), spans),
        Vec::new(),
        &["0 storefront published a at ORDERS 42", "20 charge Done a attempt 1"],
    );
    assert_eq!(journey.passages[0].stored(), None);
}

/// The letter of a message that a consumer of `ORDERS` gave up.
fn letter(sequence: u64, id: &str, millis: i64) -> Letter {
    Letter {
        place: format!("ORDERS.charge.{sequence}").parse().unwrap(),
        subject: "orders.placed.1".to_owned(),
        message_id: Some(id.to_owned()),
        reason: "no such card".to_owned(),
        class: "rejected".to_owned(),
        attempts: Some(2),
        deliveries: Some(2),
        published: None,
        died: at(millis),
        repeat: None,
        trace_id: None,
        headers: Vec::new(),
        size: 2,
        head: Vec::new(),
        is_elsewhere: false,
    }
}

#[test]
fn a_dead_letter_and_its_replay_are_told_once() {
    let copy = [
        "dead-letter-stream=ORDERS",
        "dead-letter-consumer=charge",
        "dead-letter-sequence=42",
        "dead-letter-message-id=m-1",
        "dead-letter-time=2030-01-31T12:00:00.100Z",
        "correlation-id=o-1",
    ];
    let replay =
        ["Nats-Msg-Id=m-1r", "correlation-id=o-1", "replay-of=m-1", "replay-for=charge", "ce-type=OrderPlaced"];
    let wait = ["Nats-Msg-Id=w", "retry-message-id=m-1", "correlation-id=o-1"];
    let messages = vec![
        kept("ORDERS", 42, 0, "orders.placed.1", PLACED),
        kept("RETRIES", 3, 50, "retries.wait.ORDERS.charge.42", &wait),
        kept("DEAD_LETTERS", 1, 105, "dead.ORDERS.charge", &copy),
        kept("ORDERS", 43, 500, "orders.placed.1", &replay),
    ];
    let letters = vec![letter(42, "m-1", 100), letter(9, "m-0", 1)];
    check(
        &facts("m-1", messages.clone(), Vec::new()),
        letters.clone(),
        &[
            "0 storefront published OrderPlaced at ORDERS 42",
            "50 charge waits with OrderPlaced",
            "100 ORDERS.charge.42 died and was replayed",
            "500 ? published OrderPlaced at ORDERS 43 again for charge",
        ],
    );
    // The message itself is gone.
    check(&facts("m-1", Vec::new(), Vec::new()), letters, &["100 ORDERS.charge.42 died"]);
}

#[test]
fn a_stream_that_copies_another_tells_of_the_same_message() {
    let messages = vec![
        kept("ARCHIVE", 420, 3, "orders.placed.1", PLACED),
        kept("ORDERS", 42, 0, "orders.placed.1", PLACED),
        kept("ORDERS", 42, 0, "orders.placed.1", PLACED),
    ];
    check(
        &facts("m-1", messages, Vec::new()),
        Vec::new(),
        &["0 storefront published OrderPlaced at ORDERS 42 and ARCHIVE 420"],
    );
}

#[test]
fn a_clock_that_differs_is_said_and_corrected_by_as_little_as_must_be() {
    let placed = by(1);
    let messages = || vec![kept("ORDERS", 42, 100, "orders.placed.1", &with(PLACED, &placed))];
    let publish = |times| span(1, 0, SpanKind::Producer, "storefront", times, &["messaging.message.id=m-1"]);
    let run = |published: (i64, i64), handled: (i64, i64), expected: &str, skews: &[(&str, i64)]| {
        let spans = vec![publish(published), charging("streamgauge.attempt=1", 2, handled)];
        let first = "100 storefront published OrderPlaced at ORDERS 42";
        let journey = check(&facts("m-1", messages(), spans), Vec::new(), &[first, expected]);
        let found: Vec<(&str, i64)> =
            journey.clocks.iter().map(|skew| (skew.service.as_str(), skew.ahead_nanos / 1_000_000)).collect();
        assert_eq!(found, skews);
    };
    run((98, 103), (110, 120), "110 charge Done OrderPlaced attempt 1 after 10", &[]);
    run((98, 103), (70, 80), "100 charge Done OrderPlaced attempt 1 after 0 (corrected)", &[("payments", -30)]);
    run((150, 160), (110, 120), "110 charge Done OrderPlaced attempt 1 after 10", &[("storefront", 50)]);
    run((40, 60), (110, 120), "110 charge Done OrderPlaced attempt 1 after 10", &[("storefront", -40)]);
    // Published long before it was stored, by whoever handles it at once.
    let spans = vec![
        publish((98, 103)),
        span(2, 1, SpanKind::Consumer, "storefront", (102, 105), &["messaging.message.id=m-1"]),
        span(3, 2, SpanKind::Producer, "storefront", (40, 60), &["messaging.message.id=m-2"]),
    ];
    let messages = [messages(), vec![kept("PAYMENTS", 7, 20, "payments.charged.1", CHARGED)]].concat();
    check(
        &facts("m-1", messages, spans),
        Vec::new(),
        &[
            "20 payments published PaymentCharged at PAYMENTS 7 because of OrderPlaced",
            "100 storefront published OrderPlaced at ORDERS 42",
            "100  Done OrderPlaced after 0 (corrected)",
        ],
    );
}

#[test]
fn a_journey_without_end_is_cut_and_says_so() {
    let many = (1..=500).map(|number| {
        kept("ORDERS", number, 0, "orders.placed.1", &[&format!("Nats-Msg-Id=m-{number}"), "correlation-id=o-1"])
    });
    let journey = Journey::of(&facts("o-1", many.collect(), Vec::new()), &world(Vec::new()));
    assert_eq!((journey.entries.len(), journey.left_out), (400, 100));
}
