//! What happens to messages, each as a type that writes its log line and moves its metrics together.

use std::time::Duration;

use super::{Metrics, metrics::RouteMetrics};

/// A message was published, or not.
#[derive(Debug)]
pub struct Sent<'a> {
    /// `publish` or `request`.
    pub operation: &'static str,
    /// The pattern that the subject is one of.
    pub template: &'a str,
    /// Until it was confirmed or given up.
    pub took: Duration,
    /// Why it failed, as one of few words; empty where it did not.
    pub error_type: &'static str,
}

impl Sent<'_> {
    /// Counts it. Whoever handles a failure logs it, so there is no line here.
    pub fn emit(self, metrics: &Metrics) {
        let labels = [self.operation, self.template, self.error_type];
        metrics.operation_duration.with_label_values(&labels).observe(self.took.as_secs_f64());
        metrics.sent.with_label_values(&[self.template, self.error_type]).inc();
    }
}

/// A handler ended.
#[derive(Debug)]
pub struct Processed<'a> {
    /// The consumer or queue group.
    pub consumer: &'a str,
    /// The pattern that the subject is one of.
    pub template: &'a str,
    /// `done`, `retry` or `reject`; of a request `done` or `refused`.
    pub outcome: &'static str,
    /// Why, where it was not done.
    pub reason: &'a str,
    /// How long the handler ran.
    pub took: Duration,
    /// How often the server has delivered the message.
    pub delivered: u64,
    /// Which start of the handler on this message it was.
    pub attempt: u32,
    /// What kind of failure; empty where it was done.
    pub class: &'a str,
}

impl Processed<'_> {
    /// Counts it and writes its line: quiet for success, loud where a person may have to act.
    pub fn emit(self, metrics: &Metrics) {
        let error_type = if self.outcome == "done" { "" } else { self.outcome };
        let labels = [self.template, self.consumer, error_type];
        metrics.process_duration.with_label_values(&labels).observe(self.took.as_secs_f64());
        metrics.outcomes.with_label_values(&[self.consumer, self.outcome]).inc();
        let Self { consumer, reason, delivered, attempt, class, .. } = self;
        let millis = self.took.as_secs_f64() * 1e3;
        match self.outcome {
            "done" => tracing::debug!(consumer, delivered, attempt, millis, "message processed"),
            "refused" => tracing::info!(consumer, millis, reason, "request refused"),
            "retry" => tracing::warn!(consumer, delivered, attempt, millis, class, reason, "message failed"),
            _ => tracing::error!(consumer, delivered, attempt, millis, class, reason, "message rejected"),
        }
    }
}

/// A handler ended in success: what [`Processed`] says, for the many.
#[derive(Debug)]
pub struct Done<'a> {
    /// The consumer.
    pub consumer: &'a str,
    /// How long the handler ran.
    pub took: Duration,
    /// How often the server has delivered the message.
    pub delivered: u64,
    /// Which start of the handler on this message it was.
    pub attempt: u32,
}

impl Done<'_> {
    /// Counts it and writes its quiet line.
    pub fn emit(self, metrics: &RouteMetrics) {
        metrics.processed.observe(self.took.as_secs_f64());
        metrics.done.inc();
        let Self { consumer, delivered, attempt, .. } = self;
        tracing::debug!(consumer, delivered, attempt, millis = self.took.as_secs_f64() * 1e3, "message processed");
    }
}

/// A message was given up.
#[derive(Debug)]
pub struct GivenUp<'a> {
    /// The consumer.
    pub consumer: &'a str,
    /// Handler starts.
    pub attempts: u32,
    /// What kind of failure the last one ended with.
    pub class: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Why there is no copy of it among the dead letters; empty where there is one.
    pub failure: String,
}

impl GivenUp<'_> {
    /// Writes its line: a person may have to act.
    pub fn emit(self) {
        let Self { consumer, attempts, class, reason, failure } = self;
        if failure.is_empty() {
            tracing::error!(consumer, attempts, class, reason, "message given up; it is among the dead letters");
        } else {
            tracing::error!(consumer, attempts, class, reason, failure, "dead letter not stored; the message stays");
        }
    }
}

/// A breaker or a kill switch lets through more or less than before.
#[derive(Debug)]
pub struct Tripped<'a> {
    /// The consumer.
    pub consumer: &'a str,
    /// `breaker` or `kill_switch`.
    pub kind: &'static str,
    /// `closed`, `half-open` or `open`.
    pub phase: &'static str,
}

impl Tripped<'_> {
    /// Sets its gauge.
    pub fn set(&self, metrics: &Metrics) {
        let state = match self.phase {
            "closed" => 0,
            "half-open" => 1,
            _ => 2,
        };
        metrics.set_breaker(self.consumer, self.kind, state);
    }

    /// Sets its gauge and writes its line.
    pub fn emit(self, metrics: &Metrics) {
        self.set(metrics);
        let Self { consumer, kind, phase } = self;
        match phase {
            "open" => tracing::warn!(consumer, kind, "opened; the worker pauses"),
            _ => tracing::info!(consumer, kind, phase, "lets messages through"),
        }
    }
}

/// A settlement ended.
#[derive(Debug)]
pub struct Settled<'a> {
    /// The consumer.
    pub consumer: &'a str,
    /// The pattern that the subject is one of.
    pub template: &'a str,
    /// `ack`, `nak` or `term`.
    pub operation: &'static str,
    /// Until it was confirmed or given up.
    pub took: Duration,
    /// Why it is not confirmed; empty where it is.
    pub failure: String,
}

/// A message was acked: what [`Settled`] says, for the many.
pub fn acked(took: Duration, metrics: &RouteMetrics) {
    metrics.acked.observe(took.as_secs_f64());
}

impl Settled<'_> {
    /// Counts it, and says when the server did not confirm it.
    pub fn emit(self, metrics: &Metrics) {
        let error_type = if self.failure.is_empty() { "" } else { "unconfirmed" };
        let labels = [self.operation, self.template, error_type];
        metrics.operation_duration.with_label_values(&labels).observe(self.took.as_secs_f64());
        if !self.failure.is_empty() {
            metrics.unconfirmed.with_label_values(&[self.consumer]).inc();
            let Self { consumer, operation, failure, .. } = self;
            tracing::warn!(consumer, operation, failure, "settlement not confirmed; expect a redelivery");
        }
    }
}

/// A message was not handled because it had its effect before.
#[derive(Debug)]
pub struct Duplicate<'a> {
    /// The consumer, or the name that the inbox was given.
    pub consumer: &'a str,
    /// The key of the message in its inbox.
    pub key: &'a str,
}

impl Duplicate<'_> {
    /// Counts it, and says it on the span that is current.
    pub fn emit(self, metrics: &Metrics) {
        metrics.duplicates.with_label_values(&[self.consumer]).inc();
        super::span::set_current("messaging.nats.duplicate", true);
        let Self { consumer, key } = self;
        tracing::debug!(consumer, key, "a message that had its effect before is settled unrun");
    }
}
