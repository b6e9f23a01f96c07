//! Cases of Burrow's evaluator in our facts, cases of ours, and what holds for any facts.
//!
//! Convention: the positions, lags and times are those that Burrow publishes with its evaluator. It knows commits only, so each case is
//! continued to its own end with a consumer that stands where it was; somebody asks for messages throughout. Where we say something
//! else than Burrow the case says why.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    RULES, too_early,
    world::{World, check, long_ago, now},
};
use crate::snapshot::{Failures, Label, Sample, Severity};

/// Position, lag and second of each round, and the lag and second of the end.
fn told(rounds: &[(u64, u64, u64)], lag: u64, end: u64) -> World {
    let step = (rounds[1].2 - rounds[0].2).max(1);
    let mut all = rounds.to_vec();
    while all[all.len() - 1].2 < end {
        let (position, _, second) = all[all.len() - 1];
        all.push((position, lag, (second + step).min(end)));
    }
    let sample = |&(position, pending, second): &(u64, u64, u64)| Sample {
        at: now().before(Duration::from_secs(end - second)),
        created: long_ago(),
        pending,
        ack_pending: 0,
        redelivered: 0,
        waiting: 1,
        delivered: position,
        delivered_stream_sequence: position,
        ack_floor: position,
        ack_floor_stream_sequence: position,
        stream_first_sequence: 1,
        stream_last_sequence: position + pending,
    };
    let mut world = World::still(lag).with(|state| state.waiting = 1);
    world.samples = all.iter().map(sample).collect();
    let quiet = end - rounds[rounds.len() - 1].2;
    world.quiet_for(Duration::from_secs(quiet))
}

/// A thousand messages each hundred seconds, and so much lag.
fn steady(lags: [u64; 5]) -> Vec<(u64, u64, u64)> {
    (1..).zip(lags).map(|(round, lag)| (round * 1_000, lag, round * 100)).collect()
}

/// Always at the same message, and so much lag.
fn standing(lags: [u64; 5]) -> Vec<(u64, u64, u64)> {
    (1..).zip(lags).map(|(round, lag)| (1_000, lag, round * 100)).collect()
}

#[test]
fn a_consumer_that_moved_lately_keeps_up() {
    check(&told(&steady([0, 50, 100, 150, 200]), 200, 600), Label::Ok);
    // Rounds of which nobody told are none.
    check(&told(&steady([0, 50, 100, 150, 200]), 200, 550), Label::Ok);
}

#[test]
fn a_consumer_that_moves_no_more_has_stopped() {
    // Burrow waits for as long as its window is; three rounds are enough for us.
    check(&told(&steady([0, 50, 100, 150, 200]), 200, 900), Label::Stopped);
    check(&told(&steady([0, 50, 100, 150, 200]), 200, 1_000), Label::Stopped);
    check(&told(&steady([50, 100, 150, 200, 250]), 250, 1_000), Label::Stopped);
}

#[test]
fn one_round_without_lag_excuses_nothing() {
    // Burrow says OK, because the first round had no lag.
    check(&told(&standing([0, 50, 100, 150, 200]), 200, 600), Label::Stopped);
    check(&told(&standing([100, 150, 200, 250, 300]), 300, 600), Label::Stopped);
    check(&told(&standing([100; 5]), 100, 600), Label::Stopped);
}

#[test]
fn a_position_that_goes_back_is_rewound_although_lag_shrinks() {
    let rounds = [(1_000, 100, 100), (2_000, 150, 200), (3_000, 200, 300), (2_000, 1_250, 400), (4_000, 300, 500)];
    check(&told(&rounds, 300, 600), Label::Rewound);
}

#[test]
fn without_lag_now_nothing_is_wrong() {
    check(&told(&steady([50, 100, 150, 200, 250]), 0, 1_000), Label::Idle);
}

#[test]
fn new_messages_that_nobody_takes_are_lag_and_a_single_one_just_now_is_not() {
    let rounds: Vec<(u64, u64, u64)> = (0..15).map(|round| (792_748_079 + round, 0, round)).collect();
    check(&told(&rounds, 931, 32), Label::Stopped);
    let mut late = told(&rounds, 0, 31);
    late.state.pending = 1;
    let last = *late.samples.last().unwrap();
    late.samples.push(Sample { at: now(), pending: 1, stream_last_sequence: last.stream_last_sequence + 1, ..last });
    check(&late, Label::Ok);
}

#[test]
fn the_rules_stand_in_the_order_of_their_labels_and_leave_none_out() {
    let labels: Vec<Label> = RULES.iter().map(|rule| rule.label).collect();
    assert_eq!(
        labels,
        &Label::ALL[..Label::ALL.len() - 2],
        "all but ok and unknown, which nothing has to be found for"
    );
}

