//! How old what waits is, when it will be done, and when it will be lost, in words.

use std::time::Duration;

use super::{Look, format, pieces::Number};
use crate::{
    clock::Timestamp,
    snapshot::{AgeBy, Ages, Consumer, ConsumerState, Forecast, IMMINENT, Oldest, Stream},
};

/// What takes longer than this does not end.
const FOREVER: Duration = Duration::from_secs(100 * 86_400);

/// A forecast that reaches further than this is none.
const HORIZON: Duration = Duration::from_secs(30 * 86_400);

/// The age of the oldest message that is not processed. Without lag there is none, whether or not somebody read it.
pub(super) fn unprocessed(consumer: &Consumer, now: Timestamp) -> Number {
    age(consumer, ConsumerState::lag, |ages| ages.unprocessed, now)
}

/// The age of the oldest message that is not delivered.
pub(super) fn undelivered(consumer: &Consumer, now: Timestamp) -> Number {
    age(consumer, |state| state.pending, |ages| ages.undelivered, now)
}

fn age(
    consumer: &Consumer,
    count: fn(&ConsumerState) -> u64,
    oldest: fn(&Ages) -> Option<Oldest>,
    now: Timestamp,
) -> Number {
    if consumer.state.fresh().is_some_and(|state| count(state) == 0) {
        return Number::known("none");
    }
    Number::of(&consumer.ages, |ages| match oldest(ages) {
        None => "none".to_owned(),
        Some(Oldest { stored, by: AgeBy::Message, .. }) => format::length(stored, now),
        Some(Oldest { stored, by: AgeBy::Estimate, .. }) => format!("about {}", format::length(stored, now)),
    })
}

/// The time until nothing is pending.
pub(super) fn eta(consumer: &Consumer) -> Number {
    let Some(state) = consumer.state.fresh() else {
        return Number::unknown(consumer.state.reason().unwrap_or_default());
    };
    if state.pending == 0 {
        return Number::known("none");
    }
    if consumer.trend.is_none() {
        return Number::rate(None);
    }
    match consumer.eta() {
        Some(left) if left < FOREVER => Number::known(format::age(left)),
        _ => Number::known("never"),
    }
}

/// When the stream will remove the first message that the consumer has not processed, as far as that can be foreseen.
pub(super) fn loss(stream: &Stream, consumer: &Consumer, look: &Look<'_>) -> Option<(Forecast, Duration)> {
    let forecast = stream.forecast(consumer, look.now)?;
    let left = look.now.age(forecast.when).0;
    (left < HORIZON).then_some((forecast, left))
}

/// A time that is left.
pub(super) fn until(left: Duration) -> String {
    if left < IMMINENT { "now".to_owned() } else { format::age(left) }
}

/// The same as the end of a sentence.
pub(super) fn in_about(left: Duration) -> String {
    if left < IMMINENT { until(left) } else { format!("in about {}", until(left)) }
}

/// The same as a number.
pub(super) fn first_loss(stream: &Stream, consumer: &Consumer, look: &Look<'_>) -> Number {
    let Some(state) = consumer.state.fresh() else {
        return Number::unknown(consumer.state.reason().unwrap_or_default());
    };
    match loss(stream, consumer, look) {
        Some((forecast, left)) => Number::known(until(left)).with_note(forecast.limit.token()),
        None if state.lag() > 0 && consumer.trend.is_none() => Number::rate(None),
        None => Number::known("none"),
    }
}

/// By how many messages a second the pending ones grow less: below nothing where they grow more.
pub(super) fn drain(consumer: &Consumer) -> Number {
    match consumer.drained_per_second() {
        Some(less) if less < 0.0 => Number::known(format!("\u{2212}{}", format::rate(-less))),
        rate => Number::rate(rate),
    }
}
