//! How old the oldest messages are that consumers have not processed: which of them are read in a round, and what is said of the others.
//! Pure.
//!
//! A message that was the oldest stays it until the consumer has passed it or the stream has let it go, so one reading holds for long.
//! Where nobody has read it, its time is reckoned from the first and the last message of the stream, and said to be an estimate.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    broker::{First, FirstFrom},
    clock::Timestamp,
    name::StreamName,
    snapshot::{AgeBy, Ages, Consumer, ConsumerState, Oldest, Reading, Snapshot, Stream, StreamState, Why},
};

/// Questions of one round: some 30 ms of one server, whatever waits in how many consumers.
const QUESTIONS_MOST: usize = 200;

/// Of those, how many go to the largest lags; the others go round among all, so that nobody waits for ever.
const FOR_THE_LARGEST: usize = QUESTIONS_MOST / 2;

/// Filters that are asked for one by one. A consumer with more of them gets an estimate: it would cost what many others do.
const PATTERNS_MOST: usize = 4;

/// Rounds for which a stream is left alone that did not answer: our user may not read its messages.
const LEFT_ALONE: u64 = 30;

/// Whose turn it is, and who does not answer.
#[derive(Debug, Default)]
pub(super) struct AgeReader {
    turn: usize,
    silent: HashMap<Place, u64>,
}

/// What is asked in a round, and for whom.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) questions: Vec<FirstFrom>,
    asked: Vec<Asked>,
}

/// The questions for one consumer, which is told by its place.
#[derive(Debug)]
struct Asked {
    at: Row,
    unprocessed: usize,
    undelivered: Option<usize>,
}

/// An account and a stream in it.
type Place = (Arc<str>, StreamName);

/// A stream's place in the listing, and a consumer's in the stream.
type Row = (usize, usize);

/// A consumer whose oldest message may be asked for.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    at: Row,
    lag: u64,
    is_exact: bool,
}

impl AgeReader {
    /// Says of every consumer what can be said without asking, and chooses what is asked over the connections to `accounts`.
    pub(super) fn plan(&mut self, snapshot: &mut Snapshot, accounts: &[Arc<str>]) -> Plan {
        let (now, round) = (snapshot.taken, snapshot.round);
        self.silent.retain(|_, until| *until > round);
        let mut candidates = Vec::new();
        for (place, stream) in
            snapshot.streams.value_mut().into_iter().flat_map(|list| list.rows.iter_mut().enumerate())
        {
            let is_ours = accounts.contains(&stream.account);
            let is_silent = !self.silent.is_empty() && self.silent.contains_key(&place_of(stream));
            let may_ask = is_ours && !is_silent;
            let source: Arc<str> = format!("stream {}", stream.name).into();
            each_consumer(stream, |at, consumer, stream| {
                consumer.ages = match is_ours {
                    true => unasked(consumer, stream, &source, now),
                    false => hidden(&consumer.account),
                };
                if let Some(state) = consumer.state.fresh().filter(|state| may_ask && state.lag() > 0) {
                    let is_exact = consumer.ages.fresh().is_some_and(is_exact);
                    candidates.push(Candidate { at: (place, at), lag: state.lag(), is_exact });
                }
            });
        }
        self.choose(candidates, snapshot)
    }

    fn choose(&mut self, mut candidates: Vec<Candidate>, snapshot: &Snapshot) -> Plan {
        let mut plan = Plan::default();
        let first = self.turn.checked_rem(candidates.len()).unwrap_or_default();
        let in_turn: Vec<Candidate> = candidates[first..].iter().chain(&candidates[..first]).copied().collect();
        candidates.retain(|candidate| !candidate.is_exact);
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.lag));
        let mut largest = candidates.iter().copied();
        while plan.questions.len() < FOR_THE_LARGEST {
            let Some(candidate) = largest.next() else { break };
            plan.add(candidate, snapshot);
        }
        let taken: std::collections::HashSet<Row> = plan.asked.iter().map(|asked| asked.at).collect();
        for candidate in in_turn {
            if plan.questions.len() >= QUESTIONS_MOST {
                break;
            }
            self.turn += 1;
            if !taken.contains(&candidate.at) {
                plan.add(candidate, snapshot);
            }
        }
        plan
    }

    /// Writes down what was answered.
    pub(super) fn take(&mut self, snapshot: &mut Snapshot, plan: Plan, answers: &[First], now: Timestamp) {
        let round = snapshot.round;
        for (question, answer) in plan.questions.iter().zip(answers) {
            if *answer == First::Silence {
                let place = (question.account.clone(), question.stream.clone());
                self.silent.insert(place, round + LEFT_ALONE);
            }
        }
        let Some(streams) = snapshot.streams.value_mut() else { return };
        for Asked { at: (stream, consumer), unprocessed, undelivered } in plan.asked {
            let Some(stream) = streams.rows.get_mut(stream) else { continue };
            let source = format!("stream {}", stream.name);
            let Some(consumers) = stream.consumers.value_mut() else { continue };
            let Some(consumer) = consumers.rows.get_mut(consumer) else { continue };
            let is_sure = consumer.config.deliver_policy != LAST_PER_SUBJECT;
            let said = consumer.ages.fresh().copied().unwrap_or_default();
            let read = |place: Option<usize>| match place.and_then(|place| answers.get(place)) {
                Some(First::Message { sequence, stored }) => Some(Some(of_message(*sequence, *stored, is_sure))),
                Some(First::NoMessage) => Some(None),
                _ => None,
            };
            let (unprocessed, undelivered) = (read(Some(unprocessed)), read(undelivered));
            if unprocessed.is_some() || undelivered.is_some() {
                let ages = Ages {
                    unprocessed: unprocessed.unwrap_or(said.unprocessed),
                    undelivered: undelivered.unwrap_or(said.undelivered),
                };
                consumer.ages = Reading::known(ages, source, now);
            }
        }
    }
}

