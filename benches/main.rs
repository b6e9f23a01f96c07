//! Measures what the project promises, against bars: `make bench`, or `make bench BENCH=name` for one.
#![expect(unreachable_pub, reason = "no other crate sees a bench; `pub` means seen by the files beside")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench speaks to whoever started it")]

mod demo;
mod pairs;
mod publish;
mod report;
mod running_demo;
mod usage;

#[path = "../tests/it/support"]
#[expect(dead_code, unused_imports, reason = "the benches need a part of what the tests share")]
mod support {
    pub mod nats_server;
    pub mod port;
    pub mod process_tree;
    pub mod tool;
    mod waiting;

    pub use waiting::eventually;
}

use std::{path::Path, process::ExitCode};

use report::Report;

/// A bench: its name and what it does.
type Bench = (&'static str, fn(&mut Report) -> anyhow::Result<()>);

const BENCHES: &[Bench] = &[("demo", demo::run), ("publish", publish::run)];

/// Where the figures of the last run of each bench stand.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench.jsonl");

fn main() -> ExitCode {
    // Cargo adds `--bench` of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = named.iter().find(|name| !BENCHES.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        eprintln!("no bench is called {unknown}; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let wanted = BENCHES.iter().filter(|(name, _)| named.is_empty() || named.iter().any(|wanted| wanted == name));
    // All of them run, so that one that fails hides no other.
    let failures = wanted.filter(|(name, bench)| !holds(name, *bench)).count();
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one bench; whether it came to its end and every bar holds.
fn holds(name: &'static str, bench: fn(&mut Report) -> anyhow::Result<()>) -> bool {
    let run = Report::begin(Path::new(FIGURES), name).map_err(anyhow::Error::from).and_then(|mut report| {
        bench(&mut report)?;
        Ok(report.holds())
    });
    run.unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        false
    })
}
