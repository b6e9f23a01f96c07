//! A Python with the client that `make ci-tools` brings.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    process::without_settings,
    tool::{skip, tool},
};

/// Where `make ci-tools` puts the client.
pub const NATS_PY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/nats-py");

/// A Python that finds the client.
#[derive(Debug, Clone)]
pub struct Python(PathBuf);

/// That Python, or `None` after noting that `test` is skipped for want of it.
pub fn with_nats_py(test: &str) -> Option<Python> {
    let python = tool("python3", test)?;
    if !Path::new(NATS_PY).join("nats").is_dir() {
        skip(&format!("{test}: `nats-py` is not in .tools"));
        return None;
    }
    Some(Python(python))
}

impl Python {
    /// Runs a script of this repository.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.0);
        without_settings(&mut command);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).env("PYTHONPATH", NATS_PY);
        command
    }
}
