//! What became of it, in a sentence, and what that is known by.

use std::collections::HashMap;

use super::{
    super::{
        Look, Page,
        follow::Follow,
        format,
        pieces::{Level, Moment},
        waterfall::took,
    },
    shown,
};
use crate::{
    journey::{Entry, Journey, Outcome, Passage, What, Where},
    record::{Phase, Record},
};

/// Ids that are led to.
const LINKS_MOST: usize = 8;

/// The answer on top of the page.
pub(super) struct Answer {
    pub(super) level: Level,
    pub(super) sentence: String,
    pub(super) began: Option<Moment>,
    pub(super) lines: Vec<String>,
    /// What the way leads to: address, what stands before, text.
    pub(super) links: Vec<(String, &'static str, String)>,
}

impl Answer {
    pub(super) fn of(journey: &Journey, look: &Look<'_>) -> Self {
        let (level, fate) = fate(journey);
        Self {
            level,
            sentence: format!("{}: {fate}.", format::capital(&what(journey))),
            began: journey.entries.first().map(|entry| super::rows::ago(entry.at, look)),
            lines: lines(journey),
            links: links(journey, look),
        }
    }
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
    match (journey.entries.first(), journey.entries.last()) {
        (Some(first), Some(last)) if journey.entries.len() > 1 => {
            let nanos = (last.at.0 - first.at.0).whole_nanoseconds();
            format!("{messages}{streams} within {}", took(u64::try_from(nanos).unwrap_or_default()))
        }
        _ => format!("{messages}{streams}"),
    }
}

/// The message that the id is that of.
fn own(journey: &Journey) -> Option<&Passage> {
    journey.passages.iter().find(|passage| passage.id.as_deref() == Some(&journey.scope.id))
}

/// What became of it, and how bad that is.
fn fate(journey: &Journey) -> (Level, String) {
    let name =
        |entry: &Entry| entry.passage.map_or_else(|| "it".to_owned(), |index| shown(journey.passages[index].name()));
    let lost: Vec<String> = journey
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Died(death) if !death.is_replayed => {
                Some(format!("{} gave {} up", death.letter.consumer, name(entry)))
            }
            What::Advised { consumer, is_loss: true, .. } => Some(format!("{} lost {}", shown(consumer), name(entry))),
            _ => None,
        })
        .collect();
    let open = open(journey);
    let waits = journey.standings.iter().filter(|standing| standing.at != Where::Past).count();
    match (lost.as_slice(), open.as_slice()) {
        ([one], _) => (Level::Critical, one.clone()),
        ([first, rest @ ..], _) => (Level::Critical, format!("{first}, and {} more", rest.len())),
        ([], [entry, ..]) => {
            let who = match &entry.what {
                What::Handled(handling) => shown(&handling.consumer),
                _ => String::new(),
            };
            (Level::Warning, format!("{who} failed on {}, and nothing tells that it was tried again", name(entry)))
        }
        ([], []) if waits > 0 => (
            Level::Busy,
            format!(
                "{} not done with it yet",
                match waits {
                    1 => "1 consumer is".to_owned(),
                    waits => format!("{waits} consumers are"),
                }
            ),
        ),
        ([], []) if !journey.has_spans => (Level::Unknown, "who handled it is not known, for no span tells".to_owned()),
        ([], []) => {
            let handled = journey.entries.iter().filter(|entry| is_done(entry)).count();
            match handled {
                0 => (Level::Idle, "no handler is known to have run".to_owned()),
                count => (Level::Ok, format!("{} ended well", format::counted(count, "handling"))),
            }
        }
    }
}

fn is_done(entry: &Entry) -> bool {
    matches!(&entry.what, What::Handled(handling) if handling.outcome == Outcome::Done)
}

/// Handlings that failed and were the last of their consumer on a message.
fn open(journey: &Journey) -> Vec<&Entry> {
    let mut last = HashMap::new();
    for entry in &journey.entries {
        if let What::Handled(handling) = &entry.what {
            last.insert((entry.passage, handling.consumer.as_str()), entry);
        }
    }
    let is_open = |entry: &&Entry| match &entry.what {
        What::Handled(handling) => {
            matches!(handling.outcome, Outcome::Failed | Outcome::Rejected) && !is_over(entry, journey)
        }
        _ => false,
    };
    let mut open: Vec<&Entry> = last.into_values().filter(is_open).collect();
    open.sort_by_key(|entry| entry.at);
    open
}

/// Whether something else tells what became of a message that a handler failed on: it died, or waits.
fn is_over(failed: &Entry, journey: &Journey) -> bool {
    let later = journey.entries.iter().filter(|entry| entry.passage == failed.passage);
    later.into_iter().any(|entry| matches!(entry.what, What::Died(_) | What::Waits { .. }))
}

fn lines(journey: &Journey) -> Vec<String> {
    let mut lines = Vec::new();
    if !journey.has_spans {
        lines.push(
            "No span tells of it: this is from the headers of stored messages, and from what consumers and servers say of themselves. \
             Who handled it when, and how that ended, is known where services send traces."
                .to_owned(),
        );
    }
    let failed = journey.entries.iter().filter(|entry| {
        matches!(&entry.what, What::Handled(handling) if matches!(handling.outcome, Outcome::Failed | Outcome::Rejected))
    });
    let failed = failed.count();
    if failed > 0 {
        lines.push(format!("{} failed.", format::counted(failed, "handling")));
    }
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
    links.extend(records(journey, look));
    links
}

/// The records that tell of it.
fn records(journey: &Journey, look: &Look<'_>) -> Vec<(String, &'static str, String)> {
    let mut found = Vec::new();
    for watched in look.snapshot.watched() {
        let entries = watched.records.value().into_iter().flat_map(|bucket| &bucket.entries);
        for entry in entries.filter(|entry| journey.scope.is_of(&entry.value)).take(LINKS_MOST) {
            let Record { kind, id, state, phase, .. } = &entry.value;
            let end = match phase {
                Phase::Open => "",
                Phase::Succeeded | Phase::Failed => ", which is its end",
            };
            let text = format!("{} {} is {}{end}", shown(kind), shown(id), shown(state));
            found.push((look.link(&Page::Records(Some(kind.clone()))), "Record", text));
        }
    }
    found
}
