//! What is connected with a thing: where its messages come from, and where they go. Of the subjects of a stream those count that its consumer
//! takes.

use std::collections::HashSet;

use super::{Column, Edge, Node};
use crate::{
    name::subjects_overlap,
    views::map::wish::{Thing, Wish},
    words::has,
};

/// The way of one message backwards or forwards.
struct Walk<'a> {
    nodes: &'a [Node],
    edges: &'a [Edge],
    kept: Vec<bool>,
    /// Where it has been, in which direction, and with what in mind.
    been: HashSet<(bool, usize, Option<usize>)>,
}

/// Which nodes are connected with those that are wished for.
pub(super) fn connected(nodes: &[Node], edges: &[Edge], wish: &Wish) -> Vec<bool> {
    let is_wanted = |node: &Node| match &wish.focus {
        Some(thing) => is_meant(thing, &node.thing),
        None => has(node.thing.name(), &wish.q),
    };
    let mut walk = Walk { nodes, edges, kept: vec![false; nodes.len()], been: HashSet::new() };
    for at in (0..nodes.len()).filter(|at| is_wanted(&nodes[*at])) {
        walk.back(at, None);
        walk.forth(at, None);
    }
    walk.kept
}

/// A thing is meant by its names; whoever does not know the account of a subject or a stream means any.
fn is_meant(wanted: &Thing, thing: &Thing) -> bool {
    let is_in = wanted.account().is_empty() || wanted.account() == thing.account();
    is_in && wanted.kind() == thing.kind() && wanted.stream() == thing.stream() && wanted.name() == thing.name()
}

impl Walk<'_> {
    /// Where messages come from that get to a node, as far as a consumer takes them.
    fn back(&mut self, at: usize, taker: Option<usize>) {
        if !self.been.insert((false, at, taker)) {
            return;
        }
        self.kept[at] = true;
        let column = self.nodes[at].column;
        let taker = if column == Column::Consumers { Some(at) } else { taker };
        let edges = self.edges;
        for Edge { from, .. } in edges.iter().filter(|edge| edge.to == at) {
            let is_taken = |taker: usize| has_subject(&self.nodes[taker], &self.nodes[*from]);
            match self.nodes[*from].column {
                Column::Subjects if !taker.is_none_or(is_taken) => {}
                // Where a copy comes from is told, and no more.
                Column::Streams if column == Column::Streams => self.kept[*from] = true,
                _ => self.back(*from, taker),
            }
        }
    }

    /// Where messages go from a node: those on one subject to consumers that take it.
    fn forth(&mut self, at: usize, subject: Option<usize>) {
        if !self.been.insert((true, at, subject)) {
            return;
        }
        self.kept[at] = true;
        let column = self.nodes[at].column;
        let subject = if column == Column::Subjects { Some(at) } else { subject };
        let edges = self.edges;
        for Edge { to, .. } in edges.iter().filter(|edge| edge.from == at) {
            let is_taken = |subject: usize| has_subject(&self.nodes[*to], &self.nodes[subject]);
            match self.nodes[*to].column {
                Column::Consumers if !subject.is_none_or(is_taken) => {}
                Column::Streams if column == Column::Streams => self.kept[*to] = true,
                _ => self.forth(*to, subject),
            }
        }
    }
}

/// Whether a consumer takes a subject.
fn has_subject(consumer: &Node, subject: &Node) -> bool {
    consumer.takes.is_empty() || consumer.takes.iter().any(|takes| subjects_overlap(takes, subject.thing.name()))
}