impl Plan {
    fn add(&mut self, Candidate { at, .. }: Candidate, snapshot: &Snapshot) {
        let stream = &snapshot.known_streams()[at.0];
        let Some(consumer) = stream.consumers.value().map(|list| &list.rows[at.1]) else { return };
        let Some(state) = consumer.state.fresh() else { return };
        let filters = consumer.config.filters();
        if filters.len() > PATTERNS_MOST {
            return;
        }
        let patterns: Vec<String> = match filters.as_slice() {
            [] => vec![">".to_owned()],
            filters => filters.iter().map(|filter| (*filter).to_owned()).collect(),
        };
        let is_direct = stream.config.allow_direct;
        let mut ask = |from: u64| {
            let (account, name) = place_of(stream);
            self.questions.push(FirstFrom { account, stream: name, from, patterns: patterns.clone(), is_direct });
            self.questions.len() - 1
        };
        let (unprocessed, undelivered) = (from_unprocessed(state), from_undelivered(state));
        let first = ask(unprocessed);
        let second = (state.pending > 0).then(|| if undelivered == unprocessed { first } else { ask(undelivered) });
        self.asked.push(Asked { at, unprocessed: first, undelivered: second });
    }
}

fn place_of(stream: &Stream) -> Place {
    (stream.account.clone(), stream.name.clone())
}

/// A consumer that gets the last message of each subject passes over others, and nobody says which.
const LAST_PER_SUBJECT: &str = "last_per_subject";

fn of_message(sequence: u64, stored: Timestamp, is_sure: bool) -> Oldest {
    match is_sure {
        true => Oldest { sequence: Some(sequence), stored, by: AgeBy::Message },
        false => Oldest { sequence: None, stored, by: AgeBy::Estimate },
    }
}

fn is_exact(ages: &Ages) -> bool {
    [ages.unprocessed, ages.undelivered].into_iter().flatten().all(|oldest| oldest.by == AgeBy::Message)
}

/// Where the unprocessed messages begin. Without any in flight they are the undelivered ones.
fn from_unprocessed(state: &ConsumerState) -> u64 {
    if state.ack_pending == 0 { from_undelivered(state) } else { state.ack_floor_stream_sequence.saturating_add(1) }
}

fn from_undelivered(state: &ConsumerState) -> u64 {
    state.delivered_stream_sequence.max(state.ack_floor_stream_sequence).saturating_add(1)
}

fn hidden(account: &str) -> Reading<Ages> {
    Reading::unknown(Why::Hidden, format!("how old its oldest message is needs a user in account {account}"))
}

/// Hands each consumer of `stream` to `look`, with its place and the rest of the stream.
fn each_consumer(stream: &mut Stream, mut look: impl FnMut(usize, &mut Consumer, &Stream)) {
    let mut consumers = std::mem::replace(&mut stream.consumers, Reading::not_yet());
    for (at, consumer) in consumers.value_mut().into_iter().flat_map(|list| list.rows.iter_mut().enumerate()) {
        look(at, consumer, stream);
    }
    stream.consumers = consumers;
}

