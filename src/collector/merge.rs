//! Puts the answers of a round together with what the rounds before had found: what was not answered this time is stale, not gone.

use std::{sync::Arc, time::Duration};

use super::{gone, trend};
use crate::{
    broker::{Answers, Told},
    clock::Timestamp,
    snapshot::{
        Consumer, ConsumerState, Contact, Fact, Listing, NewLeader, Reading, Snapshot, Stream, Verdict, Watched, Why,
    },
};

/// A connection as it is now, and the name of its account if that is known.
pub(super) type Line = (Contact, Option<Arc<str>>);

/// The snapshot that follows `last`. Connections and answers are in the order of its accounts.
pub(super) fn merge(last: &Snapshot, lines: Vec<Line>, answers: Answers, now: Timestamp) -> Snapshot {
    let of_each = last.watched().zip(lines).zip(answers.accounts);
    let mut watched = of_each.map(|((last, line), told)| account(last, line, told, now));
    Snapshot {
        round: last.round + 1,
        taken: now,
        interval: last.interval,
        app: watched.next().unwrap_or_else(|| last.app.clone()),
        others: watched.collect(),
        servers: answers.servers.or_last(&last.servers),
        streams: streams(answers.streams, &last.streams),
        probes: last.probes.clone(),
        asked_probes: last.asked_probes.clone(),
        findings: Vec::new(),
        stats: answers.stats,
    }
}

/// What an account told, over what was known of it.
fn account(last: &Watched, (contact, name): Line, told: Told, now: Timestamp) -> Watched {
    Watched {
        name,
        contact,
        unlisted: told.unlisted,
        used: told.used.or_last(&last.used),
        gone: gone::after(last, &told.presence, now),
        presence: told.presence.or_last(&last.presence),
        records: told.records.or_last(&last.records),
        dead_letters: told.dead_letters.or_last(&last.dead_letters),
        advisories: last.advisories.clone(),
        faults: told.faults.or_last(&last.faults),
    }
}

fn streams(now: Reading<Listing<Stream>>, last: &Reading<Listing<Stream>>) -> Reading<Listing<Stream>> {
    match now.or_last(last) {
        Reading::Known(fact) => {
            Reading::Known(rows(fact, last.value(), stream, |stream| (&stream.account, stream.name.as_str())))
        }
        Reading::Stale { mut fact, reason } => {
            fact.value.rows.iter_mut().for_each(|stream| go_stale(stream, &reason));
            Reading::Stale { fact, reason }
        }
        unknown => unknown,
    }
}

fn stream(now: &mut Stream, last: Option<&Stream>) {
    let last = last.filter(|last| last.created == now.created);
    if let Some(last) = last {
        let state = std::mem::replace(&mut now.state, Reading::not_yet());
        now.state = state.or_last(&last.state);
    }
    now.trend = trend::of_stream(&now.state, last.map(|last| &last.state));
    let unread = Reading::not_yet();
    let consumers = std::mem::replace(&mut now.consumers, Reading::not_yet());
    now.consumers = self::consumers(consumers, last.map_or(&unread, |last| &last.consumers));
    trend::all_of_it_came(now);
}

fn consumers(now: Reading<Listing<Consumer>>, last: &Reading<Listing<Consumer>>) -> Reading<Listing<Consumer>> {
    match now.or_last(last) {
        Reading::Known(fact) => {
            Reading::Known(rows(fact, last.value(), consumer, |consumer| (&consumer.account, consumer.name.as_str())))
        }
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
        now.new_leader = new_leader(&state, last).filter(|leader| leader.is_new_to_it(&state));
        let state = if now.new_leader.is_some() { Reading::unknown(Why::Failed, NEW_LEADER) } else { state };
        now.state = state.or_last(&last.state);
        trend::keep_times(&mut now.state, last.state.value());
    }
    now.trend = trend::of_consumer(&now.state, last.map(|last| &last.state));
    if let Some(last) = last {
        // What follows from this round is said by this round; of the last it is only asked what it said, and since when.
        let Verdict { label, severity, since, .. } = last.verdict;
        now.verdict = Verdict { label, severity, ..Verdict::unknown("", since) };
        now.ages = last.ages.clone();
        now.failures = last.failures.clone();
    }
}

