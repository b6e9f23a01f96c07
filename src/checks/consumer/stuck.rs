//! Deliveries go on, and the ack floor does not move.

use std::time::Duration;

use super::{Facts, Found, ROUNDS, Rule};
use crate::{
    clock::Age,
    snapshot::{Acks, Label, Mark, Sample, Severity},
    words::{agree, count, counted},
};

pub(super) const RULE: Rule = Rule {
    label: Label::Stuck,
    severity: "critical; warning while messages are acked",
    rule: "Deliveries go on and little comes of them: the ack floor does not move, because of a message that no handler can take, handlers that fail or handlers that hang; or many messages are delivered again, because handlers fail or `ack_wait` is shorter than they take.",
    evidence: "ack floor, last ack and deliveries of the last rounds; messages in redelivery; `ack_wait` against the p99 of its workers",
    threshold: "3 rounds; where the floor moves, a third of the deliveries in these or in the last minutes; where nothing comes back, as long as a handler may take",
    look,
};

/// Repeated deliveries that are worth a word: fewer may be those of a worker that ended.
const TELLING: u64 = 3;

fn look(facts: &Facts<'_>) -> Option<Found> {
    if facts.consumer.config.acks() == Acks::None || facts.state.is_paused {
        return None;
    }
    standing(facts).or_else(|| kept(facts)).or_else(|| repeated(facts))
}

/// The same messages are delivered again, and the floor stays below them.
fn standing(facts: &Facts<'_>) -> Option<Found> {
    let trend = facts.trend()?;
    let [first, .., now] = trend else { return None };
    let is_stuck = trend.iter().all(|sample| sample.ack_floor == now.ack_floor && sample.ack_pending > 0)
        && trend[1..].iter().all(|sample| sample.redelivered > 0)
        && now.delivered > first.delivered;
    if !is_stuck {
        return None;
    }
    let window = first.at.age(now.at).0;
    let acked_lately = facts.state.last_acked.is_some_and(|acked| acked.age(facts.now).0 < window);
    let why = || if fails_widely(now) { one_after_another(facts, acked_lately) } else { again_and_again(facts) };
    let (sentence, next_step) = slow_handlers(facts).map_or_else(why, too_slow);
    Some(Found {
        label: Label::Stuck,
        severity: if acked_lately { Severity::Warning } else { Severity::Critical },
        sentence: sentence.into(),
        evidence: vec![
            format!(
                "the ack floor is at stream sequence {} in each of the last {ROUNDS} rounds, while {}",
                count(now.ack_floor_stream_sequence),
                were_made(now.delivered - first.delivered)
            ),
            again_now(now),
            if acked_lately { "other messages are acked meanwhile" } else { "nothing was acked meanwhile" }.to_owned(),
        ],
        next_step: next_step.into(),
    })
}

/// Messages are handed out to workers that ask for many, and none is acked.
fn kept(facts: &Facts<'_>) -> Option<Found> {
    let trend = facts.trend()?;
    let [first, .., now] = trend else { return None };
    let window = first.at.age(now.at).0;
    let is_kept = trend.iter().all(|sample| sample.ack_floor == now.ack_floor && sample.ack_pending > 0)
        && now.delivered > first.delivered
        && facts.unacked_for() >= window.max(facts.patience());
    is_kept.then(|| Found {
        label: Label::Stuck,
        severity: Severity::Critical,
        sentence: format!("Messages are handed out, and none was {}.", facts.acked_in_words()).into(),
        evidence: vec![
            format!("{} in the last {}", were_made(now.delivered - first.delivered), Age(window)),
            format!("ack pending went from {} to {}", count(first.ack_pending), count(now.ack_pending)),
        ],
        next_step: "look for a handler that hangs: its logs and what it waits for".into(),
    })
}

/// Messages are acked, but many of them only after they were delivered again, in one round after the other or over the last minutes: what
/// a worker held that ended comes again once.
fn repeated(facts: &Facts<'_>) -> Option<Found> {
    let now = facts.samples.last()?;
    let (over, (deliveries, again)) = each_round(facts).or_else(|| each_minute(facts))?;
    let (sentence, next_step) = slow_handlers(facts).map_or_else(
        || {
            let wait = Age(facts.consumer.config.ack_wait);
            let until = last_delivery(facts).map_or_else(String::new, |ago| format!(", until {ago} ago"));
            let (again, all) = (count(again), counted(deliveries, "delivery"));
            (
                format!("{again} of {all} were of messages that had been delivered before{until}."),
                format!("look at whether handlers fail, and at whether they take longer than the ack_wait of {wait}: each message that does is handled twice"),
            )
        },
        too_slow,
    );
    Some(Found {
        label: Label::Stuck,
        severity: Severity::Warning,
        sentence: sentence.into(),
        evidence: vec![
            format!("{} in the last {}, {} of them again", counted(deliveries, "delivery"), Age(over), count(again)),
            again_now(now),
        ],
        next_step: next_step.into(),
    })
}

