//! Remembers what the probes of instances said in the last rounds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    presence::{INTERVAL, Presence},
    snapshot::{AskedProbe, Entry, ProbePast, Probed, Snapshot, Watched},
};

/// Rounds that are remembered: a quarter of an hour at the usual interval. One takes a byte for each of some thousand instances at most.
const ROUNDS: usize = 90;

/// The last rounds.
#[derive(Debug, Default)]
pub(super) struct Probes {
    rounds: VecDeque<Timestamp>,
    said: BTreeMap<(String, String), VecDeque<Probed>>,
}

impl Probes {
    /// Notes what is said in `snapshot`, and writes down the last rounds there. Who is not told of any more is forgotten.
    pub(super) fn look(&mut self, snapshot: &mut Snapshot) {
        push(&mut self.rounds, snapshot.taken);
        let mut before = std::mem::take(&mut self.said);
        let told = snapshot.watched().flat_map(|watched| {
            let told = of_account(watched, snapshot.taken);
            told.map(|(key, probed)| ((watched.name().to_owned(), key), probed))
        });
        let asked = snapshot.asked_probes.iter().map(|probe| ((String::new(), probe.key()), answered(probe)));
        for (key, probed) in told.chain(asked) {
            let mut past = before.remove(&key).unwrap_or_default();
            push(&mut past, probed);
            self.said.insert(key, past);
        }
        snapshot.probes = Arc::new(self.told());
    }

    fn told(&self) -> ProbePast {
        let said = self.said.iter().map(|(key, past)| (key.clone(), past.iter().copied().collect()));
        ProbePast { rounds: self.rounds.iter().copied().collect(), said: said.collect() }
    }
}

/// What the instances of an account said, by their keys.
fn of_account(watched: &Watched, now: Timestamp) -> impl Iterator<Item = (String, Probed)> {
    let is_fresh = watched.presence.fresh().is_some();
    let here = watched.presence.value().map_or(&[][..], |bucket| &bucket.entries);
    let here =
        here.iter().map(move |entry| (entry.key.clone(), if is_fresh { said(entry, now) } else { Probed::Unknown }));
    here.chain(watched.gone.iter().map(|entry| (entry.key.clone(), Probed::Unknown)))
}

fn push<T>(past: &mut VecDeque<T>, newest: T) {
    if past.len() == ROUNDS {
        past.pop_front();
    }
    past.push_back(newest);
}

/// What a probe said that was asked.
fn answered(probe: &AskedProbe) -> Probed {
    match probe.answer {
        Ok(_) if probe.passes() => Probed::Ready,
        Ok(_) => Probed::NotReady,
        Err(_) => Probed::Unknown,
    }
}

