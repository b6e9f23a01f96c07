//! The report for the textfile collector of the node exporter.
//!
//! Convention: the Prometheus text exposition format 0.0.4.

use std::{collections::BTreeMap, fmt::Write};

use super::report::Report;
use crate::{
    checks::{AUDITS, LINTS},
    snapshot::{Label, Severity},
};

pub(super) fn write(report: &Report) -> String {
    let mut text = looked(true);
    family(
        &mut text,
        "streamgauge_check_status",
        "The worst of all that was found: 0 ok, 1 notice, 2 warning, 3 critical.",
    );
    sample(&mut text, "streamgauge_check_status", &[], number(report.status));
    family(&mut text, "streamgauge_check_consumers", "Consumers by their verdict.");
    for label in Label::ALL {
        let count = report.consumers.iter().filter(|seen| seen.label == label).count();
        sample(&mut text, "streamgauge_check_consumers", &[("verdict", label.token())], count);
    }
    family(&mut text, "streamgauge_check_findings", "What each check found.");
    for (check, count) in findings(report) {
        sample(&mut text, "streamgauge_check_findings", &[("check", check)], count);
    }
    family(&mut text, "streamgauge_check_consumer_severity", "Consumers in trouble: 2 warning, 3 critical.");
    for seen in report.consumers.iter().filter(|seen| seen.severity >= Severity::Warning) {
        let labels = [
            ("account", seen.account.as_str()),
            ("stream_name", &seen.stream),
            ("consumer_name", &seen.consumer),
            ("verdict", seen.label.token()),
        ];
        sample(&mut text, "streamgauge_check_consumer_severity", &labels, number(seen.severity));
    }
    text
}

/// What is said when it could not look: that, and no number that could be taken for one that was counted.
pub(super) fn blind() -> String {
    looked(false)
}

fn looked(has: bool) -> String {
    let mut text = String::new();
    family(
        &mut text,
        "streamgauge_check_looked",
        "Whether the check could look: 1, or 0, and then nothing else is told.",
    );
    sample(&mut text, "streamgauge_check_looked", &[], usize::from(has));
    text
}

/// How often each check found something; all of them, so that a series does not vanish when all is well.
fn findings(report: &Report) -> BTreeMap<&'static str, usize> {
    let checks = AUDITS.iter().map(|audit| audit.name).chain(LINTS.iter().map(|lint| lint.name));
    let mut counts: BTreeMap<&'static str, usize> = checks.map(|check| (check, 0)).collect();
    for item in report.items.iter().filter(|item| item.consumer.is_none()) {
        *counts.entry(item.check).or_default() += 1;
    }
    counts
}

fn number(severity: Severity) -> usize {
    match severity {
        Severity::Ok => 0,
        Severity::Notice => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}

fn family(text: &mut String, name: &str, help: &str) {
    let _written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: usize) {
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _written = writeln!(text, "{name}{labels} {value}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::report::tests::report;

    #[test]
    fn each_family_says_what_it_is_and_counts() {
        let text = write(&report(Severity::Warning));
        let has = |line: &str| assert!(text.lines().any(|one| one == line), "no {line} in {text}");
        has("# TYPE streamgauge_check_status gauge");
        has("streamgauge_check_looked 1");
        has("streamgauge_check_status 3");
        assert!(blind().ends_with("streamgauge_check_looked 0\n") && !blind().contains("status"));
        has("streamgauge_check_consumers{verdict=\"no_workers\"} 1");
        has("streamgauge_check_consumers{verdict=\"stuck\"} 0");
        has("streamgauge_check_findings{check=\"no_limits\"} 1");
        has("streamgauge_check_findings{check=\"one_replica\"} 0");
        has(
            "streamgauge_check_consumer_severity{account=\"A\",stream_name=\"ORDERS\",consumer_name=\"reserve\",verdict=\"no_workers\"} 3",
        );
    }

    #[test]
    fn a_label_value_is_one_whatever_it_holds() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
