//! The map as a drawing: a box for each thing, a line for each connection, as wide as there are messages on it.

use askama::{Template, filters::HtmlSafe};

use super::{
    Column, Edge, Graph, Kind, Node, Thing, Wish,
    arrange::{Body, Places, arrange},
    link,
    words::{aged, waiting},
};
use crate::views::{Look, Page, format, pieces::Level};

/// The width of the drawing, in its own units: those of a page that is as wide as pages get.
const WIDTH: f64 = 1_200.0;

/// Where each column begins, and how wide it is.
const COLUMNS: [(f64, f64); 5] = [(0.0, 150.0), (224.0, 215.0), (513.0, 165.0), (752.0, 225.0), (1_050.0, 150.0)];

/// Room for the heads of the columns.
const HEAD: f64 = 30.0;

/// Height of a box, and of one that is no more than its name.
const TWO: f64 = 44.0;
const ONE: f64 = 38.0;

/// Room for each line that ends at a box, so that its rate can stand above it, and for how many it grows.
const PORT: f64 = 14.0;
const PORTS_MOST: usize = 20;

/// Lines into a box beside which rates are written: of more none could be read.
const LABELS_MOST: usize = 6;

/// What stands before a name in its box, and the place behind it from which one looks at the box alone.
const BEFORE: f64 = 28.0;
const HANDLE: f64 = 26.0;

/// The drawing.
#[derive(Debug, Template)]
#[template(path = "parts/map.html")]
pub(super) struct Picture {
    height: f64,
    heads: Vec<Head>,
    lines: Vec<Line>,
    shapes: Vec<Shape>,
    label: String,
}

impl HtmlSafe for Picture {}

#[derive(Debug)]
struct Head {
    x: f64,
    text: &'static str,
    /// What is said where nothing stands below it.
    none: Option<&'static str>,
}

#[derive(Debug)]
struct Line {
    class: String,
    path: String,
    /// What it says when one points at it.
    tip: String,
    /// Its rate, and where that stands.
    rate: Option<(f64, f64, String)>,
}

#[derive(Debug)]
struct Shape {
    id: String,
    class: String,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    /// Of the part that leads to a page.
    inner: f64,
    middle: f64,
    text_x: f64,
    handle_x: f64,
    mark: Option<&'static str>,
    href: String,
    /// What it says to those who do not see it, and when one points at it.
    label: String,
    /// The same, where not all of it can be read in the box.
    tip: Option<String>,
    name: String,
    under: String,
    focus: String,
    focus_label: String,
    is_here: bool,
}

impl Picture {
    pub(super) fn of(graph: &Graph, wish: &Wish, look: &Look<'_>) -> Self {
        let ports = |at: usize| {
            let count = |is_of: &dyn Fn(&Edge) -> bool| graph.edges.iter().filter(|edge| is_of(edge)).count();
            count(&|edge| edge.from == at).max(count(&|edge| edge.to == at)).min(PORTS_MOST)
        };
        let body = |(at, node): (usize, &Node)| {
            let least = if node.column == Column::Subjects { ONE } else { TWO };
            Body { column: node.column as usize, height: least.max(ports(at) as f64 * PORT + 10.0) }
        };
        let bodies: Vec<Body> = graph.nodes.iter().enumerate().map(body).collect();
        let ends: Vec<(usize, usize)> = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let places = arrange(&bodies, &ends);
        let sheet = Sheet { graph, bodies: &bodies, places: &places };
        let shapes = (0..graph.nodes.len()).map(|at| sheet.shape(at, wish, look));
        Self {
            height: HEAD + places.height + 2.0,
            heads: heads(graph),
            lines: sheet.lines(),
            shapes: shapes.collect(),
            label: "Map of services, subjects, streams and consumers; the list below says the same".to_owned(),
        }
    }

    fn width(&self) -> f64 {
        WIDTH
    }
}