const NEW_LEADER: &str = "its leader was only just elected and has not counted yet";

/// How long a leader is new. Servers name it as soon as it is elected, and it counts what is pending only when it gets to that: until then
/// it tells of nothing, or of what was pending when it led before.
const NEW_FOR: Duration = Duration::from_secs(5);

/// The leader, if it is another one than before.
fn new_leader(now: &Reading<ConsumerState>, last: &Consumer) -> Option<NewLeader> {
    let (told, believed) = (now.fact()?, last.state.fact()?);
    // A server outside a cluster may have another name after it was started anew, and has counted by then.
    told.value.cluster.as_ref()?;
    if told.source == believed.source && last.new_leader.is_none() {
        return None;
    }
    let known = last.new_leader.clone().filter(|leader| leader.name == told.source);
    Some(known.unwrap_or_else(|| NewLeader { name: told.source.clone(), heard: told.at }))
}

impl NewLeader {
    /// Whether it may not have counted yet: it leads for a short time only, or no majority follows it.
    fn is_new_to_it(&self, told: &Reading<ConsumerState>) -> bool {
        let Some(told) = told.fact() else { return false };
        let replicas = told.value.cluster.as_ref().map_or(&[][..], |cluster| &cluster.replicas);
        let follow = replicas.iter().filter(|replica| replica.is_current && !replica.is_offline).count();
        self.heard.age(told.at).0 < NEW_FOR || (follow + 1) * 2 <= replicas.len() + 1
    }
}

/// Gives every row of a list its past, and brings back rows of which the list only says that nobody gave an account of them. The rows of
/// the list before are in order.
fn rows<T: Clone + Leavable>(
    mut fact: Fact<Listing<T>>,
    last: Option<&Listing<T>>,
    join: fn(&mut T, Option<&T>),
    name: fn(&T) -> (&str, &str),
) -> Fact<Listing<T>> {
    let Listing { rows, missing } = &mut fact.value;
    let before = last.map_or(&[][..], |last| &last.rows);
    let past = |key: (&str, &str)| before.binary_search_by(|row| name(row).cmp(&key)).ok().map(|at| &before[at]);
    rows.sort_by(|a, b| name(a).cmp(&name(b)));
    // Several servers may miss the same.
    missing.sort_by(|a, b| (&a.account, &a.name).cmp(&(&b.account, &b.name)));
    missing.dedup_by(|a, b| (&a.account, &a.name) == (&b.account, &b.name));
    for row in rows.iter_mut() {
        let past = past(name(row));
        join(row, past);
    }
    let is_here = |key: (&str, &str)| rows.binary_search_by(|row| name(row).cmp(&key)).is_ok();
    let left_out = missing.iter().map(|missing| ((&*missing.account, &*missing.name), &*missing.reason));
    let left_out = left_out.filter(|(key, _)| !is_here(*key));
    let back: Vec<T> = left_out.filter_map(|(key, reason)| Some(past(key)?.clone().left_out(reason))).collect();
    if !back.is_empty() {
        rows.extend(back);
        rows.sort_by(|a, b| name(a).cmp(&name(b)));
    }
    fact
}

/// A row that a cluster's list may leave out.
trait Leavable {
    /// The row as it is shown then.
    fn left_out(self, reason: &str) -> Self;
}

impl Leavable for Stream {
    fn left_out(mut self, reason: &str) -> Self {
        go_stale(&mut self, reason);
        self
    }
}

impl Leavable for Consumer {
    fn left_out(mut self, reason: &str) -> Self {
        consumer_goes_stale(&mut self, reason);
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        clock::Clock,
        snapshot::{Cluster, Missing, Replica, RoundStats, StreamState, Verdict},
    };

