//! What a consumer gave up, which its lag does not count.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, dead_letters, format,
    page::Page,
    pieces::{Gap, Level, Moment, Sign, Stamp},
};
use crate::{
    checks,
    dead_letter::Place,
    snapshot::{Consumer, Failures},
};

/// Messages named that it gave up.
const SEQUENCES_MOST: usize = 20;

/// What it gave up.
#[derive(Template)]
#[template(path = "parts/failures.html")]
pub(super) struct FailuresPanel {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    sign: Sign,
    sentences: Vec<String>,
    /// How many dead letters wait, and where.
    copies: Option<(String, String)>,
    /// The verb that goes with them.
    wait: &'static str,
    /// What to do about what the server gave up; empty where it gave up nothing.
    next_step: String,
    /// Messages that it gave up: each leads to its dead letter, or else to the message itself.
    sequences: Vec<(String, String)>,
    reason: String,
    last: Option<Moment>,
    since: Option<Moment>,
}

impl HtmlSafe for FailuresPanel {}

impl FailuresPanel {
    pub(super) fn of(consumer: &Consumer, look: &Look<'_>) -> Self {
        let failures = consumer.failures.value().cloned().unwrap_or_default();
        let letter = |sequence: &u64| {
            let place = Place { stream: consumer.stream.clone(), consumer: consumer.name.clone(), sequence: *sequence };
            let account = consumer.account.to_string();
            let stored = || look.link(&Page::Message(account, consumer.stream.clone(), *sequence, None));
            (format::count(*sequence), dead_letters::page_of(place, &consumer.account, look).unwrap_or_else(stored))
        };
        let copies = failures.copies.filter(|count| *count > 0);
        Self {
            gap: Gap::of(&consumer.failures, "messages that it gave up"),
            stamp: Stamp::of(&consumer.failures, look),
            sign: sign(&failures),
            sentences: sentences(&failures),
            copies: copies.map(|count| (format::counted_u64(count, "dead letter"), look.link(&Page::DeadLetters))),
            wait: format::agree(copies.unwrap_or(0), "waits", "wait"),
            next_step: next_step(&failures, consumer, look),
            sequences: failures.sequences.iter().take(SEQUENCES_MOST).map(letter).collect(),
            reason: format::cut(&failures.reason),
            last: failures.last.map(|at| Moment::ago(at, look)),
            since: failures.since.map(|at| Moment::length(at, look)),
        }
    }
}

/// What to do about messages that the server gave up, on any NATS.
fn next_step(failures: &Failures, consumer: &Consumer, look: &Look<'_>) -> String {
    if failures.exhausted == 0 {
        return String::new();
    }
    let letters = look.snapshot.known_streams().iter().filter(|stream| stream.account == consumer.account);
    let keeps_letters = letters.into_iter().any(|stream| stream.name.as_str() == crate::dead_letter::STREAM);
    let newest = failures.sequences.first().copied();
    format::sentence(&checks::given_up(consumer.stream.as_str(), newest, keeps_letters))
}

fn sign(failures: &Failures) -> Sign {
    match failures {
        Failures { exhausted: 1.., .. } => Sign::new(Level::Critical, "gave up"),
        Failures { removed: 1.., .. } => Sign::new(Level::Critical, "removed in flight"),
        Failures { terminated: 1.., .. } => Sign::new(Level::Warning, "terminated"),
        Failures { copies: Some(1..), .. } => Sign::new(Level::Warning, "dead letters"),
        Failures { copies: None, .. } => Sign::new(Level::Unknown, "not known"),
        _ => Sign::new(Level::Ok, "none"),
    }
}

fn sentences(failures: &Failures) -> Vec<String> {
    let given_up = failures.exhausted + failures.terminated;
    let first = if given_up == 0 {
        "No advisory says that it gave up a message.".to_owned()
    } else {
        format!(
            "{} given up: {} after the last delivery allowed, {} terminated by a worker. Lag does not count {}.",
            format::counted_u64(given_up, "message"),
            format::count(failures.exhausted),
            format::count(failures.terminated),
            format::agree(given_up, "it", "them")
        )
    };
    let removed = (failures.removed > 0).then(|| {
        let removed = format::counted_u64(failures.removed, "message");
        format!("In the last rounds its stream removed {removed} that it had in flight.")
    });
    let naks = (failures.naks > 0)
        .then(|| format!("Its workers handed messages back {}.", format::counted_u64(failures.naks, "time")));
    let letters = failures.copies.is_none().then(|| {
        let stream = crate::dead_letter::STREAM;
        format!("How many dead letters of it wait is not known: nobody tells what stream {stream} holds.")
    });
    [Some(first), removed, naks, letters].into_iter().flatten().collect()
}
