//! Becoming another program that ends when its parent does, however the parent ends: a demo that is killed leaves nothing behind.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::Context;

/// Settings of the hidden `with-parent`.
#[derive(Debug, clap::Args)]
pub(super) struct WithParent {
    /// The parent's process id; if it is not our parent any more, it ended before we could tie ourselves to it
    #[arg(long)]
    parent: u32,

    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    program: Vec<OsString>,
}

impl WithParent {
    /// Returns only if the program cannot be run.
    pub(super) fn run(self) -> anyhow::Result<()> {
        tie_to_parent()?;
        anyhow::ensure!(std::os::unix::process::parent_id() == self.parent, "the parent process has ended");
        let (program, arguments) = self.program.split_first().context("no program was named")?;
        let failed = Command::new(program).args(arguments).exec();
        Err(failed).with_context(|| format!("cannot run {}", program.display()))
    }
}

/// The tie survives `exec`. Only Linux has one; elsewhere a killed parent leaves its children to their user.
#[cfg(target_os = "linux")]
fn tie_to_parent() -> anyhow::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM)).context("cannot tie the process to its parent")
}

#[cfg(not(target_os = "linux"))]
fn tie_to_parent() -> anyhow::Result<()> {
    Ok(())
}
