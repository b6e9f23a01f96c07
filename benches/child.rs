//! The bench started again as a process of its own: it says one line, then works until it is dropped.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// A running child.
#[derive(Debug)]
pub struct Again {
    child: Child,
    /// What it said when it was ready.
    pub said: String,
}

impl Again {
    /// Starts it under one of the names that `main` knows, and waits for its line.
    ///
    /// # Errors
    /// When the process does not start or says nothing.
    pub fn start(name: &str, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(name).envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting `{name}`"))?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut started = Self { child, said: String::new() };
        BufReader::new(output).read_line(&mut started.said).with_context(|| format!("reading what `{name}` says"))?;
        started.said.truncate(started.said.trim_end().len());
        Ok(started)
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Says the line, as the child.
///
/// # Errors
/// When nobody listens.
pub fn say(line: &str) -> io::Result<()> {
    println!("{line}");
    io::stdout().flush()
}
