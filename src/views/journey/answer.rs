//! What became of it, in a sentence, and what that is known by.

use std::{collections::HashSet, time::Duration};

use super::{
    super::{
        Look, Page,
        follow::Follow,
        format,
        pieces::{Level, Moment},
        records,
        traced::SPANS_COME_WITHIN,
        waterfall::took,
    },
    rows, shown,
};
use crate::{
    clock::Timestamp,
    journey::{Entry, Facts, Handling, Journey, KeptRecord, Outcome, Passage, Place, Standing, What, Where},
    record::{Phase, Record},
    snapshot::Snapshot,
};

/// Ids that are led to.
const LINKS_MOST: usize = 8;

/// The answer on top of the page.
pub(super) struct Answer {
    pub(super) level: Level,
    pub(super) sentence: String,
    pub(super) began: Option<Moment>,
    /// How many handlings failed, and when the last of them did.
    pub(super) failed: Option<(String, Moment)>,
    pub(super) lines: Vec<String>,
    /// What the way leads to: address, what stands before, text.
    pub(super) links: Vec<(String, &'static str, String)>,
}

impl Answer {
    pub(super) fn of(journey: &Journey, facts: &Facts, look: &Look<'_>) -> Self {
        let untold = Untold::of(journey, facts, is_for_nobody(journey, look.snapshot), look.now);
        let (level, fate) = fate(journey, untold);
        Self {
            level,
            sentence: format!("{}: {fate}.", format::capital(&what(journey))),
            began: journey.entries.first().map(|entry| Moment::ago(entry.at, look)),
            failed: failed(journey, look),
            lines: lines(journey, untold),
            links: links(journey, look),
        }
    }
}

/// Why no span tells who handled it, as far as that can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Untold {
    /// Its publisher tells, and no consumer is to get it.
    ForNobody,
    /// Its publisher tells, and its last step was a moment ago.
    NoHandlerYet,
    /// Its publisher tells, and no handler does.
    NoHandler,
    /// No trace is kept here.
    NoTraces,
    /// Its last step was a moment ago.
    NotYet,
    /// Traces are kept, and none is of it.
    NotKept,
}

impl Untold {
    /// `None` where the span of a handler tells.
    fn of(journey: &Journey, facts: &Facts, is_for_nobody: bool, now: Timestamp) -> Option<Self> {
        if handlings(journey).next().is_some() {
            return None;
        }
        let is_young = journey.entries.last().is_some_and(|entry| entry.at.age(now).0 < SPANS_COME_WITHIN);
        Some(match (journey.has_spans, facts.traces_searched.1, is_young) {
            (true, ..) if is_for_nobody => Self::ForNobody,
            (true, _, true) => Self::NoHandlerYet,
            (true, _, false) => Self::NoHandler,
            (false, 0, _) => Self::NoTraces,
            (false, _, true) => Self::NotYet,
            (false, _, false) => Self::NotKept,
        })
    }

    /// What is known then, where consumers are past it: so many, with their verb.
    fn fate(self, past: Option<String>) -> (Level, String) {
        let though = |said: &str| match &past {
            None => said.to_owned(),
            Some(consumers_are) => format!("{said}, though {consumers_are} past it"),
        };
        match self {
            Self::ForNobody => (Level::Idle, "no consumer of its stream is to get it".to_owned()),
            Self::NoHandlerYet => (Level::Unknown, though("no handler's span has come yet")),
            Self::NoHandler if past.is_none() => (Level::Idle, "no handler is known to have run".to_owned()),
            Self::NoHandler => (Level::Unknown, though("no handler's span is here")),
            Self::NoTraces => (Level::Unknown, "who handled it is not known, for no span tells".to_owned()),
            Self::NotYet => (Level::Unknown, "who handled it is not known yet, for its spans have not come".to_owned()),
            Self::NotKept => (Level::Unknown, "who handled it is not known, for none of its spans is here".to_owned()),
        }
    }

