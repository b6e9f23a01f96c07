//! Instances that fell silent: the bucket forgets them after some seconds, and whoever looks for the cause a minute later should not.

use std::{collections::HashSet, time::Duration};

use crate::{
    clock::Timestamp,
    presence::Presence,
    snapshot::{Bucket, Entry, Reading, Watched},
};

/// How long an instance that fell silent is told of.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// How many are told of, the latest first.
const MOST: usize = 100;

/// The part of its readiness by which an instance says that it is about to end.
const FAREWELL: &str = "drain";

/// Those that were there before `presence` and are not now, and did not say that they end. An instance that took the place of one of
/// them, by its name or by starting after it in the same service, makes it forgotten. A bucket that was not read whole misses nobody anew.
pub(super) fn after(last: &Watched, presence: &Reading<Bucket<Presence>>, now: Timestamp) -> Vec<Entry<Presence>> {
    let Some(bucket) = presence.fresh() else {
        return last.gone.clone();
    };
    let here: HashSet<&str> = bucket.entries.iter().map(|entry| entry.key.as_str()).collect();
    let was_replaced = |gone: &Entry<Presence>| {
        let mut others = bucket.entries.iter().filter(|entry| entry.value.service == gone.value.service);
        others.any(|entry| entry.value.started > gone.value.written)
    };
    let before = last
        .presence
        .value()
        .filter(|_| bucket.is_whole())
        .into_iter()
        .flat_map(|bucket| &bucket.entries)
        .chain(&last.gone);
    let is_missed = |entry: &&Entry<Presence>| {
        !here.contains(entry.key.as_str())
            && !bucket.deleted.contains(&entry.key)
            && !said_farewell(&entry.value)
            && entry.written.age(now).0 < REMEMBERED
            && !was_replaced(entry)
    };
    let mut gone: Vec<Entry<Presence>> = before.filter(is_missed).cloned().collect();
    gone.sort_by_key(|entry| std::cmp::Reverse(entry.written));
    gone.truncate(MOST);
    gone
}

fn said_farewell(presence: &Presence) -> bool {
    presence.probes.ready.parts.iter().any(|part| part.name == FAREWELL && !part.passes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        presence::ProbePart,
        snapshot::{Contact, Why},
    };

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    fn instance(name: &str, started: u64, written: u64) -> Entry<Presence> {
        let text = serde_json::json!({
            "service": "mail", "instance": name, "started": at(started), "written": at(written),
        });
        let value = serde_json::from_value(text).unwrap();
        Entry { key: format!("mail.{name}"), revision: written, written: at(written), value }
    }

    fn read(entries: Vec<Entry<Presence>>, deleted: &[&str]) -> Reading<Bucket<Presence>> {
        let deleted = deleted.iter().map(|key| (*key).to_owned()).collect();
        Reading::known(
            Bucket { entries, deleted, malformed: 0, is_cut: false, lacks_newest: false },
            "bucket presence",
            at(20),
        )
    }

    /// `a` and `b` wrote at second 5; what is missed when the bucket then reads `now`?
    fn check(now: &Reading<Bucket<Presence>>, second: u64, expected: &[&str]) {
        let contact = Contact::standing_since(at(0));
        let mut last = Watched::before_the_first(contact);
        last.presence = read(vec![instance("a", 0, 5), instance("b", 0, 5)], &[]);
        let gone = after(&last, now, at(second));
        let names: Vec<&str> = gone.iter().map(|entry| entry.value.instance.as_str()).collect();
        assert_eq!(names, expected);
        last.gone = gone;
        last.presence = now.clone();
        let again: Vec<Entry<Presence>> = after(&last, now, at(second));
        assert_eq!(again.len(), expected.len(), "another round changes nothing");
    }

    #[test]
    fn who_falls_silent_is_remembered_for_a_while() {
        check(&read(vec![instance("a", 0, 20)], &[]), 21, &["b"]);
        check(&read(Vec::new(), &[]), 21, &["a", "b"]);
        check(&read(Vec::new(), &[]), 5 + 15 * 60, &[]);
        check(&Reading::unknown(Why::Failed, "lost"), 21, &[]);
    }

    #[test]
    fn nobody_is_missed_by_what_was_not_read() {
        for (is_cut, lacks_newest) in [(true, false), (false, true)] {
            let cut = read(vec![instance("a", 0, 20)], &[]).map(|bucket| Bucket { is_cut, lacks_newest, ..bucket });
            check(&cut, 21, &[]);
        }
    }

    #[test]
    fn who_said_farewell_or_has_a_successor_is_not_missed() {
        check(&read(vec![instance("a", 0, 20)], &["mail.b"]), 21, &[]);
        check(&read(vec![instance("a", 0, 20), instance("c", 15, 20)], &[]), 21, &[]);
        check(&read(vec![instance("a", 0, 20), instance("b", 15, 20)], &[]), 21, &[]);
        let mut farewell = instance("b", 0, 5).value;
        let part = ProbePart { name: "drain".to_owned(), passes: false, reason: String::new(), age_seconds: 0.0 };
        farewell.probes.ready.parts.push(part);
        assert!(said_farewell(&farewell) && !said_farewell(&instance("b", 0, 5).value));
    }
}