    fn start() -> Clock {
        Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap())
    }

    fn consumer_row(name: &str, delivered: u64, created: Timestamp, now: Timestamp) -> Consumer {
        Consumer {
            account: "A".into(),
            stream: "ORDERS".parse().unwrap(),
            name: name.parse().unwrap(),
            config: Arc::default(),
            created,
            state: Reading::known(ConsumerState { delivered, pending: 3, ..ConsumerState::default() }, "n1", now),
            trend: None,
            ages: Reading::not_yet(),
            failures: Reading::not_yet(),
            verdict: Verdict::unknown("not looked at", now),
            new_leader: None,
        }
    }

    fn stream_row(last_sequence: u64, consumers: Vec<Consumer>, created: Timestamp, now: Timestamp) -> Stream {
        Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::default(),
            created,
            state: Reading::known(StreamState { last_sequence, ..StreamState::default() }, "n1", now),
            trend: None,
            consumers: Reading::known(Listing { rows: consumers, missing: Vec::new() }, "n1", now),
        }
    }

    fn line(since: Timestamp) -> Vec<Line> {
        vec![(Contact::standing_since(since), Some("A".into()))]
    }

    fn answers(streams: Reading<Listing<Stream>>) -> Answers {
        let (servers, accounts) = (Reading::not_yet(), vec![Told::nothing("not asked")]);
        Answers { servers, streams, is_of_all: false, accounts, stats: RoundStats::default() }
    }

    fn listed(rows: Vec<Stream>, missing: &[&str], now: Timestamp) -> Answers {
        let missing = missing.iter().map(|name| Missing::left_out(&"A".into(), (*name).to_owned())).collect();
        answers(Reading::known(Listing { rows, missing }, "n1", now))
    }

    /// A first round, and two seconds later whatever `second` answers.
    fn rounds(second: impl FnOnce(Timestamp, Timestamp) -> Answers) -> Snapshot {
        let clock = start();
        let born = clock.now();
        let before = Snapshot::before_the_first(Contact::standing_since(born), Duration::from_secs(2), born);
        let row = stream_row(10, vec![consumer_row("reserve", 4, born, born)], born, born);
        let first = merge(&before, line(born), listed(vec![row], &[], born), born);
        clock.advance(Duration::from_secs(2));
        merge(&first, line(clock.now()), second(born, clock.now()), clock.now())
    }

    fn only_stream(snapshot: &Snapshot) -> &Stream {
        let [stream] = snapshot.known_streams() else { panic!("{snapshot:?}") };
        stream
    }

    #[test]
    fn two_rounds_make_a_rate() {
        let second = rounds(|born, now| {
            listed(vec![stream_row(30, vec![consumer_row("reserve", 14, born, now)], born, now)], &[], now)
        });
        assert_eq!(second.round, 2);
        let stream = only_stream(&second);
        assert_eq!(stream.trend.unwrap().stored_per_second(), 10.0);
        let trend = second.known_consumers().next().unwrap().trend.unwrap();
        assert_eq!((trend.delivered_per_second(), trend.pending_before), (5.0, 3));
    }

    fn led_by(leader: &str, follow: usize, created: Timestamp, now: Timestamp) -> Answers {
        let replica = |place: usize| Replica {
            name: place.to_string(),
            is_current: place < follow,
            is_offline: false,
            is_silent: false,
            heard_ago: Some(Duration::ZERO),
            behind: 0,
            last_sequence: None,
        };
        let cluster = Cluster { leader: Some(leader.to_owned()), replicas: [0, 1].map(replica).into() };
        let state = ConsumerState { delivered: 4, cluster: Some(cluster), ..ConsumerState::default() };
        let mut row = consumer_row("reserve", 4, created, now);
        row.state = Reading::known(state, leader, now);
        listed(vec![stream_row(30, vec![row], created, now)], &[], now)
    }

    /// Rounds two seconds apart; n1 led, and said that 3 were pending. In each of `leaders` somebody says that none are.
    fn check_leaders(leaders: &[(&str, usize)], expected: &[u64]) {
        let clock = start();
        let born = clock.now();
        let before = Snapshot::before_the_first(Contact::standing_since(born), Duration::from_secs(2), born);
        let row = stream_row(10, vec![consumer_row("reserve", 4, born, born)], born, born);
        let mut last = merge(&before, line(born), listed(vec![row], &[], born), born);
        let mut pending = Vec::new();
        for (leader, follow) in leaders {
            clock.advance(Duration::from_secs(2));
            let now = clock.now();
            last = merge(&last, line(now), led_by(leader, *follow, born, now), now);
            let state = &last.known_consumers().next().unwrap().state;
            let said = state.value().unwrap().pending;
            assert_eq!(state.reason(), (said == 3).then_some(NEW_LEADER));
            pending.push(said);
        }
        assert_eq!(pending, expected, "{leaders:?}");
    }

    #[test]
    fn a_new_leader_is_believed_when_it_had_time_and_a_majority_follows_it() {
        check_leaders(&[("n1", 0)], &[0]);
        check_leaders(&[("n2", 1); 4], &[3, 3, 3, 0]);
        check_leaders(&[("n2", 0); 5], &[3; 5]);
        check_leaders(&[("n2", 2), ("n3", 2), ("n3", 2), ("n3", 2), ("n3", 2)], &[3, 3, 3, 3, 0]);
        check_leaders(&[("n2", 2), ("n1", 2), ("n1", 2), ("n1", 2), ("n1", 2), ("n1", 2)], &[3, 3, 3, 3, 0, 0]);
    }

    #[test]
    fn what_was_made_anew_has_no_rate() {
        let second = rounds(|_, now| {
            listed(vec![stream_row(30, vec![consumer_row("reserve", 14, now, now)], now, now)], &[], now)
        });
        assert_eq!(only_stream(&second).trend, None);
        assert_eq!(second.known_consumers().next().unwrap().trend, None);
    }

    #[test]
    fn a_failed_round_makes_all_of_it_old_and_nothing_zero() {
        let second = rounds(|_, _| answers(Reading::unknown(Why::Failed, "no answer")));
        let stream = only_stream(&second);
        assert_eq!(second.streams.reason(), Some("no answer"));
        assert_eq!(stream.state.value().unwrap().last_sequence, 10);
        assert_eq!((stream.state.fresh(), stream.trend), (None, None));
        let consumer = second.known_consumers().next().unwrap();
        assert_eq!(consumer.state.value().unwrap().pending, 3);
        assert_eq!((consumer.state.fresh(), consumer.state.reason()), (None, Some("no answer")));
    }

    #[test]
    fn a_stream_that_the_list_leaves_out_stays_with_what_was_known() {
        let second = rounds(|_, now| listed(Vec::new(), &["ORDERS", "OTHER", "ORDERS"], now));
        assert_eq!(only_stream(&second).state.reason(), Some("its leader did not answer in time"));
        let missing = &second.streams.fresh().unwrap().missing;
        assert_eq!(missing.iter().map(|missing| missing.name.as_str()).collect::<Vec<_>>(), ["ORDERS", "OTHER"]);
    }

    #[test]
    fn a_stream_that_is_gone_is_gone() {
        let second = rounds(|_, now| listed(Vec::new(), &[], now));
        assert!(second.known_streams().is_empty());
    }

    #[test]
    fn a_list_of_consumers_that_fails_leaves_its_stream_fresh() {
        let second = rounds(|born, now| {
            let consumers = Reading::unknown(Why::Failed, "no answer");
            let stream = Stream { consumers, ..stream_row(30, Vec::new(), born, now) };
            listed(vec![stream], &[], now)
        });
        let stream = only_stream(&second);
        assert!(stream.state.fresh().is_some());
        assert_eq!(stream.consumers.reason(), Some("no answer"));
        assert_eq!(second.known_consumers().next().unwrap().state.reason(), Some("no answer"));
    }
}
