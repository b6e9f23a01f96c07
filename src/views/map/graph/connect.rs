//! Draws the connections between streams and consumers that are shown, subjects and services.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Column, Edge, Kind, Node,
    choose::{Chosen, Picked},
    services::{self, Service},
};
use crate::{
    clock::Timestamp,
    name::subjects_overlap,
    snapshot::{AgeBy, Consumer, Finding, Severity, Snapshot, Stream},
    traces::{Act, Flow, Flows},
    views::{
        findings, format,
        map::wish::{Thing, Wish},
        pieces::Level,
        standing,
    },
};

/// Subjects of one stream that are shown; and such as no stream holds.
const SUBJECTS_MOST: usize = 12;

/// Services on each side.
const SERVICES_MOST: usize = 60;

/// Lines. What has more is not read by anybody.
const EDGES_MOST: usize = 300;

/// Bytes of a name that others chose: a longer one is cut before it takes over the page.
const NAME_MOST: usize = 256;

/// Nodes and lines while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Net {
    nodes: Vec<Node>,
    places: HashMap<(Column, Thing), usize>,
    edges: BTreeMap<(usize, usize), Edge>,
    left_out: usize,
}

/// What connections are read from.
struct Facts<'a> {
    chosen: &'a Chosen<'a>,
    snapshot: &'a Snapshot,
    flows: &'a [Flow],
    services: BTreeMap<&'a str, Service<'a>>,
    /// The subjects of all streams by their first tokens: there may be thousands.
    held: HashMap<&'a str, Vec<&'a str>>,
    now: Timestamp,
}

/// First tokens that stand for any.
const WILD: [&str; 2] = ["*", ">"];

fn is_wild(token: &str) -> bool {
    WILD.contains(&token)
}

fn first_token(subject: &str) -> &str {
    subject.split('.').next().unwrap_or_default()
}

impl Net {
    pub(super) fn of(chosen: &Chosen<'_>, snapshot: &Snapshot, flows: &Flows, now: Timestamp) -> Self {
        let facts = Facts::of(chosen, snapshot, flows, now);
        let mut net = Self::default();
        for picked in &chosen.picked {
            net.stream(picked, &facts);
        }
        net.copies(chosen);
        for picked in &chosen.picked {
            net.subjects(picked.stream, &facts);
        }
        net.unheld(&facts);
        net.handlers(&facts);
        net
    }

    /// Only what is looked at, and what is connected with it.
    pub(super) fn narrow(&mut self, wish: &Wish) {
        let edges: Vec<Edge> = self.edges.values().cloned().collect();
        let kept = super::narrow::connected(&self.nodes, &edges, wish);
        let mut places = vec![None; self.nodes.len()];
        let mut nodes = Vec::new();
        for (at, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if kept[at] {
                places[at] = Some(nodes.len());
                nodes.push(node);
            }
        }
        self.nodes = nodes;
        let moved = edges.into_iter().filter_map(|edge| {
            let (from, to) = (places[edge.from]?, places[edge.to]?);
            Some(((from, to), Edge { from, to, ..edge }))
        });
        self.edges = moved.collect();
    }

    /// The nodes by column and name, the lines between them, and how much found no room.
    pub(super) fn into_parts(self) -> (Vec<Node>, Vec<Edge>, usize) {
        let Self { nodes, edges, mut left_out, .. } = self;
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        let key = |at: &usize| {
            (nodes[*at].column, nodes[*at].thing.account(), nodes[*at].thing.stream(), nodes[*at].thing.name())
        };
        order.sort_by(|one, other| key(one).cmp(&key(other)));
        let mut places = vec![0; nodes.len()];
        order.iter().enumerate().for_each(|(place, at)| places[*at] = place);
        let mut edges: Vec<Edge> =
            edges.into_values().map(|edge| Edge { from: places[edge.from], to: places[edge.to], ..edge }).collect();
        edges.sort_by_key(|edge| (edge.from, edge.to));
        left_out += edges.len().saturating_sub(EDGES_MOST);
        edges.truncate(EDGES_MOST);
        let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        let nodes = order.into_iter().filter_map(|at| nodes[at].take()).collect();
        (nodes, edges, left_out)
    }

    fn add(&mut self, node: Node) -> usize {
        let key = (node.column, node.thing.clone());
        *self.places.entry(key).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }

    fn connect(&mut self, kind: Kind, from: usize, to: usize) -> &mut Edge {
        let new = Edge { from, to, kind, rate: None, last: None, pulls: 0 };
        self.edges.entry((from, to)).or_insert(new)
    }

    /// A line that spans tell of.
    fn flow(&mut self, kind: Kind, from: usize, to: usize, flow: &Flow) {
        let edge = self.connect(kind, from, to);
        edge.rate = Some(edge.rate.unwrap_or_default() + flow.per_second());
        edge.last = edge.last.max(Some(flow.last));
    }

    fn stream(&mut self, picked: &Picked<'_>, facts: &Facts<'_>) {
        let at = self.add(of_stream(picked, facts.snapshot));
        for consumer in &picked.consumers {
            let to = self.add(of_consumer(consumer, facts.now));
            let edge = self.connect(Kind::Reads, at, to);
            edge.rate = consumer.trend.map(|trend| trend.delivered_per_second());
        }
    }

    /// Lines between streams that copy.
    fn copies(&mut self, chosen: &Chosen<'_>) {
        for Picked { stream, .. } in &chosen.picked {
            for origin in stream.config.mirror.iter().chain(&stream.config.sources) {
                let thing = |name: &str| (Column::Streams, Thing::Stream(stream.account.to_string(), name.to_owned()));
                let ends = (self.places.get(&thing(&origin.name)), self.places.get(&thing(stream.name.as_str())));
                if let (Some(&from), Some(&to)) = ends {
                    self.connect(Kind::Copies, from, to);
                }
            }
        }
    }

    /// The subjects of a stream, as far as spans tell as patterns that services send on, and who does.
    fn subjects(&mut self, stream: &Stream, facts: &Facts<'_>) {
        let key = (Column::Streams, Thing::Stream(stream.account.to_string(), stream.name.to_string()));
        let Some(&to) = self.places.get(&key) else { return };
        let own = &stream.config.subjects;
        let sent: Vec<&Flow> = facts.sent_to(stream).collect();
        let patterns: BTreeSet<&str> = sent.iter().map(|flow| flow.way.subject.as_str()).collect();
        let is_unsent = |own: &&str| !patterns.iter().any(|pattern| subjects_overlap(own, pattern));
        let unsent = own.iter().map(String::as_str).filter(is_unsent).collect::<Vec<_>>();
        let all = patterns.len() + unsent.len();
        self.left_out += all.saturating_sub(SUBJECTS_MOST);
        for subject in patterns.iter().copied().chain(unsent).take(SUBJECTS_MOST) {
            let from = self.add(of_subject(&stream.account, subject));
            self.connect(Kind::Takes, from, to);
            for flow in sent.iter().filter(|flow| flow.way.subject == subject) {
                self.flow(Kind::Takes, from, to, flow);
            }
        }
        for flow in sent {
            let subject = (Column::Subjects, Thing::Subject(stream.account.to_string(), cut(&flow.way.subject)));
            if let Some(&to) = self.places.get(&subject) {
                self.sender(to, flow, facts);
            }
        }
    }

    fn sender(&mut self, subject: usize, flow: &Flow, facts: &Facts<'_>) {
        if let Some(from) = self.service(Column::Senders, &flow.way.service, facts) {
            // The same way leads to a subject once, however many streams take it.
            let is_new = !self.edges.contains_key(&(from, subject));
            if is_new {
                self.flow(Kind::Sends, from, subject, flow);
                let rate = &mut self.nodes[subject].rate;
                *rate = Some(rate.unwrap_or_default() + flow.per_second());
                let last = &mut self.nodes[subject].last;
                *last = (*last).max(Some(flow.last));
            }
        }
    }

    /// Subjects that no stream holds: questions, mostly, and who answers.
    fn unheld(&mut self, facts: &Facts<'_>) {
        let answered = facts.flows.iter().filter(|flow| flow.way.act == Act::Handles && flow.way.stream.is_empty());
        let sent = facts.flows.iter().filter(|flow| flow.way.act == Act::Sends && !facts.is_held(&flow.way.subject));
        let subjects: BTreeSet<&str> =
            sent.clone().chain(answered.clone()).map(|flow| flow.way.subject.as_str()).collect();
        self.left_out += subjects.len().saturating_sub(SUBJECTS_MOST);
        let subjects: BTreeSet<&str> = subjects.into_iter().take(SUBJECTS_MOST).collect();
        for flow in sent.filter(|flow| subjects.contains(flow.way.subject.as_str())) {
            let to = self.add(of_subject("", &flow.way.subject));
            self.sender(to, flow, facts);
        }
        for flow in answered.filter(|flow| subjects.contains(flow.way.subject.as_str())) {
            let from = self.add(of_subject("", &flow.way.subject));
            if let Some(to) = self.service(Column::Handlers, &flow.way.service, facts) {
                self.flow(Kind::Handles, from, to, flow);
            }
        }
    }

