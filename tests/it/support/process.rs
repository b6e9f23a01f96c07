//! A program that a test runs: what it prints line by line, signals to it, its end.

use std::{
    env,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Child,
    sync::watch,
    task::JoinSet,
};

use super::{
    nats_server,
    process_tree::{kill_all, tree},
};

/// Settings of whoever runs the tests must not reach what is tested.
const NOT_INHERITED: &[&str] = &["STREAMGAUGE_", "OTEL_", "NATS_", "RUST_LOG", "NO_COLOR"];

/// Which of its two outputs a program printed a line on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Out,
    Err,
}

type Lines = Vec<(Output, String)>;

/// A running program. It ends with its test, and so does all that it has started; if the test fails, what it printed is shown.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    printed: watch::Receiver<Lines>,
    _readers: JoinSet<()>,
}

/// The built `streamgauge` with these arguments and none of the environment that would change what it does.
pub fn streamgauge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(arguments);
    without_settings(&mut command);
    command.env("STREAMGAUGE_NATS_SERVER", nats_server::program());
    command
}

/// Keeps from a program what in the environment would change what it does.
pub fn without_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if NOT_INHERITED.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

/// Runs a program to its end, which must be a good one; returns what it printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    said
}

impl Process {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{command:?}");
        let mut command = tokio::process::Command::from(std::mem::replace(command, Command::new("")));
        let mut child = command.kill_on_drop(true).spawn().unwrap_or_else(|error| panic!("starting {shown}: {error}"));
        let (sender, printed) = watch::channel(Lines::new());
        let mut readers = JoinSet::new();
        readers.spawn(follow(child.stdout.take().expect("it is piped"), Output::Out, sender.clone()));
        readers.spawn(follow(child.stderr.take().expect("it is piped"), Output::Err, sender));
        let pid = child.id().expect("nobody has waited for it");
        Self { child, pid, printed, _readers: readers }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The first line that it has printed or will print, on either output, for which `is_it` says yes. Fails the test after
    /// `limit`, or when the program has ended without such a line.
    #[track_caller]
    pub fn line(&self, limit: Duration, what: &str, is_it: impl Fn(&str) -> bool) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        let mut printed = self.printed.clone();
        async move {
            let has_it = |lines: &Lines| lines.iter().any(|(_, line)| is_it(line));
            match tokio::time::timeout(limit, printed.wait_for(has_it)).await {
                Ok(Ok(lines)) => lines.iter().find(|(_, line)| is_it(line)).expect("it was just seen").1.clone(),
                Ok(Err(_)) => panic!("{caller}: the program closed its output before it printed {what}"),
                Err(_) => panic!("{caller}: waited {limit:?} for it to print {what}"),
            }
        }
    }

    /// Where it takes traces, if it is an observer: the address to give an exporter. Fails the test as [`Process::line`] does.
    pub async fn takes_traces_at(&self, limit: Duration) -> String {
        let said = "traces are taken at http://";
        let line = self.line(limit, "where it takes traces", |line| line.contains(said)).await;
        let address = line.split(said).nth(1).unwrap().split(' ').next().unwrap();
        format!("http://{address}")
    }

    /// What it has printed on its standard output.
    pub fn stdout(&self) -> Vec<String> {
        self.on(Output::Out)
    }

    /// What it has printed on its standard error.
    pub fn stderr(&self) -> Vec<String> {
        self.on(Output::Err)
    }

    fn on(&self, output: Output) -> Vec<String> {
        self.printed.borrow().iter().filter(|(on, _)| *on == output).map(|(_, line)| line.clone()).collect()
    }

    /// Sends a signal to the program and to nothing that it has started.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process id is a positive number");
        kill_process(pid, signal).expect("an own child can be signalled");
    }

    /// How it ended, and all that it printed by then. Fails the test if it has not ended after `limit`.
    #[track_caller]
    pub fn ended(&mut self, limit: Duration) -> impl Future<Output = ExitStatus> {
        let caller = std::panic::Location::caller();
        async move {
            let status = tokio::time::timeout(limit, self.child.wait()).await;
            let status = status.unwrap_or_else(|_| panic!("{caller}: waited {limit:?} for the program to end"));
            // A child of the program may hold its outputs open for longer, so this waits for no more than `limit` either.
            _ = tokio::time::timeout(limit, self.printed.wait_for(|_| false)).await;
            status.expect("an own child can be waited for")
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only a program that runs still owns its number and its children; once collected, both may be somebody else's.
        if let Ok(None) = self.child.try_wait() {
            kill_all(&tree(self.pid));
        }
        if std::thread::panicking() {
            let lines: Vec<String> =
                self.printed.borrow().iter().map(|(on, line)| format!("  {on:?} {line}")).collect();
            eprintln!("process {} printed:\n{}", self.pid, lines.join("\n"));
        }
    }
}

async fn follow(output: impl AsyncRead + Unpin, on: Output, printed: watch::Sender<Lines>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        printed.send_modify(|printed| printed.push((on, line)));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::support::{
        eventually,
        process_tree::{arguments, is_running},
    };

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn the_program_under_test_is_told_its_nats_server_and_inherits_no_settings() {
        let command = streamgauge(&["demo"]);
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["demo"]);
        let told = |(name, value): &(&OsStr, Option<&OsStr>)| *name == "STREAMGAUGE_NATS_SERVER" && value.is_some();
        let kept: Vec<_> = command.get_envs().filter(|(_, value)| value.is_some()).collect();
        assert!(kept.len() == 1 && told(&kept[0]), "{kept:?}");
    }

    #[tokio::test]
    async fn lines_and_the_end_are_seen() {
        let mut process = shell("echo up; echo oh >&2; exit 3");
        assert_eq!(process.line(LIMIT, "up", |line| line == "up").await, "up");
        assert_eq!(process.ended(LIMIT).await.code(), Some(3));
        assert_eq!((process.stdout(), process.stderr()), (vec!["up".to_owned()], vec!["oh".to_owned()]));
    }

    #[tokio::test]
    #[should_panic(expected = "closed its output before it printed hello")]
    async fn a_program_that_ends_too_soon_fails_the_test_at_once() {
        shell("echo bye").line(10 * LIMIT, "hello", |line| line == "hello").await;
    }

    #[tokio::test]
    async fn a_signal_reaches_the_program() {
        let mut process = shell("trap 'echo caught; exit 0' TERM; echo set; while :; do sleep 0.05; done");
        process.line(LIMIT, "set", |line| line == "set").await;
        process.signal(Signal::TERM);
        assert!(process.ended(LIMIT).await.success());
        assert_eq!(process.stdout(), ["set", "caught"]);
    }

    #[tokio::test]
    async fn what_the_program_started_ends_with_it() {
        let process = shell("sleep 1000 & sleep 1000 & echo up; wait");
        process.line(LIMIT, "up", |line| line == "up").await;
        // A child is its parent's copy at first, so the tree is whole only when both have become what they are to be.
        let sleeping = |pid: &&u32| arguments(**pid) == ["sleep", "1000"];
        let both = async || Some(tree(process.pid())).filter(|pids| pids.iter().filter(sleeping).count() == 2);
        let pids = eventually(LIMIT, "both children sleep", both).await;
        drop(process);
        eventually(LIMIT, "all three have ended", async || !pids.iter().any(|pid| is_running(*pid))).await;
    }
}
