//! The map: which services send what, which streams hold it, who reads it and how far behind they are; as a picture and as a list.

mod arrange;
mod draw;
mod graph;
mod wish;
mod words;

use askama::Template;

use super::{
    Browse, Look, Page,
    browse::field,
    format,
    page::encoded,
    pieces::{Gap, Level, Moment, Number, Sign, Stamp},
};
use crate::{snapshot::Span, traces::Query};
use draw::Picture;
use words::{misread, of_then, part, sentence, traced, waiting};

pub use graph::{Column, Edge, Graph, Kind, Node, Sources};
pub use wish::{Thing, Wish};

/// Letters of a name in the list.
const LETTERS: usize = 120;

/// The page of the map.
#[derive(Template)]
#[template(path = "pages/map.html")]
pub(super) struct MapPage {
    action: String,
    wish: Wish,
    spans: Vec<Choice>,
    stamp: Option<Stamp>,
    gap: Option<Gap>,
    sign: Sign,
    sentence: String,
    /// Of which time the numbers are, where that is not now.
    then: Option<String>,
    /// The time as a field takes it that asks for one, or what was given for it.
    at: String,
    /// That what was given for a time is none.
    misread: Option<String>,
    /// That not all of it is shown, and what helps.
    part: Option<String>,
    focus: Option<Focus>,
    picture: Option<Picture>,
    rows: Vec<Row>,
    services_stamp: Option<Stamp>,
    /// By what it is known who sends and who handles.
    traced: String,
    since: Option<Moment>,
}

/// A link that shows the same over another time.
struct Choice {
    words: &'static str,
    href: String,
    is_here: bool,
}

/// What is looked at.
struct Focus {
    kind: &'static str,
    name: String,
    /// Its page.
    href: Option<String>,
}

/// A line of the picture, or something that none leads to.
struct Row {
    from: End,
    verb: &'static str,
    to: Option<End>,
    rate: Option<Number>,
    note: String,
    last: Option<Moment>,
}

/// One end of a line.
struct End {
    kind: &'static str,
    name: String,
    href: String,
    sign: Option<Sign>,
}

/// Where the map shows what is connected with something.
pub(super) fn on_map(thing: Thing, look: &Look<'_>) -> String {
    look.link(&Page::Map(Wish::on(thing)))
}

impl MapPage {
    pub(super) fn of(wish: &Wish, graph: Option<&Graph>, look: &Look<'_>) -> Self {
        let snapshot = look.snapshot;
        let unknown = Gap::of(&snapshot.streams, "streams");
        let graph = graph.filter(|graph| !graph.nodes.is_empty());
        let (sign, sentence) = graph.map_or_else(|| (Sign::new(Level::Unknown, "nothing"), String::new()), sentence);
        Self {
            action: look.link(&Page::Map(Wish::default())),
            spans: spans(wish, look),
            stamp: Stamp::of(&snapshot.streams, look),
            gap: unknown.or_else(|| graph.is_none().then(|| Gap::empty(nothing(wish)))),
            sign,
            sentence,
            then: of_then(wish, look.now),
            at: wish.at.map(field).unwrap_or_else(|| wish.misread.clone()),
            misread: misread(wish),
            part: graph.and_then(part),
            focus: wish.focus.as_ref().map(|thing| Focus::of(thing, graph, look)),
            picture: graph.map(|graph| Picture::of(graph, wish, look)),
            rows: graph.map(|graph| rows(graph, look)).unwrap_or_default(),
            services_stamp: Stamp::of(&snapshot.app.presence, look),
            traced: graph.map(traced).unwrap_or_default(),
            since: graph.and_then(|graph| graph.since).map(|since| Moment::ago(since, look)),
            wish: wish.clone(),
        }
    }
}

fn nothing(wish: &Wish) -> &'static str {
    match (&wish.focus, wish.q.is_empty()) {
        (Some(_), _) => "Nothing of that name is on the map: it is gone, or no service has told of it.",
        (None, false) => "Nothing on the map is called like that.",
        (None, true) => "NATS holds no stream yet, and no service has told of messages that it sends.",
    }
}

fn spans(wish: &Wish, look: &Look<'_>) -> Vec<Choice> {
    let choice = |over: Option<Span>| Choice {
        words: over.map_or("now", Span::words),
        href: look.link(&Page::Map(wish.with_over(over))),
        is_here: wish.over == over && wish.at.is_none(),
    };
    std::iter::once(None).chain(Span::ALL.map(Some)).map(choice).collect()
}

