//! The command: reads its arguments, runs, and ends with a code that says how it went.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use streamgauge::cli::{Cli, say_and_code};

/// The system's keeps what one thread gave back for this thread alone; of what the threads of an observer reckon in turn it holds twice as
/// much as is in use.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Two threads do for a process that mostly waits; each further one would cost memory in every service of a mesh.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say_and_code(&error),
    }
}
