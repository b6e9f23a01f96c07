//! What is remembered of one consumer from round to round: its last samples, and in a few words what was before them.

use std::{collections::VecDeque, time::Duration};

use crate::{
    checks::consumer::SAMPLES,
    clock::Timestamp,
    snapshot::{Habits, Label, Mark, Sample, Verdict},
};

/// Between two marks: what goes on slowly shows over a minute, not over three rounds.
const MARKS_APART: Duration = Duration::from_secs(60);

/// A worker that stays away for less has no rhythm that anybody would wait for.
const REST_LEAST: Duration = Duration::from_secs(30);

/// Rests that are alike make a rhythm.
const RESTS: usize = 3;

/// The rounds of one consumer.
#[derive(Debug, Default)]
pub(super) struct Window {
    samples: VecDeque<Sample>,
    /// The older one is one to two times as old as marks are apart.
    marks: [Option<Mark>; 2],
    /// When the server last noted that somebody worked at its messages.
    active: Option<Timestamp>,
    /// What it noted when there was a delivery since the round before.
    delivered: Option<Timestamp>,
    is_extended: bool,
    /// How long its worker stayed away the last times, in seconds.
    rests: [u32; RESTS],
    /// What it amounted to when its leader was last heard.
    judged: Option<(Label, Timestamp)>,
}

