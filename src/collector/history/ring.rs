//! The points of one thing at equal steps, as many as are kept: pure bookkeeping, the time comes in.

use std::collections::VecDeque;

use time::OffsetDateTime;

use crate::{
    clock::Timestamp,
    snapshot::{Point, Series, Span},
};

/// Points for which a ring takes room at first: what comes and goes soon needs no more.
const ROOM_LEAST: usize = 8;

/// Points at equal steps; steps in which nothing was read are unknown.
#[derive(Debug)]
pub(super) struct Ring {
    span: Span,
    points: VecDeque<Packed>,
    /// The last point as it was reckoned so far.
    now: Point,
    /// The step of the last point, counted from 1970.
    last: i64,
    /// Rounds that fell into the last step and knew a rate.
    rates: u16,
}

/// A point in 14 bytes: two counts to 24 bits, and an age and two rates to 9, which is to a fifth of a per cent. Of ten thousand consumers
/// there are three million.
#[derive(Debug, Clone, Copy)]
struct Packed([u16; 7]);

impl Packed {
    const UNKNOWN: Self = Self::of(Point::UNKNOWN);

    const fn of(point: Point) -> Self {
        let [waiting, more_waiting] = split(point.waiting);
        let [held, more_held] = split(point.held);
        let (came, went) = (shortened(point.came_per_second), shortened(point.went_per_second));
        Self([waiting, more_waiting, held, more_held, shortened(point.age_seconds), came, went])
    }

