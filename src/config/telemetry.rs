//! What a process says about itself, and how. Traces follow the standard `OTEL_*` environment variables.

/// The client tells of its connection what we tell in our own words: as a change of it, or as an error with its next step.
const LOG: &str = "info,async_nats=warn,async_nats::connector=off";

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Readable on a terminal, JSON elsewhere
    #[default]
    Auto,
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// What is logged, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryConfig {
    /// How log lines are written
    #[arg(long, env = "STREAMGAUGE_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Which log lines are written: a level, or levels by module as in `warn,streamgauge=debug`
    #[arg(long, env = "STREAMGAUGE_LOG", default_value = LOG, value_name = "FILTER")]
    pub log: String,
}

impl TelemetryConfig {
    /// Log lines of a command whose output programs read: nothing that it does not say itself.
    pub fn of_errors() -> Self {
        Self { log: LOG.replace("info", "error").replace("warn", "error"), ..Self::default() }
    }

    /// Log lines of commands that answer on standard output: only what goes wrong is worth a line between the results.
    pub fn of_command() -> Self {
        Self { log: LOG.replace("info", "warn"), ..Self::default() }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_format: LogFormat::Auto, log: LOG.to_owned() }
    }
}
