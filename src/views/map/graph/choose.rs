//! Which streams and consumers the map shows where there are too many: the worst, and of those that are well the busiest.

use std::{cmp::Reverse, collections::HashSet};

use crate::{
    name::subjects_overlap,
    snapshot::{Consumer, Held, Snapshot, Stream},
    traces::{Act, Flows},
    views::{
        map::wish::{Thing, Wish},
        standing,
    },
    words::has,
};

/// Streams of a map: more are no picture.
const STREAMS_MOST: usize = 40;

/// Consumers of a map, together.
const CONSUMERS_MOST: usize = 80;

/// A stream that is shown, with those of its consumers that are.
#[derive(Debug)]
pub(super) struct Picked<'a> {
    pub(super) stream: &'a Stream,
    pub(super) consumers: Vec<&'a Consumer>,
}

/// What is shown, and of how many.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    /// By account and name.
    pub(super) picked: Vec<Picked<'a>>,
    /// Streams that there are to show.
    pub(super) of_streams: usize,
    /// Consumers that all of these have.
    pub(super) of_consumers: usize,
}

/// Trouble first, then lag, then rate.
type Rank = (u8, u64, u64);

impl<'a> Chosen<'a> {
    pub(super) fn of(wish: &Wish, snapshot: &'a Snapshot, flows: &Flows) -> Self {
        let sought = Sought::of(wish, snapshot, flows);
        let all: Vec<&Stream> = snapshot.known_streams().iter().filter(|stream| sought.finds(stream)).collect();
        let of_consumers = all.iter().map(|stream| consumers(stream).filter(|one| sought.is_one(one)).count()).sum();
        let mut ranked: Vec<(Reverse<Rank>, &Stream)> =
            all.iter().map(|stream| (Reverse(rank_of(stream)), *stream)).collect();
        if ranked.len() > STREAMS_MOST {
            ranked
                .select_nth_unstable_by(STREAMS_MOST, |one, other| (one.0, name(one.1)).cmp(&(other.0, name(other.1))));
            ranked.truncate(STREAMS_MOST);
        }
        let mut streams: Vec<&Stream> = ranked.into_iter().map(|(_, stream)| stream).collect();
        streams.sort_unstable_by(|one, other| name(one).cmp(&name(other)));
        Self { picked: with_consumers(&streams, &sought), of_streams: all.len(), of_consumers }
    }
}

/// The worst of the consumers of these streams, and of each stream the worst in any case.
fn with_consumers<'a>(streams: &[&'a Stream], sought: &Sought<'_>) -> Vec<Picked<'a>> {
    let mut ranked: Vec<(bool, Reverse<Rank>, usize, &Consumer)> = Vec::new();
    for (at, stream) in streams.iter().enumerate() {
        let those = consumers(stream).filter(|consumer| sought.is_one(consumer));
        ranked.extend(those.map(|consumer| (!sought.is_named(consumer), Reverse(rank(consumer)), at, consumer)));
    }
    ranked.sort_unstable_by(|one, other| {
        (one.0, one.1, one.2, one.3.name.as_str()).cmp(&(other.0, other.1, other.2, other.3.name.as_str()))
    });
    let mut firsts = HashSet::new();
    let (firsts, rest): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|(.., at, _)| firsts.insert(*at));
    let mut picked: Vec<Picked<'_>> = streams.iter().map(|stream| Picked { stream, consumers: Vec::new() }).collect();
    for (.., at, consumer) in firsts.into_iter().chain(rest).take(CONSUMERS_MOST) {
        picked[at].consumers.push(consumer);
    }
    picked.iter_mut().for_each(|picked| picked.consumers.sort_unstable_by(|one, other| one.name.cmp(&other.name)));
    picked
}

fn consumers(stream: &Stream) -> impl Iterator<Item = &Consumer> {
    stream.consumers.value().into_iter().flat_map(|list| &list.rows)
}

fn name(stream: &Stream) -> (&str, &str) {
    (&stream.account, stream.name.as_str())
}

fn rank(consumer: &Consumer) -> Rank {
    let lag = consumer.state.value().map_or(0, |state| state.lag());
    (standing::level_of(consumer).trouble(), lag, consumer.trend.map_or(0, |trend| trend.delivered))
}

fn rank_of(stream: &Stream) -> Rank {
    let stored = (0, 0, stream.trend.map_or(0, |trend| trend.stored));
    consumers(stream).map(rank).fold(stored, Rank::max)
}

