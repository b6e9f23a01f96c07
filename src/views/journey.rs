//! The journey of a message, or of all that belongs together, in one time line: what became of it first, then every step in its place.

mod answer;
mod looked;
mod rows;

use askama::Template;

use super::{
    Look, Page, Read,
    follow::Follow,
    format,
    payload::line,
    pieces::{Gap, Level, Moment, Sign},
};
use crate::{
    journey::{Facts, Journey, Standing, Where},
    snapshot::Span,
    traces::Query,
};
use answer::Answer;
use looked::LookedRow;
use rows::Row;

/// Letters of a name or a reason that are shown.
const TEXT_MOST: usize = 400;

/// Clocks that are told of one by one: each instance of a service has one.
const CLOCKS_MOST: usize = 10;

/// The page of a journey.
#[derive(Template)]
#[template(path = "pages/journey.html")]
pub(super) struct JourneyPage {
    pub(super) title: String,
    list: String,
    action: String,
    id: String,
    answer: Option<Answer>,
    gap: Option<Gap>,
    /// What may help where nothing was found.
    help: Vec<String>,
    rows: Vec<Row>,
    notes: Vec<String>,
    standings: Vec<StandingRow>,
    looked: Vec<LookedRow>,
    looked_notes: Vec<String>,
    newest: Option<String>,
    read: Option<Moment>,
}

/// How far a consumer is with a message.
struct StandingRow {
    consumer: String,
    href: Option<String>,
    message: String,
    message_href: Option<String>,
    sign: Sign,
    sentence: &'static str,
    seen: Option<Moment>,
}

impl JourneyPage {
    pub(super) fn of(follow: &Follow, look: &Look<'_>) -> Self {
        let nothing = Facts::default();
        let facts = match look.read {
            Read::Journey(facts) => facts,
            _ => &nothing,
        };
        let journey = Journey::of(facts, look.snapshot);
        let is_asked = !follow.id.is_empty();
        let is_found = !journey.is_empty();
        let id = shown(&follow.id);
        Self {
            title: if is_asked { format!("Journey of {}", format::cut_at(&id, 64)) } else { "Journey".to_owned() },
            list: look.link(&Page::Traces(Query::default())),
            action: look.link(&Page::Journey(Follow::default())),
            answer: is_found.then(|| Answer::of(&journey, facts, look)),
            gap: (is_asked && !is_found).then(|| looked::nothing(facts)),
            help: if is_asked && !is_found { looked::help(facts, look) } else { Vec::new() },
            rows: rows::of(&journey, look),
            notes: notes(&journey),
            standings: journey.standings.iter().map(|standing| StandingRow::of(standing, &journey, look)).collect(),
            looked: facts.looked.iter().map(|looked| LookedRow::of(looked, look)).collect(),
            looked_notes: if is_asked { looked::notes(facts, look) } else { Vec::new() },
            newest: looked::may_search_newest(facts).then(|| look.link(&Page::Journey(follow.newest_first()))),
            read: is_asked.then(|| Moment::ago(look.now, look)),
            id,
        }
    }
}

/// What somebody else wrote, as it is shown: secrets left out, short, and on a line.
fn shown(text: &str) -> String {
    line(text, TEXT_MOST)
}

/// What one should know before one believes the drawing.
fn notes(journey: &Journey) -> Vec<String> {
    let mut notes: Vec<String> = journey
        .clocks
        .iter()
        .take(CLOCKS_MOST)
        .map(|skew| {
            let by = super::waterfall::took(skew.ahead_nanos.unsigned_abs());
            let side = if skew.ahead_nanos > 0 { "ahead of" } else { "behind" };
            format!(
                "The clock of {} is at least {by} {side} the server's, by which messages were stored; its times are shown corrected by that.",
                shown(&skew.service)
            )
        })
        .collect();
    let more = journey.clocks.len() - notes.len();
    if more > 0 {
        notes.push(format!(
            "{} {}.",
            format::counted(more, "more clock"),
            format::agree(more as u64, "differs", "differ")
        ));
    }
    if journey.left_out > 0 {
        notes.push(format!("{} more are not shown.", format::counted(journey.left_out, "step")));
    }
    notes
}

impl StandingRow {
    fn of(standing: &Standing, journey: &Journey, look: &Look<'_>) -> Self {
        let (sign, sentence) = match standing.at {
            Where::Past => {
                (Sign::new(Level::Ok, "past it"), "Its ack floor is past the message: it was acked, or given up.")
            }
            Where::Delivered => (
                Sign::new(Level::Busy, "delivered"),
                "It was delivered, and not all up to it is acked: it is in flight, or acked before another.",
            ),
            Where::Waiting => (Sign::new(Level::Busy, "waiting"), "It was not delivered yet."),
            Where::Unknown => (Sign::new(Level::Unknown, "unknown"), "Nobody says how far the consumer is."),
        };
        let page = || {
            let (stream, consumer) = (standing.stream.parse().ok()?, standing.consumer.parse().ok()?);
            Some(look.link(&Page::Consumer(standing.account.clone(), stream, consumer, Span::default())))
        };
        let passage = &journey.passages[standing.passage];
        Self {
            consumer: shown(&standing.consumer),
            href: page(),
            message: shown(passage.name()),
            message_href: rows::page_of(passage, look),
            sign,
            sentence,
            seen: standing.seen.map(|at| Moment::ago(at, look)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::Skew;

    #[test]
    fn of_many_clocks_that_differ_it_is_said_how_many_more_there_are() {
        let skew = |number: u8| Skew { service: format!("mail-{number}"), ahead_nanos: 2_000_000 };
        let told = |clocks: u8| {
            let clocks = (0..clocks).map(skew).collect();
            notes(&Journey { clocks, ..Journey::default() })
        };
        assert_eq!(told(10).len(), 10);
        assert_eq!((told(11).len(), told(11)[10].as_str()), (11, "1 more clock differs."));
        assert_eq!((told(30).len(), told(30)[10].as_str()), (11, "20 more clocks differ."));
    }
}
