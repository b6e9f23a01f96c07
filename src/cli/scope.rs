//! What `check` and `serve` look at, as whom, and from when on they find something worth saying.

use std::time::Duration;

use clap::Args;

use crate::{
    collector::{History, Settings},
    config::{AccountsConfig, NatsConfig, SystemConfig, Thresholds},
};

/// Settings of whoever looks at NATS.
#[derive(Debug, Args)]
pub(super) struct Scope {
    #[command(flatten)]
    thresholds: Thresholds,
    #[command(flatten)]
    pub(super) nats: NatsConfig,
    #[command(flatten)]
    system: SystemConfig,
    #[command(flatten)]
    accounts: AccountsConfig,
}

impl Scope {
    /// Those of a collector that looks every `interval`, and notes in `history` what it sees.
    pub(super) fn settings(self, interval: Duration, history: History) -> Settings {
        let Self { thresholds, nats, system, accounts } = self;
        let (system, others) = (system.over(&nats), accounts.over(&nats));
        Settings { interval, app: nats, others, system, history, thresholds }
    }
}
