//! The ledger of what servers told unasked: the newest of it, and of every consumer what it gave up and what of that is still outstanding.
//! Pure.
//!
//! A message that was delivered as often as its consumer allows looks processed: the ack floor moves on. But the server counts it among
//! the redelivered for as long as it is neither acked nor gone from the stream (measured on nats-server 2.15), through restarts. That count
//! bounds what the advisories tell: what was acked late is no failure, and what was given up before anybody listened is one. A consumer that
//! delivers each message once redelivers none, and its server counts none: there the advisories alone tell.

mod book;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::seen::Seen;
use crate::{
    advisory::{Advisory, Kind},
    broker::{First, FirstFrom, LetterCounts},
    clock::Timestamp,
    dead_letter::{Place, Replayed},
    name::{ConsumerName, StreamName},
    snapshot::{Advisories, Entry, Reading, Snapshot, Stream, Why},
};
use book::{Book, counts, failures};

/// Advisories that are remembered.
const ROWS_MOST: usize = 1_000;

/// Naks of one consumer that follow each other within this time are one row, and so are messages removed while they were in flight: both
/// come by the thousand, and would keep all others out.
const ALIKE_TOGETHER: Duration = Duration::from_secs(60);

/// Rows among which such a row is looked for.
const ALIKE_AMONG: usize = 64;

/// Messages looked up in one round, to see whether their stream still has them.
const LOOKED_UP: usize = 20;

type Key = (StreamName, ConsumerName);

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rows: VecDeque<Advisory>,
    seen: Seen,
    total: u64,
    books: HashMap<Key, Book>,
    letters: Option<LetterCounts>,
    shown: Option<Arc<Advisories>>,
}

/// Since when the ledger knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// All kinds.
    pub(super) heard: Timestamp,
    /// Messages that were given up, where a stream keeps that.
    pub(super) stored: Option<Timestamp>,
}

impl Ledger {
    /// Notes what was told while `round` was underway or about to be.
    pub(super) fn note(&mut self, advisory: Advisory, round: u64) {
        if !self.seen.is_new(&advisory.id) {
            return;
        }
        self.total += 1;
        self.shown = None;
        self.book(&advisory, round);
        let advisory = self.with_those_before(advisory);
        if self.rows.len() == ROWS_MOST {
            self.rows.pop_front();
        }
        self.rows.push_back(advisory);
    }

    fn book(&mut self, advisory: &Advisory, round: u64) {
        let Advisory { kind, stream: Some(stream), consumer: Some(consumer), .. } = advisory else { return };
        let key = (stream.clone(), consumer.clone());
        match (kind, advisory.sequence) {
            (Kind::Nak, _) => self.books.entry(key).or_default().naks += 1,
            (Kind::Exhausted | Kind::Terminated, Some(sequence)) => {
                self.books.entry(key).or_default().note_given_up(advisory, sequence, round);
            }
            (Kind::Removed, _) => self.books.entry(key).or_default().note_removed(round),
            (Kind::Deleted, _) => drop(self.books.remove(&key)),
            _ => {}
        }
    }

    /// A nak takes the place of the row of those just before it; a message that was removed in flight does too.
    fn with_those_before(&mut self, advisory: Advisory) -> Advisory {
        if !matches!(advisory.kind, Kind::Nak | Kind::Removed) {
            return advisory;
        }
        let is_alike = |row: &Advisory| {
            // What was stored is read after what was heard, and may be older.
            let apart = row.time.age(advisory.time).max(advisory.time.age(row.time)).0;
            row.kind == advisory.kind
                && (&row.stream, &row.consumer) == (&advisory.stream, &advisory.consumer)
                && apart < ALIKE_TOGETHER
        };
        let place = self.rows.iter().rev().take(ALIKE_AMONG).position(is_alike);
        let Some(row) = place.and_then(|place| self.rows.remove(self.rows.len() - 1 - place)) else { return advisory };
        let count = row.count + advisory.count;
        let latest = if row.time > advisory.time { row } else { advisory };
        Advisory { count, ..latest }
    }

