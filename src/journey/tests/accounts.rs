//! Accounts have streams of one name, and what is told of one is not told of the other.

use super::*;
use crate::{
    advisory::{Advisory, Kind},
    snapshot::{Advisories, Watched},
};

/// Two accounts, each with a stream `ORDERS` and a stream of dead letters; what is told is told in the second.
fn two_worlds() -> Snapshot {
    let mut snapshot = world(Vec::new());
    let mut other = Watched::before_the_first(snapshot.app.contact.clone());
    other.name = Some("B".into());
    let letters = Letters { rows: vec![letter(42, "m-2", 100)], total: 1, malformed: 0 };
    other.dead_letters = Reading::known(Arc::new(letters), "test", at(0));
    let advisory = Advisory {
        id: "1".to_owned(),
        time: at(110),
        kind: Kind::Exhausted,
        account: "B".into(),
        stream: "ORDERS".parse().ok(),
        consumer: "mail".parse().ok(),
        sequence: Some(42),
        reason: String::new(),
        sentence: "It was delivered 3 times.".to_owned(),
        count: 1,
    };
    let advisories =
        Advisories { account: "B".into(), rows: vec![advisory], total: 1, since: at(0), stored_since: None };
    other.advisories = Reading::known(Arc::new(advisories), "test", at(0));
    snapshot.others = vec![other];
    snapshot
}

#[test]
fn streams_of_one_name_in_two_accounts_are_two() {
    let in_b = |kept| Kept { account: "B".to_owned(), ..kept };
    let placed = ["Nats-Msg-Id=m-2", "correlation-id=o-1", "ce-type=OrderCopied"];
    let wait = ["Nats-Msg-Id=w", "retry-message-id=m-2", "correlation-id=o-1"];
    let messages = vec![
        kept("ORDERS", 42, 0, "orders.placed.1", PLACED),
        in_b(kept("ORDERS", 42, 5, "orders.copied.1", &placed)),
        in_b(kept("RETRIES", 1, 50, "retries.wait.ORDERS.charge.42", &wait)),
    ];
    let said = ["messaging.nats.stream=ORDERS", "messaging.nats.stream_sequence=42", "messaging.message.id=m-2"];
    let spans = vec![span(2, 1, SpanKind::Consumer, "copies", (20, 30), &said)];
    let journey = Journey::of(&facts("o-1", messages, spans), &two_worlds());
    let lines: Vec<String> = journey.entries.iter().map(|entry| told(entry, &journey)).collect();
    let expected = [
        "0 storefront published OrderPlaced at ORDERS 42",
        "5 ? published OrderCopied at ORDERS 42",
        "20  Done OrderCopied after 15",
        "50 charge waits with OrderCopied",
        "100 ORDERS.charge.42 died",
        "110 mail advised of OrderCopied",
    ];
    assert_eq!(lines, expected);
    let about: Vec<Option<usize>> = journey.entries.iter().map(|entry| entry.passage).collect();
    assert_eq!(about, [Some(0), Some(1), Some(1), Some(1), Some(1), Some(1)]);
    // A span names no account: what says nothing else is of neither.
    let messages = vec![kept("ORDERS", 42, 0, "a", PLACED), in_b(kept("ORDERS", 42, 5, "b", &placed))];
    let spans = vec![span(
        2,
        1,
        SpanKind::Consumer,
        "copies",
        (20, 30),
        &[&said[..2], &["messaging.message.conversation_id=o-1"]].concat(),
    )];
    let journey = Journey::of(&facts("o-1", messages, spans), &world(Vec::new()));
    assert_eq!((journey.passages.len(), journey.entries[2].passage), (3, Some(2)));
}
