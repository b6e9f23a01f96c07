//! The report for people.

use std::fmt::Write;

use super::report::Report;

/// How far lines below a thing are indented.
const INDENT: &str = "            ";

pub(super) fn write(report: &Report) -> String {
    let mut text = String::new();
    for item in &report.items {
        let check = item.check.replace('_', " ");
        line(&mut text, &format!("{:<8}  {}: {check}. {}", item.severity.word(), item.whose(), item.sentence));
        if !item.evidence.is_empty() {
            line(&mut text, &format!("{INDENT}because {}", item.evidence.join("; ")));
        }
        if !item.next_step.is_empty() {
            line(&mut text, &format!("{INDENT}to do: {}", item.next_step));
        }
        line(&mut text, "");
    }
    line(&mut text, &format!("{} ({})", report.counts(), report.looked_at()));
    text
}

fn line(text: &mut String, line: &str) {
    let _written = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::check::report::tests::report, snapshot::Severity};

    #[test]
    fn each_thing_has_its_evidence_and_its_next_step() {
        let text = write(&report(Severity::Warning));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "critical  consumer reserve of stream ORDERS in account A: no workers. It is <late> & \"lost\"."
        );
        assert_eq!(lines[1..3], ["            because one; two", "            to do: wait"]);
        assert_eq!(lines[8], "1 critical, 1 warning (1 stream, 2 consumers, servers not seen)");
    }
}
