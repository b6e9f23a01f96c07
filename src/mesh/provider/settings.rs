//! How the provider misbehaves, for those who want to see what others make of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mesh::http::Fault;

/// Longer than anyone waits.
const LATENCY_MS_MAX: u64 = 60_000;

/// What goes wrong; what a request does not name is as it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// How long each charge takes, in milliseconds.
    pub(super) latency_ms: u64,
    /// How many of all charges fail, from 0 to 1: half of them before they are decided, half after.
    pub(super) error_rate: f64,
    /// How many of all charges are declined, from 0 to 1.
    pub(super) decline_rate: f64,
    /// Whether no charge is answered but by 503.
    pub(super) outage: bool,
}

impl Settings {
    pub(super) fn checked(self) -> Result<Self, Fault> {
        let is_share = |rate: f64| (0.0..=1.0).contains(&rate);
        if self.latency_ms > LATENCY_MS_MAX || !is_share(self.error_rate) || !is_share(self.decline_rate) {
            return Err(Fault::senseless(format!("`latency_ms` is 0 to {LATENCY_MS_MAX}, rates are 0 to 1")));
        }
        Ok(self)
    }

    /// What happens before a charge is decided.
    pub(super) async fn delay(&self) -> Result<(), Fault> {
        tokio::time::sleep(Duration::from_millis(self.latency_ms)).await;
        if self.outage {
            return Err(Fault::unavailable("the provider is out of order, as it was told to be"));
        }
        self.failure("before")
    }

    /// What happens after it: the caller does not learn of a charge that was made.
    pub(super) fn late_error(&self) -> Result<(), Fault> {
        self.failure("after")
    }

    fn failure(&self, when: &str) -> Result<(), Fault> {
        match fastrand::f64() < self.error_rate / 2.0 {
            true => Err(Fault::unavailable(format!("the provider failed {when} the charge, as it was told to"))),
            false => Ok(()),
        }
    }
}