impl Window {
    /// Takes a sample, and with it when the server noted activity: each delivery, and each time that whoever holds a message asks for
    /// more time for it.
    pub(super) fn remember(&mut self, sample: Sample, active: Option<Timestamp>) {
        match self.samples.back() {
            Some(before) if before.created == sample.created && before.delivered <= sample.delivered => {
                let before = *before;
                self.compare(&before, &sample, active);
            }
            _ => {
                let samples = std::mem::take(&mut self.samples);
                *self = Self { samples, judged: self.judged, delivered: active, ..Self::default() };
            }
        }
        self.active = active;
        self.mark(sample.mark());
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    fn compare(&mut self, before: &Sample, now: &Sample, active: Option<Timestamp>) {
        let has_delivered = now.delivered > before.delivered;
        let is_active = self.active.zip(active).is_some_and(|(before, now)| now > before);
        self.is_extended = !has_delivered && (self.is_extended || is_active);
        if has_delivered || self.delivered.is_none() {
            self.delivered = active;
        }
        let rest = self.active.map_or(Duration::ZERO, |active| active.age(now.at).0);
        let was_alone = before.lag() > 0 && before.ack_pending == 0 && before.waiting == 0;
        if has_delivered && was_alone && rest >= REST_LEAST {
            self.rests.rotate_left(1);
            self.rests[RESTS - 1] = u32::try_from(rest.as_secs()).unwrap_or(u32::MAX);
        }
    }

    fn mark(&mut self, now: Mark) {
        let is_due = self.marks[1].is_none_or(|last| last.at.age(now.at).0 >= MARKS_APART);
        if is_due {
            self.marks = [self.marks[1], Some(now)];
        }
    }

    /// The last rounds, the oldest first.
    pub(super) fn samples(&mut self) -> &[Sample] {
        self.samples.make_contiguous()
    }

    pub(super) fn habits(&self) -> Habits {
        let (least, most) = (self.rests.iter().min(), self.rests.iter().max());
        let alike = least.zip(most).filter(|(least, most)| **least > 0 && **most <= **least + **least / 4);
        Habits {
            earlier: self.marks[0],
            is_extended: self.is_extended,
            delivered: self.delivered,
            rhythm: alike.map(|(_, most)| Duration::from_secs(u64::from(*most))),
        }
    }

    /// What it amounted to before: where its leader was not heard for a while, what it did before that.
    pub(super) fn last_verdict(&self, last: &Verdict) -> Verdict {
        let heard = self.judged.filter(|_| last.label == Label::Unknown);
        let (label, since) = heard.unwrap_or((last.label, last.since));
        Verdict { label, ..Verdict::unknown("", since) }
    }

    pub(super) fn judged(&mut self, verdict: &Verdict) {
        self.judged = Some((verdict.label, verdict.since));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
    }

    /// A sample at so many seconds with so many deliveries, and lag.
    fn sample(second: u64, delivered: u64, ack_pending: u64) -> Sample {
        Sample {
            at: start().after(Duration::from_secs(second)),
            created: start(),
            pending: 3,
            ack_pending,
            redelivered: 0,
            waiting: 0,
            delivered,
            delivered_stream_sequence: delivered,
            ack_floor: 0,
            ack_floor_stream_sequence: 0,
            stream_first_sequence: 1,
            stream_last_sequence: 1_000,
        }
    }

    fn remembered(rounds: &[(u64, u64, u64)], ack_pending: u64) -> Window {
        let mut window = Window::default();
        for &(second, delivered, active) in rounds {
            window.remember(sample(second, delivered, ack_pending), Some(start().after(Duration::from_secs(active))));
        }
        window
    }

    #[test]
    fn activity_without_a_delivery_is_somebody_who_asks_for_more_time() {
        for (rounds, expected) in [
            (&[(10, 5, 1), (20, 5, 1), (30, 5, 1)][..], false),
            (&[(10, 5, 1), (20, 5, 15), (30, 5, 15)], true),
            (&[(10, 5, 1), (20, 6, 15), (30, 6, 15)], false),
            (&[(10, 5, 1), (20, 5, 15), (30, 6, 25)], false),
        ] {
            assert_eq!(remembered(rounds, 1).habits().is_extended, expected, "{rounds:?}");
        }
    }

    #[test]
    fn a_delivery_was_when_the_count_rose_and_not_when_somebody_asked_for_more_time() {
        for (rounds, expected) in [
            (&[(10, 5, 1)][..], 1),
            (&[(10, 5, 1), (20, 5, 15)], 1),
            (&[(10, 5, 1), (20, 6, 15), (30, 6, 25)], 15),
            (&[(10, 5, 1), (20, 2, 15), (30, 2, 25)], 15),
        ] {
            let delivered = remembered(rounds, 1).habits().delivered;
            assert_eq!(delivered, Some(start().after(Duration::from_secs(expected))), "{rounds:?}");
        }
    }

    #[test]
    fn three_rests_that_are_alike_are_a_rhythm() {
        let visits = |rests: &[u64], ack_pending| {
            let mut second = 0;
            let mut rounds = vec![(0, 0, 0)];
            for (visit, rest) in (1..).zip(rests) {
                let left = second;
                second += rest;
                rounds.extend([(second - 1, (visit - 1) * 10, left), (second, visit * 10, second)]);
            }
            remembered(&rounds, ack_pending).habits().rhythm
        };
        assert_eq!(visits(&[60, 62, 61], 0), Some(Duration::from_secs(62)));
        assert_eq!(visits(&[900, 60, 62, 61], 0), Some(Duration::from_secs(62)));
        assert_eq!(visits(&[60, 62], 0), None, "two may be chance");
        assert_eq!(visits(&[60, 62, 300], 0), None, "not alike");
        assert_eq!(visits(&[20, 20, 20], 0), None, "too short to matter");
        assert_eq!(visits(&[60, 62, 61], 1), None, "somebody had them in hand");
    }

    #[test]
    fn a_mark_is_one_to_two_minutes_old() {
        let rounds: Vec<_> = (0..30).map(|round| (round * 10, round, round * 10)).collect();
        assert_eq!(remembered(&rounds[..6], 0).habits().earlier, None);
        for so_far in 7..30 {
            let earlier = remembered(&rounds[..so_far], 0).habits().earlier.unwrap();
            let age = earlier.at.age(start().after(Duration::from_secs(rounds[so_far - 1].0))).0.as_secs();
            assert!((60..120).contains(&age), "{age} after {so_far}");
        }
        let anew: Vec<_> = rounds.iter().copied().chain([(300, 2, 300)]).collect();
        assert_eq!(remembered(&anew, 0).habits().earlier, None, "a count that begins anew has nothing before it");
    }

    #[test]
    fn a_verdict_goes_on_where_its_leader_was_not_heard_for_a_while() {
        let mut window = Window::default();
        let of = |label| Verdict { label, ..Verdict::unknown("", start()) };
        assert_eq!(window.last_verdict(&of(Label::Unknown)).label, Label::Unknown);
        window.judged(&of(Label::Stuck));
        assert_eq!(window.last_verdict(&of(Label::Unknown)).label, Label::Stuck);
        assert_eq!(window.last_verdict(&of(Label::Ok)).label, Label::Ok);
    }
}
