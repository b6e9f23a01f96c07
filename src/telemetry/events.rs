//! What happens to messages, each as a type that writes its log line and moves its metrics together.

use std::time::Duration;

use super::Metrics;

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
}

impl Processed<'_> {
    /// Counts it and writes its line: quiet for success, loud where a person may have to act.
    pub fn emit(self, metrics: &Metrics) {
        let error_type = if self.outcome == "done" { "" } else { self.outcome };
        let labels = [self.template, self.consumer, error_type];
        metrics.process_duration.with_label_values(&labels).observe(self.took.as_secs_f64());
        metrics.outcomes.with_label_values(&[self.consumer, self.outcome]).inc();
        let Self { consumer, reason, delivered, .. } = self;
        let millis = self.took.as_secs_f64() * 1e3;
        match self.outcome {
            "done" => tracing::debug!(consumer, delivered, millis, "message processed"),
            "refused" => tracing::info!(consumer, millis, reason, "request refused"),
            "retry" => tracing::warn!(consumer, delivered, millis, reason, "message failed; it will be tried again"),
            _ => tracing::error!(consumer, delivered, millis, reason, "message rejected; it will not be tried again"),
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
