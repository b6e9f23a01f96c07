//! An observer as a user runs it: the built program as a process of its own, with the history of a whole day in its folder.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::sleep};

use crate::{
    crowd::{Crowd, PASSWORD, Shape},
    day,
    support::port::ReservedPort,
};

/// How long it may take until a round has shown all.
const READY_LIMIT: Duration = Duration::from_secs(60);

const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Measures an observer that looks every `interval` seconds at a crowd of this shape, while the crowd works.
///
/// # Errors
/// When one of them does not start, or fails meanwhile.
pub fn watched(
    shape: Shape,
    interval: &str,
    measure: impl AsyncFnOnce(&mut Observer) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let crowd = Crowd::gathered(shape).await?;
        let mut observer = Observer::start(&crowd, interval).await?;
        tokio::select! {
            measured = measure(&mut observer) => measured,
            worked = crowd.work() => worked.context("nobody works any more"),
        }
    })
}

/// A running observer; it ends with the bench.
#[derive(Debug)]
pub struct Observer {
    child: Child,
    folder: TempDir,
    port: ReservedPort,
    pub client: reqwest::Client,
}

impl Observer {
    /// Starts one that looks at `crowd` every `interval` seconds, and waits until it has done so twice. Its history is that of a day in
    /// which every stream and consumer was there. Only the last ten minutes are not on disk, and for those it takes its room at once.
    ///
    /// # Errors
    /// When it does not start, or does not see everything in time.
    pub async fn start(crowd: &Crowd, interval: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        day::fill(crowd, &folder.path().join("data")).await?;
        let port = ReservedPort::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        for (name, _) in env::vars_os().filter(|(name, _)| is_setting(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.arg("serve").arg("--data").arg(folder.path().join("data"));
        command.args(["--listen", &port.address().to_string(), "--interval", interval]);
        command.args(["--nats", &crowd.server.url(), "--user", "app", "--system-user", "sys"]);
        command.envs([("NATS_PASSWORD", PASSWORD), ("NATS_SYSTEM_PASSWORD", PASSWORD)]);
        let log = fs::File::create(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("starting the observer")?;
        let mut observer = Self { child, folder, port, client: reqwest::Client::new() };
        observer.until_round(2).await?;
        Ok(observer)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What it answers at `path`, which must be there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.client.get(format!("http://{}{path}", self.address())).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{path} is answered with {status}");
        }
        Ok(text)
    }

    /// Reads what it answers at `path` to the last byte, and keeps nothing of it.
    ///
    /// # Errors
    /// When it is not there, or ends early.
    pub async fn read(&self, path: &str) -> anyhow::Result<()> {
        let answer = self.client.get(format!("http://{}{path}", self.address())).send().await?;
        let mut answer = answer.error_for_status()?;
        while answer.chunk().await?.is_some() {}
        Ok(())
    }

    /// Waits until it has looked so often.
    ///
    /// # Errors
    /// When that takes too long, or it ended.
    pub async fn until_round(&mut self, round: u64) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let text = self.get("/metrics").await.unwrap_or_default();
            let rounds = text.lines().find_map(|line| line.strip_prefix("streamgauge_rounds_total "));
            if rounds.and_then(|rounds| rounds.parse::<u64>().ok()).is_some_and(|rounds| rounds >= round) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the observer ended ({status}):\n{}", said(self.folder.path()));
            }
            if began.elapsed() > READY_LIMIT {
                bail!("round {round} has not ended after {READY_LIMIT:?}:\n{}", said(self.folder.path()));
            }
            sleep(ASK_AGAIN).await;
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Settings of whoever runs the bench must not reach what is measured.
fn is_setting(name: &str) -> bool {
    ["STREAMGAUGE_", "OTEL_", "NATS_", "RUST_LOG", "MALLOC_"].iter().any(|prefix| name.starts_with(prefix))
}

fn said(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
