//! One record a message: copies and advisories of it are joined as they are met, from the newest back. Pure.
//!
//! A worker terminates a message after its copy was stored, so going back in time its advisory comes first. An advisory waits for a copy
//! as long as a second burial would be told apart from a first; one that is still alone then stands for itself.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::{
    advisory::{GivenUp, GivenUpCause},
    clock::Timestamp,
    dead_letter::{Body, DeadLetter, Death, Kind, Place},
};

/// What was stored about a message that was given up, and when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Met {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Copy(Box<DeadLetter>),
    Advisory(GivenUp),
}

/// A record, and when it came about.
pub(super) type Record = (Timestamp, DeadLetter);

/// What was met and is not a record yet.
#[derive(Debug)]
pub(super) struct Join {
    patience: Duration,
    alone: HashMap<Place, (Timestamp, GivenUp)>,
    known: HashSet<Place>,
}

impl Join {
    /// `patience` is how much older a copy may be than the advisory of the same message.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, alone: HashMap::new(), known: HashSet::new() }
    }

    /// Takes what was met, which is no newer than what was met before, and returns the records that are complete by it.
    pub(super) fn meet(&mut self, met: Met) -> Vec<Record> {
        let Met { at, what } = met;
        let mut complete = self.given_up_waiting(at);
        match what {
            What::Copy(letter) => {
                self.alone.remove(&letter.place);
                if !self.known.contains(&letter.place) {
                    complete.push((at, *letter));
                }
            }
            What::Advisory(advisory) => self.wait(at, advisory),
        }
        complete
    }

    /// What waits for a copy that does not come, after the last was met.
    pub(super) fn rest(&mut self) -> Vec<Record> {
        self.alone.drain().map(|(place, (at, advisory))| (at, alone(place, advisory))).collect()
    }

    /// Notes that a message has its record: what is met of it later is older and adds nothing.
    pub(super) fn keep(&mut self, place: &Place) {
        self.known.insert(place.clone());
    }

    /// Whether something newer than `at` may still become a record.
    pub(super) fn waits_for_newer(&self, at: Timestamp) -> bool {
        self.alone.values().any(|(met, _)| *met > at)
    }

    /// Of two advisories about one message a termination says more: somebody knew what became of it.
    fn wait(&mut self, at: Timestamp, advisory: GivenUp) {
        let place = Place {
            stream: advisory.stream.clone(),
            consumer: advisory.consumer.clone(),
            sequence: advisory.stream_sequence,
        };
        if self.known.contains(&place) {
            return;
        }
        let waiting = self.alone.entry(place).or_insert_with(|| (at, advisory.clone()));
        if waiting.1.cause == GivenUpCause::MaxDeliveries && advisory.cause != GivenUpCause::MaxDeliveries {
            waiting.1 = advisory;
        }
    }

    fn given_up_waiting(&mut self, now: Timestamp) -> Vec<Record> {
        let patience = self.patience;
        let late = self.alone.extract_if(|_, (at, _)| now.age(*at).0 > patience);
        late.map(|(place, (at, advisory))| (at, alone(place, advisory))).collect()
    }
}

/// The record of a message that left no copy. Its body is yet to be looked for.
fn alone(place: Place, advisory: GivenUp) -> DeadLetter {
    let deliveries = advisory.deliveries;
    let (kind, class, reason) = match advisory.cause {
        GivenUpCause::Terminated(reason) if reason.is_empty() => {
            (Kind::Terminated, "terminated", "a worker terminated it and gave no reason".to_owned())
        }
        GivenUpCause::Terminated(reason) => (Kind::Terminated, "terminated", reason),
        GivenUpCause::MaxDeliveries => (
            Kind::Exhausted,
            "max_deliveries",
            format!(
                "not settled in time or handed back, and the consumer allows no more deliveries (it had {deliveries})"
            ),
        ),
    };
    DeadLetter {
        place,
        kind,
        death: Death { reason, class: class.to_owned(), attempts: None, time: advisory.time },
        deliveries: Some(deliveries),
        published: None,
        message: None,
        size: 0,
        body: Body::Gone,
        trace: None,
        copy: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(seconds))
    }

    fn advisory(seconds: u64, sequence: u64, cause: GivenUpCause) -> Met {
        let advisory = GivenUp {
            stream: "ORDERS".try_into().unwrap(),
            consumer: "mailer".try_into().unwrap(),
            stream_sequence: sequence,
            deliveries: 3,
            time: at(seconds),
            cause,
        };
        Met { at: at(seconds), what: What::Advisory(advisory) }
    }

    fn copy(seconds: u64, sequence: u64) -> Met {
        let What::Advisory(told) = advisory(seconds, sequence, GivenUpCause::MaxDeliveries).what else {
            unreachable!()
        };
        let place = Place { stream: told.stream.clone(), consumer: told.consumer.clone(), sequence };
        let letter = DeadLetter { kind: Kind::Buried, copy: Some(1), ..alone(place, told) };
        Met { at: at(seconds), what: What::Copy(Box::new(letter)) }
    }

    /// Meets all of it and returns sequence and kind of each record.
    fn joined(met: Vec<Met>) -> Vec<(u64, Kind)> {
        let mut join = Join::new(Duration::from_secs(60));
        let mut records = Vec::new();
        for met in met {
            for record in join.meet(met) {
                join.keep(&record.1.place);
                records.push(record);
            }
        }
        records.extend(join.rest());
        records.sort_by_key(|(at, _)| *at);
        records.iter().map(|(_, letter)| (letter.place.sequence, letter.kind)).collect()
    }

    fn check(met: Vec<Met>, expected: &[(u64, Kind)]) {
        assert_eq!(joined(met), expected);
    }

    #[test]
    fn a_message_is_one_record_however_often_it_is_told_of() {
        use GivenUpCause::{MaxDeliveries, Terminated};
        let terminated = || Terminated("no".into());
        check(vec![], &[]);
        check(vec![copy(5, 1)], &[(1, Kind::Buried)]);
        check(vec![advisory(6, 1, terminated()), copy(5, 1)], &[(1, Kind::Buried)]);
        check(vec![advisory(6, 1, terminated()), copy(5, 1), copy(2, 1)], &[(1, Kind::Buried)]);
        check(vec![copy(7, 1), advisory(6, 1, MaxDeliveries), copy(5, 1)], &[(1, Kind::Buried)]);
        check(vec![advisory(6, 1, MaxDeliveries), advisory(5, 1, MaxDeliveries)], &[(1, Kind::Exhausted)]);
        check(vec![advisory(6, 1, MaxDeliveries), advisory(5, 1, terminated())], &[(1, Kind::Terminated)]);
        check(vec![advisory(6, 2, MaxDeliveries), copy(5, 1)], &[(1, Kind::Buried), (2, Kind::Exhausted)]);
    }

    #[test]
    fn an_advisory_waits_for_its_copy_and_no_longer_than_it_should() {
        let mut join = Join::new(Duration::from_secs(60));
        assert!(join.meet(advisory(100, 1, GivenUpCause::MaxDeliveries)).is_empty());
        assert!(join.waits_for_newer(at(99)));
        assert_eq!(join.meet(copy(41, 2)).len(), 1);
        assert_eq!(join.meet(copy(39, 3)).len(), 2);
        assert!(!join.waits_for_newer(at(0)));
    }
}
