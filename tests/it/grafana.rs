//! The boards and the alert rules: they name metrics that exist, say what they show, and the rules fire when they should.

mod promql;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use streamgauge::{
    exporter,
    telemetry::metrics::{FAMILIES, Kind},
};

use crate::support::{process::run, tool::tool};

/// Labels that Prometheus itself puts on every series, and the one of a histogram's buckets.
const LABELS_OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana").join(below)
}

fn files(below: &str, ending: &str) -> Vec<(String, String)> {
    let paths = fs::read_dir(folder(below)).unwrap().map(|entry| entry.unwrap().path());
    let found = paths.filter(|path| path.to_string_lossy().ends_with(ending));
    found.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

fn boards() -> Vec<(String, Value)> {
    let found: Vec<_> = files("dashboards", ".json");
    assert!(!found.is_empty(), "there is a board to test");
    found.into_iter().map(|(file, text)| (file, serde_json::from_str(&text).unwrap())).collect()
}

fn panels(board: &Value) -> &[Value] {
    board["panels"].as_array().expect("a board has panels")
}

fn expressions(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().into_iter().flatten().map(|target| target["expr"].as_str().expect("a target asks"))
}

/// What is wrong with the names in an expression.
fn faults(expression: &str) -> Vec<String> {
    let names = promql::names(expression);
    let own = process_families();
    let families = [FAMILIES, &exporter::families()].concat();
    let labels_of = |metric: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
        let exposed = |kind| if kind == Kind::Histogram { histogram } else { Some(metric) };
        let family = families.iter().find(|family| exposed(family.kind) == Some(family.name));
        family.map(|family| family.labels).or_else(|| own.contains(metric).then_some(&[]))
    };
    let unknown = names.metrics.iter().filter(|metric| labels_of(metric).is_none());
    let known: BTreeSet<&str> = names
        .metrics
        .iter()
        .filter_map(|metric| labels_of(metric))
        .flatten()
        .copied()
        .chain(LABELS_OF_PROMETHEUS)
        .collect();
    let strange = names.labels.iter().filter(|label| !known.contains(label.as_str()));
    let unknown = unknown.map(|metric| format!("no process exposes `{metric}`"));
    unknown.chain(strange.map(|label| format!("none of these metrics has a label `{label}`"))).collect()
}

/// What the prometheus crate says of the process, as it says it of this one.
fn process_families() -> BTreeSet<String> {
    use prometheus::core::Collector;
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    collector.desc().iter().map(|desc| desc.fq_name.clone()).collect()
}

#[test]
fn boards_name_only_metrics_and_labels_that_exist() {
    for (file, board) in boards() {
        for panel in panels(&board) {
            for expression in expressions(panel) {
                assert_eq!(faults(expression), Vec::<String>::new(), "{file}: {}: {expression}", panel["title"]);
            }
        }
    }
}

#[test]
fn rules_name_only_metrics_and_labels_that_exist() {
    for (file, text) in files("rules", ".rules.yml") {
        let rules: Value = serde_saphyr::from_str(&text).unwrap();
        for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
            let expression = rule["expr"].as_str().unwrap();
            assert_eq!(faults(expression), Vec::<String>::new(), "{file}: {expression}");
            for text in ["summary", "description", "runbook"] {
                assert!(rule["annotations"][text].is_string(), "{file}: {}: says no {text}", rule["alert"]);
            }
        }
    }
}

#[test]
fn a_name_that_does_not_exist_is_found() {
    assert_eq!(faults("rate(streamgauge_worker_outcomes_total{outcome=\"done\"}[5m])"), Vec::<String>::new());
    assert_eq!(faults("sum by (le) (messaging_process_duration_seconds_bucket)"), Vec::<String>::new());
    assert_eq!(faults("process_resident_memory_bytes"), Vec::<String>::new());
    assert_eq!(faults("streamgauge_worker_outcome_total"), ["no process exposes `streamgauge_worker_outcome_total`"]);
    assert_eq!(faults("streamgauge_connected_bucket").len(), 1);
    assert_eq!(faults("messaging_process_duration_seconds").len(), 1, "of a histogram, only its parts are exposed");
    assert_eq!(faults("sum by (stream) (streamgauge_connected)"), ["none of these metrics has a label `stream`"]);
}

#[test]
fn a_board_works_with_any_data_source_and_says_what_it_shows() {
    for (file, board) in boards() {
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(
            variables.iter().any(|variable| variable["type"] == "datasource"),
            "{file} has no data source variable"
        );
        let mut ids = BTreeSet::new();
        for panel in panels(&board) {
            let title = panel["title"].as_str().expect("a panel has a title");
            assert!(ids.insert(panel["id"].as_u64()), "{file}: {title} has the id of another panel");
            let says = panel["description"].as_str().unwrap_or_default();
            assert!(says.len() > 20, "{file}: {title} does not say what it shows");
            let targets = panel["targets"].as_array().unwrap().iter().map(|target| &target["datasource"]["uid"]);
            for uid in targets.chain([&panel["datasource"]["uid"]]) {
                assert_eq!(uid, "${datasource}", "{file}: {title} is bound to one data source");
            }
            for expression in expressions(panel) {
                let ranges = expression.matches('[').count();
                assert_eq!(ranges, expression.matches("[$__rate_interval]").count(), "{file}: {title}: a fixed range");
            }
        }
    }
}

#[test]
fn prometheus_accepts_the_rules_and_each_fires_when_it_should() {
    let Some(promtool) = tool("promtool", "alert rules") else { return };
    for (file, _) in files("rules", ".rules.yml") {
        run(Command::new(&promtool).args(["check", "rules", &file]));
    }
    for (file, text) in files("rules", ".test.yml") {
        run(Command::new(&promtool).args(["test", "rules", &file]));
        let rules = fs::read_to_string(file.replace(".test.yml", ".rules.yml")).unwrap();
        for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
            assert!(text.contains(&format!("alertname: {alert}")), "{file} does not test {alert}");
        }
    }
}