    /// The services behind the consumers: those that say that they pull, and those whose spans say that they handle.
    fn handlers(&mut self, facts: &Facts<'_>) {
        let place = |net: &Self, account: &str, stream: &str, name: &str| {
            let thing = Thing::Consumer(account.to_owned(), stream.to_owned(), name.to_owned());
            net.places.get(&(Column::Consumers, thing)).copied()
        };
        for (name, service) in &facts.services {
            for ((account, stream, consumer), pulls) in &service.pulls {
                let Some(from) = place(self, account, stream, consumer) else { continue };
                let Some(to) = self.service(Column::Handlers, name, facts) else { continue };
                self.connect(Kind::Handles, from, to).pulls += pulls;
            }
        }
        let handled = facts.flows.iter().filter(|flow| flow.way.act == Act::Handles && !flow.way.stream.is_empty());
        for flow in handled {
            for account in facts.accounts(&flow.way.service) {
                let Some(from) = place(self, account, &flow.way.stream, &flow.way.consumer) else { continue };
                if let Some(to) = self.service(Column::Handlers, &flow.way.service, facts) {
                    self.flow(Kind::Handles, from, to, flow);
                }
            }
        }
    }

    /// A service on one side; `None` where there are too many.
    fn service(&mut self, column: Column, name: &str, facts: &Facts<'_>) -> Option<usize> {
        let known = self.places.get(&(column, Thing::Service(cut(name))));
        if known.is_none() && self.nodes.iter().filter(|node| node.column == column).count() >= SERVICES_MOST {
            self.left_out += 1;
            return None;
        }
        known.copied().or_else(|| Some(self.add(of_service(column, name, facts))))
    }
}

impl<'a> Facts<'a> {
    fn of(chosen: &'a Chosen<'a>, snapshot: &'a Snapshot, flows: &'a Flows, now: Timestamp) -> Self {
        let mut held = HashMap::<&str, Vec<&str>>::new();
        for subject in snapshot.known_streams().iter().flat_map(|stream| &stream.config.subjects) {
            held.entry(first_token(subject)).or_default().push(subject);
        }
        Self { chosen, snapshot, flows: &flows.rows, services: services::all(snapshot), held, now }
    }

    /// What services send to a stream.
    fn sent_to(&self, stream: &'a Stream) -> impl Iterator<Item = &'a Flow> {
        let sent = self.flows.iter().filter(|flow| flow.way.act == Act::Sends);
        sent.filter(|flow| {
            let is_here =
                self.services.get(flow.way.service.as_str()).is_none_or(|service| service.is_in(&stream.account));
            is_here && stream.config.subjects.iter().any(|own| subjects_overlap(own, &flow.way.subject))
        })
    }

    /// Whether some stream holds what is sent on a subject.
    fn is_held(&self, subject: &str) -> bool {
        let first = first_token(subject);
        let alike = if is_wild(first) { None } else { self.held.get(first) };
        let all = self.held.values().flatten().filter(|_| is_wild(first));
        let wild = WILD.iter().filter_map(|wild| self.held.get(wild)).flatten();
        alike.into_iter().flatten().chain(wild).chain(all).any(|own| subjects_overlap(own, subject))
    }

    /// The accounts that a service may be in: those where it tells of itself, or any.
    fn accounts(&self, service: &str) -> BTreeSet<&'a str> {
        let told = self.services.get(service).map(|service| service.accounts.clone()).unwrap_or_default();
        let any = || self.chosen.picked.iter().map(|picked| &*picked.stream.account).collect();
        if told.iter().all(|account| account.is_empty()) { any() } else { told }
    }
}

impl Service<'_> {
    /// Whether it may be in an account.
    fn is_in(&self, account: &str) -> bool {
        self.accounts.iter().all(|own| own.is_empty()) || self.accounts.contains(account)
    }
}