    /// Strikes out what is settled, by what `snapshot` says of the consumers of `account`, and writes down there what is left of each; what
    /// was told is answered.
    pub(super) fn write(
        &mut self,
        snapshot: &mut Snapshot,
        account: &str,
        since: Since,
        source: &Arc<str>,
    ) -> Arc<Advisories> {
        let (now, round) = (snapshot.taken, snapshot.round);
        let is_whole = snapshot.streams.fresh().is_some();
        let mut seen = HashSet::new();
        for stream in streams_mut(snapshot, account) {
            let made = stream.created;
            for consumer in stream.consumers.value_mut().into_iter().flat_map(|list| &mut list.rows) {
                let key = (consumer.stream.clone(), consumer.name.clone());
                let book = self.books.get_mut(&key);
                if let Some(book) = book {
                    book.settle(consumer, made, now, round);
                    seen.insert(key.clone());
                }
                let mut failures = failures(self.books.get(&key), consumer, since, round);
                failures.copies = self.letters.as_ref().map(|letters| letters.get(&key).copied().unwrap_or(0));
                consumer.failures = Reading::known(failures, source.clone(), now);
            }
        }
        if is_whole {
            self.books.retain(|key, book| seen.contains(key) || book.is_newer_than(round));
        }
        let shown = self.shown.take().filter(|shown| {
            *shown.account == *account && shown.since == since.heard && shown.stored_since == since.stored
        });
        let shown = shown.unwrap_or_else(|| Arc::new(self.show(account, since)));
        self.shown = Some(shown.clone());
        shown
    }

    fn show(&self, account: &str, since: Since) -> Advisories {
        let mut rows: Vec<Advisory> = self.rows.iter().rev().cloned().collect();
        // What was stored is read after what was heard.
        rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        Advisories { account: account.into(), rows, total: self.total, since: since.heard, stored_since: since.stored }
    }

    /// Messages of which the server's count says that some are settled, and nothing says which: are they still in their stream?
    pub(super) fn doubts(&self, snapshot: &Snapshot, account: &str) -> Vec<FirstFrom> {
        let mut doubts = Vec::new();
        if self.books.values().all(|book| book.given_up.is_empty()) {
            return doubts;
        }
        for stream in snapshot.streams.value().map_or(&[][..], |list| list.in_account(account)) {
            for consumer in stream.consumers.value().map_or(&[][..], |list| &list.rows) {
                let Some(book) = self.books.get(&(consumer.stream.clone(), consumer.name.clone())) else { continue };
                let Some(state) = consumer.state.fresh() else { continue };
                let unsure = book.exhausted().filter(|(_, given_up)| !given_up.is_there);
                let is_in_doubt = !counts(consumer) || book.exhausted().count() as u64 > state.redelivered;
                let unsure = unsure.filter(|_| is_in_doubt).map(|(sequence, _)| FirstFrom {
                    account: stream.account.clone(),
                    stream: stream.name.clone(),
                    from: sequence,
                    patterns: vec![">".to_owned()],
                    is_direct: stream.config.allow_direct,
                });
                doubts.extend(unsure.take(LOOKED_UP - doubts.len()));
            }
        }
        doubts
    }

    /// Remembers which messages were published anew.
    pub(super) fn replayed(&mut self, replays: &[Entry<Replayed>]) {
        for Replayed { letter, published } in replays.iter().map(|entry| &entry.value) {
            let (Some(published), Ok(Place { stream, consumer, sequence })) = (published, letter.parse()) else {
                continue;
            };
            self.books.entry((stream, consumer)).or_default().replayed.insert(sequence, *published);
        }
    }

    /// Remembers how many dead letters there are; `None` where nobody could count them.
    pub(super) fn count_letters(&mut self, letters: Option<LetterCounts>) {
        self.letters = letters;
    }

    /// Strikes out what its stream does not have any more.
    pub(super) fn look_up(&mut self, doubts: &[FirstFrom], answers: &[First]) {
        for (doubt, answer) in doubts.iter().zip(answers) {
            let is_there = match answer {
                First::Message { sequence, .. } => *sequence == doubt.from,
                First::NoMessage => false,
                First::Silence | First::Unanswered => continue,
            };
            for (_, book) in self.books.iter_mut().filter(|((stream, _), _)| *stream == doubt.stream) {
                match book.given_up.get_mut(&doubt.from).filter(|given_up| given_up.kind == Kind::Exhausted) {
                    Some(given_up) if is_there => given_up.is_there = true,
                    Some(_) => drop(book.given_up.remove(&doubt.from)),
                    None => {}
                }
            }
        }
    }
}

/// What is known of `account` stays as it was, since nothing new can be heard.
pub(super) fn go_stale(snapshot: &mut Snapshot, account: &str, reason: &str) {
    for stream in streams_mut(snapshot, account) {
        for consumer in stream.consumers.value_mut().into_iter().flat_map(|list| &mut list.rows) {
            consumer.failures = Reading::unknown(Why::Failed, reason).or_last(&consumer.failures);
        }
    }
}

