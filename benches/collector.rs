//! A collector as a process of its own, as it is elsewhere: what it costs is not taken from what is measured more than it must be.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use tokio::runtime::Builder;

use crate::support::otlp::Sink;

/// The name under which the bench starts itself again.
pub const CHILD: &str = "collect";

/// The process that takes spans; it ends when this is dropped.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    endpoint: String,
}

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    /// When the process does not start or does not say where it listens.
    pub fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let mut child = command.arg(CHILD).stdout(Stdio::piped()).spawn().context("starting the collector")?;
        let output = child.stdout.take().context("its output is ours")?;
        let mut started = Self { child, endpoint: String::new() };
        BufReader::new(output).read_line(&mut started.endpoint).context("reading where the collector listens")?;
        started.endpoint.truncate(started.endpoint.trim_end().len());
        Ok(started)
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The process that takes spans: says where it listens, and counts nothing until it is killed.
///
/// # Errors
/// When nothing can be said.
pub fn collect() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sink = Sink::start().await;
        println!("{}", sink.endpoint());
        std::io::stdout().flush()?;
        std::future::pending().await
    })
}