impl Shape {
    /// Where the name stands: in the middle, or above the second line.
    fn name_y(&self) -> f64 {
        if self.under.is_empty() { self.middle + 4.5 } else { self.middle - 2.0 }
    }

    /// Where the ring stands: beside the name.
    fn ring_y(&self) -> f64 {
        self.name_y() - 4.5
    }

    /// How round its corners are: services are told from what NATS holds by their shape.
    fn corners(&self) -> f64 {
        if self.class.starts_with("service") { 20.0 } else { 6.0 }
    }
}

fn heads(graph: &Graph) -> Vec<Head> {
    let head = |column: Column| {
        let is_empty = !graph.nodes.iter().any(|node| node.column == column);
        let none = match column {
            Column::Senders if graph.since.is_none() => "not known: no spans",
            Column::Senders => "nobody was seen",
            Column::Handlers => "nobody has told",
            _ => "none",
        };
        Head { x: COLUMNS[column as usize].0, text: column.title(), none: is_empty.then_some(none) }
    };
    Column::ALL.into_iter().map(head).collect()
}

/// What is drawn, and where.
struct Sheet<'a> {
    graph: &'a Graph,
    bodies: &'a [Body],
    places: &'a Places,
}

impl Sheet<'_> {
    fn middle(&self, at: usize) -> f64 {
        HEAD + self.places.tops[at] + self.bodies[at].height / 2.0
    }

    fn shape(&self, at: usize, wish: &Wish, look: &Look<'_>) -> Shape {
        let node = &self.graph.nodes[at];
        let (x, width) = COLUMNS[node.column as usize];
        let is_here = wish.focus.as_ref() == Some(&node.thing);
        let mark = (!node.word.is_empty()).then(|| node.level());
        let before = if mark.is_some() { BEFORE } else { 12.0 };
        let room = width - before - HANDLE;
        let side = if node.column == Column::Handlers { "to" } else { "at" };
        // The second line runs on below the ring.
        let (name, said) = (fitted(node.thing.name(), room, 13.0), joined(under(node), width - before - 8.0, 11.5));
        let is_cut = name.contains('…') || !said.1;
        let label = label(node, &name, &said.0);
        Shape {
            id: format!("{side}-{}", node.thing.token()),
            class: format!("{} {}{}", node.thing.kind(), node.level(), if is_here { " here" } else { "" }),
            x,
            y: HEAD + self.places.tops[at],
            width,
            height: self.bodies[at].height,
            inner: width - HANDLE,
            middle: self.middle(at),
            text_x: x + before,
            handle_x: x + width - HANDLE,
            mark,
            href: link(node, self.graph, look),
            tip: (is_cut || !node.why.is_empty()).then(|| label.clone()),
            name,
            under: said.0,
            focus: look.link(&Page::Map(wish.with_focus((!is_here).then(|| node.thing.clone())))),
            focus_label: if is_here {
                "Show all of the map".to_owned()
            } else {
                format!("Only what is connected with {} {}", node.thing.kind(), format::cut(node.thing.name()))
            },
            label,
            is_here,
        }
    }

    fn lines(&self) -> Vec<Line> {
        let edges = &self.graph.edges;
        let outs: Vec<f64> = (0..edges.len()).map(|edge| self.port(edge, true)).collect();
        let ins: Vec<f64> = (0..edges.len()).map(|edge| self.port(edge, false)).collect();
        (0..edges.len()).map(|at| self.line(at, outs[at], ins[at])).collect()
    }

    /// The height at which a line leaves its box, or comes to it: in the order of where they come from, or go to.
    fn port(&self, edge: usize, is_out: bool) -> f64 {
        let edges = &self.graph.edges;
        let end = |edge: &Edge| if is_out { edge.from } else { edge.to };
        let at = end(&edges[edge]);
        let far = |other: usize| {
            let ways = &self.places.ways[other];
            let way = if is_out { ways.first() } else { ways.last() };
            way.map_or_else(|| self.middle(if is_out { edges[other].to } else { edges[other].from }), |way| way + HEAD)
        };
        let all = (0..edges.len()).filter(|other| end(&edges[*other]) == at);
        let own = (far(edge), edge);
        let (before, count) =
            all.fold((0, 0), |(before, count), other| (before + usize::from((far(other), other) < own), count + 1));
        let height = self.bodies[at].height;
        HEAD + self.places.tops[at] + height * (before as f64 + 1.0) / (f64::from(count) + 1.0)
    }

    fn line(&self, at: usize, from_y: f64, to_y: f64) -> Line {
        let edge = &self.graph.edges[at];
        let (from, to) = (&self.graph.nodes[edge.from], &self.graph.nodes[edge.to]);
        let (from_x, to_x) = (COLUMNS[from.column as usize].0, COLUMNS[to.column as usize].0);
        let mut path = String::new();
        if edge.kind == Kind::Copies {
            let out = to_x - 40.0;
            path = format!("M{from_x:.0} {from_y:.1}C{out:.0} {from_y:.1} {out:.0} {to_y:.1} {to_x:.0} {to_y:.1}");
        } else {
            let mut here = (from_x + COLUMNS[from.column as usize].1, from_y);
            path.push_str(&format!("M{:.0} {:.1}", here.0, here.1));
            for (way, column) in self.places.ways[at].iter().zip(from.column as usize + 1..) {
                let (x, width) = COLUMNS[column];
                curve(&mut path, here, (x, way + HEAD));
                path.push_str(&format!("h{width:.0}"));
                here = (x + width, way + HEAD);
            }
            curve(&mut path, here, (to_x, to_y));
        }
        let rate = edge.rate.map(format::rate);
        let into = self.graph.edges.iter().filter(|other| other.to == edge.to).count();
        // A box tells the rate of what comes on one line itself.
        let is_told = match edge.kind {
            Kind::Sends => (2..=LABELS_MOST).contains(&into),
            Kind::Handles => into <= LABELS_MOST,
            Kind::Takes | Kind::Copies | Kind::Reads => false,
        };
        Line {
            class: class(edge, from, to),
            path: format!("{path}m-6 -4l6 4l-6 4"),
            tip: tip(edge, from, to),
            rate: rate.filter(|_| is_told).map(|rate| (to_x - 9.0, (to_y - 4.0).round(), rate)),
        }
    }
}

