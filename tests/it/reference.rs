//! The reference pages are made from the program itself and never lag behind it.

use std::{fmt::Write, fs, path::Path};

use clap::{Arg, Command, CommandFactory};
use streamgauge::{
    checks::{AUDITS, LINTS, consumer::RULES},
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
fn the_checks_page_says_what_every_check_says() {
    let mut text = String::from(CHECKS);
    text.push_str("| verdict | severity | what it says | read from | from when on |\n|---|---|---|---|---|\n");
    for rule in RULES {
        let (label, words) = (rule.label.token(), rule.label.words());
        let row = [&format!("`{label}` ({words})"), rule.severity, rule.rule, rule.evidence, rule.threshold];
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
    }
    text.push_str(AUDITED);
    text.push_str(
        "| check | severity | what it finds | read from | from when on | what to do |\n|---|---|---|---|---|---|\n",
    );
    for audit in AUDITS {
        let (name, next_step) = (format!("`{}`", audit.name), sentence(audit.next_step));
        let row = [&name, audit.severity.word(), audit.rule, audit.evidence, audit.threshold, &next_step];
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
    }
    text.push_str(LINTED);
    text.push_str("| check | severity | what it finds | what to do |\n|---|---|---|---|\n");
    for lint in LINTS {
        let (name, next_step) = (format!("`{}`", lint.name), sentence(lint.next_step));
        writeln!(text, "| {} |", [&name, lint.severity.word(), lint.rule, &next_step].join(" | ")).unwrap();
    }
    compare("docs/checks.md", &text);
}

const CHECKS: &str = "# Checks\n\nMade from the program: `UPDATE_REFERENCE=1 make test ARGS=reference` writes this page anew. The pages of `streamgauge serve` show all of \
                      this;\n`streamgauge check` looks for a few rounds, says it on a terminal, and ends with a code for cron and CI.\n\n\
                      Severities: `ok` < `notice` (good to know) < `warning` (it will hurt) < `critical` (it hurts now, or loses messages). A threshold that is noted on a \
                      stream or consumer\n(`io.nats.monitor.*` in its metadata, as `nats server check` reads it) wins over a flag, and a flag over the default. With\n\
                      `io.nats.monitor.enabled` set to `false` nothing is found of a stream and its consumers, or of a consumer, and its verdict is a notice at the most.\n\n\
                      ## Verdicts\n\nEach consumer has one: the most severe of what is found, and of those the first in this list. It comes with a sentence, its evidence, the next \
                      step, and since when.\nOther things that are found are among the evidence. Nothing found is `ok`; no fresh word of the consumer's leader is `unknown`, never zero, and so is\na consumer that was looked at in fewer than three rounds and had something to do in each: `streamgauge check --rounds 1` says that it did not judge\nit, and ends as though it had not been there.\n\n";

const AUDITED: &str = "\n## Findings of servers, streams and consumers\n\nLooked for in every round. What our user may not see is not found fault with.\n\n";

const LINTED: &str = "\n## Lints of how everything is set up\n\nLooked for whenever a configuration or a worker changed, in each account for itself. `streamgauge topology lint` looks at one \
                      account;\n`streamgauge topology plan` says what they find in what would be there.\n\n";

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut text = format!("{text}.");
    text[..1].make_ascii_uppercase();
    text
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
