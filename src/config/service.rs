//! One instance of a service.

use std::net::SocketAddr;

use super::{NatsConfig, TelemetryConfig};

/// Settings that every service has.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServiceConfig {
    /// Name of this instance, unlike that of the service's others [default: one made up at start]
    #[arg(long, env = "STREAMGAUGE_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,

    /// Where probes, metrics and the service's own routes answer [default: a free port on 127.0.0.1]
    #[arg(long, env = "STREAMGAUGE_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// How long handlers may go on once the service was asked to end
    #[arg(long, env = "STREAMGAUGE_GRACE", value_name = "SECONDS", default_value_t = 6)]
    pub grace: u64,

    /// How to reach NATS.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// What is logged, and how.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}
