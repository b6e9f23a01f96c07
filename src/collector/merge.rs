//! Puts the answers of a round together with what the rounds before had found: what was not answered this time is stale, not gone.

use std::collections::HashMap;

use super::trend;
use crate::{
    broker::Answers,
    clock::Timestamp,
    snapshot::{Consumer, Contact, Fact, Listing, Reading, Snapshot, Stream, Why},
};

/// The snapshot that follows `last`.
pub(super) fn merge(last: &Snapshot, app: Contact, answers: Answers, now: Timestamp) -> Snapshot {
    Snapshot {
        round: last.round + 1,
        taken: now,
        interval: last.interval,
        app,
        servers: answers.servers.or_last(&last.servers),
        streams: streams(answers.streams, &last.streams),
        presence: answers.presence.or_last(&last.presence),
        records: answers.records.or_last(&last.records),
    }
}

fn streams(now: Reading<Listing<Stream>>, last: &Reading<Listing<Stream>>) -> Reading<Listing<Stream>> {
    match now.or_last(last) {
        Reading::Known(fact) => Reading::Known(rows(fact, last.value(), stream, |stream| stream.name.as_str())),
        Reading::Stale { mut fact, reason } => {
            fact.value.rows.iter_mut().for_each(|stream| go_stale(stream, &reason));
            Reading::Stale { fact, reason }
        }
        unknown => unknown,
    }
}

fn stream(now: &mut Stream, last: Option<&Stream>) {
    let last = last.filter(|last| last.created == now.created);
    now.trend = trend::of_stream(&now.state, last.map(|last| &last.state));
    let unread = Reading::not_yet();
    let consumers = std::mem::replace(&mut now.consumers, Reading::not_yet());
    now.consumers = self::consumers(consumers, last.map_or(&unread, |last| &last.consumers));
}

fn consumers(now: Reading<Listing<Consumer>>, last: &Reading<Listing<Consumer>>) -> Reading<Listing<Consumer>> {
    match now.or_last(last) {
        Reading::Known(fact) => Reading::Known(rows(fact, last.value(), consumer, |consumer| consumer.name.as_str())),
        Reading::Stale { mut fact, reason } => {
            fact.value.rows.iter_mut().for_each(|consumer| consumer_goes_stale(consumer, &reason));
            Reading::Stale { fact, reason }
        }
        unknown => unknown,
    }
}

fn consumer(now: &mut Consumer, last: Option<&Consumer>) {
    let last = last.filter(|last| last.created == now.created);
    if let Some(last) = last {
        let state = std::mem::replace(&mut now.state, Reading::not_yet());
        now.state = state.or_last(&last.state);
    }
    now.trend = trend::of_consumer(&now.state, last.map(|last| &last.state));
}

/// Gives every row of a list its past, and brings back rows of which the list only says that they did not answer.
fn rows<T: Clone + Leavable>(
    mut fact: Fact<Listing<T>>,
    last: Option<&Listing<T>>,
    join: fn(&mut T, Option<&T>),
    name: fn(&T) -> &str,
) -> Fact<Listing<T>> {
    let before: HashMap<&str, &T> = last.into_iter().flat_map(|last| &last.rows).map(|row| (name(row), row)).collect();
    for row in &mut fact.value.rows {
        let past = before.get(name(row)).copied();
        join(row, past);
    }
    let silent = fact.value.missing.iter().filter_map(|name| before.get(name.as_str()).copied()).cloned();
    let silent: Vec<T> = silent.map(Leavable::left_out).collect();
    fact.value.rows.extend(silent);
    fact.value.rows.sort_by(|a, b| name(a).cmp(name(b)));
    fact
}

/// A row that a cluster's list may leave out.
trait Leavable {
    /// The row as it is shown then.
    fn left_out(self) -> Self;
}

const LEFT_OUT: &str = "its leader did not answer in time";

impl Leavable for Stream {
    fn left_out(mut self) -> Self {
        go_stale(&mut self, LEFT_OUT);
        self
    }
}

impl Leavable for Consumer {
    fn left_out(mut self) -> Self {
        consumer_goes_stale(&mut self, LEFT_OUT);
        self
    }
}

fn go_stale(stream: &mut Stream, reason: &str) {
    stream.trend = None;
    stream.state = stale(&stream.state, reason);
    stream.consumers = consumers(Reading::unknown(Why::Failed, reason), &stream.consumers);
}

fn consumer_goes_stale(consumer: &mut Consumer, reason: &str) {
    consumer.trend = None;
    consumer.state = stale(&consumer.state, reason);
}

fn stale<T: Clone>(last: &Reading<T>, reason: &str) -> Reading<T> {
    Reading::unknown(Why::Failed, reason).or_last(last)
}