    /// What would tell who handled it when, and how that ended.
    fn line(self) -> &'static str {
        match self {
            Self::ForNobody => "A consumer that is gone may have handled it; of that no span is here.",
            Self::NoHandlerYet => {
                "Only its publisher's spans are here: those of a handler come a few seconds after it has ended, where its service sends \
                 traces."
            }
            Self::NoHandler => {
                "Only its publisher's spans are here: those of handlers may have made room for newer ones, or were not sampled, or \
                 their services send none to here."
            }
            Self::NoTraces => "Who handled it when, and how that ended, is known where services send traces.",
            Self::NotYet => {
                "Its spans come a few seconds after its handlers have ended, where its services send traces."
            }
            Self::NotKept => {
                "Its spans may have made room for newer ones, or were not sampled, or its services send none to here."
            }
        }
    }
}

/// Whether streams hold all of it, and no consumer that is known there gets any of it.
fn is_for_nobody(journey: &Journey, snapshot: &Snapshot) -> bool {
    let is_held = |place: &Place| {
        let name = place.stream.parse().ok();
        let stream = place.account.as_deref().zip(name).and_then(|(account, name)| snapshot.stream(account, &name));
        place.stored.is_some() && stream.is_some_and(|stream| stream.consumers.value().is_some())
    };
    let is_all_held = |passage: &Passage| !passage.places.is_empty() && passage.places.iter().all(is_held);
    journey.standings.is_empty() && !journey.passages.is_empty() && journey.passages.iter().all(is_all_held)
}

/// What it is that was found, in words.
fn what(journey: &Journey) -> String {
    let own = own(journey);
    if let (false, Some(passage)) = (journey.scope.is_correlation || journey.scope.trace.is_some(), own) {
        let by =
            passage.publisher.as_deref().filter(|by| !by.is_empty()).map(|by| format!(", published by {}", shown(by)));
        let place = passage.places.first();
        let lies =
            place.map(|place| format!(", message {} of {}", format::count(place.sequence), shown(&place.stream)));
        return format!("{}{}{}", shown(passage.name()), by.unwrap_or_default(), lies.unwrap_or_default());
    }
    if journey.passages.is_empty() {
        return "the message itself was not found".to_owned();
    }
    let mut streams: Vec<&str> =
        journey.passages.iter().flat_map(|passage| &passage.places).map(|place| place.stream.as_str()).collect();
    streams.sort_unstable();
    streams.dedup();
    let messages = format::counted(journey.passages.len(), "message");
    let streams =
        if streams.is_empty() { String::new() } else { format!(" in {}", format::counted(streams.len(), "stream")) };
    match journey.entries.len() {
        0 | 1 => format!("{messages}{streams}"),
        _ => format!("{messages}{streams} within {}", took(rows::lasted(journey))),
    }
}

/// The message that the id is that of.
fn own(journey: &Journey) -> Option<&Passage> {
    journey.passages.iter().find(|passage| passage.id.as_deref() == Some(&journey.scope.id))
}

/// What became of it, and how bad that is.
fn fate(journey: &Journey, untold: Option<Untold>) -> (Level, String) {
    let mut lost = journey.entries.iter().filter_map(|entry| loss(entry, journey));
    if let Some(first) = lost.next() {
        let more = lost.count();
        return (Level::Critical, if more == 0 { first } else { format!("{first}, and {more} more") });
    }
    if let Some((entry, handling)) = open(journey) {
        let (who, name) = (rows::who(handling), name(entry, journey));
        let (times, next) = (times(entry, handling, journey), next(entry, handling, journey));
        return (Level::Warning, format!("{who} failed on {name}{times}{next}"));
    }
    if let Some(consumers_are) = are(journey, &[Where::Delivered, Where::Waiting]) {
        return (Level::Busy, format!("{consumers_are} not done with it yet"));
    }
    if let Some(consumers_are) = are(journey, &[Where::Unknown]) {
        return (Level::Unknown, format!("how far {consumers_are} with it is not known"));
    }
    if let Some(untold) = untold {
        return untold.fate(are(journey, &[Where::Past]));
    }
    let done = handlings(journey).filter(|(_, handling)| handling.outcome == Outcome::Done).count();
    let ended = format!("{} ended well", format::counted(done, "handling"));
    match (done, journey.left_out) {
        (0, _) => (Level::Idle, "no handling is known to have ended well".to_owned()),
        (_, 0) => (Level::Ok, ended),
        // What is not shown may have failed.
        _ => (Level::Unknown, format!("of the steps shown {ended}")),
    }
}

