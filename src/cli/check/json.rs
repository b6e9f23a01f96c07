//! The report for programs.

use super::report::Report;

pub(super) fn write(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("a report is strings and numbers, all of which JSON has") + "\n"
}

/// What is said when it could not look, for `reason`.
pub(super) fn blind(reason: &str) -> String {
    let said = serde_json::json!({ "status": "unknown", "reason": reason });
    format!("{said:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::check::report::tests::report, snapshot::Severity};

    #[test]
    fn a_program_finds_what_it_needs() {
        let json: serde_json::Value = serde_json::from_str(&write(&report(Severity::Warning))).unwrap();
        assert_eq!((json["status"].as_str(), json["streams"].as_u64()), (Some("critical"), Some(1)));
        assert_eq!(json["items"][0]["check"], "no_workers");
        assert_eq!(json["items"][0]["consumer"], serde_json::json!(["ORDERS", "reserve"]));
        assert_eq!(json["consumers"][1]["label"], "ok");
        let json: serde_json::Value = serde_json::from_str(&blind("no \"server\"")).unwrap();
        assert_eq!(json, serde_json::json!({ "status": "unknown", "reason": "no \"server\"" }));
    }
}