/// How long ago the last delivery was, where nothing is in flight any more: it may be over.
fn last_delivery(facts: &Facts<'_>) -> Option<Age> {
    let last = facts.state.last_delivered.filter(|_| facts.state.ack_pending == 0)?;
    Some(last.age(facts.now))
}

/// `1 delivery was made`.
fn were_made(deliveries: u64) -> String {
    format!("{} {} made", counted(deliveries, "delivery"), agree(deliveries, "was", "were"))
}

/// How much of what is in flight comes again.
fn again_now(now: &Sample) -> String {
    let again = now.redelivered;
    match now.ack_pending {
        0 => "nothing is in flight now".to_owned(),
        all => format!(
            "{} of {} in flight {} being delivered again",
            count(again),
            counted(all, "message"),
            agree(again, "is", "are")
        ),
    }
}

/// Over which time how many deliveries were made, and how many of them again: where it was many in each of the last rounds.
fn each_round(facts: &Facts<'_>) -> Option<(Duration, (u64, u64))> {
    let recent = facts.recent();
    let ([first, .., now], true) = (recent, recent.len() > ROUNDS) else { return None };
    let counted: Vec<(u64, u64)> = recent
        .windows(2)
        .map(|pair| again(pair[0].mark(), pair[1].mark()).filter(|_| pair[0].created == pair[1].created))
        .collect::<Option<_>>()?;
    let sum = counted
        .iter()
        .fold((0_u64, 0_u64), |sum, round| (sum.0.saturating_add(round.0), sum.1.saturating_add(round.1)));
    let is_usual = |&(deliveries, again): &(u64, u64)| again == 0 || again < deliveries / 3;
    let is_telling = sum.1 >= TELLING && !counted.iter().any(is_usual);
    is_telling.then(|| (first.at.age(now.at).0, sum))
}

/// The same over the last minutes, where rounds are too short to tell: again and again before the last rounds, and still.
fn each_minute(facts: &Facts<'_>) -> Option<(Duration, (u64, u64))> {
    let (earlier, now) = facts.minutes()?;
    let first = facts.recent().first()?;
    let (deliveries, all) = again(earlier, now.mark())?;
    let (before, lately) = (again(earlier, first.mark())?.1, again(first.mark(), now.mark())?.1);
    let goes_on = before > 0 && (lately > 0 || now.redelivered > 0);
    (goes_on && all >= TELLING.max(deliveries / 3)).then(|| (earlier.at.age(now.at).0, (deliveries, all)))
}

/// Deliveries between two rounds, and how many of them were of messages delivered before; those that skip messages hide some.
fn again(before: Mark, after: Mark) -> Option<(u64, u64)> {
    let (deliveries, first) = before.deliveries_until(&after)?;
    Some((deliveries, deliveries - first))
}

fn too_slow((p99, wait): (Duration, Duration)) -> (String, String) {
    (
        format!(
            "Its handlers take longer than the server waits for them: p99 is {}, ack_wait is {}.",
            Age(p99),
            Age(wait)
        ),
        "raise `ack_wait` above the handlers' p99, or have the workers extend their leases (in progress)".to_owned(),
    )
}

fn slow_handlers(facts: &Facts<'_>) -> Option<(Duration, Duration)> {
    let wait = Some(facts.consumer.config.ack_wait).filter(|wait| !wait.is_zero())?;
    let p99 = facts.workers.iter().filter_map(|worker| worker.p99).max()?;
    (p99 > wait).then_some((p99, wait))
}

/// Whether it is most of what is in flight that comes again, and not a message among others.
fn fails_widely(now: &Sample) -> bool {
    now.redelivered >= TELLING && now.redelivered > now.ack_pending / 2
}

/// No single message is to blame, and none of them is to be given up for it.
fn one_after_another(facts: &Facts<'_>, acked_lately: bool) -> (String, String) {
    let are_handed_back = facts.failures.is_some_and(|failures| failures.naks > 0);
    let most = if are_handed_back { "Its handlers fail: most" } else { "Most" };
    let rest = if acked_lately { "while others are acked" } else { "and none is acked" };
    let p99 = facts.workers.iter().filter_map(|worker| worker.p99).max();
    let next_step = match p99 {
        Some(p99) => format!(
            "look at the workers' logs and at what the handlers depend on: 99 of 100 end within {}; what fails for a reason that passes should not be terminated",
            Age(p99.max(Duration::from_millis(1)))
        ),
        None => format!(
            "look at the workers' logs and at what the handlers depend on, and at whether they take longer than the ack_wait of {}; what fails for a reason that passes should not be terminated",
            Age(facts.consumer.config.ack_wait)
        ),
    };
    (format!("{most} messages in flight are delivered again, {rest}."), next_step)
}