/// What is looked for.
struct Sought<'a> {
    wish: &'a Wish,
    /// Names of streams that the one which is looked at takes from.
    origins: Vec<&'a str>,
    /// Services that are looked for: what they send, and what they handle.
    sent: Vec<&'a str>,
    handled: HashSet<(Option<&'a str>, &'a str)>,
}

impl<'a> Sought<'a> {
    fn of(wish: &'a Wish, snapshot: &'a Snapshot, flows: &'a Flows) -> Self {
        let is_meant = |service: &str| match &wish.focus {
            Some(Thing::Service(name)) => name == service,
            Some(_) => false,
            None => !wish.q.is_empty() && has(service, &wish.q),
        };
        let ways = flows.rows.iter().map(|flow| &*flow.way).filter(|way| is_meant(&way.service));
        let sent = ways.clone().filter(|way| way.act == Act::Sends).map(|way| way.subject.as_str());
        let by_spans = ways.filter(|way| way.act == Act::Handles).map(|way| (None, way.stream.as_str()));
        let told = snapshot.watched().flat_map(|watched| {
            let meant = watched.instances().map(|entry| &entry.value).filter(|presence| is_meant(&presence.service));
            let workers = meant.flat_map(|presence| &presence.workers);
            workers.map(|worker| (watched.name.as_deref(), worker.stream.as_str()))
        });
        Self { wish, origins: origins(wish, snapshot), sent: sent.collect(), handled: by_spans.chain(told).collect() }
    }

    /// Whether a stream is among what is looked for, or next to it. Buckets are where services keep their own: they are shown where they are asked for.
    fn finds(&self, stream: &Stream) -> bool {
        let is_held = stream.held() == Held::Messages;
        match &self.wish.focus {
            None if self.wish.q.is_empty() => is_held,
            None => is_held && (self.is_like(stream) || self.is_of_service(stream)),
            Some(Thing::Service(_)) => is_held && self.is_of_service(stream),
            Some(Thing::Subject(account, subject)) => {
                is_held
                    && is_in(account, stream)
                    && stream.config.subjects.iter().any(|own| subjects_overlap(own, subject))
            }
            Some(Thing::Stream(account, name)) => {
                let is_near = is_copied(stream, name) || self.origins.contains(&stream.name.as_str());
                is_in(account, stream) && (stream.name.as_str() == name || (is_held && is_near))
            }
            Some(Thing::Consumer(account, name, _)) => is_in(account, stream) && stream.name.as_str() == name,
        }
    }

    /// Whether a consumer is to be shown where its stream is.
    fn is_one(&self, consumer: &Consumer) -> bool {
        match &self.wish.focus {
            Some(Thing::Consumer(_, _, name)) => consumer.name.as_str() == name,
            _ => true,
        }
    }

    /// Whether a consumer is looked for by name, and not only because of its stream.
    fn is_named(&self, consumer: &Consumer) -> bool {
        !self.wish.q.is_empty() && has(consumer.name.as_str(), &self.wish.q)
    }

    fn is_like(&self, stream: &Stream) -> bool {
        let names = stream.config.subjects.iter().map(String::as_str).chain([stream.name.as_str()]);
        names.chain(consumers(stream).map(|consumer| consumer.name.as_str())).any(|name| has(name, &self.wish.q))
    }

    fn is_of_service(&self, stream: &Stream) -> bool {
        let name = stream.name.as_str();
        let is_handled = [None, Some(&*stream.account)].iter().any(|account| self.handled.contains(&(*account, name)));
        let own = &stream.config.subjects;
        is_handled || self.sent.iter().any(|sent| own.iter().any(|own| subjects_overlap(own, sent)))
    }
}

fn is_in(account: &str, stream: &Stream) -> bool {
    account.is_empty() || &*stream.account == account
}

/// The streams that the one which is looked at takes from.
fn origins<'a>(wish: &Wish, snapshot: &'a Snapshot) -> Vec<&'a str> {
    let Some(Thing::Stream(account, name)) = &wish.focus else { return Vec::new() };
    let stream = snapshot.known_streams().iter().find(|one| is_in(account, one) && one.name.as_str() == name);
    let config = stream.into_iter().map(|stream| &*stream.config);
    config.flat_map(|config| config.mirror.iter().chain(&config.sources)).map(|origin| origin.name.as_str()).collect()
}

/// Whether a stream takes what the one of this name holds.
fn is_copied(stream: &Stream, name: &str) -> bool {
    stream.config.mirror.iter().chain(&stream.config.sources).any(|origin| origin.name == name)
}