/// Says of the consumers of all other accounts than these that what they gave up is not seen.
pub(super) fn hide_others(snapshot: &mut Snapshot, accounts: &[Arc<str>]) {
    let rows = snapshot.streams.value_mut().into_iter().flat_map(|list| &mut list.rows);
    for stream in rows.filter(|stream| !accounts.contains(&stream.account)) {
        for consumer in stream.consumers.value_mut().into_iter().flat_map(|list| &mut list.rows) {
            let reason = format!("what it gave up needs a user in account {}", consumer.account);
            consumer.failures = Reading::unknown(Why::Hidden, reason);
        }
    }
}

fn streams_mut<'a>(snapshot: &'a mut Snapshot, account: &str) -> &'a mut [Stream] {
    snapshot.streams.value_mut().map_or(&mut [], |list| list.in_account_mut(account))
}

#[cfg(test)]
mod tests {
    use super::{book::TERMINATED_TOLD, *};
    use crate::snapshot::{Consumer, ConsumerConfig, ConsumerState, Failures, Verdict};

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    fn told(id: u64, kind: Kind, second: u64) -> Advisory {
        Advisory {
            id: id.to_string(),
            time: at(second),
            kind,
            account: "A".into(),
            stream: "ORDERS".parse().ok(),
            consumer: "mailer".parse().ok(),
            sequence: Some(id),
            reason: String::new(),
            sentence: String::new(),
            count: 1,
        }
    }

    fn ledger(told: impl IntoIterator<Item = Advisory>) -> Ledger {
        let mut ledger = Ledger::default();
        told.into_iter().for_each(|advisory| ledger.note(advisory, 1));
        ledger
    }

    fn consumer(redelivered: u64, ack_pending: u64) -> Consumer {
        let state = ConsumerState { redelivered, ack_pending, ..ConsumerState::default() };
        Consumer {
            account: "A".into(),
            stream: "ORDERS".parse().unwrap(),
            name: "mailer".parse().unwrap(),
            config: Arc::new(ConsumerConfig { max_deliver: 3, ..ConsumerConfig::default() }),
            created: at(0),
            state: Reading::known(state, "n1", at(50)),
            trend: None,
            ages: Reading::not_yet(),
            failures: Reading::not_yet(),
            verdict: Verdict::unknown("not looked at", at(0)),
            new_leader: None,
        }
    }

    /// What is left of `told` in a round that sees `consumer`.
    fn left(told: impl IntoIterator<Item = Advisory>, consumer: &Consumer, round: u64) -> Failures {
        let mut ledger = ledger(told);
        let book = ledger.books.values_mut().next();
        book.into_iter().for_each(|book| book.settle(consumer, at(0), at(60), round));
        failures(ledger.books.values().next(), consumer, Since { heard: at(0), stored: None }, round)
    }

    fn check_exhausted(told_of: u64, redelivered: u64, ack_pending: u64, round: u64, expected: u64) {
        let told = (1..=told_of).map(|id| told(id, Kind::Exhausted, 10));
        let left = left(told, &consumer(redelivered, ack_pending), round);
        assert_eq!(left.exhausted, expected, "{told_of} told of, {redelivered} redelivered, {ack_pending} in flight");
    }

    #[test]
    fn the_servers_count_bounds_what_is_told() {
        check_exhausted(3, 3, 0, 2, 3);
        check_exhausted(3, 2, 0, 2, 2);
        check_exhausted(3, 0, 0, 2, 0);
        check_exhausted(0, 2, 0, 2, 2);
        check_exhausted(0, 2, 5, 2, 0);
        check_exhausted(1, 5, 4, 2, 1);
        check_exhausted(1, 5, 3, 2, 2);
    }

    #[test]
    fn what_is_told_while_the_round_is_underway_is_not_measured_by_it() {
        check_exhausted(3, 0, 0, 1, 3);
    }

    #[test]
    fn of_who_delivers_once_the_server_counts_nothing_and_the_advisories_stand() {
        let mut once = consumer(0, 0);
        once.config = Arc::new(ConsumerConfig { max_deliver: 1, ..ConsumerConfig::default() });
        assert_eq!(left([told(1, Kind::Exhausted, 10)], &once, 2).exhausted, 1);
    }