/// Such as `1 consumer is` or `2 consumers are`, of those that are so far with any of its messages; `None` where none is.
fn are(journey: &Journey, so_far: &[Where]) -> Option<String> {
    let found = journey.standings.iter().filter(|standing| so_far.contains(&standing.at));
    let whose = found.map(|Standing { account, stream, consumer, .. }| (account, stream, consumer));
    let count = whose.collect::<HashSet<_>>().len();
    (count > 0).then(|| format!("{} {}", format::counted(count, "consumer"), format::agree(count as u64, "is", "are")))
}

/// What the message of a step is called.
fn name(entry: &Entry, journey: &Journey) -> String {
    entry.passage.map_or_else(|| "it".to_owned(), |index| shown(journey.passages[index].name()))
}

/// That a step lost its message, in words.
fn loss(entry: &Entry, journey: &Journey) -> Option<String> {
    match &entry.what {
        What::Died(death) if !death.is_replayed => {
            Some(format!("{} gave {} up", death.letter.consumer, name(entry, journey)))
        }
        What::Advised { consumer, is_loss: true, .. } => {
            Some(format!("{} lost {}", shown(consumer), name(entry, journey)))
        }
        _ => None,
    }
}

/// The steps at which a handler was started, in order.
fn handlings(journey: &Journey) -> impl DoubleEndedIterator<Item = (&Entry, &Handling)> {
    journey.entries.iter().filter_map(|entry| match &entry.what {
        What::Handled(handling) => Some((entry, handling)),
        _ => None,
    })
}

/// The first handling that failed, was the last of its consumer on the message, and of which nothing else tells how that ended.
fn open(journey: &Journey) -> Option<(&Entry, &Handling)> {
    let mut seen = HashSet::new();
    let is_last = |(entry, handling): &(&Entry, &Handling)| seen.insert((entry.passage, handling.consumer.clone()));
    let last = handlings(journey).rev().filter(is_last);
    last.filter(|(entry, handling)| handling.has_failed() && !is_over(entry, journey)).last()
}

/// Whether something else tells what became of a message that a handler failed on: it died, or waits.
fn is_over(failed: &Entry, journey: &Journey) -> bool {
    let tells = |entry: &Entry| matches!(entry.what, What::Died(_) | What::Waits { .. });
    journey.entries.iter().any(|entry| entry.passage == failed.passage && tells(entry))
}

/// How often a consumer failed on a message, where that is more than once.
fn times(last: &Entry, failed: &Handling, journey: &Journey) -> String {
    let is_same = |(entry, handling): &(&Entry, &Handling)| {
        entry.passage == last.passage && handling.consumer == failed.consumer && handling.has_failed()
    };
    match handlings(journey).filter(is_same).count() {
        0 | 1 => String::new(),
        times => format!(" {} times", format::count(times as u64)),
    }
}

/// What comes after a consumer's last handling of a message, which failed.
fn next(failed: &Entry, handling: &Handling, journey: &Journey) -> &'static str {
    let is_its = |standing: &&Standing| {
        Some(standing.passage) == failed.passage
            && standing.consumer == handling.consumer
            && matches!(standing.at, Where::Delivered | Where::Waiting)
    };
    let is_settled = matches!(handling.settled.as_deref(), Some("ack" | "term"));
    match journey.standings.iter().find(is_its) {
        Some(standing) if handling.outcome == Outcome::Failed && !is_settled => {
            let is_last = standing.deliver_limit.zip(handling.deliveries).is_some_and(|(most, count)| count >= most);
            if is_last {
                "; it is still in flight, and that was its last delivery"
            } else {
                "; it is still in flight and will be tried again"
            }
        }
        _ => ", and nothing tells that it was tried again",
    }
}

fn failed(journey: &Journey, look: &Look<'_>) -> Option<(String, Moment)> {
    let failed = || handlings(journey).filter(|(_, handling)| handling.has_failed());
    let count = failed().count();
    let said = format!("{} failed{}", format::counted(count, "handling"), if count > 1 { ", the last" } else { "" });
    let ended = |(entry, handling): (&Entry, &Handling)| entry.at.after(Duration::from_nanos(handling.took));
    failed().map(ended).max().map(|at| (said, Moment::ago(at, look)))
}

