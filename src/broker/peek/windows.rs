//! Which sequences to read next on the way from newer messages to older ones.
//!
//! Streams are read forwards only. So the way back goes by windows, each below the one before: narrow ones while messages lie close, wider
//! ones where many are missing or of other subjects, which the server skips.

use std::ops::Range;

/// How much wider a window is below one in which nothing was found.
const WIDER: u64 = 8;

/// The windows of one search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// All from here on was searched.
    below: u64,
    /// The first sequence that there is.
    floor: u64,
    width: u64,
    widest: u64,
}

impl Windows {
    /// Windows from `below` down to `floor`, of `width` sequences at first and never of more than `widest`.
    pub(super) fn new(below: u64, floor: u64, width: u64, widest: u64) -> Self {
        let widest = widest.max(1);
        Self { below, floor, width: width.clamp(1, widest), widest }
    }

    /// The sequences to read; `None` at the end.
    pub(super) fn next(&self) -> Option<Range<u64>> {
        (self.below > self.floor).then(|| self.below.saturating_sub(self.width).max(self.floor)..self.below)
    }

    /// From which sequence on all was searched.
    pub(super) fn below(&self) -> u64 {
        self.below
    }

    /// The window was read, with `found` messages in it, and `more` are wanted.
    pub(super) fn read(&mut self, found: u64, more: u64) {
        let Some(window) = self.next() else { return };
        let width = window.end - window.start;
        self.below = window.start;
        // Half as wide again as it takes if messages go on lying as close.
        let fit = (width.saturating_mul(more).saturating_mul(3)).checked_div(found.saturating_mul(2));
        self.width = fit.unwrap_or(u64::MAX).min(width.saturating_mul(WIDER)).clamp(1, self.widest);
    }

    /// The window holds more messages than can be read, `held` of them if that is known: narrower, with room for `most`.
    pub(super) fn narrow(&mut self, held: Option<u64>, most: u64) {
        let fit = match held {
            Some(held) => self.width.saturating_mul(most) / held.saturating_mul(2).max(1),
            None => self.width / WIDER,
        };
        // As many sequences as messages have room can hold no more.
        self.width = fit.min(self.width / 2).max(most.min(self.width)).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a stream that holds a message at each sequence of which `holds` says yes, for `wanted` of them.
    fn check(below: u64, floor: u64, wanted: u64, holds: fn(u64) -> bool, expected: &[(u64, u64)]) {
        let mut windows = Windows::new(below, floor, 2 * wanted, u64::MAX);
        let (mut seen, mut found) = (Vec::new(), 0);
        while found < wanted {
            let Some(window) = windows.next() else { break };
            seen.push((window.start, window.end));
            let here = window.filter(|sequence| holds(*sequence)).count() as u64;
            found += here;
            windows.read(here, wanted.saturating_sub(found));
        }
        assert_eq!(seen, expected);
    }

    #[test]
    fn windows_go_down_and_grow_where_nothing_is_found() {
        check(1_001, 1, 10, |_| true, &[(981, 1_001)]);
        check(1_001, 1, 10, |_| false, &[(981, 1_001), (821, 981), (1, 821)]);
        check(1_001, 1, 10, |sequence| sequence % 4 == 0, &[(981, 1_001), (951, 981)]);
        check(5, 1, 10, |_| true, &[(1, 5)]);
        check(1, 1, 10, |_| true, &[]);
        check(0, 1, 10, |_| true, &[]);
        check(1_001, 900, 10, |sequence| sequence < 900, &[(981, 1_001), (900, 981)]);
    }

    #[test]
    fn a_window_is_never_wider_than_the_widest() {
        let mut windows = Windows::new(10_001, 1, 500, 100);
        assert_eq!(windows.next(), Some(9_901..10_001));
        windows.read(0, 10);
        assert_eq!((windows.next(), windows.below()), (Some(9_801..9_901), 9_901));
    }

    fn check_narrow(width: u64, held: Option<u64>, most: u64, expected: u64) {
        let mut windows = Windows::new(1 << 40, 1, width, u64::MAX);
        windows.narrow(held, most);
        let window = windows.next().unwrap();
        assert_eq!((window.end, window.end - window.start), (1 << 40, expected));
    }

    #[test]
    fn a_crowded_window_gets_narrower_down_to_what_there_is_room_for() {
        check_narrow(64_000, Some(64_000), 500, 500);
        check_narrow(64_000, Some(1_000), 500, 16_000);
        check_narrow(64_000, None, 500, 8_000);
        check_narrow(800, None, 500, 500);
        check_narrow(64_000, Some(501), 500, 31_936);
    }
}
