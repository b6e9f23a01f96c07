//! Chromium, driven by the scripts of this folder, which say on lines of JSON what they saw.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    process::{Process, without_settings},
    tool::{skip, tool},
};

/// Where `make ci-tools` puts what the scripts import.
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/node_modules");

/// The longest script takes some 20 s with nothing else to do on the machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a browser needs that scripts drive.
pub struct Browser {
    node: PathBuf,
    chromium: PathBuf,
}

/// A script at work. It ends with its test, and its browser with it.
pub struct Session(Process);

impl Browser {
    /// The browser of this machine, or `None` after noting that `test` is skipped for want of it.
    pub fn find(test: &str) -> Option<Self> {
        let (node, chromium) = (tool("node", test), tool("chromium", test));
        for package in ["playwright-core", "axe-core"] {
            if !Path::new(MODULES).join(package).join("package.json").is_file() {
                skip(&format!("{test}: `{package}` is not in .tools"));
                return None;
            }
        }
        Some(Self { node: node?, chromium: chromium? })
    }

    /// Starts a script of this folder, and tells it what it wants to know.
    pub fn start(&self, script: &str, mut told: Value) -> Session {
        told["chromium"] = self.chromium.to_str().expect("its path is text").into();
        let mut command = Command::new(&self.node);
        without_settings(&mut command);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/browser");
        command.arg(folder.join(script)).arg(told.to_string()).env("NODE_PATH", MODULES);
        Session(Process::start(&mut command))
    }
}

impl Session {
    /// Waits until the script is at this point.
    pub async fn reaches(&self, point: &str) {
        let begin = format!(r#"{{"at":"{point}""#);
        self.0.line(LIMIT, &format!("that it is at `{point}`"), |line| line.starts_with(&begin)).await;
    }

    /// Waits for its end, which must be a good one, and returns all that it said.
    pub async fn ended(mut self) -> Vec<Value> {
        let status = self.0.ended(LIMIT).await;
        let said = self.0.stdout();
        assert!(
            status.success(),
            "the script ended with {status}:\n{}\n{}",
            said.join("\n"),
            self.0.stderr().join("\n")
        );
        said.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}
