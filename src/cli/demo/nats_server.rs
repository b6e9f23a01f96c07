//! Which nats-server the demo runs.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context;
use tokio::process::Command;

/// The oldest version that has all that the mesh uses.
const OLDEST: (u32, u32) = (2, 12);

/// How long it may take to say its version.
const LIMIT: Duration = Duration::from_secs(10);

/// A nats-server that will do.
#[derive(Debug, Clone)]
pub(super) struct NatsServer {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// The one that is named, else the one on PATH if it is new enough, else the one that `make` keeps in `.tools`.
pub(super) async fn find(named: Option<&Path>) -> anyhow::Result<NatsServer> {
    if let Some(path) = named {
        return look_at(path).await;
    }
    let folders = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let places = folders.into_iter().chain([PathBuf::from(".tools")]);
    let mut refused = None;
    for path in places.map(|folder| folder.join("nats-server")).filter(|path| path.is_file()) {
        match look_at(&path).await {
            Ok(server) => return Ok(server),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        anyhow::anyhow!(
            "no nats-server on PATH or in .tools: install one, say where it is with --nats-server, or run `make demo`, which fetches one"
        )
    }))
}

async fn look_at(path: &Path) -> anyhow::Result<NatsServer> {
    let asked = Command::new(path).arg("--version").stdin(Stdio::null()).output();
    let output = tokio::time::timeout(LIMIT, asked)
        .await
        .with_context(|| format!("{} does not say its version", path.display()))?
        .with_context(|| format!("cannot run {}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = version_in(&text)
        .with_context(|| format!("{} does not say its version; is it nats-server?", path.display()))?;
    anyhow::ensure!(
        is_new_enough(&version),
        "{} is version {version}; {}.{} or newer is needed",
        path.display(),
        OLDEST.0,
        OLDEST.1
    );
    Ok(NatsServer { path: path.to_owned(), version })
}

/// `nats-server: v2.15.1` says `2.15.1`.
fn version_in(text: &str) -> Option<String> {
    let (_, version) = text.trim().rsplit_once(" v")?;
    Some(version.to_owned())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    (major, minor) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, bool)>) {
        let version = version_in(text);
        assert_eq!(version.as_deref().map(|version| (version, is_new_enough(version))), expected, "{text}");
    }

    #[test]
    fn the_version_decides() {
        check("nats-server: v2.15.1\n", Some(("2.15.1", true)));
        check("nats-server: v2.12.0-RC.1", Some(("2.12.0-RC.1", true)));
        check("nats-server: v2.11.9", Some(("2.11.9", false)));
        check("nats-server: v3.0.0", Some(("3.0.0", true)));
        check("nginx 1.2", None);
    }
}