fn curve(path: &mut String, from: (f64, f64), to: (f64, f64)) {
    let half = (from.0 + to.0) / 2.0;
    path.push_str(&format!("C{half:.0} {:.1} {half:.0} {:.1} {:.0} {:.1}", from.1, to.1, to.0, to.1));
}

/// How wide a line is, and whether something waits at its end.
fn class(edge: &Edge, from: &Node, to: &Node) -> String {
    let width = match edge.rate {
        None => "unseen-rate",
        Some(rate) if rate < 0.005 => "w0",
        Some(rate) if rate < 10.0 => "w1",
        Some(rate) if rate < 100.0 => "w2",
        Some(rate) if rate < 1_000.0 => "w3",
        Some(_) => "w4",
    };
    let level = match edge.kind {
        Kind::Reads => to.level,
        Kind::Handles if from.column == Column::Consumers => from.level.max(to.level),
        _ => Level::Ok,
    };
    if level.trouble() > 0 { format!("{width} {}", level.class()) } else { width.to_owned() }
}

fn tip(edge: &Edge, from: &Node, to: &Node) -> String {
    let rate = edge.rate.map_or_else(|| "rate unknown".to_owned(), format::rate);
    let more = if edge.kind == Kind::Reads { format!(", {}", waiting(to)) } else { String::new() };
    format!("{} {} {}: {rate}{more}", format::cut(from.thing.name()), edge.kind.verb(), format::cut(to.thing.name()))
}