#[test]
fn one_with_something_to_do_is_not_well_before_a_trend_says_so() {
    let said = |world: &World| (world.judge().label, world.judge().sentence.into_owned());
    let early =
        |seen: &str, more| format!("It was looked at in {seen} so far; whether it keeps up shows after {more} more.");
    let busy = World::moving(&[5; 3], 10);
    assert_eq!(said(&busy.clone().rounds(1)), (Label::Unknown, early("1 round", 2)));
    assert_eq!(said(&busy.clone().rounds(2)), (Label::Unknown, early("2 rounds", 1)));
    assert_eq!(said(&busy), (Label::Ok, "It keeps up.".to_owned()));
    check(&World::moving(&[0], 10), Label::Ok);
    check(&World::moving(&[0, 5], 10), Label::Ok);
    check(&World::moving(&[0], 10).with(|state| state.ack_pending = 1), Label::Unknown);
    let anew = busy.sampled(|round, sample| sample.created = if round == 0 { long_ago() } else { now() }).made(now());
    assert_eq!(said(&World { samples: anew.samples[1..].to_vec(), ..anew }), (Label::Unknown, early("2 rounds", 1)));
}

#[test]
fn what_else_is_found_is_told_too() {
    let world = World::still(5).failed(Failures { exhausted: 1, ..Failures::default() });
    let verdict = world.judge();
    assert_eq!(verdict.label, Label::Losing);
    assert!(verdict.evidence.last().unwrap().starts_with("also no workers: 5 messages wait"), "{verdict:?}");
}

/// Small numbers, so that they meet, and the largest that a server could send.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..200_u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    ([number(), number(), number(), number(), number()], [number(), number(), number(), number()], 0..2_u64, 0..60_u64)
        .prop_map(
            |([pending, ack_pending, redelivered, waiting, delivered], [position, floor, first, last], making, ago)| {
                Sample {
                    at: now().before(Duration::from_secs(ago)),
                    created: long_ago().after(Duration::from_secs(making)),
                    pending,
                    ack_pending,
                    redelivered,
                    waiting,
                    delivered,
                    delivered_stream_sequence: position,
                    ack_floor: delivered.min(floor),
                    ack_floor_stream_sequence: floor,
                    stream_first_sequence: first,
                    stream_last_sequence: last,
                }
            },
        )
}

type Setup = (i64, i64, u64, bool, bool, bool);

/// The last sample is what the state says.
fn any_world() -> impl Strategy<Value = World> {
    let setup = (-1..300_i64, -1..300_i64, 0..100_u64, any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(any_sample(), 1..6), setup, number(), prop::option::of(0..200_u64), 0..3_u64)
        .prop_map(|(samples, setup, held, oldest, exhausted)| build(samples, setup, held, oldest, exhausted))
}

fn build(samples: Vec<Sample>, setup: Setup, held: u64, oldest: Option<u64>, exhausted: u64) -> World {
    let (most, in_flight, max_age, is_push, is_filtered, is_durable) = setup;
    let last = samples[samples.len() - 1];
    let mut world = World::still(1)
        .configured(|config| {
            config.max_ack_pending = in_flight;
            config.deliver_subject = if is_push { "inbox" } else { "" }.to_owned();
            config.filter_subject = if is_filtered { "a.b" } else { "" }.to_owned();
            config.durable_name = if is_durable { "reserve" } else { "" }.to_owned();
        })
        .streamed(|config| {
            (config.max_msgs, config.max_bytes, config.max_age) = (most, most * 10, Duration::from_secs(max_age));
        })
        .held(|state| (state.messages, state.bytes, state.first_sequence) = (held, held, last.stream_first_sequence))
        .with(|state| {
            (state.pending, state.ack_pending, state.redelivered) = (last.pending, last.ack_pending, last.redelivered);
            (state.waiting, state.delivered, state.ack_floor) = (last.waiting, last.delivered, last.ack_floor);
        })
        .handled_in(if most < 0 { Duration::MAX } else { Duration::from_secs(max_age) })
        .failed(Failures { exhausted, ..Failures::default() })
        .made(last.created);
    world.samples = samples;
    match oldest {
        Some(oldest) => world.oldest(Duration::from_secs(oldest)),
        None => world,
    }
}

proptest! {
    #[test]
    fn any_facts_have_a_verdict_and_it_is_the_worst_of_what_is_found(world in any_world()) {
        let verdict = world.judge();
        let found = world.look(|facts, _| RULES.iter().filter_map(|rule| (rule.look)(facts)).collect::<Vec<_>>());
        let worst = found.iter().map(|found| found.severity).max();
        let is_early = world.look(|facts, _| too_early(facts).is_some());
        let otherwise = if is_early { (Label::Unknown, Severity::Notice) } else { (Label::Ok, Severity::Ok) };
        prop_assert_eq!(verdict.severity, worst.unwrap_or(otherwise.1));
        let first = found.iter().filter(|found| Some(found.severity) == worst).map(|found| found.label).min();
        prop_assert_eq!(verdict.label, first.unwrap_or(otherwise.0));
        prop_assert!(verdict.severity < Severity::Warning || !verdict.next_step.is_empty());
    }
}
