//! One step of a journey.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Moment, said, seconds};
use crate::journey::{Death, Entry, Handling, Outcome, Published, What};

/// Something that happened.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JourneyStep")]
pub(super) struct StepAnswer {
    /// When, by the server's clock as far as that is known.
    at: Moment,
    /// Whether it was told by a clock that differs, and corrected.
    is_corrected: bool,
    what: WhatAnswer,
    /// The message, by its place in `messages`.
    message: Option<usize>,
    trace_id: Option<String>,
    span_id: Option<String>,
    /// Who did it: a service.
    service: Option<String>,
    /// The durable consumer or queue group.
    consumer: Option<String>,
    /// The how many-th start of the handler on the message.
    attempt: Option<u64>,
    /// How often the server had delivered it by then.
    deliveries: Option<u64>,
    /// How long the message had lain in its stream.
    waited_seconds: Option<f64>,
    took_seconds: Option<f64>,
    /// How a handler ended.
    outcome: Option<OutcomeAnswer>,
    /// How the message was settled: `ack`, `nak` or `term`.
    settled: Option<String>,
    /// What failed, or what was told, in words.
    reason: Option<String>,
    /// The dead letter, such as `ORDERS.mailer.42`.
    dead_letter: Option<String>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JourneyWhat")]
enum WhatAnswer {
    /// A trace began with something that is no message.
    Began,
    /// A message was published.
    Published,
    /// A handler was started.
    Handled,
    /// A message waits for another attempt.
    Waits,
    /// A message was given up, and left as a dead letter.
    Died,
    /// A server told of a message.
    Advised,
    /// A service wrote a step into a record.
    Told,
}

/// How a handler ended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JourneyOutcome")]
enum OutcomeAnswer {
    Done,
    Failed,
    Rejected,
    /// It was not started: the message was for another.
    Skipped,
}

impl StepAnswer {
    pub(super) fn of(entry: &Entry) -> Self {
        let step = Self {
            at: Moment(entry.at),
            is_corrected: entry.is_corrected,
            what: WhatAnswer::Published,
            message: entry.passage,
            trace_id: entry.span.map(|(trace, _)| trace.to_string()),
            span_id: entry.span.map(|(_, span)| span.to_string()),
            service: None,
            consumer: None,
            attempt: None,
            deliveries: None,
            waited_seconds: None,
            took_seconds: None,
            outcome: None,
            settled: None,
            reason: None,
            dead_letter: None,
        };
        match &entry.what {
            What::Published(Published { took, failed }) => {
                Self { took_seconds: took.map(seconds), reason: failed.as_deref().and_then(said), ..step }
            }
            What::Began { name, service, took, failed } => Self {
                what: WhatAnswer::Began,
                service: said(service),
                took_seconds: Some(seconds(*took)),
                reason: failed.as_deref().or(Some(name)).and_then(said),
                ..step
            },
            What::Handled(handling) => step.handled(handling),
            What::Waits { consumer } => Self { what: WhatAnswer::Waits, consumer: said(consumer), ..step },
            What::Died(Death { letter, reason, attempts, .. }) => Self {
                what: WhatAnswer::Died,
                consumer: Some(letter.consumer.to_string()),
                attempt: attempts.map(Into::into),
                reason: said(reason),
                dead_letter: Some(letter.to_string()),
                ..step
            },
            What::Advised { consumer, sentence, .. } => {
                Self { what: WhatAnswer::Advised, consumer: said(consumer), reason: said(sentence), ..step }
            }
            What::Told { name, by, .. } => {
                Self { what: WhatAnswer::Told, service: said(by), reason: said(name), ..step }
            }
        }
    }

    fn handled(self, handling: &Handling) -> Self {
        Self {
            what: WhatAnswer::Handled,
            service: said(&handling.service),
            consumer: said(&handling.consumer),
            attempt: handling.attempt,
            deliveries: handling.deliveries,
            waited_seconds: handling.waited.map(seconds),
            took_seconds: Some(seconds(handling.took)),
            outcome: Some(match handling.outcome {
                Outcome::Done => OutcomeAnswer::Done,
                Outcome::Failed => OutcomeAnswer::Failed,
                Outcome::Rejected => OutcomeAnswer::Rejected,
                Outcome::Skipped => OutcomeAnswer::Skipped,
            }),
            settled: handling.settled.as_deref().and_then(said),
            reason: said(&handling.why),
            ..self
        }
    }
}