    #[test]
    fn without_a_limit_redelivery_is_no_failure() {
        let mut unlimited = consumer(7, 0);
        unlimited.config = Arc::new(ConsumerConfig { max_deliver: -1, ..ConsumerConfig::default() });
        assert_eq!(left([], &unlimited, 2).exhausted, 0);
    }

    #[test]
    fn what_was_replayed_is_no_failure_until_it_is_given_up_again() {
        let replayed = |told_at, replayed_at| {
            let mut ledger = ledger([told(7, Kind::Exhausted, told_at)]);
            let value = Replayed { letter: "ORDERS.mailer.7".to_owned(), published: Some(at(replayed_at)) };
            ledger.replayed(&[Entry { key: "7".to_owned(), revision: 1, written: at(replayed_at), value }]);
            let book = ledger.books.values().next();
            failures(book, &consumer(1, 0), Since { heard: at(0), stored: None }, 2).exhausted
        };
        assert_eq!((replayed(10, 20), replayed(20, 10)), (0, 1));
    }

    #[test]
    fn a_consumer_answers_for_itself_only() {
        let mut anew = consumer(1, 0);
        anew.created = at(20);
        let left = left([told(1, Kind::Terminated, 10), told(2, Kind::Exhausted, 30)], &anew, 2);
        assert_eq!((left.exhausted, left.terminated, left.sequences.as_slice()), (1, 0, &[2][..]));
    }

    #[test]
    fn a_terminated_message_is_told_of_for_a_day() {
        let mut ledger = ledger([told(1, Kind::Terminated, 0)]);
        let book = ledger.books.values_mut().next().unwrap();
        book.settle(&consumer(0, 0), at(0), at(0).after(TERMINATED_TOLD).before(Duration::from_secs(1)), 2);
        assert_eq!(book.given_up.len(), 1);
        book.settle(&consumer(0, 0), at(0), at(0).after(TERMINATED_TOLD), 2);
        assert!(book.given_up.is_empty());
    }

    #[test]
    fn what_comes_by_the_thousand_makes_one_row_and_keeps_nothing_else_out() {
        let many = (0..5_000).map(|id| told(id, if id % 2 == 0 { Kind::Nak } else { Kind::Removed }, id / 1_000));
        let both = many.clone().chain(many);
        let ledger = ledger([told(9_000, Kind::Created, 0)].into_iter().chain(both));
        let rows: Vec<(Kind, u64)> = ledger.rows.iter().map(|row| (row.kind, row.count)).collect();
        assert_eq!(rows, [(Kind::Created, 1), (Kind::Nak, 2_500), (Kind::Removed, 2_500)]);
        assert_eq!(ledger.total, 5_001, "what is heard and then read again counts once");
        assert_eq!(ledger.books.values().next().unwrap().naks, 2_500);
    }

    #[test]
    fn what_is_read_late_joins_what_was_told_about_then() {
        let told = [told(1, Kind::Removed, 600), told(2, Kind::Removed, 10), told(3, Kind::Removed, 590)];
        let ledger = ledger(told);
        let mut rows: Vec<_> = ledger.rows.iter().map(|row| (row.time, row.id.as_str(), row.count)).collect();
        rows.sort();
        assert_eq!(rows, [(at(10), "2", 1), (at(600), "1", 2)]);
    }

    #[test]
    fn the_same_advisory_counts_once_and_the_oldest_are_forgotten() {
        let twice = ledger([told(1, Kind::Created, 0), told(1, Kind::Created, 0)]);
        assert_eq!((twice.rows.len(), twice.total), (1, 1));
        let many = ledger((0..2_000).map(|id| told(id, Kind::Updated, id)));
        assert_eq!((many.rows.len(), many.total), (ROWS_MOST, 2_000));
        assert_eq!(many.rows[0].id, "1000");
    }

    #[test]
    fn what_its_stream_has_no_more_is_struck_out() {
        let mut ledger = ledger((1..=3).map(|id| told(id, Kind::Exhausted, 10)));
        let ask = |from| FirstFrom {
            account: "A".into(),
            stream: "ORDERS".parse().unwrap(),
            from,
            patterns: Vec::new(),
            is_direct: true,
        };
        let answers = [
            First::Message { sequence: 1, stored: at(0) },
            First::Message { sequence: 4, stored: at(0) },
            First::Silence,
        ];
        ledger.look_up(&[ask(1), ask(2), ask(3)], &answers);
        let left: Vec<u64> = ledger.books.values().next().unwrap().given_up.keys().copied().collect();
        assert_eq!(left, [1, 3]);
    }
}