    fn point(self) -> Point {
        let [waiting, more_waiting, held, more_held, age, came, went] = self.0;
        let joined = |high: u16, low: u16| f32::from_bits(u32::from(high) << 16 | u32::from(low));
        let lengthened = |short: u16| f32::from_bits(u32::from(short) << 15);
        Point {
            waiting: joined(waiting, more_waiting),
            held: joined(held, more_held),
            age_seconds: lengthened(age),
            came_per_second: lengthened(came),
            went_per_second: lengthened(went),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
const fn split(value: f32) -> [u16; 2] {
    let bits = value.to_bits();
    [(bits >> 16) as u16, bits as u16]
}

/// The exponent and the first bits of the fraction of what is not negative, rounded; all ones are no number still.
#[expect(clippy::cast_possible_truncation, reason = "without its sign a number has 16 bits before the last 15")]
const fn shortened(value: f32) -> u16 {
    if value.is_nan() {
        return u16::MAX;
    }
    if value <= 0.0 {
        return 0;
    }
    ((value.to_bits() + (1 << 14)) >> 15) as u16
}

/// Which step of `span` a moment falls into, counted from 1970.
pub(super) fn step_of(span: Span, at: Timestamp) -> i64 {
    at.0.unix_timestamp().div_euclid(seconds(span))
}

/// When a step of `span` begins.
pub(super) fn start_of(span: Span, step: i64) -> Timestamp {
    let at = OffsetDateTime::from_unix_timestamp(step * seconds(span)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Timestamp(at)
}

fn seconds(span: Span) -> i64 {
    span.step().as_secs().cast_signed()
}

impl Ring {
    pub(super) fn new(span: Span) -> Self {
        // The finest is full after ten minutes: what a process needs is seen soon.
        let room = if span == Span::Minutes { span.steps() } else { 0 };
        Self { span, points: VecDeque::with_capacity(room), now: Point::UNKNOWN, last: 0, rates: 0 }
    }

    /// Takes down what a round at `at` found.
    pub(super) fn add(&mut self, at: Timestamp, point: Point) {
        let step = step_of(self.span, at);
        if self.points.is_empty() || step > self.last {
            self.move_to(step);
        }
        let rates = f32::from(self.rates);
        let last = self.now;
        let mean = |mean: f32, new: f32| match (mean.is_nan(), new.is_nan()) {
            (_, true) => mean,
            (true, false) => new,
            (false, false) => mean + (new - mean) / (rates + 1.0),
        };
        self.now = Point {
            // The greater of a number and none is the number.
            waiting: last.waiting.max(point.waiting),
            held: last.held.max(point.held),
            age_seconds: last.age_seconds.max(point.age_seconds),
            came_per_second: mean(last.came_per_second, point.came_per_second),
            went_per_second: mean(last.went_per_second, point.went_per_second),
        };
        self.rates = self.rates.saturating_add(u16::from(!point.came_per_second.is_nan()));
        self.points.back_mut().into_iter().for_each(|last| *last = Packed::of(self.now));
    }

    /// Puts back what was known of the step that `at` falls into; steps come in order.
    pub(super) fn put(&mut self, at: Timestamp, point: Point) {
        let step = step_of(self.span, at);
        if self.points.is_empty() || step > self.last {
            self.move_to(step);
            self.now = point;
            self.points.back_mut().into_iter().for_each(|last| *last = Packed::of(point));
        }
    }

    /// The point of the step that `at` falls into, if it is kept and anything of it is known.
    pub(super) fn at(&self, at: Timestamp) -> Option<Point> {
        let back = usize::try_from(self.last - step_of(self.span, at)).ok()?;
        let place = self.points.len().checked_sub(back + 1)?;
        self.points.get(place).map(|packed| packed.point()).filter(|point| !point.waiting.is_nan())
    }

    /// All that is kept up to `now`; steps since the last that was read are unknown.
    pub(super) fn series(&self, now: Timestamp) -> Series {
        let step = step_of(self.span, now).max(self.last);
        let silent = usize::try_from(step - self.last).unwrap_or(usize::MAX).min(self.span.steps());
        let mut points: Vec<Point> = self
            .points
            .iter()
            .map(|packed| packed.point())
            .chain(std::iter::repeat_n(Point::UNKNOWN, silent))
            .collect();
        points.drain(..points.len().saturating_sub(self.span.steps()));
        Series { step: self.span.step(), until: start_of(self.span, step + 1), points }
    }

    fn move_to(&mut self, step: i64) {
        let most = self.span.steps();
        let steps =
            if self.points.is_empty() { 1 } else { usize::try_from(step - self.last).unwrap_or(most).min(most) };
        for _ in 0..steps {
            if self.points.len() == most {
                self.points.pop_front();
            } else if self.points.len() == self.points.capacity() {
                // Growing by and by would leave as much room behind, in pieces, as is taken in the end.
                let room = if self.points.is_empty() { ROOM_LEAST } else { most - self.points.len() };
                self.points.reserve_exact(room);
            }
            self.points.push_back(Packed::UNKNOWN);
        }
        (self.now, self.last, self.rates) = (Point::UNKNOWN, step, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    fn point(waiting: f32, rate: f32) -> Point {
        Point { waiting, held: 0.0, age_seconds: f32::NAN, came_per_second: rate, went_per_second: rate }
    }

    /// What is kept of rounds at these seconds: the most that waited and the mean rate, `?` where nothing is known.
    fn check(rounds: &[(u64, f32, f32)], now: u64, expected: &[&str]) {
        let mut ring = Ring::new(Span::Minutes);
        for &(second, waiting, rate) in rounds {
            ring.add(at(second), point(waiting, rate));
        }
        let said = |point: &Point| match point.waiting.is_nan() {
            true => "?".to_owned(),
            false => format!("{} {}", point.waiting, point.came_per_second),
        };
        let found: Vec<String> = ring.series(at(now)).points.iter().map(said).collect();
        assert_eq!(found, expected, "{rounds:?}");
    }

    #[test]
    fn a_step_keeps_the_worst_count_and_the_mean_rate() {
        check(&[(0, 5.0, 1.0), (3, 9.0, 2.0), (6, 2.0, 6.0)], 6, &["9 3"]);
        check(&[(0, 5.0, f32::NAN), (3, 4.0, 2.0), (10, 1.0, 7.0)], 10, &["5 2", "1 7"]);
    }

    #[test]
    fn a_step_without_a_round_is_unknown_and_not_zero() {
        check(&[(0, 5.0, 1.0), (31, 6.0, 1.0)], 31, &["5 1", "?", "?", "6 1"]);
        check(&[(0, 5.0, 1.0)], 25, &["5 1", "?", "?"]);
    }

    #[test]
    fn no_more_is_kept_than_was_said() {
        let mut ring = Ring::new(Span::Minutes);
        for round in 0..1_000 {
            ring.add(at(round * 10), point(round as f32, 0.0));
        }
        let series = ring.series(at(9_990));
        assert_eq!((series.points.len(), series.points[0].waiting, series.points[59].waiting), (60, 940.0, 999.0));
        let after_a_day = ring.series(at(86_400 * 2));
        assert!(after_a_day.points.len() == 60 && after_a_day.points.iter().all(|point| point.waiting.is_nan()));
    }

    #[test]
    fn a_packed_point_is_what_it_was_or_close_to_it() {
        for value in [0.0, 1.0, 999.0, 16_777_215.0, 1e12] {
            let point = Packed::of(Point { waiting: value, held: value, ..Point::UNKNOWN }).point();
            assert_eq!((point.waiting, point.held), (value, value));
            assert!(point.age_seconds.is_nan() && point.came_per_second.is_nan() && point.went_per_second.is_nan());
        }
        for value in [0.0, 0.001, 1.0, 3.0, 511.0, 7_777.7, 86_399.0, 1e9] {
            let point = Packed::of(Point { age_seconds: value, came_per_second: value, ..Point::UNKNOWN }).point();
            assert_eq!(point.age_seconds, point.came_per_second);
            assert!((point.age_seconds - value).abs() <= value * 0.002, "{value} became {}", point.age_seconds);
        }
    }

    #[test]
    fn what_was_put_back_is_found_again() {
        let mut ring = Ring::new(Span::Hours);
        ring.put(at(0), point(3.0, 1.0));
        ring.put(at(120), point(4.0, 1.0));
        ring.add(at(190), point(5.0, 1.0));
        assert_eq!(ring.at(at(0)).unwrap().waiting, 3.0);
        assert_eq!(
            (ring.at(at(60)), ring.at(at(240)), ring.at(at(0).before(Duration::from_secs(60)))),
            (None, None, None)
        );
        assert_eq!(ring.series(at(190)).points.len(), 4);
    }
}
