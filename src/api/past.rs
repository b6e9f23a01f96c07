//! How a consumer or a stream was over the last minutes, hours or day, as its page draws it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Ask, Failure, Parameter, Route, consumer::gone, json, known::Moment};
use crate::{
    snapshot::{Point, Series, Snapshot, Span},
    views::{Page, Past, span_of},
};

const OVER: Parameter = Parameter::word(
    "over",
    "How far back: `10m` in steps of 10 s, which it is unless it is said, `2h` in steps of a minute, `24h` in steps of ten minutes.",
    || Span::ALL.map(Span::token).to_vec(),
);

/// The past of a consumer.
pub(super) const CONSUMER: Route = Route {
    path: "/consumers/{account}/{stream}/{consumer}/past",
    summary: "How a consumer was over the last minutes, hours or day.",
    query: &[OVER],
    schema: |generator| generator.subschema_for::<PastAnswer<ConsumerPoint>>(),
    answer: |ask| answer(ask, consumer_page(ask), ConsumerPoint::of),
};

/// The past of a stream.
pub(super) const STREAM: Route = Route {
    path: "/streams/{account}/{stream}/past",
    summary: "How a stream was over the last minutes, hours or day.",
    query: &[OVER],
    schema: |generator| generator.subschema_for::<PastAnswer<StreamPoint>>(),
    answer: |ask| answer(ask, stream_page(ask), StreamPoint::of),
};

/// Points at equal steps.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Past_{P}")]
struct PastAnswer<P> {
    step_seconds: f64,
    /// Since when anything is kept at this step; null before the first round.
    kept_since: Option<Moment>,
    /// Whether what is kept outlives the observer.
    is_on_disk: bool,
    /// The oldest first. What was not read in a step is null there.
    points: Vec<P>,
}

/// A consumer in one step.
#[derive(Serialize, JsonSchema)]
struct ConsumerPoint {
    /// The end of the step.
    at: Moment,
    /// The most messages that were not delivered.
    pending: Option<f32>,
    /// The most messages in flight.
    ack_pending: Option<f32>,
    /// The greatest age of the oldest message that it had not processed.
    lag_age_seconds: Option<f32>,
    delivered_per_second: Option<f32>,
    acked_per_second: Option<f32>,
}

/// A stream in one step.
#[derive(Serialize, JsonSchema)]
struct StreamPoint {
    /// The end of the step.
    at: Moment,
    /// The most messages that it held.
    messages: Option<f32>,
    /// The most bytes that it held.
    bytes: Option<f32>,
    stored_per_second: Option<f32>,
}

impl ConsumerPoint {
    fn of(at: Moment, point: &Point) -> Self {
        Self {
            at,
            pending: known(point.waiting),
            ack_pending: known(point.held),
            lag_age_seconds: known(point.age_seconds),
            delivered_per_second: known(point.came_per_second),
            acked_per_second: known(point.went_per_second),
        }
    }
}

impl StreamPoint {
    fn of(at: Moment, point: &Point) -> Self {
        Self {
            at,
            messages: known(point.waiting),
            bytes: known(point.held),
            stored_per_second: known(point.came_per_second),
        }
    }
}

/// What was not read is no number.
fn known(value: f32) -> Option<f32> {
    Some(value).filter(|value| !value.is_nan())
}

fn answer<P: Serialize>(ask: &Ask<'_>, page: Option<Page>, tell: fn(Moment, &Point) -> P) -> Result<String, Failure> {
    let page = page.ok_or_else(|| gone(ask.snapshot))?;
    let Past { series, since, is_on_disk, .. } = (ask.past)(&page);
    if series.is_none() && !is_known(&page, ask.snapshot) {
        return Err(gone(ask.snapshot));
    }
    let span = page.past().map(|(_, span)| span).unwrap_or_default();
    let points = series.map(|series| points(&series, tell)).unwrap_or_default();
    let step_seconds = span.step().as_secs_f64();
    json(&PastAnswer { step_seconds, kept_since: since.map(Moment), is_on_disk, points })
}

/// Whether it is there, though nothing of it was taken down yet.
fn is_known(page: &Page, snapshot: &Snapshot) -> bool {
    match page {
        Page::Stream(account, stream, _) => snapshot.stream(account, stream).is_some(),
        Page::Consumer(account, stream, name, _) => snapshot.consumer(account, stream, name).is_some(),
        _ => false,
    }
}

fn points<P>(series: &Series, tell: fn(Moment, &Point) -> P) -> Vec<P> {
    let steps = (0..series.points.len()).rev();
    let ends = steps.map(|back| series.until.before(series.step * u32::try_from(back).unwrap_or(u32::MAX)));
    ends.zip(&series.points).map(|(at, point)| tell(Moment(at), point)).collect()
}

fn consumer_page(ask: &Ask<'_>) -> Option<Page> {
    let [account, stream, consumer] = ask.parts.as_slice() else { return None };
    Some(Page::Consumer(account.clone(), stream.parse().ok()?, consumer.parse().ok()?, span_of(ask.query)))
}

fn stream_page(ask: &Ask<'_>) -> Option<Page> {
    let [account, stream] = ask.parts.as_slice() else { return None };
    Some(Page::Stream(account.clone(), stream.parse().ok()?, span_of(ask.query)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn each_point_has_the_end_of_its_step_and_what_is_unknown_is_none() {
        let until = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let waiting = |waiting| Point { waiting, ..Point::UNKNOWN };
        let series = Series { step: Duration::from_secs(60), until, points: vec![waiting(7.0), Point::UNKNOWN] };
        let told = points(&series, ConsumerPoint::of);
        let told: Vec<_> = told.iter().map(|point| (point.at.0.to_string(), point.pending)).collect();
        let expected =
            [("2030-01-31T11:59:00.000Z".to_owned(), Some(7.0)), ("2030-01-31T12:00:00.000Z".to_owned(), None)];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_span_that_nobody_knows_is_the_shortest() {
        let check = |query, expected| assert_eq!(span_of(query), expected, "{query}");
        check("", Span::Minutes);
        check("over=2h", Span::Hours);
        check("a=b&over=24h", Span::Day);
        check("over=+%32h+", Span::Hours);
        check("over=week", Span::Minutes);
    }
}