fn lines(journey: &Journey, untold: Option<Untold>) -> Vec<String> {
    let mut lines = Vec::new();
    if untold.is_some() && !journey.has_spans {
        lines.push(
            "No span tells of it: this is from the headers of stored messages, and from what consumers and servers say of themselves."
                .to_owned(),
        );
    }
    lines.extend(untold.map(|untold| untold.line().to_owned()));
    let unread = journey.passages.iter().filter(|passage| passage.stored().is_none()).count();
    if unread > 0 && journey.has_spans {
        let messages = format::counted(unread, "message");
        lines.push(format!("Of {messages} only spans tell: no stream that was searched holds them any more."));
    }
    lines
}

fn links(journey: &Journey, look: &Look<'_>) -> Vec<(String, &'static str, String)> {
    let follow = |id: &str| look.link(&Page::Journey(Follow::of(id)));
    let scope = &journey.scope;
    let mut links = Vec::new();
    if !scope.is_correlation
        && scope.trace.is_none()
        && let Some(own) = own(journey)
    {
        let correlation = own.correlation.as_deref().filter(|id| *id != scope.id);
        links.extend(correlation.map(|id| (follow(id), "It belongs to", shown(id))));
        links.extend(own.causation.as_deref().map(|id| (follow(id), "It follows from", shown(id))));
        links.extend(own.replay.as_ref().map(|replay| (follow(&replay.of), "It repeats", shown(&replay.of))));
    }
    let traces = journey.traces.iter().filter(|_| look.site.shows_traces).take(LINKS_MOST);
    links.extend(traces.map(|id| (look.link(&Page::Trace(*id, None)), "Trace", id.to_string())));
    links.extend(records_of(journey, look));
    links
}

