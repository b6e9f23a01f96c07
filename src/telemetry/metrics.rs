//! The metric families of a process, by the messaging conventions of OpenTelemetry where these name one.
//!
//! Convention: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>, dots written as underscores and units as
//! suffixes for Prometheus.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, core::Collector,
    process_collector::ProcessCollector,
};

/// Upper bounds in seconds that the conventions ask for.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What kind of metric a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// A metric family as the reference page and the dashboards know it.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The name in Prometheus.
    pub name: &'static str,
    /// What kind of metric.
    pub kind: Kind,
    /// The labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const OPERATION_DURATION: Family = Family {
    name: "messaging_client_operation_duration_seconds",
    kind: Kind::Histogram,
    labels: &["messaging_operation_name", "messaging_destination_template", "error_type"],
    help: "How long publishing, requesting and settling took, until the server confirmed it or it failed.",
};
const SENT: Family = Family {
    name: "messaging_client_sent_messages_total",
    kind: Kind::Counter,
    labels: &["messaging_destination_template", "error_type"],
    help: "Messages that this process tried to publish; error_type is empty where the stream confirmed them.",
};
const CONSUMED: Family = Family {
    name: "messaging_client_consumed_messages_total",
    kind: Kind::Counter,
    labels: &["messaging_destination_template", "messaging_consumer_group_name"],
    help: "Messages delivered to this process, redeliveries included.",
};
const PROCESS_DURATION: Family = Family {
    name: "messaging_process_duration_seconds",
    kind: Kind::Histogram,
    labels: &["messaging_destination_template", "messaging_consumer_group_name", "error_type"],
    help: "How long handlers took; error_type is empty where the handler ended in success.",
};
const OUTCOMES: Family = Family {
    name: "streamgauge_worker_outcomes_total",
    kind: Kind::Counter,
    labels: &["consumer", "outcome"],
    help: "How handlers ended: done, retry or reject.",
};
const RUNNING: Family = Family {
    name: "streamgauge_worker_running",
    kind: Kind::Gauge,
    labels: &["consumer"],
    help: "Handlers running now.",
};
const CONCURRENCY: Family = Family {
    name: "streamgauge_worker_concurrency",
    kind: Kind::Gauge,
    labels: &["consumer"],
    help: "Handlers that may run at once.",
};
const LEASES: Family = Family {
    name: "streamgauge_leases_extended_total",
    kind: Kind::Counter,
    labels: &["consumer"],
    help: "Times that a held message's ack_wait was extended because its handler still ran.",
};
const UNCONFIRMED: Family = Family {
    name: "streamgauge_settle_unconfirmed_total",
    kind: Kind::Counter,
    labels: &["consumer"],
    help: "Settlements that the server did not confirm; expect a redelivery.",
};
const DEAD_LETTERS: Family = Family {
    name: "streamgauge_dead_letters_total",
    kind: Kind::Counter,
    labels: &["consumer", "class"],
    help: "Messages that a worker gave up and copied into the stream of dead letters, by kind of failure.",
};
const DUPLICATES: Family = Family {
    name: "streamgauge_inbox_duplicates_total",
    kind: Kind::Counter,
    labels: &["consumer"],
    help: "Messages that were settled without running their handler, because they had their effect before.",
};
const BREAKER_STATE: Family = Family {
    name: "streamgauge_breaker_state",
    kind: Kind::Gauge,
    labels: &["consumer", "kind"],
    help: "What a worker's breaker or kill switch lets through: 0 everything (closed), 1 one message (half-open), 2 nothing (open).",
};
const SPANS_ENDED: Family = Family {
    name: "streamgauge_spans_ended_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Sampled spans that ended in this process.",
};
const SPANS_EXPORTED: Family = Family {
    name: "streamgauge_spans_exported_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Spans that the collector took; what ended and was not taken within seconds is dropped.",
};
const CONNECTED: Family = Family {
    name: "streamgauge_connected",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while the connection to NATS stands, else 0.",
};

/// Every family that a service exposes beside the `process_*` ones of the prometheus crate.
pub const FAMILIES: &[Family] = &[
    OPERATION_DURATION,
    SENT,
    CONSUMED,
    PROCESS_DURATION,
    OUTCOMES,
    RUNNING,
    CONCURRENCY,
    LEASES,
    UNCONFIRMED,
    DEAD_LETTERS,
    DUPLICATES,
    BREAKER_STATE,
    SPANS_ENDED,
    SPANS_EXPORTED,
    CONNECTED,
];

/// The metrics of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    pub(super) operation_duration: HistogramVec,
    pub(super) sent: IntCounterVec,
    pub(super) consumed: IntCounterVec,
    pub(super) process_duration: HistogramVec,
    pub(super) outcomes: IntCounterVec,
    pub(super) running: GaugeVec,
    pub(super) concurrency: GaugeVec,
    pub(super) leases: IntCounterVec,
    pub(super) unconfirmed: IntCounterVec,
    pub(super) dead_letters: IntCounterVec,
    pub(super) duplicates: IntCounterVec,
    pub(super) breaker_state: GaugeVec,
    pub(super) spans_ended: IntCounterVec,
    pub(super) spans_exported: IntCounterVec,
    pub(super) connected: GaugeVec,
}