impl Focus {
    fn of(thing: &Thing, graph: Option<&Graph>, look: &Look<'_>) -> Self {
        let node = graph.and_then(|graph| {
            graph.nodes.iter().find(|node| node.thing.kind() == thing.kind() && node.thing.name() == thing.name())
        });
        Self {
            kind: thing.kind(),
            name: format::cut_at(thing.name(), LETTERS),
            href: graph.zip(node).map(|(graph, node)| link(node, graph, look)),
        }
    }
}

/// Every line, in the order of the picture; then what none leads to.
fn rows(graph: &Graph, look: &Look<'_>) -> Vec<Row> {
    let end = |at: usize| End::of(&graph.nodes[at], graph, look);
    let lines = graph.edges.iter().map(|edge| {
        let to = &graph.nodes[edge.to];
        let rate = match edge.kind {
            Kind::Copies => None,
            _ => Some(rate_of(edge, graph)),
        };
        Row {
            from: End { sign: None, ..end(edge.from) },
            verb: edge.kind.verb(),
            to: Some(end(edge.to)),
            rate,
            note: match edge.kind {
                Kind::Reads => waiting(to),
                Kind::Handles if edge.pulls > 0 => pulling(edge.pulls),
                _ => String::new(),
            },
            last: if edge.kind == Kind::Reads { to.last } else { edge.last }.map(|last| Moment::ago(last, look)),
        }
    });
    let is_alone = |at: &usize| !graph.edges.iter().any(|edge| edge.from == *at || edge.to == *at);
    let alone = (0..graph.nodes.len()).filter(is_alone).map(|at| Row {
        from: end(at),
        verb: "is connected with nothing",
        to: None,
        rate: None,
        note: String::new(),
        last: None,
    });
    lines.chain(alone).collect()
}

fn pulling(instances: usize) -> String {
    format!("{} {}", format::counted(instances, "instance"), format::agree(instances as u64, "pulls", "pull"))
}

fn rate_of(edge: &Edge, graph: &Graph) -> Number {
    match (edge.rate, edge.kind) {
        (Some(rate), _) => Number::known(format::rate(rate)),
        (None, Kind::Reads) => Number::rate(None),
        (None, _) if graph.since.is_none() => Number::unknown("no service has sent a span about a message"),
        (None, _) => Number::unknown("no span has told of it"),
    }
}

impl End {
    fn of(node: &Node, graph: &Graph, look: &Look<'_>) -> Self {
        Self {
            kind: node.thing.kind(),
            name: format::cut_at(node.thing.name(), LETTERS),
            href: link(node, graph, look),
            sign: (!node.word.is_empty()).then(|| Sign::new(node.level, node.word.clone())),
        }
    }
}

/// The page that tells more of something.
fn link(node: &Node, graph: &Graph, look: &Look<'_>) -> String {
    let name = node.thing.name();
    let page = match &node.thing {
        Thing::Service(_) if node.has_page => return service_link(name, look),
        Thing::Service(_) => Page::Traces(Query { service: name.to_owned(), ..Query::default() }),
        Thing::Subject(account, _) => {
            let at = graph.nodes.iter().position(|other| other.thing == node.thing);
            let held = graph.edges.iter().find(|edge| Some(edge.from) == at && edge.kind == Kind::Takes);
            let stream = held.and_then(|edge| graph.nodes[edge.to].thing.name().parse().ok());
            match stream {
                Some(stream) => {
                    let browse = Browse { subject: name.to_owned(), ..Browse::default() };
                    Page::Messages(account.clone(), stream, browse)
                }
                None => Page::Traces(Query { subject: name.to_owned(), ..Query::default() }),
            }
        }
        Thing::Stream(account, stream) => match stream.parse() {
            Ok(stream) => Page::Stream(account.clone(), stream, Span::default()),
            Err(_) => Page::Streams(super::Search::default()),
        },
        Thing::Consumer(account, stream, consumer) => match (stream.parse(), consumer.parse()) {
            (Ok(stream), Ok(consumer)) => Page::Consumer(account.clone(), stream, consumer, Span::default()),
            _ => Page::Consumers(super::Search::default()),
        },
    };
    look.link(&page)
}

/// Where the page of services tells of one.
fn service_link(name: &str, look: &Look<'_>) -> String {
    let told = look.snapshot.watched().find(|watched| watched.instances().any(|entry| entry.value.service == name));
    let anchor = look.anchor(told.unwrap_or(&look.snapshot.app), name);
    format!("{}#service-{}", look.link(&Page::Services), encoded(&anchor))
}
