//! What is connected with what: services, the subjects that they send on, streams, consumers, and the services behind those. A pure function of
//! what the round found, of what spans told, and of the past.

mod choose;
mod connect;
mod narrow;
mod services;

use std::time::Duration;

use super::wish::{Thing, Wish};
use crate::{
    clock::Timestamp,
    snapshot::{Point, Series, Snapshot, Span},
    traces::{Flows, Store},
    views::{Page, Past, pieces::Level},
};
use choose::Chosen;
use connect::Net;

/// Over which time messages are counted where now is meant: spans come late by some seconds, and a rate of less is a matter of luck.
const NOW: Duration = Duration::from_secs(120);

/// In which column of the drawing something stands; messages go from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Services that send.
    Senders,
    /// Subjects.
    Subjects,
    /// Streams.
    Streams,
    /// Consumers.
    Consumers,
    /// Services that handle what is sent.
    Handlers,
}

/// Something on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it stands for.
    pub thing: Thing,
    /// Where.
    pub column: Column,
    pub(in crate::views) level: Level,
    /// How it is, in a word or two; empty where nothing can be said of its kind.
    pub word: String,
    /// Why, in a sentence without its end; empty where the word says it all.
    pub why: String,
    /// Messages a second: of a stream those that it stored, of a consumer those that were delivered, of a subject those that spans told of.
    pub rate: Option<f64>,
    /// Of a consumer: messages that it has not processed.
    pub lag: Option<u64>,
    /// Of a consumer: the age of the oldest of these.
    pub age: Option<Duration>,
    /// When something was last heard of it: of a stream its last message, of a service what it told last.
    pub last: Option<Timestamp>,
    /// Of a stream: consumers of it that are not shown.
    pub more: usize,
    /// Of a consumer: patterns of the subjects that it takes; none for all.
    pub takes: Vec<String>,
    /// Whether it has a page of its own, which a service has that tells of itself.
    pub has_page: bool,
}

/// What a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A service sends on a subject.
    Sends,
    /// A stream takes a subject.
    Takes,
    /// A stream takes what another holds.
    Copies,
    /// A consumer reads a stream.
    Reads,
    /// A service handles what a consumer delivers, or what comes on a subject that no stream holds.
    Handles,
}

/// A line of the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Where it begins, by number of the node.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// What it stands for.
    pub kind: Kind,
    /// Messages a second; `None` where nobody counted them.
    pub rate: Option<f64>,
    /// When spans last told of it.
    pub last: Option<Timestamp>,
    /// Of what a service handles: instances that say that they pull.
    pub pulls: usize,
}

/// What is connected with what.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Everything that is shown, by column and name.
    pub nodes: Vec<Node>,
    /// Its connections.
    pub edges: Vec<Edge>,
    /// How many streams were taken, and how many there are to show.
    pub streams: (usize, usize),
    /// The same of their consumers.
    pub consumers: (usize, usize),
    /// Subjects, services and lines that found no room.
    pub left_out: usize,
    /// Since when it is counted who sends and handles; `None` where no span has told of that.
    pub since: Option<Timestamp>,
    /// Ways of messages that were forgotten because there were too many.
    pub forgotten: u64,
    /// Over which time messages are counted by spans.
    pub window: Duration,
}

/// What the map is made of.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// What the last round found.
    pub snapshot: &'a Snapshot,
    /// The traces that services sent.
    pub traces: &'a Store,
    /// What was kept of the past of what a page is about.
    pub past: &'a dyn Fn(&Page) -> Past,
    /// The time.
    pub now: Timestamp,
}

impl Graph {
    /// The map that is wished for.
    pub fn of(wish: &Wish, sources: Sources<'_>) -> Self {
        let Sources { snapshot, traces, past, now } = sources;
        let then = wish.at.unwrap_or(now).min(now);
        let window = wish.over.map_or(NOW, Span::reach);
        let flows = traces.flows(then.before(window), then);
        let mut graph = Self::now(wish, snapshot, &flows, window, now);
        if let Some((over, at)) = wish.past(now) {
            graph.look_back(|node| {
                let series = match &node.thing {
                    Thing::Stream(account, stream) => {
                        past(&Page::Stream(account.clone(), stream.parse().ok()?, over)).series?
                    }
                    Thing::Consumer(account, stream, name) => {
                        let (stream, name) = (stream.parse().ok()?, name.parse().ok()?);
                        past(&Page::Consumer(account.clone(), stream, name, over)).series?
                    }
                    Thing::Service(_) | Thing::Subject(..) => return None,
                };
                Some(at.map_or_else(|| series.points.clone(), |at| point_at(&series, at).into_iter().collect()))
            });
        }
        graph
    }

