//! The reference pages are made from the program itself and never lag behind it.

use std::{fmt::Write, fs, path::Path};

use clap::{Arg, Command, CommandFactory};
use streamgauge::{
    checks::LINTS,
    cli::Cli,
    exporter, mesh,
    telemetry::metrics::{FAMILIES, Family},
};

/// Set, it has the pages written instead of compared.
const UPDATE: &str = "UPDATE_REFERENCE";

#[test]
fn the_settings_page_is_what_the_program_says() {
    let mut text = String::from(
        "# Settings\n\nMade from the program: `UPDATE_REFERENCE=1 make test ARGS=reference` writes this page anew. A flag wins over its \
         environment variable.\nTraces follow the standard `OTEL_*` variables.\n",
    );
    for command in leaves(&Cli::command(), "streamgauge") {
        section(&mut text, &command.0, &command.1);
    }
    compare("docs/reference/settings.md", &text);
}

#[test]
fn the_metrics_page_is_what_a_process_exposes() {
    let mut text = String::from(
        "# Metrics\n\nMade from the program: `UPDATE_REFERENCE=1 make test ARGS=reference` writes this page anew. Every process exposes \
         these at `/metrics`, beside\nthe `process_*` metrics of the Prometheus client libraries.\n\n| metric | kind | labels | what it says |\n|---|---|---|---|\n",
    );
    FAMILIES.iter().for_each(|family| metric(&mut text, family));
    text.push_str(
        "\n## The observer\n\n`streamgauge serve` exposes these too. Names that begin with `nats_` and their labels are those of \
         nats-surveyor and of prometheus-nats-exporter (`-prefix nats`).\nWhat is not known, or was not told in the last round, is absent.\n\n\
         | metric | kind | labels | what it says |\n|---|---|---|---|\n",
    );
    exporter::families().iter().for_each(|family| metric(&mut text, family));
    compare("docs/reference/metrics.md", &text);
}

fn metric(text: &mut String, family: &Family) {
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    let kind = format!("{:?}", family.kind).to_lowercase();
    writeln!(text, "| `{}` | {kind} | {} | {} |", family.name, labels.join(" "), family.help).unwrap();
}

#[test]
fn the_checks_page_lists_every_lint() {
    let mut text = String::from(
        "# Checks\n\nMade from the program: `UPDATE_REFERENCE=1 make test ARGS=reference` writes this page anew. `streamgauge topology lint` \
         looks at a whole account;\n`streamgauge topology plan` says what the lints find in what would be there.\n\n| check | severity | what it finds | what to do |\n|---|---|---|---|\n",
    );
    for lint in LINTS {
        let mut next_step = lint.next_step.to_owned();
        next_step[..1].make_ascii_uppercase();
        writeln!(text, "| `{}` | {} | {} | {next_step}. |", lint.name, lint.severity.word(), lint.rule).unwrap();
    }
    compare("docs/reference/checks.md", &text);
}

#[test]
fn the_catalogue_is_what_the_mesh_declares() {
    let text = format!(
        "# Catalogue of the order mesh\n\nMade from the program: `UPDATE_REFERENCE=1 make test ARGS=reference` writes this page anew. \
         `streamgauge topology catalogue --file FILE` writes\none of your own topology.\n\n{}",
        mesh::topology::topology().catalogue()
    );
    compare("docs/reference/catalogue.md", &text);
}

/// Every command that has no commands of its own, with the words that call it.
fn leaves(command: &Command, words: &str) -> Vec<(String, Command)> {
    let children: Vec<_> = command.get_subcommands().filter(|child| !child.is_hide_set()).collect();
    if children.is_empty() {
        return vec![(words.to_owned(), command.clone())];
    }
    children.iter().flat_map(|child| leaves(child, &format!("{words} {}", child.get_name()))).collect()
}

fn section(text: &mut String, words: &str, command: &Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    write!(text, "\n## `{words}`\n\n{about}.\n\n| flag | environment | default | what it sets |\n|---|---|---|---|\n")
        .unwrap();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_long() != Some("help")) {
        text.push_str(&row(arg));
    }
}

fn row(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let flag = arg.get_long().map(|name| format!("--{name} {value}"));
    let flag = flag.as_deref().unwrap_or(&value).trim_end();
    let variable = arg.get_env().map(|name| format!("`{}`", name.display())).unwrap_or_default();
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    let defaults = if arg.get_action().takes_values() { defaults.join(" ") } else { String::new() };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    format!("| `{flag}` | {variable} | {defaults} | {help} |\n")
}

#[track_caller]
fn compare(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{page} lags behind the program: {UPDATE}=1 make test ARGS=reference writes it anew");
}
