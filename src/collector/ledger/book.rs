//! The book of one consumer: what it gave up, and what of that is still outstanding.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use super::Since;
use crate::{
    advisory::{Advisory, Kind},
    clock::Timestamp,
    snapshot::{Consumer, Failures},
};

/// Messages that are remembered of one consumer; of more only the number is.
const OF_A_CONSUMER: usize = 256;

/// Messages whose sequences the snapshot names, of one consumer.
const NAMED: usize = 20;

/// How long a terminated message is told of: nobody can take that back, and nothing says when it was seen to.
pub(super) const TERMINATED_TOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// For so many rounds it is told that messages were removed while they were in flight.
const REMOVED_TOLD: u64 = 3;

/// What was told of one consumer.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) given_up: BTreeMap<u64, GivenUp>,
    /// Messages that were given up and replayed since.
    pub(super) replayed: HashMap<u64, Timestamp>,
    pub(super) naks: u64,
    /// The rounds in which messages were removed while they were in flight.
    removed: VecDeque<u64>,
    reason: String,
    /// How many messages its server counted as redelivered when it was last looked at.
    counted: u64,
}

/// A message that was given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenUp {
    at: Timestamp,
    pub(super) kind: Kind,
    /// The round that was underway when it was told: what that round read may be from before.
    round: u64,
    /// Whether its stream was seen to have it.
    pub(super) is_there: bool,
}

impl Book {
    pub(super) fn note_given_up(&mut self, advisory: &Advisory, sequence: u64, round: u64) {
        if advisory.kind == Kind::Terminated {
            self.reason.clone_from(&advisory.reason);
        }
        let given_up = GivenUp { at: advisory.time, kind: advisory.kind, round, is_there: false };
        self.given_up.insert(sequence, given_up);
        if self.given_up.len() > OF_A_CONSUMER {
            self.given_up.pop_first();
        }
    }

    pub(super) fn note_removed(&mut self, round: u64) {
        self.removed.push_back(round);
        if self.removed.len() > OF_A_CONSUMER {
            self.removed.pop_front();
        }
    }

    pub(super) fn exhausted(&self) -> impl Iterator<Item = (u64, &GivenUp)> {
        let all = self.given_up.iter().map(|(sequence, given_up)| (*sequence, given_up));
        all.filter(|(_, given_up)| given_up.kind == Kind::Exhausted)
    }

    /// Strikes out what is none of this consumer's, what was long ago, and what the server counts no more.
    pub(super) fn settle(&mut self, consumer: &Consumer, stream_made: Timestamp, now: Timestamp, round: u64) {
        let born = consumer.created.max(stream_made);
        if let Some(state) = consumer.state.fresh().filter(|state| state.redelivered != self.counted) {
            self.counted = state.redelivered;
            self.given_up.values_mut().for_each(|given_up| given_up.is_there = false);
        }
        self.removed.retain(|removed| removed + REMOVED_TOLD > round);
        let all_settled = counts(consumer) && consumer.state.fresh().is_some_and(|state| state.redelivered == 0);
        self.given_up.retain(|_, given_up| {
            let is_told = given_up.kind == Kind::Exhausted || given_up.at.age(now).0 < TERMINATED_TOLD;
            let is_settled = all_settled && given_up.kind == Kind::Exhausted && given_up.round < round;
            given_up.at >= born && is_told && !is_settled
        });
    }

    /// The messages that were given up and not published anew since, the newest first.
    fn outstanding(&self) -> Vec<(u64, &GivenUp)> {
        let all = self.given_up.iter().map(|(sequence, given_up)| (*sequence, given_up));
        let is_open =
            |(sequence, given_up): &(u64, &GivenUp)| self.replayed.get(sequence).is_none_or(|at| *at < given_up.at);
        let mut open: Vec<(u64, &GivenUp)> = all.filter(is_open).collect();
        open.sort_unstable_by_key(|(sequence, given_up)| std::cmp::Reverse((given_up.at, *sequence)));
        open
    }

    /// Whether something of it was told after the round began that did not see its consumer.
    pub(super) fn is_newer_than(&self, round: u64) -> bool {
        self.given_up.values().map(|given_up| given_up.round).chain(self.removed.iter().copied()).any(|at| at >= round)
    }
}

/// What a consumer gave up, as far as its server and the advisories say.
pub(super) fn failures(book: Option<&Book>, consumer: &Consumer, since: Since, round: u64) -> Failures {
    let nothing = Book::default();
    let book = book.unwrap_or(&nothing);
    let outstanding = book.outstanding();
    let of_kind = |kind| outstanding.iter().filter(move |(_, given_up)| given_up.kind == kind);
    let told = of_kind(Kind::Exhausted).count() as u64;
    let exhausted = consumer.state.fresh().map_or(told, |state| {
        let new = of_kind(Kind::Exhausted).filter(|(_, given_up)| given_up.round >= round).count() as u64;
        // The server counts a message that was replayed for as long as it counts any that was given up.
        let seen_to = book.replayed.len() as u64;
        let counted = state.redelivered.saturating_sub(state.ack_pending).saturating_sub(seen_to);
        let is_limited = consumer.config.deliver_limit().is_some();
        let most = if counts(consumer) { state.redelivered } else { u64::MAX };
        (told - new).min(most).saturating_add(new).max(if is_limited { counted } else { 0 })
    });
    Failures {
        exhausted,
        terminated: of_kind(Kind::Terminated).count() as u64,
        removed: book.removed.len() as u64,
        copies: None,
        naks: book.naks,
        last: outstanding.first().map(|(_, given_up)| given_up.at),
        sequences: outstanding.iter().take(NAMED).map(|(sequence, _)| *sequence).collect(),
        reason: if of_kind(Kind::Terminated).next().is_some() { book.reason.clone() } else { String::new() },
        since: Some(since.stored.unwrap_or(since.heard)),
    }
}

/// Whether its server counts the messages that were given up among those that are redelivered.
pub(super) fn counts(consumer: &Consumer) -> bool {
    consumer.config.deliver_limit().is_none_or(|limit| limit > 1)
}
