//! `streamgauge topology`: what is declared against what is there. It makes and updates, and never deletes.

mod show;

use std::{
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    broker::{self, Broker},
    bus::topology::{Action, Actual, Plan, Topology, library},
    checks,
    clock::Clock,
    config::{NatsConfig, TelemetryConfig},
    mesh,
    nats::{self, Connection},
    snapshot::{Configs, Finding, Severity, WorkerFact},
    telemetry,
};

/// The exit code of a comparison that found differences; 1 is for what went wrong.
pub(super) const DIFFERS: u8 = 2;

/// How long the workers are asked what they say of themselves. Without an answer the lints that need it stay silent.
const WORKERS_LIMIT: Duration = Duration::from_secs(5);

/// What `--help` of what makes and compares ends with.
const EXAMPLE: &str = "Example: `streamgauge topology apply --only ADVISORIES` makes the one stream that keeps what servers tell of messages that they give up, and nothing else.";

/// What was looked for was found, and is no fault of the command.
#[derive(Debug, thiserror::Error)]
pub(super) enum Differs {
    #[error("what is there differs from what is declared; `streamgauge topology apply` makes it so")]
    Topology,
    #[error(
        "what is there differs from what is declared, and `streamgauge topology apply` cannot make all of it so: see what CANNOT and why"
    )]
    Impossible,
    #[error("there are warnings")]
    Lints,
}

/// Settings of `streamgauge topology`.
#[derive(Debug, Args)]
pub(super) struct TopologyCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what applying would do, and what the lints say of it; nothing is changed
    #[command(after_help = EXAMPLE)]
    Plan(Compared),
    /// Make what is missing and update what differs; nothing is deleted
    #[command(after_help = EXAMPLE)]
    Apply(Compared),
    /// Compare, and end with code 0 where all is as declared, 2 where it is not
    Diff(Compared),
    /// Look for trouble in how everything in the account is set up; ends with code 2 where there are warnings
    Lint(Looked),
    /// Write what is declared as JSON, to begin a file of one's own with
    Print(Printed),
    /// Write who publishes and who consumes what, as Markdown
    Catalogue(Declared),
}

/// What is declared.
#[derive(Debug, Args)]
struct Declared {
    /// File that declares, as JSON, `-` for the standard input; several are taken together [default: the order mesh and the library's stores]
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
}

/// Settings of what compares.
#[derive(Debug, Args)]
struct Compared {
    #[command(flatten)]
    declared: Declared,
    /// Only the streams and buckets of these names, with the consumers of those streams [default: all that is declared]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    #[command(flatten)]
    looked: Looked,
}

/// Settings of what looks.
#[derive(Debug, Args)]
struct Looked {
    /// Write JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsConfig,
}

/// Settings of what prints.
#[derive(Debug, Args)]
struct Printed {
    #[command(flatten)]
    declared: Declared,
    /// Only the stores that the library itself needs
    #[arg(long, conflicts_with = "file")]
    library: bool,
}

impl TopologyCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Plan(compared) => plan(&compared).await,
            Verb::Apply(compared) => apply(&compared).await,
            Verb::Diff(compared) => diff(&compared).await,
            Verb::Lint(looked) => lint(&looked).await,
            Verb::Print(printed) if printed.library => print(&library()),
            Verb::Print(printed) => print(&read(&printed.declared)?),
            Verb::Catalogue(declared) => say(&read(&declared)?.catalogue()),
        }
    }
}

async fn plan(compared: &Compared) -> anyhow::Result<()> {
    let (plan, _) = compare(compared).await?;
    let findings = checks::lint(&plan.after);
    if compared.looked.json {
        return say_json(&with_findings(&plan, &findings)?);
    }
    say(&format!("{}{}", show::plan(&plan), show::findings(&findings)))
}

async fn apply(compared: &Compared) -> anyhow::Result<()> {
    let (plan, connection) = compare(compared).await?;
    if !compared.looked.json {
        say(&show::plan(&plan))?;
    }
    plan.apply(&connection.jetstream).await?;
    if compared.looked.json {
        return say_json(&serde_json::to_value(&plan)?);
    }
    match (plan.count(Action::Create), plan.count(Action::Update)) {
        (0, 0) => Ok(()),
        (made, updated) => say(&format!("done: {made} created, {updated} updated\n")),
    }
}

