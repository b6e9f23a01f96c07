//! The report for Nagios, Icinga and their like: a line with the state, the details below it, numbers after a bar.
//!
//! Convention: the Monitoring Plugins' guidelines; codes 0 ok, 1 warning, 2 critical, 3 unknown.

use std::fmt::Write;

use super::report::{Item, Report};
use crate::{errors::ErrorChain, snapshot::Severity};

/// The code of a check that could not look.
pub(super) const UNKNOWN: u8 = 3;

/// Things named below the first line; monitors keep a few KB.
const NAMED: usize = 20;

/// The code: what is found below `--fail-on` is ok.
pub(super) fn code(report: &Report) -> u8 {
    match report.failing().map(|item| item.severity).max() {
        Some(Severity::Critical) => 2,
        Some(_) => 1,
        None => 0,
    }
}

pub(super) fn write(report: &Report) -> String {
    let state = ["OK", "WARNING", "CRITICAL"][usize::from(code(report))];
    let worst = report.failing().next().map(|item| format!(": {}", said(item))).unwrap_or_default();
    let [critical, warning] = [Severity::Critical, Severity::Warning].map(|severity| report.count(severity));
    let mut text = format!(
        "STREAMGAUGE {state} - {}{worst} | critical={critical};;;0 warning={warning};;;0 streams={};;;0 consumers={};;;0\n",
        report.counts(),
        report.streams,
        report.consumers.len()
    );
    for item in report.failing().skip(1).take(NAMED) {
        let _written = writeln!(text, "{}: {}", item.severity.word(), said(item));
    }
    let more = report.failing().count().saturating_sub(1 + NAMED);
    if more > 0 {
        let _written = writeln!(text, "and {more} more");
    }
    text
}

/// What is said when it could not look.
pub(super) fn blind(error: &anyhow::Error) -> String {
    format!("STREAMGAUGE UNKNOWN - {}\n", plain(&ErrorChain(error.as_ref()).to_string()))
}

fn said(item: &Item) -> String {
    plain(&format!("{}: {}. {}", item.whose(), item.check.replace('_', " "), item.sentence))
}

/// A bar begins the numbers, and a new line the next thing.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == ' ').map(|c| if c == '|' { '/' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::report::tests::report;

    fn check(fail_on: Severity, expected: u8) {
        assert_eq!(code(&report(fail_on)), expected);
    }

    #[test]
    fn the_code_is_the_worst_that_counts() {
        check(Severity::Notice, 2);
        check(Severity::Critical, 2);
        let mut mild = report(Severity::Warning);
        mild.items.remove(0);
        assert_eq!(code(&mild), 1);
        mild.fail_on = Severity::Critical;
        assert_eq!(code(&mild), 0);
    }

    #[test]
    fn the_first_line_says_it_all() {
        let text = write(&report(Severity::Warning));
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with("STREAMGAUGE CRITICAL - 1 critical, 1 warning: consumer reserve of stream ORDERS"),
            "{first}"
        );
        assert!(first.contains("no workers. It is <late>"), "the verdict and its sentence are two: {first}");
        assert!(first.ends_with("| critical=1;;;0 warning=1;;;0 streams=1;;;0 consumers=2;;;0"), "{first}");
        assert_eq!(plain("a|b\nc"), "a/bc");
        assert_eq!(blind(&anyhow::anyhow!("no | server")), "STREAMGAUGE UNKNOWN - no / server\n");
    }
}