/// The records that tell of it.
fn records_of(journey: &Journey, look: &Look<'_>) -> Vec<(String, &'static str, String)> {
    let link = |KeptRecord { account, entry }: &KeptRecord| {
        let Record { kind, id, state, phase, .. } = &entry.value;
        let end = match phase {
            Phase::Open => "",
            Phase::Succeeded | Phase::Failed => ", which is its end",
        };
        let text = format!("{} {} is {}{end}", shown(kind), shown(id), shown(state));
        (records::page_of(account, entry, look), "Record", text)
    };
    journey.records.iter().take(LINKS_MOST).map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::Published;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(seconds))
    }

    /// A handling of the one message, which failed.
    fn handled(seconds: u64, deliveries: u64, settled: &str) -> Entry {
        let handling = Handling {
            consumer: "charge".to_owned(),
            service: "payments".to_owned(),
            attempt: Some(deliveries),
            deliveries: Some(deliveries),
            waited: None,
            took: 1_000_000,
            outcome: Outcome::Failed,
            why: "the provider is out".to_owned(),
            settled: Some(settled.to_owned()),
        };
        Entry { at: at(seconds), is_corrected: false, passage: Some(0), span: None, what: What::Handled(handling) }
    }

    /// The publishing of the one message.
    fn published() -> Entry {
        let published = Published { took: Some(1_000_000), failed: None };
        let what = What::Published(published);
        Entry { at: at(0), is_corrected: false, passage: Some(0), span: None, what }
    }

    /// A message, and how far its one consumer is where there is one.
    fn journey(entries: Vec<Entry>, stands: Option<(Where, Option<u64>)>) -> Journey {
        let standing = |(at, deliver_limit)| Standing {
            passage: 0,
            account: "A".to_owned(),
            stream: "ORDERS".to_owned(),
            consumer: "charge".to_owned(),
            at,
            deliver_limit,
            seen: None,
        };
        let passage = Passage { subject: "orders.placed".to_owned(), ..Passage::default() };
        let standings = stands.map(standing).into_iter().collect();
        Journey { passages: vec![passage], entries, standings, has_spans: true, ..Journey::default() }
    }

    #[test]
    fn a_message_that_failed_and_is_not_settled_will_be_tried_again() {
        let check = |entries: &[Entry], stands, expected: &str| {
            let (level, said) = fate(&journey(entries.to_vec(), stands), None);
            assert_eq!((level, said.strip_prefix("charge failed on orders.placed")), (Level::Warning, Some(expected)));
        };
        let held = Some((Where::Delivered, None));
        let again = "; it is still in flight and will be tried again";
        let silence = ", and nothing tells that it was tried again";
        let twice = [handled(1, 1, "nak"), handled(9, 2, "nak")];
        check(&twice[..1], held, again);
        check(&twice, held, &format!(" 2 times{again}"));
        check(&twice, Some((Where::Delivered, Some(3))), &format!(" 2 times{again}"));
        let last = " 2 times; it is still in flight, and that was its last delivery";
        check(&twice, Some((Where::Delivered, Some(2))), last);
        check(&twice[..1], None, silence);
        check(&twice[..1], Some((Where::Unknown, None)), silence);
        check(&[handled(1, 1, "term")], held, silence);
    }

    #[test]
    fn a_journey_lasts_until_its_last_handling_has_ended() {
        let said = what(&journey(vec![handled(0, 1, "nak"), handled(2, 2, "ack")], None));
        assert!(said.ends_with(&format!(" within {}", took(2_001_000_000))), "{said}");
    }

    #[test]
    fn why_no_span_tells_is_said_as_far_as_it_is_known() {
        let check = |has_spans, traces, now: u64, expected| {
            let journey = Journey { has_spans, ..journey(vec![published()], None) };
            let facts = Facts { traces_searched: (traces, traces), ..Facts::default() };
            assert_eq!(Untold::of(&journey, &facts, false, at(now)), Some(expected), "{has_spans} {traces} {now}");
        };
        check(false, 0, 2, Untold::NoTraces);
        check(false, 7, 2, Untold::NotYet);
        check(false, 7, 540, Untold::NotKept);
        check(true, 7, 2, Untold::NoHandlerYet);
        check(true, 7, 540, Untold::NoHandler);
        let facts = Facts { traces_searched: (7, 7), ..Facts::default() };
        let alone = journey(vec![published()], None);
        assert_eq!(Untold::of(&alone, &facts, true, at(2)), Some(Untold::ForNobody));
        let told = journey(vec![published(), handled(1, 1, "ack")], None);
        assert_eq!(Untold::of(&told, &facts, false, at(2)), None);
    }

    #[test]
    fn where_only_the_publisher_tells_it_is_said_what_else_is_known() {
        let check = |stands, now: u64, expected: (Level, &str)| {
            let journey = journey(vec![published()], stands);
            let facts = Facts { traces_searched: (7, 7), ..Facts::default() };
            let untold = Untold::of(&journey, &facts, false, at(now));
            let (level, said) = fate(&journey, untold);
            assert_eq!((level, said.as_str()), expected, "{now}");
        };
        let past = Some((Where::Past, None));
        check(None, 2, (Level::Unknown, "no handler's span has come yet"));
        check(past, 2, (Level::Unknown, "no handler's span has come yet, though 1 consumer is past it"));
        check(None, 540, (Level::Idle, "no handler is known to have run"));
        check(past, 540, (Level::Unknown, "no handler's span is here, though 1 consumer is past it"));
        check(Some((Where::Waiting, None)), 2, (Level::Busy, "1 consumer is not done with it yet"));
        check(Some((Where::Unknown, None)), 2, (Level::Unknown, "how far 1 consumer is with it is not known"));
    }

    #[test]
    fn a_consumer_of_several_messages_is_counted_once() {
        let mut journey = journey(vec![published()], Some((Where::Waiting, None)));
        journey.standings.push(Standing { at: Where::Delivered, ..journey.standings[0].clone() });
        assert_eq!(fate(&journey, None).1, "1 consumer is not done with it yet");
        journey.standings.push(Standing { consumer: "mail".to_owned(), ..journey.standings[0].clone() });
        assert_eq!(fate(&journey, None).1, "2 consumers are not done with it yet");
    }

    #[test]
    fn what_was_handled_and_did_not_end_well_is_not_said_to_have_been_left_alone() {
        let waits = What::Waits { consumer: "charge".to_owned() };
        let waits = Entry { what: waits, ..published() };
        let (_, said) = fate(&journey(vec![published(), handled(1, 1, "ack"), waits], None), None);
        assert_eq!(said, "no handling is known to have ended well");
    }

    #[test]
    fn all_is_well_only_where_all_is_shown() {
        let mut done = handled(1, 1, "ack");
        if let What::Handled(handling) = &mut done.what {
            handling.outcome = Outcome::Done;
        }
        let said = |left_out| fate(&Journey { left_out, ..journey(vec![done.clone()], None) }, None);
        assert_eq!(said(0), (Level::Ok, "1 handling ended well".to_owned()));
        assert_eq!(said(7), (Level::Unknown, "of the steps shown 1 handling ended well".to_owned()));
    }
}