/// What is said of a consumer that is not asked for: what was read of it before and still holds, else an estimate.
fn unasked(consumer: &Consumer, stream: &Stream, source: &Arc<str>, now: Timestamp) -> Reading<Ages> {
    let state = match &consumer.state {
        Reading::Known(state) => state,
        Reading::Stale { reason, .. } | Reading::Unknown { reason, .. } => {
            return Reading::unknown(Why::Failed, reason.as_str()).or_last(&consumer.ages);
        }
    };
    if state.value.lag() == 0 {
        return Reading::known(Ages::default(), state.source.clone(), state.at);
    }
    let Some(held) = stream.state.fresh() else {
        return Reading::unknown(Why::Failed, stream.state.reason().unwrap_or_default()).or_last(&consumer.ages);
    };
    let state = &state.value;
    let is_filtered = !consumer.config.filters().is_empty() || consumer.config.deliver_policy == LAST_PER_SUBJECT;
    let before = consumer.ages.value().copied().unwrap_or_default();
    let oldest = |from: u64, before: Option<Oldest>| {
        let still = before.filter(|oldest| oldest.sequence.is_some_and(|at| at >= from && at >= held.first_sequence));
        still.or_else(|| estimate(held, from, is_filtered))
    };
    let ages = Ages {
        unprocessed: oldest(from_unprocessed(state), before.unprocessed),
        undelivered: (state.pending > 0).then(|| oldest(from_undelivered(state), before.undelivered)).flatten(),
    };
    match &consumer.ages {
        Reading::Known(fact) if fact.value == ages => consumer.ages.clone(),
        _ => Reading::known(ages, source.clone(), now),
    }
}

