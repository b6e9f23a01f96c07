//! `streamgauge check`: looks for a few rounds, says what is wrong, and ends with a code for cron, CI and monitors.

mod exposition;
mod json;
mod junit;
mod nagios;
mod report;
mod text;

use std::{
    io::{ErrorKind, Write},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::scope::Scope;
use crate::{
    clock::Clock,
    collector::{self, History, Snapshots},
    config::TelemetryConfig,
    errors::ErrorChain,
    snapshot::Severity,
    tasks::Tasks,
    telemetry,
};

use report::Report;

/// What `--help` says of the codes.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 nothing at or above --fail-on; 1 something is; 2 it could not look.\nWith --format nagios: 0 ok, 1 warning, 2 critical, 3 it could not look.";

/// How long one round may take beyond its interval until it counts as not answered.
const ROUND_LIMIT: Duration = Duration::from_secs(15);

/// The shortest wait for the first round: a connection and some questions take their time.
const PATIENCE_LEAST: Duration = Duration::from_secs(2);

/// How long the collector may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Settings of `streamgauge check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// From which severity on the code is not 0
    #[arg(long, value_enum, default_value = "warning", value_name = "SEVERITY")]
    fail_on: FailOn,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Format,
    /// How often to look; what only a trend shows takes three, and so does the verdict on a consumer that has something to do: in fewer it
    /// counts as not judged, and the code does not depend on it
    #[arg(long, default_value_t = 3, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Seconds between two looks; a handler that takes longer than all of them may pass for one that hangs
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = crate::config::interval)]
    interval: Duration,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Notice,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For CI: a test case a consumer and a check
    Junit,
    /// For the textfile collector of the node exporter
    Prometheus,
    /// For Nagios, Icinga and their like
    Nagios,
}

/// How a check ended that did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{count} found at {severity} or above")]
    Found { count: usize, severity: &'static str, code: u8 },
    #[error("could not look")]
    Blind {
        #[source]
        source: anyhow::Error,
        code: u8,
    },
}

impl Ended {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Found { code, .. } | Self::Blind { code, .. } => *code,
        }
    }
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::Notice => Severity::Notice,
            Self::Warning => Severity::Warning,
            Self::Critical => Severity::Critical,
        }
    }
}

/// Looks, writes what was found, and ends as that asks for.
pub(super) async fn run(check: Check) -> anyhow::Result<()> {
    let (format, fail_on) = (check.format, check.fail_on.severity());
    let looked = match look(check).await {
        Ok(report) => say(&written(&report, format)).map(|()| report),
        Err(source) => Err(source),
    };
    let report = match looked {
        Ok(report) => report,
        Err(source) => return Err(blind(source, format)?.into()),
    };
    match report.failing().count() {
        0 => Ok(()),
        count => {
            let code = if format == Format::Nagios { nagios::code(&report) } else { 1 };
            Err(Ended::Found { count, severity: fail_on.word(), code }.into())
        }
    }
}

/// Whoever reads the result of a check that could not look is told so in the form that it reads.
fn blind(source: anyhow::Error, format: Format) -> anyhow::Result<Ended> {
    let reason = ErrorChain(source.as_ref()).to_string();
    say(&match format {
        Format::Text => String::new(),
        Format::Json => json::blind(&reason),
        Format::Junit => junit::blind(&reason),
        Format::Prometheus => exposition::blind(),
        Format::Nagios => nagios::blind(&source),
    })?;
    let code = if format == Format::Nagios { nagios::UNKNOWN } else { 2 };
    Ok(Ended::Blind { source, code })
}

fn written(report: &Report, format: Format) -> String {
    match format {
        Format::Text => text::write(report),
        Format::Json => json::write(report),
        Format::Junit => junit::write(report),
        Format::Prometheus => exposition::write(report),
        Format::Nagios => nagios::write(report),
    }
}

async fn look(check: Check) -> anyhow::Result<Report> {
    telemetry::init(&TelemetryConfig::of_errors(), "check", "check")?;
    let patience = Duration::from_secs(check.scope.nats.nats_wait);
    let settings = check.scope.settings(check.interval, History::default());
    let (collector, snapshots) = collector::new(settings, Clock::system())?;
    let tasks = Tasks::default();
    let (ended, refused) = tokio::sync::oneshot::channel();
    tasks.spawn(move |stop| async move {
        // Nobody waits for the end of a collector that was asked to stop.
        let _unheard = ended.send(collector.run(stop).await);
    });
    let seen = tokio::select! {
        seen = rounds(snapshots, check.rounds, patience, check.interval) => seen,
        ended = refused => match ended {
            Ok(Err(error)) => Err(error.into()),
            _ => Err(anyhow::anyhow!("the collector ended before it had looked")),
        },
    };
    tasks.stop(STOP_LIMIT).await;
    let seen = seen?;
    Ok(Report::of(&seen, check.rounds, check.fail_on.severity()))
}

/// The last of so many rounds in a row that read the streams.
async fn rounds(
    mut snapshots: Snapshots,
    count: u64,
    patience: Duration,
    interval: Duration,
) -> anyhow::Result<std::sync::Arc<crate::snapshot::Snapshot>> {
    let mut wait = patience.max(PATIENCE_LEAST);
    let mut read = 0;
    while read < count {
        match tokio::time::timeout(wait, next_read(&mut snapshots)).await {
            Ok(()) => {}
            Err(_) => {
                let snapshot = snapshots.borrow().clone();
                let reason = snapshot.streams.reason().unwrap_or("no round ended").to_owned();
                let why = if snapshot.app.contact.is_connected { reason } else { snapshot.app.contact.reason.clone() };
                let url = &snapshot.app.contact.url;
                // The connection's own words name the address already.
                return Err(if why.contains(url) { anyhow::anyhow!(why) } else { anyhow::anyhow!("{url}: {why}") });
            }
        }
        read += 1;
        wait = interval + ROUND_LIMIT;
    }
    Ok(snapshots.borrow().clone())
}

/// Waits for a round that read the streams; for ever when the collector has ended, which says why by itself.
async fn next_read(snapshots: &mut Snapshots) {
    while snapshots.changed().await.is_ok() {
        if snapshots.borrow_and_update().streams.fresh().is_some() {
            return;
        }
    }
    std::future::pending().await
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no fault.
fn say(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("writing to standard output"),
        _ => Ok(()),
    }
}
