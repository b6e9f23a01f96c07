//! The demo: a whole system on one machine.

use std::path::PathBuf;

use super::ToolsConfig;

/// Settings of `streamgauge demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoConfig {
    /// Folder that keeps streams, ledger and logs between runs [default: a fresh one, removed at the end]
    #[arg(long, env = "STREAMGAUGE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Orders placed each second
    #[arg(long, default_value_t = 5.0, value_name = "ORDERS/S", value_parser = super::mesh::rate)]
    pub rate: f64,

    /// Place no orders
    #[arg(long)]
    pub no_load: bool,

    /// The nats-server to run, 2.12 or newer [default: that on PATH, else .tools/nats-server]
    #[arg(long, env = "STREAMGAUGE_NATS_SERVER", value_name = "FILE")]
    pub nats_server: Option<PathBuf>,

    /// Write the addresses to this file as JSON once everything is up
    #[arg(long, value_name = "FILE")]
    pub urls_file: Option<PathBuf>,

    /// Where else there is something to see.
    #[command(flatten)]
    pub tools: ToolsConfig,
}
