//! The command line: one file a sub-command. Only here do the library, the mesh and the observer meet.

mod check;
mod demo;
mod dlq;
mod fault;
mod scope;
mod serve;
mod service;
mod topology;
#[cfg(unix)]
mod with_parent;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    config::DemoConfig, errors::ErrorChain, nats::ConnectError, service::ServiceError, telemetry::TelemetryError,
};

/// Event-driven services on NATS JetStream that can be seen.
#[derive(Debug, Parser)]
#[command(name = "streamgauge", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: NATS, the services of the order mesh, a gentle load, the dashboard
    Demo(DemoConfig),
    /// Show what NATS does, on pages that keep themselves up to date
    Serve(Box<serve::Serve>),
    /// Look for a few rounds, say what is wrong, and end with a code for cron, CI and monitors
    #[command(after_help = check::EXIT_CODES)]
    Check(Box<check::Check>),
    /// Run one service of the order mesh
    Service(Box<service::ServiceCommand>),
    /// Look at messages that were given up, and try them again
    #[command(after_help = dlq::EXIT_CODES)]
    Dlq(Box<dlq::Dlq>),
    /// Switch a fault on in a service of the order mesh, or off
    Fault(fault::FaultCommand),
    /// Compare streams, consumers and buckets with what is declared, and make them so
    Topology(Box<topology::TopologyCommand>),
    /// Become another program that ends when its parent does
    #[cfg(unix)]
    #[command(hide = true)]
    WithParent(with_parent::WithParent),
}

impl Cli {
    /// Runs the sub-command.
    ///
    /// # Errors
    /// When it cannot do what it was asked to; the error says what, where, and what to do.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(config) => demo::run(config).await,
            Command::Serve(command) => serve::run(*command).await,
            Command::Check(command) => check::run(*command).await,
            Command::Service(command) => command.run().await,
            Command::Dlq(command) => command.run().await,
            Command::Fault(command) => command.run().await,
            Command::Topology(command) => command.run().await,
            #[cfg(unix)]
            Command::WithParent(command) => command.run(),
        }
    }
}

/// Says on standard error what went wrong, and chooses the exit code.
///
/// Convention: `sysexits.h` of BSD; 2 is clap's own for arguments that do not parse.
#[expect(clippy::print_stderr, reason = "the last words of a command go to its user, not to a log")]
pub fn say_and_code(error: &anyhow::Error) -> ExitCode {
    const UNAVAILABLE: u8 = 69;
    const NOT_PERMITTED: u8 = 77;
    const CONFIGURATION: u8 = 78;
    eprintln!("streamgauge: {}", ErrorChain(error.as_ref()));
    if let Some(ended) = error.downcast_ref::<check::Ended>() {
        return ExitCode::from(ended.code());
    }
    let connect = error.chain().find_map(|cause| match cause.downcast_ref::<ServiceError>() {
        Some(ServiceError::Connect(connect)) => Some(connect),
        _ => cause.downcast_ref::<ConnectError>(),
    });
    ExitCode::from(match connect {
        Some(ConnectError::Refused { .. }) => NOT_PERMITTED,
        Some(ConnectError::File { .. } | ConnectError::Address { .. } | ConnectError::SameAccount { .. }) => {
            CONFIGURATION
        }
        Some(_) => UNAVAILABLE,
        None if error.chain().any(|cause| cause.is::<TelemetryError>()) => CONFIGURATION,
        None if error.is::<topology::Differs>() => topology::DIFFERS,
        None => 1,
    })
}
