//! Forecasts of loss.

use schemars::JsonSchema;
use serde::Serialize;

use super::known::Moment;
use crate::{
    clock::Timestamp,
    snapshot::{Consumer, Forecast, Limit, Stream},
};

/// The first message that a stream will remove before one of its consumers has processed it, if all goes on as it did between the last
/// two rounds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Forecast")]
pub(super) struct ForecastAnswer {
    /// The consumer.
    consumer: String,
    /// When.
    when: Moment,
    in_seconds: f64,
    /// By which limit.
    #[schemars(with = "String", extend("enum" = [Limit::MaxAge, Limit::MaxBytes, Limit::MaxMsgs].map(Limit::token)))]
    limit: &'static str,
    /// How many messages the consumer has not processed now.
    messages: u64,
}

impl ForecastAnswer {
    /// That of one consumer; `None` where nothing will be lost, or too little is known.
    pub(super) fn of(stream: &Stream, consumer: &Consumer, now: Timestamp) -> Option<Self> {
        let Forecast { when, limit, messages } = stream.forecast(consumer, now)?;
        Some(Self {
            consumer: consumer.name.to_string(),
            when: Moment(when),
            in_seconds: now.age(when).0.as_secs_f64(),
            limit: limit.token(),
            messages,
        })
    }

    /// Those of all consumers of a stream, the soonest first.
    pub(super) fn all(stream: &Stream, now: Timestamp) -> Vec<Self> {
        let consumers = stream.consumers.value().into_iter().flat_map(|list| &list.rows);
        let mut all: Vec<Self> = consumers.filter_map(|consumer| Self::of(stream, consumer, now)).collect();
        all.sort_by_key(|forecast| forecast.when.0);
        all
    }
}