/// A name that others chose, with room on a page.
fn cut(name: &str) -> String {
    match format::within(name, NAME_MOST) {
        whole if whole.len() == name.len() => whole.to_owned(),
        beginning => format!("{beginning}…"),
    }
}

fn node(thing: Thing, column: Column, level: Level) -> Node {
    Node {
        thing,
        column,
        level,
        word: String::new(),
        why: String::new(),
        rate: None,
        lag: None,
        age: None,
        last: None,
        more: 0,
        takes: Vec::new(),
        has_page: true,
    }
}

fn of_subject(account: &str, subject: &str) -> Node {
    node(Thing::Subject(account.to_owned(), cut(subject)), Column::Subjects, Level::Idle)
}

fn of_service(column: Column, name: &str, facts: &Facts<'_>) -> Node {
    let thing = Thing::Service(cut(name));
    match facts.services.get(name) {
        Some(service) => Node { word: service.word(), last: Some(service.last), ..node(thing, column, service.level) },
        None => Node {
            word: "known by its spans".to_owned(),
            has_page: false,
            last: facts.flows.iter().filter(|flow| flow.way.service == name).map(|flow| flow.last).max(),
            ..node(thing, column, Level::Idle)
        },
    }
}

/// A stream is as bad as the worst of its consumers, shown or not, or as what a check found of itself.
fn of_stream(picked: &Picked<'_>, snapshot: &Snapshot) -> Node {
    let Picked { stream, consumers: shown } = picked;
    let consumers = || stream.consumers.value().into_iter().flat_map(|list| &list.rows);
    let troubled = consumers().map(standing::level_of).filter(|level| level.trouble() > 0);
    let finding = finding_of(stream, snapshot);
    let (level, word) = match (stream.state.fresh(), troubled.clone().max(), finding) {
        (None, ..) => (Level::Unknown, "unknown".to_owned()),
        (_, Some(level), None) => (level, format!("{} in trouble", format::counted(troubled.count(), "consumer"))),
        (_, worst, Some(finding)) => {
            let level = findings::level(finding.severity);
            (worst.map_or(level, |worst| worst.max(level)), "a finding".to_owned())
        }
        (_, None, None) => (Level::Ok, "ok".to_owned()),
    };
    let found = finding.map(|finding| finding.sentence.trim_end_matches('.'));
    Node {
        word,
        why: cut(stream.state.reason().or(found).unwrap_or_default()),
        rate: stream.trend.map(|trend| trend.stored_per_second()),
        last: stream.state.value().and_then(|state| state.last_stored),
        more: consumers().count() - shown.len(),
        ..node(Thing::Stream(stream.account.to_string(), stream.name.to_string()), Column::Streams, level)
    }
}

/// The worst that a check found of a stream and that somebody should look at.
fn finding_of<'a>(stream: &Stream, snapshot: &'a Snapshot) -> Option<&'a Finding> {
    let mut found = snapshot.findings.iter().take_while(|finding| finding.severity >= Severity::Warning);
    let is_here = |finding: &&Arc<Finding>| {
        finding.about.strip_prefix("stream ") == Some(stream.name.as_str())
            && finding.account.as_deref().is_none_or(|account| account == &*stream.account)
    };
    found.find(is_here).map(AsRef::as_ref)
}

fn of_consumer(consumer: &Consumer, now: Timestamp) -> Node {
    let standing = standing::of_consumer(consumer);
    let names = [&*consumer.account, consumer.stream.as_str(), consumer.name.as_str()].map(str::to_owned);
    let [account, stream, name] = names;
    let state = consumer.state.value();
    let oldest = consumer.ages.value().and_then(|ages| ages.unprocessed);
    let takes = consumer.config.filters();
    Node {
        word: standing.sign.word.clone(),
        why: cut(&standing.why),
        rate: consumer.trend.map(|trend| trend.delivered_per_second()),
        lag: state.map(|state| state.lag()),
        age: oldest.filter(|oldest| oldest.by == AgeBy::Message).map(|oldest| oldest.stored.age(now).0),
        last: state.and_then(|state| state.last_delivered),
        takes: takes.into_iter().take(SUBJECTS_MOST).map(cut).collect(),
        ..node(Thing::Consumer(account, stream, name), Column::Consumers, standing.level())
    }
}
