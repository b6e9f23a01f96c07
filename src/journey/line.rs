//! The time line: what happened to the messages of a journey, in order.

use std::collections::HashSet;

use super::{
    Death, Entry, Facts, Handling, Kept, KeptRecord, Outcome, Published, Scope, What,
    clocks::Clocks,
    passage::{Passages, is_copy},
    scope::letters,
    spans::Handled,
};
use crate::{
    advisory::{Advisory, Kind},
    clock::Timestamp,
    dead_letter::{self, Place as LetterPlace, RETRIES, header},
    message::header as message_header,
    peek::Mention,
    record::Record,
    snapshot::{Letter, Snapshot},
    trace::{Span, SpanStatus},
};

/// Bytes of a text that somebody wrote, as much of it as an entry needs.
const TEXT_MOST: usize = 2_000;

/// What happened, in order; of what happened at one moment, causes first.
pub(super) fn entries(
    facts: &Facts,
    snapshot: &Snapshot,
    scope: &Scope,
    passages: &Passages<'_>,
    clocks: &Clocks,
    records: &[KeptRecord],
) -> Vec<Entry> {
    let mut entries = Vec::new();
    entries.extend(passages.roots.iter().map(|(trace, span)| began(span, clocks).at_span(*trace, span)));
    for index in 0..passages.rows.len() {
        entries.extend(published(index, passages, clocks));
        let handled = passages.handlings[index].iter();
        entries.extend(handled.map(|handled| handling(handled, index, passages, clocks)));
    }
    entries.extend(facts.messages.iter().filter_map(|kept| waiting(kept, scope, passages)));
    let deaths = deaths(facts, snapshot, scope, passages);
    entries.extend(advised(snapshot, passages, &deaths));
    entries.extend(deaths);
    entries.extend(told(records, passages));
    entries.sort_by_key(|entry| (entry.at, rank(&entry.what)));
    entries
}

/// What comes first of what happened at one moment.
fn rank(what: &What) -> u8 {
    match what {
        What::Began { .. } => 0,
        What::Published(_) => 1,
        What::Told { .. } => 2,
        What::Handled(_) => 3,
        What::Advised { .. } | What::Waits { .. } => 4,
        What::Died(_) => 5,
    }
}

impl Entry {
    fn new(at: Timestamp, passage: Option<usize>, what: What) -> Self {
        Self { at, is_corrected: false, passage, span: None, what }
    }

    fn at_span(self, trace: crate::trace::TraceId, span: &Span) -> Self {
        Self { span: Some((trace, span.id)), ..self }
    }
}

fn began(span: &Span, clocks: &Clocks) -> Entry {
    let what = What::Began {
        name: cut(&span.name),
        service: span.origin.service.clone(),
        took: span.duration(),
        failed: failure(span),
    };
    Entry { is_corrected: clocks.is_off(span), ..Entry::new(clocks.began(span), None, what) }
}

fn published(index: usize, passages: &Passages<'_>, clocks: &Clocks) -> Option<Entry> {
    let stored = passages.rows[index].stored();
    let publishing = passages.publishings[index].as_ref();
    let span = publishing.map(|publishing| publishing.span);
    let at = stored.or_else(|| span.map(|span| clocks.began(span)))?;
    let what = What::Published(Published { took: span.map(Span::duration), failed: span.and_then(failure) });
    let entry = Entry::new(at, Some(index), what);
    let entry = Entry { is_corrected: stored.is_none() && span.is_some_and(|span| clocks.is_off(span)), ..entry };
    Some(match publishing {
        Some(publishing) => entry.at_span(publishing.trace, publishing.span),
        None => entry,
    })
}

