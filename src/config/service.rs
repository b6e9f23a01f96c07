//! One instance of a service.

use std::net::SocketAddr;

use super::{NatsConfig, TelemetryConfig};

/// See [`ServiceConfig::grace`].
const GRACE: u64 = 6;

/// Settings that every service has.
#[derive(Debug, Clone, clap::Args)]
pub struct ServiceConfig {
    /// Name of this instance, unlike that of the service's others [default: one made up at start]
    #[arg(long, env = "STREAMGAUGE_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,

    /// Where probes, metrics and the service's own routes answer [default: a free port on 127.0.0.1]
    #[arg(long, env = "STREAMGAUGE_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// How long handlers may go on once the service was asked to end
    #[arg(long, env = "STREAMGAUGE_GRACE", value_name = "SECONDS", default_value_t = GRACE)]
    pub grace: u64,

    /// How to reach NATS.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// What is logged, and how.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// What the flags say where none is given.
impl Default for ServiceConfig {
    fn default() -> Self {
        let (nats, telemetry) = (NatsConfig::default(), TelemetryConfig::default());
        Self { instance: None, listen: None, grace: GRACE, nats, telemetry }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        service: ServiceConfig,
    }

    #[test]
    fn a_program_without_flags_has_their_defaults() {
        let (flags, none) = (Command::parse_from(["test"]).service, ServiceConfig::default());
        assert_eq!((flags.grace, flags.nats.nats_wait), (none.grace, none.nats.nats_wait));
    }
}