/// What is counted of every message that goes well, without a look-up by label for each.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    consumed: IntCounter,
    pub(super) processed: Histogram,
    pub(super) done: IntCounter,
    pub(super) acked: Histogram,
}

impl RouteMetrics {
    /// Counts a delivery.
    pub fn count_delivery(&self) {
        self.consumed.inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        register(&registry, ProcessCollector::for_self());
        Self {
            operation_duration: histogram(&registry, OPERATION_DURATION),
            sent: counter(&registry, SENT),
            consumed: counter(&registry, CONSUMED),
            process_duration: histogram(&registry, PROCESS_DURATION),
            outcomes: counter(&registry, OUTCOMES),
            running: gauge(&registry, RUNNING),
            concurrency: gauge(&registry, CONCURRENCY),
            leases: counter(&registry, LEASES),
            unconfirmed: counter(&registry, UNCONFIRMED),
            dead_letters: counter(&registry, DEAD_LETTERS),
            duplicates: counter(&registry, DUPLICATES),
            breaker_state: gauge(&registry, BREAKER_STATE),
            spans_ended: counter(&registry, SPANS_ENDED),
            spans_exported: counter(&registry, SPANS_EXPORTED),
            connected: gauge(&registry, CONNECTED),
            registry,
        }
    }
}

impl Metrics {
    /// Where a service adds metrics of its own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything in Prometheus' text format, version 0.0.4.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        match prometheus::TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n"),
        }
    }

    /// Says how many handlers of a worker run, of how many that may.
    pub fn set_running(&self, consumer: &str, running: u32, concurrency: u32) {
        self.running.with_label_values(&[consumer]).set(f64::from(running));
        self.concurrency.with_label_values(&[consumer]).set(f64::from(concurrency));
    }

    /// Counts a delivery.
    pub fn count_delivery(&self, template: &str, consumer: &str) {
        self.consumed.with_label_values(&[template, consumer]).inc();
    }

    /// The metrics of one handler of a worker, looked up once.
    pub fn route(&self, template: &str, consumer: &str) -> RouteMetrics {
        RouteMetrics {
            consumed: self.consumed.with_label_values(&[template, consumer]),
            processed: self.process_duration.with_label_values(&[template, consumer, ""]),
            done: self.outcomes.with_label_values(&[consumer, "done"]),
            acked: self.operation_duration.with_label_values(&["ack", template, ""]),
        }
    }

    /// Says what a worker's breaker or kill switch lets through: 0 everything, 1 one message, 2 nothing.
    pub fn set_breaker(&self, consumer: &str, kind: &str, state: u8) {
        self.breaker_state.with_label_values(&[consumer, kind]).set(f64::from(state));
    }

    /// Counts extended leases.
    pub fn count_leases(&self, consumer: &str, extended: u64) {
        self.leases.with_label_values(&[consumer]).inc_by(extended);
    }

    /// Counts a dead letter.
    pub fn count_dead_letter(&self, consumer: &str, class: &str) {
        self.dead_letters.with_label_values(&[consumer, class]).inc();
    }

    /// Sampled spans that ended, and those that the collector took.
    pub fn spans(&self) -> (u64, u64) {
        let value = |counter: &IntCounterVec| counter.with_label_values::<&str>(&[]).get();
        (value(&self.spans_ended), value(&self.spans_exported))
    }

    /// Says whether the connection to NATS stands. A process that has none never says, and the metric is absent there.
    pub fn set_connected(&self, is_connected: bool) {
        self.connected.with_label_values::<&str>(&[]).set(f64::from(u8::from(is_connected)));
    }
}

/// Names and labels are constants of this file, each registered once in a registry of its own.
const NEVER_REFUSED: &str = "a family of this file is well formed and registered once";

fn register(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect(NEVER_REFUSED);
}

fn counter(registry: &Registry, family: Family) -> IntCounterVec {
    let counter = IntCounterVec::new(Opts::new(family.name, family.help), family.labels).expect(NEVER_REFUSED);
    register(registry, counter.clone());
    counter
}

fn gauge(registry: &Registry, family: Family) -> GaugeVec {
    let gauge = GaugeVec::new(Opts::new(family.name, family.help), family.labels).expect(NEVER_REFUSED);
    register(registry, gauge.clone());
    gauge
}

fn histogram(registry: &Registry, family: Family) -> HistogramVec {
    let options = HistogramOpts::new(family.name, family.help).buckets(BUCKETS.to_vec());
    let histogram = HistogramVec::new(options, family.labels).expect(NEVER_REFUSED);
    register(registry, histogram.clone());
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_exposed_under_its_name() {
        let metrics = Metrics::default();
        metrics.sent.with_label_values(&["orders.*", ""]).inc();
        metrics.set_connected(true);
        let text = metrics.exposition();
        assert!(text.contains(
            "messaging_client_sent_messages_total{error_type=\"\",messaging_destination_template=\"orders.*\"} 1"
        ));
        assert!(text.contains("streamgauge_connected 1"), "{text}");
    }

    #[test]
    fn names_say_their_kind() {
        for family in FAMILIES {
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
            assert_eq!(family.name.ends_with("_seconds"), family.kind == Kind::Histogram, "{}", family.name);
        }
    }
}