fn handling(handled: &Handled<'_>, index: usize, passages: &Passages<'_>, clocks: &Clocks) -> Entry {
    let span = handled.span;
    let at = clocks.began(span);
    let waited =
        passages.rows[index].stored().and_then(|stored| u64::try_from((at.0 - stored.0).whole_nanoseconds()).ok());
    let handling = Handling {
        consumer: handled.told.consumer.unwrap_or_default().to_owned(),
        service: span.origin.service.clone(),
        attempt: span.number("streamgauge.attempt").filter(|attempt| *attempt > 0),
        deliveries: span.number("messaging.nats.delivery_count"),
        waited,
        took: span.duration(),
        outcome: outcome(span),
        why: failure(span).unwrap_or_default(),
        settled: handled.settle.and_then(|settle| settle.text("messaging.operation.name")).map(cut),
    };
    let entry = Entry::new(at, Some(index), What::Handled(handling));
    Entry { is_corrected: clocks.is_off(span), ..entry }.at_span(handled.trace, span)
}

fn outcome(span: &Span) -> Outcome {
    match (span.text("messaging.nats.outcome"), span.status) {
        (Some("skipped"), _) => Outcome::Skipped,
        (Some("reject"), _) => Outcome::Rejected,
        (Some("retry"), _) | (_, SpanStatus::Error) => Outcome::Failed,
        _ => Outcome::Done,
    }
}

/// Why a span failed, in words; `None` where it did not.
fn failure(span: &Span) -> Option<String> {
    let kind = span.text("error.type").unwrap_or("it does not say why");
    (span.status == SpanStatus::Error).then(|| cut(if span.message.is_empty() { kind } else { &span.message }))
}

/// A message that waits for another attempt. What has come back is with the spans of its handlers.
fn waiting(kept: &Kept, scope: &Scope, passages: &Passages<'_>) -> Option<Entry> {
    if kept.stream.as_str() != RETRIES || !is_wanted(kept, scope) {
        return None;
    }
    let place: LetterPlace = kept.message.subject.strip_prefix("retries.wait.")?.parse().ok()?;
    let passage = at_place(&kept.account, &place, passages);
    let what = What::Waits { consumer: place.consumer.to_string() };
    Some(Entry::new(kept.message.stored, passage, what))
}

fn is_wanted(kept: &Kept, scope: &Scope) -> bool {
    scope.is_wide() || Mention::of(&scope.id).is_in(&kept.message)
}

/// The message that lay at a place of an account, if it is one of the journey's.
fn at_place(account: &str, place: &LetterPlace, passages: &Passages<'_>) -> Option<usize> {
    passages.at_in(Some(account), place.stream.as_str(), place.sequence)
}

/// The dead letters of the journey's messages: copies that were read for it, and those that the last round read.
fn deaths(facts: &Facts, snapshot: &Snapshot, scope: &Scope, passages: &Passages<'_>) -> Vec<Entry> {
    let replayed: HashSet<&str> =
        passages.rows.iter().filter_map(|row| Some(row.replay.as_ref()?.of.as_str())).collect();
    let mut seen = HashSet::new();
    let read = facts.messages.iter().filter(|kept| is_copy(kept) && is_wanted(kept, scope)).filter_map(read_death);
    let known = letters(snapshot).filter(|(account, letter)| is_of(account, letter, scope, passages)).map(
        |(account, letter)| {
            let id = letter.message_id.clone();
            (letter.died, id, death(account, letter))
        },
    );
    let all = read.chain(known).filter(|(_, _, death)| seen.insert((death.account.clone(), death.letter.clone())));
    let entry = |(died, id, death): (Timestamp, Option<String>, Death)| {
        let passage = at_place(&death.account, &death.letter, passages);
        let id = id.as_deref().or_else(|| passages.rows[passage?].id.as_deref());
        let is_replayed = id.is_some_and(|id| replayed.contains(id));
        Entry::new(died, passage, What::Died(Death { is_replayed, ..death }))
    };
    all.map(entry).collect()
}