/// What the second line of a box says, the most important first.
fn under(node: &Node) -> Vec<String> {
    let rate = node.rate.map(format::rate);
    let or_unknown = rate.clone().unwrap_or_else(|| "rate unknown".to_owned());
    match &node.thing {
        Thing::Service(_) => vec![node.word.clone()],
        Thing::Subject(..) => rate.map(|rate| format!("{rate} traced")).into_iter().collect(),
        Thing::Stream(..) => {
            let word = (node.level.trouble() > 0).then(|| node.word.clone());
            let more = (node.more > 0).then(|| format!("{} more", format::counted(node.more, "consumer")));
            word.into_iter().chain([or_unknown]).chain(more).collect()
        }
        Thing::Consumer(..) => {
            let word = Some(node.word.clone()).filter(|word| word != "ok");
            let age = node.age.filter(|_| node.lag != Some(0)).map(aged);
            let lag = match node.lag {
                None => Some("lag unknown".to_owned()),
                Some(0) => None,
                Some(lag) => Some(format!("lag {}", format::count(lag))),
            };
            word.into_iter().chain(age).chain([or_unknown]).chain(lag).collect()
        }
    }
}

/// So much of what is to be said as has room, and whether that is all.
fn joined(said: Vec<String>, room: f64, size: f64) -> (String, bool) {
    let mut parts = said.into_iter();
    let mut line = fitted(&parts.next().unwrap_or_default(), room, size);
    for part in parts.by_ref() {
        let longer = format!("{line} · {part}");
        if fitted(&longer, room, size) != longer {
            return (line, false);
        }
        line = longer;
    }
    (line, true)
}

/// What its box says, and then what does not stand in it.
fn label(node: &Node, name: &str, said: &str) -> String {
    let what = match node.thing.stream() {
        Some(stream) if node.column == Column::Consumers => format!("consumer on {}", format::cut(stream)),
        _ => node.thing.kind().to_owned(),
    };
    let whole = (name != node.thing.name()).then(|| format::cut(node.thing.name()));
    let is_new = |text: &String| !text.is_empty() && !said.contains(text.as_str());
    let waiting = Some(waiting(node)).filter(|_| node.column == Column::Consumers);
    let rest = [Some(what), whole, Some(node.word.clone()).filter(is_new), waiting, Some(format::cut(&node.why))];
    let rest: Vec<String> = rest.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    format!("{} ({})", [name, said].join(" ").trim_end(), rest.join(", "))
}

/// A text that has room in so many units, with its middle left out where it is longer: names differ at their ends.
fn fitted(text: &str, room: f64, size: f64) -> String {
    let wide = |letter: char| width_of(letter) * size;
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    if text.chars().map(wide).sum::<f64>() <= room {
        return text;
    }
    let half = (room - size) / 2.0;
    let taken = |letters: &mut dyn Iterator<Item = char>| {
        let mut left = half;
        let mut taken: Vec<char> = Vec::new();
        for letter in letters {
            left -= wide(letter);
            if left < 0.0 {
                break;
            }
            taken.push(letter);
        }
        taken
    };
    let (front, mut back) = (taken(&mut text.chars()), taken(&mut text.chars().rev()));
    back.reverse();
    front.into_iter().chain(['…']).chain(back).collect()
}

/// About how wide a letter is, in parts of its size: no font is at hand, and what is cut a little early does no harm.
fn width_of(letter: char) -> f64 {
    match letter {
        'i' | 'l' | 'j' | '.' | ',' | ':' | '\'' | '|' | ' ' | 'f' | 't' | 'r' | '-' | '*' | '·' => 0.4,
        'm' | 'w' | 'M' | 'W' | '_' => 0.85,
        'A'..='Z' | '>' | '<' => 0.72,
        letter if letter.is_ascii() => 0.58,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_keeps_both_of_its_ends() {
        let check = |text, room, expected: &str| assert_eq!(fitted(text, room, 13.0), expected);
        check("orders", 200.0, "orders");
        check("notifications-mail-partition-17", 110.0, "notific…tion-17");
        check("a\u{0}b\n", 200.0, "ab");
    }
}