async fn diff(compared: &Compared) -> anyhow::Result<()> {
    let (plan, _) = compare(compared).await?;
    if compared.looked.json {
        say_json(&with_findings(&plan, &[])?)?;
    } else {
        say(&show::plan(&plan))?;
    }
    match plan.count(Action::Impossible) {
        0 if plan.is_same() => Ok(()),
        0 => Err(Differs::Topology.into()),
        _ => Err(Differs::Impossible.into()),
    }
}

async fn lint(looked: &Looked) -> anyhow::Result<()> {
    let connection = connect(&looked.nats).await?;
    let actual = Actual::read_all(&connection.jetstream).await?;
    let workers = workers(&connection).await;
    let findings = checks::lint(&Configs { workers, ..actual.facts() });
    if looked.json {
        say_json(&serde_json::to_value(&findings)?)?;
    } else if findings.is_empty() {
        say("the lints find nothing\n")?;
    } else {
        say(&show::findings(&findings))?;
    }
    if findings.iter().any(|finding| finding.severity >= Severity::Warning) {
        Err(Differs::Lints.into())
    } else {
        Ok(())
    }
}

/// What is declared is read before NATS is asked, so that a mistake in a file shows at once.
async fn compare(compared: &Compared) -> anyhow::Result<(Plan, Connection)> {
    let topology = only(read(&compared.declared)?, &compared.only)?;
    let connection = connect(&compared.looked.nats).await?;
    let mut plan = topology.plan(&connection.jetstream).await?;
    if !compared.only.is_empty() {
        // Who asked for one thing does not ask what else there is.
        plan.undeclared.clear();
    }
    Ok((plan, connection))
}

/// A name that nothing is declared under is a mistake: nothing would be made of it, and nobody would notice.
fn only(topology: Topology, names: &[String]) -> anyhow::Result<Topology> {
    if names.is_empty() {
        return Ok(topology);
    }
    let known = topology.names();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("no stream or bucket {unknown} is declared; there are {}", known.join(", "));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(topology.only(&names))
}

async fn connect(config: &NatsConfig) -> anyhow::Result<Connection> {
    telemetry::init(&TelemetryConfig::of_command(), "topology", "topology")?;
    let connection = nats::connect(config, "topology", &Clock::system()).await?;
    nats::require_jetstream(&connection).await?;
    Ok(connection)
}

/// What running instances say of their workers; nothing where no service tells its presence.
async fn workers(connection: &Connection) -> Vec<WorkerFact> {
    let broker = Broker::new(connection.clone(), Clock::system());
    let answers = broker::look(None, &[&broker], None, WORKERS_LIMIT).await;
    let presence = answers.accounts.iter().filter_map(|told| told.presence.value()).flat_map(|bucket| &bucket.entries);
    presence.flat_map(|entry| &entry.value.workers).map(WorkerFact::from).collect()
}

fn read(declared: &Declared) -> anyhow::Result<Topology> {
    if declared.file.is_empty() {
        return Ok(mesh::topology::topology());
    }
    let files = declared.file.iter().map(|file| read_file(file));
    files.reduce(|all, file| Ok(all?.joined(file?))).unwrap_or_else(|| Ok(Topology::default()))
}

fn read_file(file: &Path) -> anyhow::Result<Topology> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("cannot read {}: check the path", file.display()))?;
    let topology: Topology = serde_json::from_str(&text).with_context(|| {
        format!("{} does not declare a topology: compare it with `streamgauge topology print`", file.display())
    })?;
    topology.check().with_context(|| format!("{} declares what NATS cannot have", file.display()))?;
    Ok(topology)
}

fn print(topology: &Topology) -> anyhow::Result<()> {
    say_json(&serde_json::to_value(topology)?)
}

fn with_findings(plan: &Plan, findings: &[Finding]) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(plan)?;
    value["is_same"] = json!(plan.is_same());
    value["findings"] = serde_json::to_value(findings)?;
    Ok(value)
}

fn say_json(value: &serde_json::Value) -> anyhow::Result<()> {
    say(&format!("{value:#}\n"))
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no fault.
fn say(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("writing to standard output"),
        _ => Ok(()),
    }
}
