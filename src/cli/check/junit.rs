//! The report for CI: each consumer is a test case, and so is each check of everything else.
//!
//! Convention: the JUnit XML that CI systems read: suites, cases, failures.

use std::fmt::Write;

use super::report::{Item, Report, Seen};
use crate::checks::{AUDITS, LINTS};

pub(super) fn write(report: &Report) -> String {
    let consumers = report.consumers.iter().map(|seen| match &seen.unjudged {
        Some(why) => skipped(&name(seen), "verdict", why),
        None => case(&name(seen), "verdict", &of_consumer(report, seen)),
    });
    let checks = AUDITS.iter().map(|audit| audit.name).chain(LINTS.iter().map(|lint| lint.name));
    let checks = checks.map(|check| case(check, "check", &of_check(report, check)));
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"streamgauge check\">\n".to_owned();
    suite(&mut xml, "consumers", &consumers.collect::<Vec<_>>());
    suite(&mut xml, "checks", &checks.collect::<Vec<_>>());
    xml + "</testsuites>\n"
}

/// What is said when it could not look, for `reason`: a test that came to no result.
pub(super) fn blind(reason: &str) -> String {
    let reason = escaped(reason);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"streamgauge check\">\n  <testsuite name=\"looking\" tests=\"1\" \
         errors=\"1\">\n    <testcase classname=\"streamgauge.check\" name=\"looking\">\n      <error message=\"{reason}\"/>\n    \
         </testcase>\n  </testsuite>\n</testsuites>\n"
    )
}

/// A test case as XML, and whether it fails.
struct Case {
    xml: String,
    fails: bool,
}

fn suite(xml: &mut String, name: &str, cases: &[Case]) {
    let failures = cases.iter().filter(|case| case.fails).count();
    let _written = writeln!(xml, "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\">", cases.len());
    cases.iter().for_each(|case| xml.push_str(&case.xml));
    xml.push_str("  </testsuite>\n");
}

fn case(name: &str, class: &str, failing: &[&Item]) -> Case {
    let name = escaped(name);
    let Some(first) = failing.first() else {
        let xml = format!("    <testcase classname=\"streamgauge.{class}\" name=\"{name}\"/>\n");
        return Case { xml, fails: false };
    };
    let text: Vec<String> = failing.iter().map(|item| in_full(item)).collect();
    let xml = format!(
        "    <testcase classname=\"streamgauge.{class}\" name=\"{name}\">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
        first.severity.word(),
        escaped(&first.sentence),
        escaped(&text.join("\n"))
    );
    Case { xml, fails: true }
}

/// A test that came to no result yet.
fn skipped(name: &str, class: &str, why: &str) -> Case {
    let (name, why) = (escaped(name), escaped(why));
    let xml = format!(
        "    <testcase classname=\"streamgauge.{class}\" name=\"{name}\">\n      <skipped message=\"{why}\"/>\n    </testcase>\n"
    );
    Case { xml, fails: false }
}

fn name(seen: &Seen) -> String {
    format!("{}/{}/{}", seen.account, seen.stream, seen.consumer)
}

fn of_consumer<'a>(report: &'a Report, seen: &Seen) -> Vec<&'a Item> {
    let is_it = |item: &&Item| {
        let whose = item.consumer.as_ref().zip(item.account.as_ref());
        whose.is_some_and(|((stream, consumer), account)| {
            (account, stream, consumer) == (&seen.account, &seen.stream, &seen.consumer)
        })
    };
    if seen.severity < report.fail_on { Vec::new() } else { report.failing().filter(is_it).collect() }
}

fn of_check<'a>(report: &'a Report, check: &str) -> Vec<&'a Item> {
    report.failing().filter(|item| item.consumer.is_none() && item.check == check).collect()
}

fn in_full(item: &Item) -> String {
    format!("{}: {}\nbecause {}\nto do: {}", item.whose(), item.sentence, item.evidence.join("; "), item.next_step)
}

/// Characters that XML 1.0 has no place for are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() && c != '\t' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::check::report::tests::{early_report, report},
        snapshot::Severity,
    };

    fn check(fail_on: Severity, failures: [&str; 2]) {
        let xml = write(&report(fail_on));
        let counts: Vec<&str> = xml.lines().filter(|line| line.contains("<testsuite ")).collect();
        for (line, failures) in counts.iter().zip(failures) {
            assert!(line.ends_with(&format!("failures=\"{failures}\">")), "{line}");
        }
        assert!(counts[0].contains("tests=\"2\""), "{}", counts[0]);
    }

    #[test]
    fn what_fails_is_counted_by_suite() {
        check(Severity::Warning, ["1", "1"]);
        check(Severity::Critical, ["1", "0"]);
    }

    #[test]
    fn what_was_not_judged_is_skipped() {
        let xml = write(&early_report());
        let skipped = "name=\"A/ORDERS/mail\">\n      <skipped message=\"It was looked at in 1 round so far.\"/>\n";
        assert!(xml.contains(skipped) && xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
    }

    #[test]
    fn text_stays_text() {
        let xml = write(&report(Severity::Warning));
        assert!(xml.contains("message=\"It is &lt;late&gt; &amp; &quot;lost&quot;.\""), "{xml}");
        assert_eq!(escaped("a\u{0}b\u{1b}[1m\tc"), "ab[1m\tc");
        assert!(blind("no <server>").contains("<error message=\"no &lt;server&gt;\"/>"), "{}", blind("no <server>"));
    }
}
