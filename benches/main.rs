//! Measures what the project promises, against bars: `make bench`, or `make bench BENCH=name` for one.
#![expect(unreachable_pub, reason = "no other crate sees a bench; `pub` means seen by the files beside")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench speaks to whoever started it")]

mod child;
mod collector;
mod crowd;
mod day;
mod demo;
mod drain;
mod measured;
mod memory;
mod messages;
mod metrics;
mod observer;
mod pages;
mod pairs;
mod publish;
mod report;
mod round;
mod running_demo;
mod shop;
mod soak;
mod standing;
mod traces;
mod usage;
mod viewers;
mod worker;

#[path = "../tests/it/support"]
#[expect(dead_code, unused_imports, reason = "the benches need a part of what the tests share")]
mod support {
    pub mod nats_server;
    pub mod otlp;
    pub mod port;
    pub mod process_tree;
    pub mod spans;
    pub mod tool;
    mod waiting;

    pub use waiting::eventually;
}

use std::{path::Path, process::ExitCode};

use clap::{
    Parser,
    builder::{PossibleValue, PossibleValuesParser},
};

use report::Report;

/// What a bench does with its report.
type Bench = fn(&Arguments, &mut Report) -> anyhow::Result<()>;

/// Every bench by name, and whether it runs when none is named: a soak is for when there is time.
const BENCHES: &[(&str, Bench, bool)] = &[
    ("demo", |_, report| demo::run(report), true),
    ("publish", |_, report| publish::run(report), true),
    ("worker", |_, report| worker::run(report), true),
    ("drain", |_, report| drain::run(report), true),
    ("memory", |_, report| memory::run(report), true),
    ("round", |_, report| round::run(report), true),
    ("crowd", |_, report| round::crowd(report), true),
    ("metrics", |_, report| metrics::run(report), true),
    ("observer", |_, report| standing::run(report), true),
    ("pages", |_, report| pages::run(report), true),
    ("messages", |_, report| messages::run(report), true),
    ("viewers", |_, report| viewers::run(report), true),
    ("traces", |arguments, report| traces::run(&arguments.overload, report), true),
    ("soak", |arguments, report| soak::run(&arguments.soak, report), false),
];

/// Where the figures of the last run of each bench stand.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench.jsonl");

/// Measure against the bars.
#[derive(Debug, Parser)]
struct Arguments {
    /// Benches to run [default: all but soak]
    #[arg(value_parser = PossibleValuesParser::new(names()))]
    names: Vec<String>,
    #[command(flatten, next_help_heading = "Soak")]
    soak: soak::Soak,
    #[command(flatten, next_help_heading = "Traces")]
    overload: traces::Overload,
    /// Cargo says this to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// The benches, and the processes that some of them start.
fn names() -> Vec<PossibleValue> {
    let benches = BENCHES.iter().map(|(name, ..)| PossibleValue::new(name));
    let children = [memory::CHILD, collector::CHILD, traces::CHILD].map(|name| PossibleValue::new(name).hide(true));
    benches.chain(children).collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.names == [memory::CHILD] {
        return memory::hang().map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    if arguments.names == [collector::CHILD] {
        return collector::collect().map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    if arguments.names == [traces::CHILD] {
        return traces::receive().map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    let is_wanted = |name: &str, runs_unnamed: bool| match arguments.names.as_slice() {
        [] => runs_unnamed,
        names => names.iter().any(|wanted| wanted == name),
    };
    let wanted = BENCHES.iter().filter(|(name, _, runs_unnamed)| is_wanted(name, *runs_unnamed));
    // All of them run, so that one that fails hides no other.
    let failures = wanted.filter(|(name, bench, _)| !holds(name, *bench, &arguments)).count();
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(error: anyhow::Error) -> ExitCode {
    eprintln!("{error:#}");
    ExitCode::FAILURE
}

/// Runs one bench; whether it came to its end and every bar holds.
fn holds(name: &'static str, bench: Bench, arguments: &Arguments) -> bool {
    let run = Report::begin(Path::new(FIGURES), name).map_err(anyhow::Error::from).and_then(|mut report| {
        bench(arguments, &mut report)?;
        Ok(report.holds())
    });
    run.unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        false
    })
}
