//! `streamgauge dlq`: dead letters listed, shown and replayed.

mod json;
mod replay;
mod which;
mod words;

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::{
    bus::Bus,
    clock::Clock,
    config::{NatsConfig, TelemetryConfig},
    consumer::dead_letter::DeadLetters,
    dead_letter::Place,
    nats::{self, Connection},
    telemetry::{self, Telemetry},
};

use which::Which;

/// What the exit code of every `dlq` command says.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 done, also where there are no dead letters; 1 not done, or not for all; \
    2 wrong arguments; 69 NATS does not answer; 77 NATS refuses the login; 78 wrong settings";

/// Settings of `streamgauge dlq`.
#[derive(Debug, Args)]
pub(super) struct Dlq {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, the newest first
    #[command(after_help = EXIT_CODES)]
    List(List),
    /// Show all of one dead letter
    #[command(after_help = EXIT_CODES)]
    Show(Show),
    /// Publish the messages of dead letters again, each for the consumer that gave it up
    #[command(after_help = EXIT_CODES)]
    Replay(replay::Replay),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Most letters to list
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = which::limit())]
    limit: usize,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    nats: NatsConfig,
}

#[derive(Debug, Args)]
struct Show {
    /// The letter's id, as `list` shows it, such as ORDERS.mailer.42
    #[arg(value_name = "ID")]
    id: Place,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    nats: NatsConfig,
}

/// How results are written.
#[derive(Debug, Args)]
struct Output {
    /// Write JSON for programs instead of words for people
    #[arg(long)]
    json: bool,
}

/// What every command works with.
struct Desk {
    letters: DeadLetters,
    bus: Bus,
    telemetry: Telemetry,
    clock: Clock,
}

impl Dlq {
    /// # Errors
    /// When NATS cannot be reached, or what was asked for was not done in full.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::List(list) => list.run().await,
            Command::Show(show) => show.run().await,
            Command::Replay(replay) => replay.run().await,
        }
    }
}

impl Desk {
    async fn open(config: &NatsConfig) -> anyhow::Result<Self> {
        let telemetry = telemetry::init(&TelemetryConfig::of_command(), "dlq", "dlq")?;
        let clock = Clock::system();
        let connection: Connection = nats::connect(config, "streamgauge-dlq", &clock).await?;
        nats::require_jetstream(&connection).await?;
        let bus = Bus::new(connection.clone(), "dlq", telemetry.clone(), clock.clone());
        let letters = DeadLetters::open(&connection).await?;
        Ok(Self { letters, bus, telemetry, clock })
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let desk = Desk::open(&self.nats).await?;
        let now = desk.clock.now();
        let filter = self.which.filter(now);
        let listing = desk.letters.list(&filter, self.limit).await?;
        let earlier = desk.letters.earlier(&listing.letters).await?;
        if self.output.json {
            return print(&json::listing(&listing, &earlier).to_string());
        }
        print(&words::listing(&listing, &earlier, self.which.is_everything(), now))
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let desk = Desk::open(&self.nats).await?;
        let letter = desk.letters.find(&self.id).await?;
        let letter = letter.with_context(|| words::unknown(&self.id))?;
        let earlier = desk.letters.earlier(std::slice::from_ref(&letter)).await?.pop().flatten();
        if self.output.json {
            return print(&json::whole(&letter, earlier.as_ref()).to_string());
        }
        print(&words::letter(&letter, earlier.as_ref(), desk.clock.now()))
    }
}

/// Writes results. A reader that has gone away has seen what it wanted.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("writing the result"),
        _ => Ok(()),
    }
}
