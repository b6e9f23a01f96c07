//! Gives every consumer its verdict: remembers its last rounds, and hands them to the checks.

use std::{collections::HashMap, sync::Arc};

use super::{history::Earlier, window::Window};
use crate::{
    checks::consumer::{self, Facts},
    clock::Timestamp,
    name::{ConsumerName, StreamName},
    snapshot::{Consumer, ConsumerState, Reading, Sample, Snapshot, Stream, StreamState, Verdict, WorkerFact},
};

/// Rounds for which those of a consumer that is gone are kept.
const GONE_ROUNDS: usize = 12;

/// Consumers that are gone and remembered at the most: where they come and go all the time, nobody looks for those of yesterday.
const GONE_MOST: usize = 1_000;

/// Whose rounds.
type Key = (Arc<str>, StreamName, ConsumerName);

/// The last rounds of every consumer.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Boxed, because they go from one map into another in each round.
    windows: HashMap<Key, Box<Window>>,
    /// Those of consumers that were gone: one that is made anew under the same name goes on with them.
    gone: HashMap<Key, (Box<Window>, usize)>,
}

impl Judge {
    /// Looks at every consumer of `snapshot`, and writes down what it amounts to.
    pub(super) fn judge(&mut self, snapshot: &mut Snapshot, earlier: &Earlier) {
        let (now, workers) = (snapshot.taken, workers(snapshot));
        let (Reading::Known(listing) | Reading::Stale { fact: listing, .. }) = &mut snapshot.streams else { return };
        let mut windows = std::mem::take(&mut self.windows);
        for stream in &mut listing.value.rows {
            let mut consumers = std::mem::replace(&mut stream.consumers, Reading::not_yet());
            if let Reading::Known(list) | Reading::Stale { fact: list, .. } = &mut consumers {
                for consumer in &mut list.value.rows {
                    let key = (consumer.account.clone(), consumer.stream.clone(), consumer.name.clone());
                    let mut window = windows.remove(&key).or_else(|| self.come_back(&key)).unwrap_or_default();
                    let pulls = workers.get(&key).map_or(&[][..], Vec::as_slice);
                    consumer.verdict = of(consumer, stream, (&mut window, earlier), pulls, now);
                    self.windows.insert(key, window);
                }
            }
            stream.consumers = consumers;
        }
        self.keep_gone(windows);
    }

    fn come_back(&mut self, key: &Key) -> Option<Box<Window>> {
        self.gone.remove(key).map(|(window, _)| window)
    }

    /// Keeps the rounds of those that are not there any more for as many rounds as are remembered.
    fn keep_gone(&mut self, windows: HashMap<Key, Box<Window>>) {
        self.gone.retain(|_, (_, missed)| {
            *missed += 1;
            *missed < GONE_ROUNDS
        });
        let room = GONE_MOST.saturating_sub(self.gone.len());
        self.gone.extend(windows.into_iter().take(room).map(|(key, window)| (key, (window, 1))));
    }
}

fn of(
    consumer: &Consumer,
    stream: &Stream,
    (window, earlier): (&mut Window, &Earlier),
    workers: &[WorkerFact],
    now: Timestamp,
) -> Verdict {
    let state = match &consumer.state {
        Reading::Known(fact) => {
            window.remember(sample(consumer, &fact.value, stream.state.fresh(), fact.at), fact.value.last_delivered);
            &fact.value
        }
        Reading::Stale { reason, .. } | Reading::Unknown { reason, .. } => {
            return earlier.go_on(consumer, unheard(consumer, reason, now));
        }
    };
    let (ages, failures) = (consumer.ages.fresh(), consumer.failures.fresh());
    let (habits, last) = (window.habits(), window.last_verdict(&consumer.verdict));
    let held = stream.state.fresh();
    let samples = window.samples();
    let facts = Facts { consumer, state, stream, held, samples, habits, ages, failures, workers, now };
    let verdict = earlier.go_on(consumer, consumer::verdict(&facts, &last));
    window.judged(&verdict);
    verdict
}

fn unheard(consumer: &Consumer, reason: &str, now: Timestamp) -> Verdict {
    let last = &consumer.verdict;
    let was_unknown = last.label == crate::snapshot::Label::Unknown;
    Verdict::unknown(
        format!("There is no fresh word of its leader: {reason}."),
        if was_unknown { last.since } else { now },
    )
}

fn sample(consumer: &Consumer, state: &ConsumerState, stream: Option<&StreamState>, at: Timestamp) -> Sample {
    Sample {
        at,
        created: consumer.created,
        pending: state.pending,
        ack_pending: state.ack_pending,
        redelivered: state.redelivered,
        waiting: state.waiting,
        delivered: state.delivered,
        delivered_stream_sequence: state.delivered_stream_sequence,
        ack_floor: state.ack_floor,
        ack_floor_stream_sequence: state.ack_floor_stream_sequence,
        stream_first_sequence: stream.map_or(0, |stream| stream.first_sequence),
        stream_last_sequence: stream.map_or(0, |stream| stream.last_sequence),
    }
}

/// What instances say of themselves, by the account, the stream and the consumer that they pull from.
fn workers(snapshot: &Snapshot) -> HashMap<Key, Vec<WorkerFact>> {
    let mut workers: HashMap<Key, Vec<WorkerFact>> = HashMap::new();
    for watched in snapshot.watched() {
        let Some(account) = &watched.name else { continue };
        let entries = watched.presence.fresh().into_iter().flat_map(|bucket| &bucket.entries);
        for worker in entries.flat_map(|entry| &entry.value.workers) {
            let key = (account.clone(), worker.stream.clone(), worker.consumer.clone());
            workers.entry(key).or_default().push(worker.into());
        }
    }
    workers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collector::world::{at, listed, round},
        snapshot::{Label, Listing, Why},
    };

    fn judged(judge: &mut Judge, second: u64, streams: Reading<Listing<Stream>>) -> Option<(Label, Timestamp)> {
        let mut snapshot = round(second, streams);
        judge.judge(&mut snapshot, &Earlier::default());
        snapshot.known_consumers().next().map(|consumer| (consumer.verdict.label, consumer.verdict.since))
    }

    #[test]
    fn a_round_that_knows_no_streams_forgets_nothing() {
        let mut judge = Judge::default();
        let rounds = [10, 20, 30].map(|second| judged(&mut judge, second, listed(second, 0)));
        assert_eq!(rounds[..2], [Some((Label::Unknown, at(10))); 2], "too early to tell, since it was seen first");
        assert_eq!(rounds[2], Some((Label::NoWorkers, at(30))));
        assert_eq!(judged(&mut judge, 40, Reading::unknown(Why::Absent, "JetStream is off")), None);
        assert_eq!(judged(&mut judge, 50, listed(50, 0)), Some((Label::NoWorkers, at(30))));
    }
}
