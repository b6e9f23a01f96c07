//! What the map says in words: who is behind, what is not shown, and by what it is known.

use std::{cmp::Reverse, time::Duration};

use super::{Column, Graph, LETTERS, Node, Wish};
use crate::{
    clock::Timestamp,
    snapshot::Span,
    views::{
        browse::MOMENT,
        format,
        pieces::{Level, Sign},
    },
    words::not_taken,
};

/// Of which time the numbers are, where that is not now.
pub(super) fn of_then(wish: &Wish, now: Timestamp) -> Option<String> {
    const MARKS: &str = "Marks and words are of now.";
    match (wish.at, wish.over) {
        (Some(at), _) if at.age(now).0 > Span::Day.reach() => {
            Some(format!("Nothing is kept of {at}: the history goes back a day. {MARKS}"))
        }
        (Some(at), _) => Some(format!("Rates, lag and age are of {at}, as near as the history keeps it. {MARKS}")),
        (None, Some(over)) => Some(format!(
            "Rates are the means of the last {}, lag and age the worst of that time. {MARKS}",
            over.words()
        )),
        (None, None) => None,
    }
}

/// That what was given for a time is none.
pub(super) fn misread(wish: &Wish) -> Option<String> {
    let given = wish.misread.as_str();
    (!given.is_empty()).then(|| format!("{}. It is left out.", not_taken("at", given, MOMENT)))
}

/// How many of what there are, and who is behind.
pub(super) fn sentence(graph: &Graph) -> (Sign, String) {
    let count = |column| graph.nodes.iter().filter(|node| node.column == column).count();
    let consumers = count(Column::Consumers);
    let counts = format!(
        "{}, {}, {}",
        format::counted(graph.services(), "service"),
        format::counted(count(Column::Streams), "stream"),
        format::counted(consumers, "consumer")
    );
    let (level, state) = state(graph, consumers);
    (Sign::new(level, level.class()), format!("{counts}; {state}."))
}

fn state(graph: &Graph, consumers: usize) -> (Level, String) {
    let all = graph.nodes.iter().enumerate().filter(|(_, node)| node.level.trouble() > 0);
    let troubled = all.clone().filter(|(_, node)| node.column == Column::Consumers);
    let worst = troubled.clone().max_by_key(|(at, node)| (node.level.trouble(), node.age, node.lag, Reverse(*at)));
    if let Some((at, node)) = worst {
        let more = match troubled.count() - 1 {
            0 => String::new(),
            more => format!(", and {}", format::need_you(more, "more consumer")),
        };
        return (node.level, format!("{}{more}", behind(graph, at, node)));
    }
    let mut others = all.filter(|(_, node)| node.column != Column::Consumers);
    if let Some((_, node)) = others.next() {
        return (
            node.level,
            format!("{} {}: {}", node.thing.kind(), format::cut_at(node.thing.name(), LETTERS), node.word),
        );
    }
    let unknown =
        graph.nodes.iter().filter(|node| node.column == Column::Consumers && node.level == Level::Unknown).count();
    match (consumers, unknown) {
        (0, _) => (Level::Idle, "nobody has made a consumer".to_owned()),
        (_, 0) => (Level::Ok, "nothing is wrong with any of them".to_owned()),
        (_, unknown) => (Level::Unknown, not_known(unknown)),
    }
}

/// Such as `how 1 consumer stands is not known`.
fn not_known(unknown: usize) -> String {
    let stands = format::agree(unknown as u64, "stands", "stand");
    format!("how {} {stands} is not known", format::counted(unknown, "consumer"))
}

/// Such as `payments is behind by 2 min: payments-charge on ORDERS is falling behind`.
fn behind(graph: &Graph, at: usize, node: &Node) -> String {
    let name = format::cut_at(node.thing.name(), LETTERS);
    let stream = format::cut_at(node.thing.stream().unwrap_or_default(), LETTERS);
    let is = match node.word.as_str() {
        "no workers" => "has",
        _ => "is",
    };
    let name = format!("{name} on {stream} {is} {}", node.word);
    match (graph.handlers(at).as_slice(), node.age, node.lag) {
        ([service], Some(age), Some(1..)) => {
            format!("{} is behind by {}: {name}", format::cut_at(service, LETTERS), aged(age))
        }
        (_, Some(age), Some(1..)) => format!("{name}, behind by {}", aged(age)),
        (_, _, Some(lag @ 1..)) => format!("{name}, behind by {}", format::counted_u64(lag, "message")),
        _ => name,
    }
}

/// An age to the second.
pub(super) fn aged(age: Duration) -> String {
    if age < Duration::from_secs(1) { format::tied("less than 1 s") } else { format::age(age) }
}

/// What is not shown.
pub(super) fn part(graph: &Graph) -> Option<String> {
    let cut = |(shown, all): (usize, usize), one: &str| {
        (shown < all).then(|| format!("{} of {}", format::count(shown as u64), format::counted(all, one)))
    };
    let cuts: Vec<String> =
        [cut(graph.streams, "stream"), cut(graph.consumers, "consumer")].into_iter().flatten().collect();
    let rest = (graph.left_out > 0)
        .then(|| format!("{} found no room", format::counted(graph.left_out, "subject, service or line")));
    if cuts.is_empty() && rest.is_none() {
        return None;
    }
    let shown = (!cuts.is_empty()).then(|| format!("showing {}, the worst and then the busiest", cuts.join(" and ")));
    let said: Vec<String> = shown.into_iter().chain(rest).collect();
    Some(format::sentence(&format!("{}; search, or look at one of them, to see what is around it", said.join("; "))))
}

/// By what it is known who sends and who handles.
pub(super) fn traced(graph: &Graph) -> String {
    let forgotten = if graph.forgotten > 0 {
        format!(" {} were forgotten for want of room.", format::counted_u64(graph.forgotten, "way of messages"))
    } else {
        String::new()
    };
    match graph.since {
        None => "Who publishes is not known: no service has sent a span about a message. Who processes is what instances say of themselves.".to_owned(),
        Some(_) => format!(
            "Who publishes, and what comes on a subject, is counted by the spans of the last {}: messages that are not traced are not among them. The first came{forgotten}",
            format::age(graph.window)
        ),
    }
}

/// `lag 5, oldest 2 min`.
pub(super) fn waiting(consumer: &Node) -> String {
    match (consumer.lag, consumer.age) {
        (None, _) => "lag unknown".to_owned(),
        (Some(0), _) => "no lag".to_owned(),
        (Some(lag), None) => format!("lag {}", format::count(lag)),
        (Some(lag), Some(age)) => format!("lag {}, oldest {}", format::count(lag), aged(age)),
    }
}
