//! What a member has seen of its group: pure bookkeeping, the time comes in.
//!
//! A group has seats, one a member, and parts. A member writes its seat again and again; one that was not written for the hold time that it
//! promises has expired, judged by the time since *we* saw it change, so that no two machines need to agree on the time of day.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::plan::{self, Plan};

/// What stands on a seat. An empty seat is written as `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    /// Who sits there.
    pub(super) member: String,
    /// How long others wait for its next word, in milliseconds.
    pub(super) hold_millis: u64,
    /// Whether it takes nothing more, because it ends.
    pub(super) is_leaving: bool,
}

/// What stands at a part. A free part is written as `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Who holds it.
    pub(super) member: String,
}

/// A record, the revision that it has, and when we saw it change.
#[derive(Debug, Clone)]
struct Seen<T> {
    value: Option<T>,
    revision: u64,
    at: Instant,
}

/// What one member has seen.
#[derive(Debug)]
pub(super) struct View {
    me: String,
    seats: BTreeMap<u32, Seen<Seat>>,
    parts: BTreeMap<u32, Seen<Part>>,
    count: u32,
}

/// Where a record lies below its group's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Seat(u32),
    Part(u32),
}

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.rsplit_once('.')?;
        let number = number.parse().ok()?;
        match kind {
            "seat" => Some(Self::Seat(number)),
            "part" => Some(Self::Part(number)),
            _ => None,
        }
    }

    pub(super) fn key(self, group: &str) -> String {
        match self {
            Self::Seat(number) => format!("{group}.seat.{number}"),
            Self::Part(number) => format!("{group}.part.{number}"),
        }
    }
}

impl View {
    /// A view of nothing yet, of a group that shares `count` parts.
    pub(super) fn new(me: String, count: u32) -> Self {
        Self { me, seats: BTreeMap::new(), parts: BTreeMap::new(), count }
    }

    /// Notes what stands at `place`; what is older than what was seen is no news. What does not read counts as empty.
    pub(super) fn saw(&mut self, place: Place, value: &[u8], revision: u64, at: Instant) {
        match place {
            Place::Seat(number) => note(&mut self.seats, number, value, revision, at),
            Place::Part(number) => note(&mut self.parts, number, value, revision, at),
        }
    }

    /// The revision to write over.
    pub(super) fn revision(&self, place: Place) -> u64 {
        let seen = match place {
            Place::Seat(number) => self.seats.get(&number).map(|seen| seen.revision),
            Place::Part(number) => self.parts.get(&number).map(|seen| seen.revision),
        };
        seen.unwrap_or(0)
    }

    /// Our seat.
    pub(super) fn own_seat(&self) -> Option<u32> {
        self.taken_seats().find(|(_, seat, _)| seat.member == self.me).map(|(number, ..)| number)
    }

    /// The first seat that nobody sits on. Seats are used again, so that a group does not leave behind a key for each member that it had.
    pub(super) fn empty_seat(&self) -> u32 {
        let taken: BTreeSet<u32> = self.taken_seats().map(|(number, ..)| number).collect();
        (0..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX)
    }

    /// Seats of others who have been silent for the time that they promised.
    pub(super) fn expired(&self, now: Instant) -> Vec<u32> {
        self.expiries().filter(|(_, at)| *at <= now).map(|(number, _)| number).collect()
    }

    /// When the next seat will have expired if nothing is heard of it.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries().map(|(_, at)| at).min()
    }

    fn expiries(&self) -> impl Iterator<Item = (u32, Instant)> {
        let others = self.taken_seats().filter(|(_, seat, _)| seat.member != self.me);
        others.map(|(number, seat, at)| (number, at + Duration::from_millis(seat.hold_millis)))
    }

    fn taken_seats(&self) -> impl Iterator<Item = (u32, &Seat, Instant)> {
        self.seats.iter().filter_map(|(number, seen)| Some((*number, seen.value.as_ref()?, seen.at)))
    }

    /// The parts that the store says are ours.
    pub(super) fn own_parts(&self) -> BTreeSet<u32> {
        let is_ours = |seen: &Seen<Part>| seen.value.as_ref().is_some_and(|part| part.member == self.me);
        self.parts.iter().filter(|(_, seen)| is_ours(seen)).map(|(number, _)| *number).collect()
    }

    /// What we should do next. A part whose holder has no seat is free.
    pub(super) fn plan(&self) -> Plan {
        let seated: BTreeSet<&str> = self.taken_seats().map(|(_, seat, _)| seat.member.as_str()).collect();
        let staying = self.taken_seats().filter(|(_, seat, _)| !seat.is_leaving);
        let takers = staying.map(|(_, seat, _)| seat.member.as_str()).collect();
        let holder = |part| self.parts.get(&part)?.value.as_ref().map(|part| part.member.as_str());
        let holders: Vec<Option<&str>> =
            (0..self.count).map(|part| holder(part).filter(|holder| seated.contains(holder))).collect();
        plan::plan(&takers, &holders, &self.me)
    }
}

fn note<T: for<'a> Deserialize<'a>>(
    all: &mut BTreeMap<u32, Seen<T>>,
    number: u32,
    value: &[u8],
    revision: u64,
    at: Instant,
) {
    if all.get(&number).is_none_or(|seen| seen.revision < revision) {
        let value = serde_json::from_slice(value).unwrap_or_default();
        all.insert(number, Seen { value, revision, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(member: &str) -> Vec<u8> {
        serde_json::to_vec(&Seat { member: member.to_owned(), hold_millis: 1_000, is_leaving: false }).unwrap()
    }

    fn part(member: &str) -> Vec<u8> {
        serde_json::to_vec(&Part { member: member.to_owned() }).unwrap()
    }

    #[test]
    fn a_place_survives_its_key() {
        for place in [Place::Seat(3), Place::Part(12)] {
            assert_eq!(Place::parse(place.key("g").strip_prefix("g.").unwrap()), Some(place));
        }
        assert_eq!(Place::parse("seat.x"), None);
        assert_eq!(Place::parse("chair.1"), None);
    }

    #[test]
    fn a_member_expires_when_its_seat_did_not_change_for_its_hold_time() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut view = View::new("me".to_owned(), 2);
        view.saw(Place::Seat(0), &seat("other"), 1, start);
        view.saw(Place::Seat(1), &seat("me"), 2, start);
        assert_eq!(view.next_expiry(), Some(start + second));
        assert!(view.expired(start + second - Duration::from_millis(1)).is_empty());
        view.saw(Place::Seat(0), &seat("other"), 1, start + second);
        assert_eq!(view.expired(start + second), [0], "what was seen before is no news");
        view.saw(Place::Seat(0), &seat("other"), 3, start + second);
        assert!(view.expired(start + second).is_empty());
        view.saw(Place::Seat(0), b"null", 4, start + second);
        assert_eq!((view.next_expiry(), view.empty_seat(), view.own_seat()), (None, 0, Some(1)));
    }

    #[test]
    fn the_parts_of_one_without_a_seat_are_free() {
        let now = Instant::now();
        let mut view = View::new("me".to_owned(), 3);
        view.saw(Place::Seat(0), &seat("me"), 1, now);
        view.saw(Place::Part(0), &part("gone"), 2, now);
        view.saw(Place::Part(1), &part("me"), 3, now);
        assert_eq!(view.plan().take, BTreeSet::from([0, 2]));
        assert_eq!(view.own_parts(), BTreeSet::from([1]));
        assert_eq!((view.revision(Place::Part(0)), view.revision(Place::Part(2))), (2, 0));
    }
}
