//! What the benches say of their figures.

#[path = "../../benches/pairs.rs"]
mod pairs;
#[path = "../../benches/report.rs"]
mod report;

use std::fs;

use report::{Bar, Figure, Report};
use serde_json::{Value, json};

const FIGURE: Figure<'_> = Figure { name: "rate", value: 30.0, unit: "k/s", against: None, bar: None };

fn check(figure: Figure<'_>, holds: Option<bool>, bar: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.jsonl");
    let mut report = Report::begin(&file, "publish").unwrap();
    report.take(figure).unwrap();
    assert_eq!(report.holds(), holds != Some(false), "{figure:?}");
    let line: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let expected = json!({
        "bench": "publish", "figure": "rate", "value": 30.0, "unit": "k/s", "against": figure.against,
        "ratio": figure.against.map(|against| 30.0 / against), "bar": bar, "holds": holds,
    });
    assert_eq!(line, expected);
}

#[test]
fn a_figure_is_held_to_its_bar_and_a_comparison_by_its_ratio() {
    check(FIGURE, None, None);
    check(Figure { bar: Some(Bar::AtMost(30.0)), ..FIGURE }, Some(true), Some("<= 30"));
    check(Figure { bar: Some(Bar::AtMost(29.5)), ..FIGURE }, Some(false), Some("<= 29.5"));
    check(Figure { bar: Some(Bar::AtLeast(30.0)), ..FIGURE }, Some(true), Some(">= 30"));
    check(Figure { bar: Some(Bar::AtLeast(0.8)), against: Some(40.0), ..FIGURE }, Some(false), Some(">= 0.8"));
    check(Figure { bar: Some(Bar::AtMost(0.8)), against: Some(40.0), ..FIGURE }, Some(true), Some("<= 0.8"));
    check(Figure { bar: Some(Bar::AtMost(0.7)), against: Some(40.0), ..FIGURE }, Some(false), Some("<= 0.7"));
}

#[test]
fn a_bench_that_runs_again_replaces_only_its_own_figures() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.jsonl");
    for bench in ["publish", "demo", "publish"] {
        Report::begin(&file, bench).unwrap().take(FIGURE).unwrap();
    }
    let lines: Vec<Value> =
        fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let benches: Vec<&Value> = lines.iter().map(|line| &line["bench"]).collect();
    assert_eq!(benches, ["demo", "publish"]);
}

#[test]
fn two_sides_run_in_turn_and_the_pair_in_the_middle_is_taken() {
    let order = std::cell::RefCell::new(String::new());
    let side = |name: char, values: [f64; 9]| {
        let (order, mut values) = (&order, values.into_iter());
        move || {
            order.borrow_mut().push(name);
            values.next().ok_or("more than nine runs")
        }
    };
    // A machine that slows down by and by, a run of ours that was disturbed, and two of theirs.
    let ours = side('a', [90.0, 80.0, 70.0, 6.0, 50.0, 40.0, 30.0, 20.0, 10.0]);
    let theirs = side('b', [100.0, 90.0, 1.0, 70.0, 60.0, 50.0, 40.0, 2.0, 20.0]);
    assert_eq!(pairs::middle_pair(ours, theirs), Ok((50.0, 60.0)));
    assert_eq!(*order.borrow(), "abbaabbaabbaabbaab");
}
