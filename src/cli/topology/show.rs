//! A plan and findings as text for people: one line a thing, what changes below it.

use std::fmt::Write;

use crate::{
    bus::topology::{Action, Kind, Plan, Step, Undeclared},
    snapshot::Finding,
};

/// How far lines below a thing are indented.
const INDENT: &str = "            ";

/// What a plan would do, the undeclared, and a sum.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let shown: Vec<&Step> = plan.steps.iter().filter(|step| is_worth_a_line(step)).collect();
    let width = shown.iter().map(|step| name_of(step.kind, &step.name, &step.stream).len()).max().unwrap_or_default();
    for step in shown {
        self::step(&mut text, step, width);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &undeclared(&plan.undeclared) + &sum(plan)
}

fn is_worth_a_line(step: &Step) -> bool {
    step.action != Action::Unchanged || !step.notes.is_empty()
}

fn step(text: &mut String, step: &Step, width: usize) {
    let verb = match step.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Impossible => "CANNOT",
        Action::Unchanged => "as is",
    };
    let name = name_of(step.kind, &step.name, &step.stream);
    let gist = if step.action == Action::Create { step.gist.as_str() } else { "" };
    line(text, &format!("{verb:<8}  {:<8}  {name:<width$}  {gist}", step.kind));
    let widest = step.changes.iter().map(|change| change.field.len()).max().unwrap_or_default();
    for change in &step.changes {
        line(text, &format!("{INDENT}{:<widest$}  {} -> {}", change.field, change.from, change.to));
    }
    for obstacle in &step.obstacles {
        line(text, &format!("{INDENT}because {obstacle}"));
    }
    for note in &step.notes {
        line(text, &format!("{INDENT}{note}"));
    }
}

fn name_of(kind: Kind, name: &str, stream: &str) -> String {
    match kind {
        Kind::Stream | Kind::Bucket => name.to_owned(),
        Kind::Consumer => format!("{name} on {stream}"),
    }
}

fn undeclared(undeclared: &[Undeclared]) -> String {
    let names: Vec<String> =
        undeclared.iter().map(|one| format!("{} {}", one.kind, name_of(one.kind, &one.name, &one.stream))).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!("not declared, left alone: {}\n", names.join(", ")),
    }
}

fn sum(plan: &Plan) -> String {
    let counts = [
        (Action::Create, "to create"),
        (Action::Update, "to update"),
        (Action::Impossible, "cannot come about"),
        (Action::Unchanged, "as declared"),
    ];
    let counts = counts.map(|(action, words)| (plan.count(action), words));
    let said: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
    match said.as_slice() {
        [] => "nothing is declared\n".to_owned(),
        said => format!("{}\n", said.join(", ")),
    }
}

/// What the lints found.
pub(super) fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        line(&mut text, "");
        line(&mut text, &format!("{:<8}  {}: {}", finding.severity.word(), finding.about, finding.sentence));
        line(&mut text, &format!("{INDENT}because {}  [{}]", finding.evidence, finding.check));
        line(&mut text, &format!("{INDENT}to do: {}", finding.next_step));
    }
    text
}

fn line(text: &mut String, line: &str) {
    let _written = writeln!(text, "{}", line.trim_end());
}