/// When the message at `from` was stored, if messages came evenly from the stream's first to its last. The first itself is no estimate
/// for a consumer that takes every message.
fn estimate(held: &StreamState, from: u64, is_filtered: bool) -> Option<Oldest> {
    let (first, last) = (held.first_stored?, held.last_stored?);
    if from <= held.first_sequence && !is_filtered {
        return Some(Oldest { sequence: Some(held.first_sequence), stored: first, by: AgeBy::Message });
    }
    let span = held.last_sequence.saturating_sub(held.first_sequence).max(1);
    let passed = from.saturating_sub(held.first_sequence).min(span);
    let nanos = first.age(last).0.as_nanos() * u128::from(passed) / u128::from(span);
    let stored = first.after(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
    Some(Oldest { sequence: None, stored, by: AgeBy::Estimate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{ConsumerConfig, Contact, Listing, StreamConfig, Verdict};

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    /// Acked and delivered so far, and the rest of 1 000 messages pending.
    fn consumer(number: usize, floor: u64, delivered: u64) -> Consumer {
        let state = ConsumerState {
            pending: 1_000 - delivered,
            ack_pending: delivered - floor,
            ack_floor_stream_sequence: floor,
            delivered_stream_sequence: delivered,
            ..ConsumerState::default()
        };
        Consumer {
            account: "A".into(),
            stream: "ORDERS".parse().unwrap(),
            name: format!("c{number:04}").parse().unwrap(),
            config: Arc::new(ConsumerConfig::default()),
            created: at(0),
            state: Reading::known(state, "n1", at(100)),
            trend: None,
            ages: Reading::not_yet(),
            failures: Reading::not_yet(),
            verdict: Verdict::unknown("not looked at", at(0)),
            new_leader: None,
        }
    }

    /// A stream of the messages 101 to 1 000, one in each second from 101 on, with these consumers.
    fn snapshot(rows: Vec<Consumer>) -> Snapshot {
        let held = StreamState {
            messages: 900,
            first_sequence: 101,
            last_sequence: 1_000,
            first_stored: Some(at(101)),
            last_stored: Some(at(1_000)),
            ..StreamState::default()
        };
        let stream = Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::new(StreamConfig::default()),
            created: at(0),
            state: Reading::known(held, "n1", at(1_001)),
            trend: None,
            consumers: Reading::known(Listing { rows, missing: Vec::new() }, "n1", at(1_001)),
        };
        let contact = Contact::standing_since(at(0));
        let mut snapshot = Snapshot::before_the_first(contact, Duration::from_secs(2), at(1_001));
        snapshot.streams = Reading::known(Listing { rows: vec![stream], missing: Vec::new() }, "n1", at(1_001));
        snapshot
    }

    fn only(snapshot: &Snapshot) -> &Consumer {
        snapshot.known_consumers().next().unwrap()
    }

    fn oldest(sequence: impl Into<Option<u64>>, second: u64, by: AgeBy) -> Option<Oldest> {
        Some(Oldest { sequence: sequence.into(), stored: at(second), by })
    }

    fn check_unasked(row: Consumer, unprocessed: Option<Oldest>, undelivered: Option<Oldest>) {
        let mut snapshot = snapshot(vec![row]);
        AgeReader::default().plan(&mut snapshot, &["A".into()]);
        assert_eq!(only(&snapshot).ages.fresh(), Some(&Ages { unprocessed, undelivered }));
    }

    #[test]
    fn what_nobody_read_is_reckoned_from_the_ends_of_the_stream() {
        check_unasked(consumer(1, 1_000, 1_000), None, None);
        check_unasked(consumer(1, 500, 500), oldest(None, 501, AgeBy::Estimate), oldest(None, 501, AgeBy::Estimate));
        check_unasked(consumer(1, 500, 700), oldest(None, 501, AgeBy::Estimate), oldest(None, 701, AgeBy::Estimate));
        check_unasked(consumer(1, 500, 1_000), oldest(None, 501, AgeBy::Estimate), None);
    }

    #[test]
    fn the_streams_first_message_is_the_oldest_of_who_is_behind_it_and_takes_all() {
        check_unasked(consumer(1, 7, 7), oldest(101, 101, AgeBy::Message), oldest(101, 101, AgeBy::Message));
        let mut rare = consumer(1, 7, 7);
        rare.config =
            Arc::new(ConsumerConfig { filter_subject: "orders.rare".to_owned(), ..ConsumerConfig::default() });
        check_unasked(rare, oldest(None, 101, AgeBy::Estimate), oldest(None, 101, AgeBy::Estimate));
    }

    #[test]
    fn what_was_read_holds_until_the_consumer_or_the_stream_has_passed_it() {
        let read = |sequence| {
            let read = oldest(sequence, 5, AgeBy::Message);
            let ages = Ages { unprocessed: read, undelivered: read };
            Consumer { ages: Reading::known(ages, "stream ORDERS", at(90)), ..consumer(1, 500, 500) }
        };
        check_unasked(read(501), oldest(501, 5, AgeBy::Message), oldest(501, 5, AgeBy::Message));
        check_unasked(read(500), oldest(None, 501, AgeBy::Estimate), oldest(None, 501, AgeBy::Estimate));
        check_unasked(read(90), oldest(None, 501, AgeBy::Estimate), oldest(None, 501, AgeBy::Estimate));
    }

    #[test]
    fn an_answer_takes_the_place_of_an_estimate_and_silence_leaves_it() {
        let mut snapshot = snapshot(vec![consumer(1, 500, 700)]);
        let mut reader = AgeReader::default();
        let plan = reader.plan(&mut snapshot, &["A".into()]);
        let from: Vec<u64> = plan.questions.iter().map(|question| question.from).collect();
        assert_eq!(from, [501, 701]);
        let answers = [First::Message { sequence: 510, stored: at(3) }, First::Silence];
        reader.take(&mut snapshot, plan, &answers, at(1_002));
        let expected =
            Ages { unprocessed: oldest(510, 3, AgeBy::Message), undelivered: oldest(None, 701, AgeBy::Estimate) };
        assert_eq!(only(&snapshot).ages.fresh(), Some(&expected));
        assert!(
            reader.plan(&mut snapshot, &["A".into()]).questions.is_empty(),
            "the stream that was silent is left alone"
        );
        snapshot.round = LEFT_ALONE;
        assert_eq!(reader.plan(&mut snapshot, &["A".into()]).questions.len(), 2);
    }

    #[test]
    fn no_message_is_an_answer_too() {
        let mut snapshot = snapshot(vec![consumer(1, 500, 1_000)]);
        let mut reader = AgeReader::default();
        let plan = reader.plan(&mut snapshot, &["A".into()]);
        reader.take(&mut snapshot, plan, &[First::NoMessage], at(1_002));
        assert_eq!(only(&snapshot).ages.fresh(), Some(&Ages::default()));
    }

    #[test]
    fn everybodys_turn_comes_and_the_largest_are_not_kept_waiting() {
        let rows: Vec<Consumer> = (0..800).map(|number| consumer(number, number as u64, number as u64)).collect();
        let mut snapshot = snapshot(rows);
        let mut reader = AgeReader::default();
        let mut asked = std::collections::HashSet::new();
        for _ in 0..9 {
            let plan = reader.plan(&mut snapshot, &["A".into()]);
            assert_eq!(plan.questions.len(), QUESTIONS_MOST);
            asked.extend(plan.asked.iter().map(|asked| asked.at));
            // The first hundred are known by the stream's first message; of the others these lag most.
            assert!((101..101 + FOR_THE_LARGEST).all(|row| plan.asked.iter().any(|asked| asked.at == (0, row))));
        }
        assert_eq!(asked.len(), 800);
    }

    #[test]
    fn another_accounts_messages_are_hidden_and_an_old_word_stays_old() {
        let mut hidden = snapshot(vec![consumer(1, 500, 500)]);
        let plan = AgeReader::default().plan(&mut hidden, &["B".into()]);
        assert!(plan.questions.is_empty());
        assert_eq!(only(&hidden).ages.reason(), Some("how old its oldest message is needs a user in account A"));
        let mut old = consumer(1, 500, 500);
        old.ages = Reading::known(Ages::default(), "n1", at(90));
        old.state = Reading::unknown(Why::Failed, "its leader is away").or_last(&old.state);
        let mut old = snapshot(vec![old]);
        assert!(AgeReader::default().plan(&mut old, &["A".into()]).questions.is_empty());
        assert_eq!((only(&old).ages.fresh(), only(&old).ages.reason()), (None, Some("its leader is away")));
    }
}