fn again_and_again(facts: &Facts<'_>) -> (String, String) {
    let stream = &facts.stream.name;
    match facts.ages.and_then(|ages| ages.unprocessed).and_then(|oldest| oldest.sequence) {
        Some(sequence) => (
            format!("Message {} is delivered again and again, and never acked.", count(sequence)),
            format!(
                "look at it with `nats stream get {stream} {sequence}`: a worker that cannot take it should terminate it; if the handlers are slow, raise `ack_wait`"
            ),
        ),
        None => (
            format!(
                "A message after sequence {} is delivered again and again, and never acked.",
                count(facts.state.ack_floor_stream_sequence)
            ),
            format!(
                "look at the workers' logs and at the message (`nats stream get {stream}`): a worker that cannot take it should terminate it; if the handlers are slow, raise `ack_wait`"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, check, check_severity, now};
    use super::*;
    use crate::snapshot::{Failures, Habits};

    /// Deliveries go on, the floor stands, and some messages are in flight again.
    fn poisoned(redelivered: u64) -> World {
        let world = World::moving(&[0, 0, 0], 10).with(|state| {
            (state.ack_pending, state.redelivered) = (5, redelivered);
            (state.ack_floor, state.ack_floor_stream_sequence) = (100, 100);
        });
        world.sampled(|_, sample| sample.ack_floor = 100)
    }

    #[test]
    fn a_floor_that_stays_under_redelivery_is_stuck() {
        check_severity(&poisoned(1), Label::Stuck, Severity::Critical);
        let acked = |world: World| world.with(|state| state.last_acked = Some(now().before(Duration::from_secs(1))));
        check(&acked(poisoned(0)), Label::Ok);
        check(&poisoned(1).rounds(2), Label::Unknown);
        check(&poisoned(1).sampled(|round, sample| sample.ack_floor = 100 + round as u64), Label::Ok);
        check_severity(&acked(poisoned(1)), Label::Stuck, Severity::Warning);
    }

    #[test]
    fn the_first_round_may_have_come_before_the_redelivery() {
        check(&poisoned(1).sampled(|round, sample| sample.redelivered = u64::from(round > 0)), Label::Stuck);
    }

    #[test]
    fn messages_that_are_handed_out_and_kept_are_stuck_once_a_handler_may_take_no_longer() {
        check_severity(&poisoned(0), Label::Stuck, Severity::Critical);
        assert!(poisoned(0).judge().next_step.contains("hangs"));
        let quiet = |seconds| {
            poisoned(0).with(move |state| state.last_acked = Some(now().before(Duration::from_secs(seconds))))
        };
        check(&quiet(20), Label::Stuck);
        let said = |world: &World| world.judge().sentence.into_owned();
        assert_eq!(said(&quiet(20)), "Messages are handed out, and none was acked for 20 s.");
        let unacked = |floor| poisoned(0).sampled(move |_, sample| sample.ack_floor = floor);
        assert_eq!(said(&unacked(0)), "Messages are handed out, and none was ever acked.");
        assert_eq!(said(&unacked(7)), "Messages are handed out, and none was acked since its server was started.");
        check(&quiet(19), Label::Ok);
        check(&quiet(20).configured(|config| config.ack_wait = Duration::from_secs(120)), Label::Ok);
        check(&quiet(120).configured(|config| config.ack_wait = Duration::from_secs(120)), Label::Stuck);
        check(&quiet(20).handled_in(Duration::from_secs(6)), Label::Ok);
        check(&quiet(20).sampled(|round, sample| sample.ack_pending = round as u64), Label::Ok);
        check(&quiet(20).configured(|config| config.ack_policy = "none".to_owned()), Label::Ok);
        let idle_before = quiet(600).oldest(Duration::from_secs(20));
        check(&idle_before.clone().handled_in(Duration::from_secs(4)), Label::Stuck);
        check(&idle_before.handled_in(Duration::from_secs(6)), Label::Ok);
    }

    #[test]
    fn messages_that_are_acked_only_after_they_came_again_are_stuck() {
        let again = |new: u64| {
            World::moving(&[0, 0, 0, 0], 10)
                .with(|state| (state.ack_pending, state.redelivered) = (4, 2))
                .sampled(move |round, sample| sample.delivered_stream_sequence = 100 + new * round as u64)
        };
        check_severity(&again(5), Label::Stuck, Severity::Warning);
        check(&again(6), Label::Stuck);
        check(&again(8), Label::Ok);
        check(&again(5).rounds(3), Label::Ok);
        let once = again(5).sampled(|round, sample| sample.delivered_stream_sequence = 95 + 10 * round.max(1) as u64);
        check(&once, Label::Ok);
        let said = |world: &World| world.judge().sentence.into_owned();
        assert_eq!(said(&again(5)), "15 of 30 deliveries were of messages that had been delivered before.");
        assert_eq!(again(5).judge().evidence[1], "2 of 4 messages in flight are being delivered again");
        assert!(said(&again(5).handled_in(Duration::from_secs(60))).contains("p99 is 1 min, ack_wait is 30 s"));
        let over =
            again(5).with(|state| (state.ack_pending, state.redelivered) = (0, 0)).quiet_for(Duration::from_secs(8));
        let until = "15 of 30 deliveries were of messages that had been delivered before, until 8 s ago.";
        assert_eq!((said(&over), &*over.judge().evidence[1]), (until.to_owned(), "nothing is in flight now"));
    }

    #[test]
    fn what_is_too_little_for_a_round_shows_over_minutes() {
        // In 90 s before the last rounds 40 deliveries of 24 messages, in the last rounds 4 of `new`.
        let over_minutes = |delivered: u64, new: u64, redelivered: u64| {
            let earlier = Mark {
                at: now().before(Duration::from_secs(90)),
                pending: 0,
                delivered,
                delivered_stream_sequence: 76,
            };
            World::moving(&[0, 0, 0], 2)
                .with(|state| (state.ack_pending, state.redelivered) = (2, redelivered))
                .sampled(move |round, sample| {
                    sample.delivered_stream_sequence = 100 + if round == 0 { 0 } else { new };
                })
                .used_to(Habits { earlier: Some(earlier), ..Habits::default() })
        };
        check_severity(&over_minutes(60, 4, 1), Label::Stuck, Severity::Warning);
        check_severity(&over_minutes(60, 2, 0), Label::Stuck, Severity::Warning);
        assert!(
            over_minutes(60, 4, 1).judge().sentence.starts_with("16 of 44 deliveries"),
            "{:?}",
            over_minutes(60, 4, 1)
        );
        check(&over_minutes(60, 4, 0), Label::Ok);
        check(&over_minutes(76, 0, 1), Label::Ok);
        check(&over_minutes(70, 4, 1), Label::Ok);
    }

    #[test]
    fn handlers_that_all_fail_are_told_from_poison() {
        let widely = |redelivered, ack_pending| poisoned(redelivered).with(|state| state.ack_pending = ack_pending);
        let said = |world: &World| (world.judge().sentence.into_owned(), world.judge().next_step.into_owned());
        let (sentence, next_step) = said(&widely(186, 187));
        assert_eq!(sentence, "Most messages in flight are delivered again, and none is acked.");
        assert!(next_step.contains("what the handlers depend on, and at whether they take longer"), "{next_step}");
        assert!(next_step.ends_with("should not be terminated"), "{next_step}");
        let naks = Failures { naks: 878, ..Failures::default() };
        let quick = widely(186, 187).failed(naks).handled_in(Duration::from_micros(300));
        let (sentence, next_step) = said(&quick);
        assert_eq!(sentence, "Its handlers fail: most messages in flight are delivered again, and none is acked.");
        assert!(next_step.contains("what the handlers depend on: 99 of 100 end within 1 ms;"), "{next_step}");
        let acked = quick.with(|state| state.last_acked = Some(now().before(Duration::from_secs(1))));
        assert!(said(&acked).0.ends_with("delivered again, while others are acked."), "{acked:?}");
        assert!(said(&widely(4, 8)).1.contains("should terminate it"));
        assert!(said(&widely(2, 2)).1.contains("should terminate it"), "two may be as many that no handler can take");
    }

    #[test]
    fn slow_handlers_are_told_from_poison() {
        let said = |world: &World| world.judge().sentence.into_owned();
        assert!(said(&poisoned(5).handled_in(Duration::from_secs(60))).contains("p99 is 1 min, ack_wait is 30 s"));
        assert!(said(&poisoned(2).handled_in(Duration::from_secs(1))).contains("after sequence"));
        assert!(said(&poisoned(2).oldest(Duration::from_secs(9))).contains("Message 101 is delivered"));
    }
}
