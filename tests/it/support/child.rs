//! A process of the tests' own: the test binary runs itself with one ignored test, which plays a part that another test asked for.
//!
//! The part says on its standard output which point it has reached and stays there, so that it is killed or stopped exactly there.

use std::{env, process::Command, time::Duration};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::process::{Process, without_settings};

/// The part's variables begin with this.
const PREFIX: &str = "STREAMGAUGE_PART_";

/// How long a part may take to come where it is wanted.
const LIMIT: Duration = Duration::from_secs(30);

/// Starts the ignored test `entry`, such as `faults::part::worker`, with these variables.
pub fn start(entry: &str, variables: &[(&str, &str)]) -> Process {
    start_with(entry, variables, &[])
}

/// Like [`start`], with variables of the environment that are not the part's own.
pub fn start_with(entry: &str, variables: &[(&str, &str)], environment: &[(&str, &str)]) -> Process {
    let mut command = Command::new(env::current_exe().expect("a running program has a path"));
    without_settings(&mut command);
    command.args([entry, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(format!("{PREFIX}IS_PLAYED"), "yes");
    command.envs(variables.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)));
    command.envs(environment.iter().copied());
    Process::start(&mut command)
}

impl Process {
    /// Waits until the part has reached `point`.
    pub async fn reached(&self, point: &str) {
        let line = format!("at {point}");
        self.line(LIMIT, &format!("`{line}`"), |said| said == line).await;
    }

    /// Ends it as a crash would, and returns when it has ended.
    pub async fn crash(mut self) {
        self.signal(Signal::KILL);
        self.ended(LIMIT).await;
    }
}

/// In a part: whether it is one. Whoever runs all ignored tests runs no part.
pub fn is_played() -> bool {
    variable("IS_PLAYED").is_some()
}

/// In a part: a variable that it was started with.
pub fn variable(name: &str) -> Option<String> {
    env::var(format!("{PREFIX}{name}")).ok()
}

/// In a part: says something on a line of its own. The test harness leaves the cursor behind the test's name.
pub fn say(what: &str) {
    println!("\n{what}");
}

/// In a part: says that it is at `point`, and stays there until SIGUSR1, if that is the point where the test wants it to stop.
pub async fn point(point: &str) {
    if variable("STOP_AT").as_deref() == Some(point) {
        let mut go_on = signal(SignalKind::user_defined1()).expect("the signal can be listened to");
        say(&format!("at {point}"));
        go_on.recv().await;
    }
}
