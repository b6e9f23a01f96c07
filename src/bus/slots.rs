//! Who waits for which confirmation: pure bookkeeping, the time comes in.

use std::time::Instant;

/// What waits, each under a ticket of its own; no larger than the most that waited at once.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    /// How often the slot was taken, so that an answer that comes too late finds nobody rather than the next.
    turn: u32,
    held: Option<(T, Instant)>,
}

/// Where something waits; as a number it is the last token of a reply subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(pub(super) u64);

impl Ticket {
    fn of(index: u32, turn: u32) -> Self {
        Self(u64::from(turn) << 32 | u64::from(index))
    }

    fn index(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn turn(self) -> u64 {
        self.0 >> 32
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Lets `value` wait until `until`.
    pub(super) fn hold(&mut self, value: T, until: Instant) -> Ticket {
        let held = Some((value, until));
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.turn = slot.turn.wrapping_add(1);
            slot.held = held;
            return Ticket::of(index, slot.turn);
        }
        let index = u32::try_from(self.slots.len()).expect("a window is far smaller than this");
        self.slots.push(Slot { turn: 0, held });
        Ticket::of(index, 0)
    }

    /// Takes what waits under `ticket`, if it still does.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<T> {
        let slot = self.slots.get_mut(ticket.index()).filter(|slot| u64::from(slot.turn) == ticket.turn())?;
        let (value, _) = slot.held.take()?;
        self.free.push(ticket.index() as u32);
        Some(value)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Takes what has waited for too long.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<T> {
        self.take_all(|until| until <= now)
    }

    /// Takes all that waits.
    pub(super) fn all(&mut self) -> Vec<T> {
        self.take_all(|_| true)
    }

    fn take_all(&mut self, is_over: impl Fn(Instant) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for (index, slot) in (0_u32..).zip(&mut self.slots) {
            if let Some((value, _)) = slot.held.take_if(|(_, until)| is_over(*until)) {
                taken.push(value);
                self.free.push(index);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_never_for_the_next_who_waits() {
        let mut slots = Slots::default();
        let until = Instant::now();
        let first = slots.hold('a', until);
        assert_eq!(slots.take(first), Some('a'));
        assert_eq!(slots.take(first), None);
        let second = slots.hold('b', until);
        assert_eq!(slots.take(first), None, "a late answer finds nobody");
        assert_eq!(slots.take(second), Some('b'));
        assert_eq!(slots.take(Ticket(99)), None);
    }

    #[test]
    fn what_waited_too_long_is_taken_and_its_place_is_free_again() {
        let mut slots = Slots::default();
        let now = Instant::now();
        assert!(slots.is_empty());
        let soon = slots.hold('a', now + Duration::from_secs(1));
        let later = slots.hold('b', now + Duration::from_secs(2));
        assert!(slots.expired(now).is_empty());
        assert_eq!(slots.expired(now + Duration::from_secs(1)), ['a']);
        assert_eq!((slots.take(soon), slots.slots.len()), (None, 2));
        slots.hold('c', now);
        assert_eq!(slots.slots.len(), 2);
        assert_eq!(slots.take(later), Some('b'));
        assert!(!slots.is_empty());
        assert_eq!(slots.all(), ['c']);
        assert!(slots.is_empty());
    }
}