fn read_death(kept: &Kept) -> Option<(Timestamp, Option<String>, Death)> {
    let text = |name: &str| kept.message.header(name);
    let letter = LetterPlace {
        stream: text(header::STREAM)?.parse().ok()?,
        consumer: text(header::CONSUMER)?.parse().ok()?,
        sequence: text(header::SEQUENCE)?.parse().ok()?,
    };
    let died = text(header::TIME).and_then(Timestamp::parse).unwrap_or(kept.message.stored);
    let death = Death {
        letter,
        account: kept.account.clone(),
        reason: cut(text(header::REASON).unwrap_or_default()),
        class: cut(text(header::CLASS).unwrap_or_default()),
        attempts: text(header::ATTEMPTS).and_then(|text| text.parse().ok()),
        is_replayed: false,
    };
    (kept.stream.as_str() == dead_letter::STREAM).then(|| (died, text(header::MESSAGE_ID).map(str::to_owned), death))
}

fn death(account: &str, letter: &Letter) -> Death {
    Death {
        letter: letter.place.clone(),
        account: account.to_owned(),
        reason: cut(&letter.reason),
        class: cut(&letter.class),
        attempts: letter.attempts,
        is_replayed: false,
    }
}

/// Whether a dead letter is one of the journey's messages.
fn is_of(account: &str, letter: &Letter, scope: &Scope, passages: &Passages<'_>) -> bool {
    let says = |wanted: &str| {
        letter.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(wanted) && *value == scope.id)
    };
    letter.message_id.as_deref() == Some(&scope.id)
        || says(message_header::CORRELATION_ID)
        || says(message_header::CAUSATION_ID)
        || says(message_header::REPLAY_OF)
        || scope.trace.is_some_and(|trace| letter.trace_id.as_deref() == Some(&trace.to_string()))
        || at_place(account, &letter.place, passages).is_some()
}

/// What servers told of the messages. That a worker terminated one is said by its dead letter, where there is one.
fn advised(snapshot: &Snapshot, passages: &Passages<'_>, deaths: &[Entry]) -> Vec<Entry> {
    let known = snapshot.watched().filter_map(|watched| watched.advisories.value());
    let is_said = |advisory: &Advisory| {
        advisory.kind == Kind::Terminated
            && deaths.iter().any(|entry| match &entry.what {
                What::Died(Death { letter, account, .. }) => {
                    advisory.stream.as_ref() == Some(&letter.stream)
                        && advisory.consumer.as_ref() == Some(&letter.consumer)
                        && advisory.sequence == Some(letter.sequence)
                        && *account == *advisory.account
                }
                _ => false,
            })
    };
    let entry = |advisory: &Advisory| {
        let (stream, sequence) = (advisory.stream.as_ref()?, advisory.sequence?);
        let passage = passages.at_in(Some(&advisory.account), stream.as_str(), sequence)?;
        let what = What::Advised {
            consumer: advisory.consumer.as_ref().map(ToString::to_string).unwrap_or_default(),
            sentence: advisory.sentence.clone(),
            is_loss: matches!(advisory.kind, Kind::Exhausted | Kind::Terminated | Kind::Removed),
        };
        (!is_said(advisory)).then(|| Entry::new(advisory.time, Some(passage), what))
    };
    known.flat_map(|advisories| &advisories.rows).filter_map(entry).collect()
}

/// Steps of records that tell of what nothing else does.
fn told(records: &[KeptRecord], passages: &Passages<'_>) -> Vec<Entry> {
    let entry = |record: &Record| -> Vec<Entry> {
        let is_news = |step: &&crate::record::Step| {
            !step.message.as_ref().is_some_and(|id| passages.rows.iter().any(|row| row.id.as_deref() == Some(&id.0)))
        };
        let what = |step: &crate::record::Step| What::Told {
            kind: cut(&record.kind),
            name: cut(&step.name),
            by: cut(&step.by),
        };
        record.steps.iter().filter(is_news).map(|step| Entry::new(step.at, None, what(step))).collect()
    };
    records.iter().flat_map(|one| entry(&one.entry.value)).collect()
}

fn cut(text: &str) -> String {
    let mut end = TEXT_MOST.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
