//! One process of the demo: how it is started, and how it ends.

use std::{
    fs::OpenOptions,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use tokio::process::{Child, Command};

use super::plan::Rank;

/// Settings of the user's own NATS and of other processes that must not reach the demo's.
const FOREIGN: [&str; 5] =
    ["NATS_", "OTEL_SERVICE_NAME", "STREAMGAUGE_LISTEN", "STREAMGAUGE_INSTANCE", "STREAMGAUGE_NATS_WAIT"];

/// What to run.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The name that people see, such as `orders-1`.
    pub(super) name: String,
    /// When it is ended, compared with the others.
    pub(super) rank: Rank,
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) log: PathBuf,
}

impl Program {
    /// Starts the process in a group of its own, so that a Ctrl-C at the terminal reaches the demo alone, which then ends its children
    /// in order; tied to the demo, so that it does not outlive it.
    pub(super) fn spawn(&self) -> anyhow::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write the log {}", self.log.display()))?;
        let mut command = tied(self)?;
        let foreign = |name: &str| FOREIGN.iter().any(|prefix| name.starts_with(prefix));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(foreign)) {
            command.env_remove(name);
        }
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.path.display()))
    }
}

#[cfg(unix)]
fn tied(program: &Program) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("cannot find the streamgauge binary")?;
    let mut command = Command::new(own);
    command.args(["with-parent", "--parent", &std::process::id().to_string(), "--"]).arg(&program.path);
    command.args(&program.arguments).process_group(0);
    Ok(command)
}

#[cfg(not(unix))]
fn tied(program: &Program) -> anyhow::Result<Command> {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments);
    Ok(command)
}

/// Asks the process to end and waits; kills it after `limit`. `true` if it ended of itself.
pub(super) async fn end(child: &mut Child, limit: Duration) -> bool {
    ask_to_end(child);
    if tokio::time::timeout(limit, child.wait()).await.is_ok() {
        return true;
    }
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "a process cannot be killed");
    }
    false
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // It may have ended by itself in this moment, which is what was asked for.
    let _ended = pid.map(|pid| kill_process(pid, Signal::TERM));
}

#[cfg(not(unix))]
fn ask_to_end(_: &Child) {}

/// How a process ended, in words.
pub(super) fn in_words(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was killed by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with code {code}"),
        None => "ended".to_owned(),
    }
}