/// What an instance said, if that is news: it writes every few seconds, and one write may come late.
fn said(entry: &Entry<Presence>, now: Timestamp) -> Probed {
    let probes = &entry.value.probes;
    if entry.written.age(now).0 > INTERVAL * 2 {
        Probed::Unknown
    } else if !probes.startup.passes {
        Probed::NotReady
    } else if !probes.live.passes {
        Probed::NotLive
    } else if !probes.ready.passes {
        Probed::NotReady
    } else {
        Probed::Ready
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        presence::{Probe, Probes as Said},
        snapshot::{Bucket, Contact, Reading, Why},
    };

    fn key(of: &str) -> (String, String) {
        (String::new(), of.to_owned())
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    fn instance(key: &str, written: u64, [startup, live, ready]: [bool; 3]) -> Entry<Presence> {
        let text = serde_json::json!({ "service": "mail", "instance": key, "started": at(0), "written": at(written) });
        let mut value: Presence = serde_json::from_value(text).unwrap();
        let probe = |passes| Probe { passes, parts: Vec::new() };
        value.probes = Said { startup: probe(startup), live: probe(live), ready: probe(ready) };
        Entry { key: key.to_owned(), revision: 1, written: at(written), value }
    }

    fn round(second: u64, presence: Option<Vec<Entry<Presence>>>) -> Snapshot {
        let contact = Contact::standing_since(at(0));
        let mut snapshot = Snapshot::before_the_first(contact, Duration::from_secs(10), at(second));
        let bucket =
            |entries| Bucket { entries, deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false };
        snapshot.app.presence = match presence {
            Some(entries) => Reading::known(bucket(entries), "bucket presence", at(second)),
            None => Reading::unknown(Why::Failed, "lost"),
        };
        snapshot
    }

    const WELL: [bool; 3] = [true; 3];

    #[test]
    fn each_round_adds_what_was_said_in_it() {
        let mut probes = Probes::default();
        let said = [
            (vec![instance("a", 1, WELL)], Probed::Ready),
            (vec![instance("a", 2, [true, true, false])], Probed::NotReady),
            (vec![instance("a", 3, [true, false, true])], Probed::NotLive),
            (vec![instance("a", 4, [false, true, true])], Probed::NotReady),
            (vec![instance("a", 4, WELL), instance("b", 5, WELL)], Probed::Ready),
        ];
        let mut expected = Vec::new();
        for ((entries, probed), second) in said.into_iter().zip(1..) {
            let mut snapshot = round(second, Some(entries));
            probes.look(&mut snapshot);
            expected.push((at(second), probed));
            assert_eq!(snapshot.probes.of("", "a").collect::<Vec<_>>(), expected);
        }
        let mut late = round(16, Some(vec![instance("a", 4, WELL), instance("b", 15, WELL)]));
        probes.look(&mut late);
        assert_eq!(late.probes.of("", "a").next_back(), Some((at(16), Probed::Unknown)), "it has not written for long");
        assert_eq!(late.probes.of("", "b").collect::<Vec<_>>(), [(at(5), Probed::Ready), (at(16), Probed::Ready)]);
    }

    #[test]
    fn who_is_gone_is_unknown_and_who_is_forgotten_is_forgotten_here_too() {
        let mut probes = Probes::default();
        probes.look(&mut round(1, Some(vec![instance("a", 1, WELL)])));
        let mut gone = round(2, Some(Vec::new()));
        gone.app.gone = vec![instance("a", 1, WELL)];
        probes.look(&mut gone);
        assert_eq!(gone.probes.said[&key("a")], [Probed::Ready, Probed::Unknown]);
        let mut unread = round(3, None);
        unread.app.gone.clone_from(&gone.app.gone);
        probes.look(&mut unread);
        assert_eq!(unread.probes.said[&key("a")].last(), Some(&Probed::Unknown), "nobody was heard in this round");
        let mut forgotten = round(4, Some(Vec::new()));
        probes.look(&mut forgotten);
        assert!(forgotten.probes.said.is_empty(), "{:?}", forgotten.probes);
    }

    #[test]
    fn probes_that_were_asked_are_remembered_beside_those_that_tell_of_themselves() {
        let mut probes = Probes::default();
        let asked =
            |answer| AskedProbe { name: "a".to_owned(), url: String::new(), answer, took: Duration::ZERO, at: at(0) };
        let mut snapshot = round(0, None);
        for answer in [Ok(204), Ok(503), Err("silent".to_owned())] {
            let asked_probes = Arc::from([asked(answer)]);
            snapshot = Snapshot { asked_probes, ..round(1, Some(vec![instance("a", 1, WELL)])) };
            probes.look(&mut snapshot);
        }
        assert_eq!(snapshot.probes.said[&key("=a")], [Probed::Ready, Probed::NotReady, Probed::Unknown]);
        assert_eq!(snapshot.probes.said[&key("a")], [Probed::Ready; 3]);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut probes = Probes::default();
        let mut last = round(0, None);
        for second in 1..=ROUNDS as u64 + 5 {
            last = round(second, Some(vec![instance("a", second, WELL)]));
            probes.look(&mut last);
        }
        assert_eq!((last.probes.rounds.len(), last.probes.of("", "a").count()), (ROUNDS, ROUNDS));
        assert_eq!(last.probes.of("", "a").next(), Some((at(6), Probed::Ready)));
    }
}
