//! A demo that a bench has started as a user does, by `make demo`; it ends with the bench.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::support::process_tree::{arguments, is_running, kill_all, tree};

/// A demo drains in 10 s at the most, and then some for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(20);

const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Where the parts of the demo answer, as it writes to its `--urls-file`.
#[derive(Debug, Clone, Deserialize)]
pub struct Urls {
    pub storefront: String,
}

/// The demo and all its processes.
#[derive(Debug)]
pub struct RunningDemo {
    make: Child,
    folder: TempDir,
    /// When it was started.
    pub started: Instant,
}

impl RunningDemo {
    /// Starts a demo with these arguments. The binary is built first, so that the demo's own start is what is measured.
    ///
    /// # Errors
    /// When the build fails or make cannot be run.
    pub fn start(arguments: &str) -> anyhow::Result<Self> {
        let built = make_like("cargo").args(["build", "--release", "--locked", "--bin", "streamgauge"]).status()?;
        if !built.success() {
            bail!("the demo cannot be built");
        }
        let folder = tempfile::tempdir()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let urls = urls_file(folder.path());
        let mut command = make_like("make");
        let data = folder.path().join("data");
        let files = format!("--data {} --urls-file {}", data.display(), urls.display());
        command.args(["demo", &format!("ARGS={arguments} {files}")]);
        // It stays in the group of the bench, so that a Ctrl-C at the terminal ends the demo with it.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        Ok(Self { make: command.spawn().context("starting make")?, folder, started })
    }

    /// The process that all others stand below.
    pub fn root(&self) -> u32 {
        self.make.id()
    }

    /// The payment provider's own book.
    pub fn ledger(&self) -> PathBuf {
        self.folder.path().join("data/ledger.jsonl")
    }

    /// Where the demo answers, as soon as it says so.
    ///
    /// # Errors
    /// When it has not said so in `limit`, or ended before.
    pub fn urls(&mut self, limit: Duration) -> anyhow::Result<Urls> {
        let file = urls_file(self.folder.path());
        self.eventually(limit, "the demo says where it answers", || {
            fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok())
        })
    }

    /// Asks until there is an answer; fails after `limit` or when the demo has ended, with the end of its log.
    ///
    /// # Errors
    /// As said.
    pub fn eventually<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut ask: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return Ok(answer);
            }
            if let Some(status) = self.make.try_wait()? {
                bail!("the demo ended ({status}) before this: {what}\n{}", self.log());
            }
            if begun.elapsed() > limit {
                bail!("waited {limit:?} for this: {what}\n{}", self.log());
            }
            thread::sleep(ASK_AGAIN);
        }
    }

    /// Ends the demo as Ctrl-C does, which reaches make and the demo and none of the demo's own processes; returns how long that took.
    ///
    /// # Errors
    /// When a process is left after the limit; it is killed.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let pids = tree(self.root());
        let asked = Instant::now();
        let is_asked = |pid: &&u32| arguments(**pid).get(1).is_some_and(|command| command == "demo");
        for pid in pids.iter().filter(is_asked) {
            let pid = Pid::from_raw(i32::try_from(*pid)?).context("a process has no number")?;
            kill_process(pid, Signal::INT).context("interrupting the demo")?;
        }
        while asked.elapsed() < STOP_LIMIT {
            self.make.try_wait()?;
            if !pids.iter().any(|pid| is_running(*pid)) {
                return Ok(asked.elapsed());
            }
            thread::sleep(ASK_AGAIN);
        }
        bail!("{STOP_LIMIT:?} after Ctrl-C the demo has left processes\n{}", self.log())
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for RunningDemo {
    fn drop(&mut self) {
        if let Ok(None) = self.make.try_wait() {
            kill_all(&tree(self.root()));
        }
        _ = self.make.wait();
    }
}

fn urls_file(folder: &Path) -> PathBuf {
    folder.join("urls.json")
}

/// A command in the project's folder, without what cargo tells a bench: another cargo would take it for its own.
fn make_like(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let is_cargos = name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR";
        if is_cargos || name == "LD_LIBRARY_PATH" || name.starts_with("MAKE") {
            command.env_remove(&*name);
        }
    }
    command
}
