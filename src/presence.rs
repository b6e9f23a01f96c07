//! What an instance of a service says of itself: written by the instance into a key-value bucket, read by whoever watches.
//!
//! The shape is JSON, so that a service in any language can write it; a field that a writer leaves out reads as empty.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
};

/// The key-value bucket that holds presence, under the key `<service>.<instance>`.
pub const BUCKET: &str = "presence";

/// How often an instance writes.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long the bucket keeps what an instance wrote: three missed writes and it is gone.
pub const TTL: Duration = Duration::from_secs(15);

/// One running instance of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// The service's name.
    pub service: String,
    /// Tells this instance from the service's others; a restart makes a new one.
    pub instance: String,
    /// The version of the service.
    #[serde(default)]
    pub version: String,
    /// When the instance started.
    pub started: Timestamp,
    /// When it wrote this.
    pub written: Timestamp,
    /// Where its probes and metrics answer, such as `127.0.0.1:7080`; shown, never fetched.
    #[serde(default)]
    pub address: Option<String>,
    /// What its probes say.
    #[serde(default)]
    pub probes: Probes,
    /// The consumers that it pulls from.
    #[serde(default)]
    pub workers: Vec<Worker>,
}

/// The three questions of a platform about a process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Probes {
    /// Do its loops tick?
    pub live: Probe,
    /// Can it do its work now?
    pub ready: Probe,
    /// Has it started?
    pub startup: Probe,
}

/// The answer to one question and the parts that it was made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Probe {
    /// Whether every part passes.
    pub passes: bool,
    /// The parts.
    #[serde(default)]
    pub parts: Vec<ProbePart>,
}

/// One thing that a probe looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbePart {
    /// What was looked at, such as `nats` or `worker inventory-reserve`.
    pub name: String,
    /// Whether it is as it should be.
    pub passes: bool,
    /// What it is, in words.
    pub reason: String,
    /// How long it has been so.
    pub age_seconds: f64,
}

/// A worker of the instance: what it pulls and how its handler fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// The stream.
    pub stream: StreamName,
    /// The consumer that it pulls from.
    pub consumer: ConsumerName,
    /// How many handlers may run at once.
    pub concurrency: u32,
    /// How many run now.
    pub running: u32,
    /// Handlers that ended since the instance started.
    pub handled: u64,
    /// Of these, those that did not end in success.
    pub failed: u64,
    /// Half of the handlers took no longer than this; `None` before the first.
    #[serde(default)]
    pub p50_seconds: Option<f64>,
    /// 99 of 100 handlers took no longer than this; `None` before the first.
    #[serde(default)]
    pub p99_seconds: Option<f64>,
    /// What its breaker lets through: `closed`, `half-open` or `open`; `None` where it has none.
    #[serde(default)]
    pub breaker: Option<String>,
    /// What its kill switch lets through, in the same words; `None` where it has none.
    #[serde(default)]
    pub kill_switch: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_in_another_language_may_leave_out_what_it_does_not_know() {
        let text = r#"{"service":"mail","instance":"1","started":"2030-01-31T12:00:00Z","written":"2030-01-31T12:00:05Z","extra":1}"#;
        let presence: Presence = serde_json::from_str(text).unwrap();
        assert_eq!(presence.service, "mail");
        assert!(!presence.probes.ready.passes);
        assert!(presence.workers.is_empty());
    }
}