    /// The map as things are now.
    fn now(wish: &Wish, snapshot: &Snapshot, flows: &Flows, window: Duration, now: Timestamp) -> Self {
        let chosen = Chosen::of(wish, snapshot, flows);
        let mut net = Net::of(&chosen, snapshot, flows, now);
        if wish.is_narrow() {
            net.narrow(wish);
        }
        let (nodes, edges, left_out) = net.into_parts();
        let taken = chosen.picked.iter().map(|picked| picked.consumers.len()).sum();
        Self {
            streams: (chosen.picked.len(), chosen.of_streams),
            consumers: (taken, chosen.of_consumers),
            nodes,
            edges,
            left_out,
            since: flows.since,
            forgotten: flows.forgotten,
            window,
        }
    }

    /// Puts what was over a time in the place of what is now: mean rates, and the greatest lag and age.
    fn look_back(&mut self, past: impl Fn(&Node) -> Option<Vec<Point>>) {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if !matches!(node.column, Column::Streams | Column::Consumers) {
                continue;
            }
            let points = past(node).unwrap_or_default();
            let known = |of: fn(&Point) -> f32| {
                points.iter().map(of).filter(|value| !value.is_nan()).map(f64::from).collect::<Vec<f64>>()
            };
            let rates = known(|point| point.came_per_second);
            node.rate = (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64);
            if node.column == Column::Consumers {
                let lags = known(|point| point.waiting + point.held);
                node.lag = lags.into_iter().reduce(f64::max).map(|lag| lag as u64);
                let ages = known(|point| point.age_seconds);
                node.age = ages.into_iter().reduce(f64::max).and_then(|age| Duration::try_from_secs_f64(age).ok());
                let rate = node.rate;
                let reads = self.edges.iter_mut().filter(|edge| edge.to == at && edge.kind == Kind::Reads);
                reads.for_each(|edge| edge.rate = rate);
            }
        }
    }

    /// How many services there are, whichever side they stand on.
    pub(in crate::views) fn services(&self) -> usize {
        let names = self.nodes.iter().filter(|node| matches!(node.thing, Thing::Service(_)));
        let mut names: Vec<&str> = names.map(|node| node.thing.name()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// The services that handle what a consumer delivers.
    pub(in crate::views) fn handlers(&self, consumer: usize) -> Vec<&str> {
        let edges = self.edges.iter().filter(|edge| edge.from == consumer && edge.kind == Kind::Handles);
        edges.map(|edge| self.nodes[edge.to].thing.name()).collect()
    }
}

/// The point of the step that a moment falls into.
fn point_at(series: &Series, at: Timestamp) -> Option<Point> {
    // A step begins with its first moment and ends before that of the next.
    let back = at.age(series.until).0.as_millis().saturating_sub(1) / series.step.as_millis().max(1);
    let at = series.points.len().checked_sub(usize::try_from(back).ok()?.checked_add(1)?)?;
    series.points.get(at).copied()
}

impl Node {
    /// How it is, as a token.
    pub fn level(&self) -> &'static str {
        self.level.class()
    }
}

impl Column {
    /// All of them, in order.
    pub(in crate::views) const ALL: [Self; 5] =
        [Self::Senders, Self::Subjects, Self::Streams, Self::Consumers, Self::Handlers];

    /// What stands above it.
    pub(in crate::views) fn title(self) -> &'static str {
        match self {
            Self::Senders => "Published by",
            Self::Subjects => "Subjects",
            Self::Streams => "Streams",
            Self::Consumers => "Consumers",
            Self::Handlers => "Processed by",
        }
    }
}

impl Kind {
    /// What the first of two things does with the second.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Sends => "publishes on",
            Self::Takes => "is stored in",
            Self::Copies => "is copied to",
            Self::Reads => "is read by",
            Self::Handles => "is processed by",
        }
    }
}
